//! Which model a predictor was fitted for.

use model::{ModelError, TensorSource};

/// Bytes of a sample, and how many a tensor gives: enough to tell models apart, little enough to read in passing.
const SAMPLE: u64 = 4096;
const SAMPLES: u64 = 4;

/// Whether a tensor belongs to the FFNs (which a packed file keeps in another order) or to a predictor.
fn is_left_out(name: &str) -> bool {
    let parts = [
        ".ffn_gate.",
        ".ffn_up.",
        ".ffn_down.",
        ".ffn_down_t.",
        "_exps.",
        ".fc1.",
        ".fc2.",
    ];
    parts.iter().any(|part| name.contains(part))
}

/// A number for the model in a file: of names, shapes, types and some bytes of every tensor outside the FFNs. A packed file
/// has that of the GGUF file it was made from. Another quantisation of a model is another model.
pub fn fingerprint(source: &dyn TensorSource) -> Result<u64, ModelError> {
    let mut names: Vec<&str> = source.gguf().tensors.iter().map(|tensor| tensor.name.as_str()).collect();
    names.retain(|name| !is_left_out(name));
    names.sort_unstable();
    let (mut digest, mut piece) = (Vec::new(), Vec::new());
    for name in names {
        let Some(entry) = source.entry(name) else {
            continue;
        };
        digest.extend_from_slice(name.as_bytes());
        digest.push(0);
        for number in entry.shape.iter().copied().chain([u64::from(entry.kind), entry.bytes]) {
            digest.extend_from_slice(&number.to_le_bytes());
        }
        let length = entry.bytes.min(SAMPLE);
        for sample in 0..SAMPLES {
            piece.resize(length as usize, 0);
            let last = entry.bytes - length;
            // Evenly spread, the first and the last bytes among them.
            source.read(name, last / (SAMPLES - 1) * sample, &mut piece)?;
            digest.extend_from_slice(&flash::xxh64(&piece).to_le_bytes());
        }
    }
    Ok(flash::xxh64(&digest))
}
