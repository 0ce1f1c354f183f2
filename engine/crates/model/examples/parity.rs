//! `parity DIR [threads]`: how far this engine is from llama.cpp on every model in a folder of references.

#[path = "../tests/support/mod.rs"]
mod support;

use std::path::Path;

use model::KvFormat;
use neuron::Kernels;
use support::{Reference, compare, dense};

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let Some(folder) = arguments.first() else {
        eprintln!("usage: parity DIR [threads]; DIR holds NAME.gguf with llama.cpp's results (engine/rivals/llama.cpp)");
        std::process::exit(2);
    };
    let threads = arguments.get(1).and_then(|threads| threads.parse().ok()).unwrap_or(2);
    println!("model                          kv   max |logit difference|  tolerance  same  close  wrong  lead");
    let mut failed = false;
    for reference in Reference::all(Path::new(folder)) {
        for kv in [KvFormat::F32, KvFormat::F16] {
            let distance = compare(&reference, Kernels::best(), threads, kv, &dense);
            let tolerance = reference.tolerance(kv);
            let fails = distance.logits > tolerance || distance.wrong > 0;
            failed |= fails;
            println!(
                "{:30} {:4} {:22.7}  {:9}  {:4}  {:5}  {:5}  {:.5} {}",
                reference.name,
                format!("{kv:?}"),
                distance.logits,
                tolerance,
                distance.same,
                distance.close_calls,
                distance.wrong,
                distance.lead,
                if fails { "FAILS" } else { "" }
            );
        }
    }
    std::process::exit(i32::from(failed));
}
