//! Activation traces under libFuzzer: a value or an error, tokens in their order, and nothing told of neurons that the trace's model
//! has not. Checksums are made to fit first, so that what is behind them is reached.
#![no_main]

mod scratch;

use libfuzzer_sys::fuzz_target;

/// Where the header says how long the name is, and where the name begins (`crates/trace/src/read.rs`).
const NAME_BYTES: usize = 32;
const NAME: usize = 36;

/// CRC-32 as in zlib, a bit at a time.
fn crc32(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(u32::MAX, |sum, &byte| {
        (0..8).fold(sum ^ u32::from(byte), |sum, _| (sum >> 1) ^ (0xedb8_8320 * (sum & 1)))
    })
}

/// Makes the sum at `at` that of `from..to`, and returns where the next field begins.
fn seal(bytes: &mut [u8], from: usize, to: usize, at: usize) -> Option<usize> {
    let sum = crc32(bytes.get(from..to)?).to_le_bytes();
    bytes.get_mut(at..at + 4)?.copy_from_slice(&sum);
    Some(at + 4)
}

fn number(bytes: &[u8], at: usize) -> Option<usize> {
    let four = bytes.get(at..at + 4)?;
    Some(u32::from_le_bytes(four.try_into().ok()?) as usize)
}

/// The header, every chunk and the end, as far as their lengths lead; `None` where they lead outside.
fn reseal(bytes: &mut [u8]) -> Option<()> {
    let name_end = NAME + number(bytes, NAME_BYTES)?.min(bytes.len());
    let mut at = seal(bytes, 0, name_end, name_end)?;
    loop {
        let count = number(bytes, at)?;
        if count == 0 {
            return seal(bytes, at + 4, at + 16, at + 16).map(|_| ());
        }
        let body = at + 12;
        let end = body + number(bytes, at + 4)?.min(bytes.len());
        seal(bytes, body, end, at + 8)?;
        at = end;
    }
}

fuzz_target!(|input: &[u8]| {
    // The first byte says whether checksums are left as they are: wrong ones must be refused, not crash.
    let Some((&kept, input)) = input.split_first() else { return };
    let mut bytes = input.to_vec();
    if kept & 7 != 0 {
        let _ = reseal(&mut bytes);
    }
    // Chunk after chunk, and in a chunk layer after layer: a token comes after the one before it of the same layer.
    let mut next = Vec::new();
    let _ = trace::read(scratch::file(&bytes), &mut |shape, fired| {
        assert!(fired.layer < shape.layers as usize);
        next.resize(shape.layers as usize, 0);
        assert_eq!(fired.place, next[fired.layer]);
        next[fired.layer] += 1;
        for (expert, neurons) in fired.experts {
            assert!(expert < shape.experts);
            assert!(neurons.iter().all(|&neuron| neuron < shape.neurons));
        }
    });
});
