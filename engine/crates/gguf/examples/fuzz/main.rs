//! Throws mutated files at the parser, the same ones for the same seed.
//!
//! `cargo run --release -p neuronlab-gguf --example fuzz -- --seconds 60 --seed 1`
//!
//! Every input is checked against the invariants that the tests use; a panic ends the run with the input written to a file.
//! `--write-seeds FOLDER` writes the generated files and ends: a corpus for a coverage-guided fuzzer (`engine/fuzz`).

#[path = "../../tests/support/mod.rs"]
mod support;

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use support::generate::{content, encode};
use support::mutate::mutate;
use support::random::Random;

/// Generated files that mutations start from.
const SEEDS: u64 = 400;

fn main() -> ExitCode {
    let Request { seconds, seed, seeds_to } = match arguments() {
        Ok(found) => found,
        Err(wrong) => {
            eprintln!("{wrong}; usage: fuzz [--seconds N] [--seed S] [--write-seeds FOLDER]");
            return ExitCode::from(2);
        }
    };
    let mut random = Random::new(seed);
    let mut corpus: Vec<Vec<u8>> = (0..SEEDS)
        .map(|index| encode(&content(&mut Random::new(seed ^ index))))
        .collect();
    if let Some(folder) = seeds_to {
        return write_seeds(&corpus, &folder);
    }
    let started = Instant::now();
    let (mut tried, mut good, mut bytes_seen) = (0u64, 0u64, 0u64);
    while started.elapsed() < Duration::from_secs(seconds) {
        // Without fresh files the corpus would wither: most mutations that leave a file good make it smaller.
        for _ in 0..4 {
            let slot = random.below(corpus.len());
            corpus[slot] = encode(&content(&mut random));
        }
        for _ in 0..256 {
            let mut bytes = random.pick(&corpus).clone();
            let other = random.below(corpus.len());
            mutate(&mut random, &mut bytes, &corpus[other]);
            tried += 1;
            bytes_seen += bytes.len() as u64;
            match std::panic::catch_unwind(|| support::invariants::check(&bytes)) {
                Ok(true) => {
                    good += 1;
                    // Now and then a good file is the start of others, so that mutations pile up.
                    if random.chance(100) {
                        let slot = random.below(corpus.len());
                        corpus[slot] = bytes;
                    }
                }
                Ok(false) => {}
                Err(_) => {
                    let path = std::env::temp_dir().join(format!("gguf-fuzz-{seed}-{tried}.gguf"));
                    let kept = std::fs::write(&path, &bytes);
                    eprintln!(
                        "input {tried} of seed {seed} broke an invariant; {}: {kept:?}",
                        path.display()
                    );
                    return ExitCode::FAILURE;
                }
            }
        }
    }
    println!(
        "{tried} inputs tried ({good} good files, {} refused), {} MiB, in {:.0} s, seed {seed}: none broke an invariant",
        tried - good,
        bytes_seen >> 20,
        started.elapsed().as_secs_f64(),
    );
    ExitCode::SUCCESS
}

fn write_seeds(corpus: &[Vec<u8>], folder: &Path) -> ExitCode {
    let write = |(index, bytes): (usize, &Vec<u8>)| std::fs::write(folder.join(format!("seed-{index:03}.gguf")), bytes);
    match std::fs::create_dir_all(folder).and_then(|()| corpus.iter().enumerate().try_for_each(write)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{}: {error}", folder.display());
            ExitCode::from(74)
        }
    }
}

struct Request {
    seconds: u64,
    seed: u64,
    seeds_to: Option<PathBuf>,
}

fn arguments() -> Result<Request, String> {
    let mut request = Request {
        seconds: 10,
        seed: 1,
        seeds_to: None,
    };
    let mut given = std::env::args().skip(1);
    while let Some(name) = given.next() {
        let value = given.next().ok_or_else(|| format!("{name} needs a value"))?;
        let number = || {
            value
                .parse::<u64>()
                .map_err(|_| format!("{name} is {value}; expected a whole number"))
        };
        match name.as_str() {
            "--seconds" => request.seconds = number()?,
            "--seed" => request.seed = number()?,
            "--write-seeds" => request.seeds_to = Some(PathBuf::from(&value)),
            _ => return Err(format!("unknown option: {name}")),
        }
    }
    Ok(request)
}
