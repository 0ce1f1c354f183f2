//! What looking for weights that are no numbers adds to reading them: the tensors of a file, read in pieces as the engine loads them, with
//! and without. In turn, best of each; the file should be in the page cache, where reading is fastest and looking weighs most.
//!
//! `cargo run --release -p neuronlab-gguf --example finite -- FILE [rounds]`

use std::fs::File;
use std::time::{Duration, Instant};

use gguf::{Gguf, GgufError};

/// Bytes of a piece, about: those of the engine are whole blocks too.
const PIECE: u64 = 1 << 19;

fn once(gguf: &Gguf, file: &File, looks: bool) -> Result<Duration, GgufError> {
    let begun = Instant::now();
    // Memory that nobody has touched yet, as a model's is.
    let mut memory = vec![0; (gguf.file_bytes - gguf.data_start) as usize];
    for tensor in &gguf.tensors {
        let block = tensor.kind.block_bytes();
        let piece = PIECE / block * block;
        for from in (0..tensor.bytes).step_by(piece as usize) {
            let length = piece.min(tensor.bytes - from) as usize;
            let at = (tensor.offset - gguf.data_start + from) as usize;
            let bytes = &mut memory[at..at + length];
            tensor.read_at(file, from, bytes)?;
            if looks {
                tensor
                    .kind
                    .check_finite(&|| tensor.name.clone(), tensor.columns(), from, bytes)?;
            }
        }
    }
    Ok(begun.elapsed())
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let path = arguments.next().ok_or("which file?")?;
    let rounds: usize = arguments.next().map_or(Ok(7), |rounds| rounds.parse())?;
    let (gguf, file) = (Gguf::open(&path)?, File::open(&path)?);
    let mut best = [Duration::MAX; 2];
    for _ in 0..rounds {
        for (best, looks) in best.iter_mut().zip([false, true]) {
            *best = (*best).min(once(&gguf, &file, looks)?);
        }
    }
    let [read, looked] = best.map(|time| time.as_secs_f64());
    println!(
        "{:.2} GB: read in {read:.3} s, read and looked at in {looked:.3} s: {:+.1} %",
        (gguf.file_bytes - gguf.data_start) as f64 / 1e9,
        (looked / read - 1.0) * 100.0
    );
    Ok(())
}
