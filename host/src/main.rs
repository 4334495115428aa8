//! The `tandem` binary.

#[global_allocator]
static MEMORY: tandem::exhausted::Memory = tandem::exhausted::Memory;

fn main() {
    tandem::cli::main()
}
