//! The `tandem` binary.

use std::process::ExitCode;

#[global_allocator]
static MEMORY: tandem::exhausted::Memory = tandem::exhausted::Memory;

fn main() -> ExitCode {
    tandem::cli::main()
}
