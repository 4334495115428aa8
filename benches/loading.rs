//! From a plugin's file to a checked definition: `cargo bench -p tandem --bench loading -- target/release/libtandem_*.so`.
//!
//! The first round of a file finds, reads, checks, copies, opens and asks it; later ones find it open already, so the
//! bench starts itself anew for each round. 20 ms is the project's limit.
#![expect(clippy::print_stdout, reason = "this is the result")]

use std::{env, path::Path, process::Command, time::Instant};

use tandem::plugin::{inspect, load};
use tandem_plugin_api::Images;

const ROUNDS: usize = 9;
const ONE_ROUND: &str = "--one-round";

fn main() -> Result<(), Box<dyn std::error::Error>> {
    // Cargo adds flags of its own.
    let words: Vec<String> = env::args().skip(1).filter(|w| w != "--bench").collect();
    if let [flag, file] = &words[..]
        && flag == ONE_ROUND
    {
        return one_round(Path::new(file));
    }
    for file in &words {
        let mut milliseconds = Vec::new();
        for _ in 0..ROUNDS {
            let done = Command::new(env::current_exe()?).args([ONE_ROUND, file]).output()?;
            if !done.status.success() {
                return Err(String::from_utf8_lossy(&done.stderr).into());
            }
            milliseconds.push(String::from_utf8(done.stdout)?.trim().parse::<f64>()?);
        }
        milliseconds.sort_by(f64::total_cmp);
        let (least, median, most) = (milliseconds[0], milliseconds[ROUNDS / 2], milliseconds[ROUNDS - 1]);
        println!("{file}: {median:.2} ms ({least:.2} .. {most:.2}), {ROUNDS} processes");
    }
    Ok(())
}

fn one_round(file: &Path) -> Result<(), Box<dyn std::error::Error>> {
    let start = Instant::now();
    load(&inspect(file)?)?.declare(Images { channels: 1, size: 32, classes: 10 }, &[])?;
    println!("{}", start.elapsed().as_secs_f64() * 1e3);
    Ok(())
}
