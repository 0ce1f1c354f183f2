//! Packed files under libFuzzer. Checksums are made to fit first, so that what is behind them is reached; what opens is walked
//! as its readers do.
#![no_main]

mod scratch;

use std::ops::ControlFlow;

use flash::{FlashFile, PAGE, Section, xxh64};
use libfuzzer_sys::fuzz_target;

/// Where the header keeps offset, bytes and checksum of its first section, and how far on those of the next are.
const SECTIONS: usize = 40;
const SECTION: usize = 24;

fn number(bytes: &[u8], at: usize) -> u64 {
    u64::from_le_bytes(bytes[at..at + 8].try_into().expect("eight bytes"))
}

fn reseal(bytes: &mut [u8]) {
    if bytes.len() < PAGE as usize {
        return;
    }
    for (index, _) in Section::ALL.iter().enumerate().filter(|(_, section)| section.is_table()) {
        let at = SECTIONS + index * SECTION;
        let (start, length) = (number(bytes, at), number(bytes, at + 8));
        let end = start.checked_add(length).filter(|&end| end <= bytes.len() as u64);
        if let Some(end) = end {
            let sum = xxh64(&bytes[start as usize..end as usize]);
            bytes[at + 16..at + 24].copy_from_slice(&sum.to_le_bytes());
        }
    }
    let last = PAGE as usize - 8;
    let sum = xxh64(&bytes[..last]);
    bytes[last..last + 8].copy_from_slice(&sum.to_le_bytes());
}

fuzz_target!(|input: &[u8]| {
    // The first byte says whether checksums are left as they are: wrong ones must be refused, not crash.
    let Some((&kept, input)) = input.split_first() else { return };
    let mut bytes = input.to_vec();
    if kept & 7 != 0 {
        reseal(&mut bytes);
    }
    let Ok(file) = FlashFile::open(&scratch::file(&bytes)) else { return };
    let _ = file.gguf();
    for (layer, layout) in file.layers().iter().enumerate() {
        for expert in 0..layout.shape().experts.min(4) {
            for position in (0..layout.shape().neurons).step_by(17).take(4096) {
                for span in [layout.gate_row(expert, position), layout.up_row(expert, position), layout.down_unit(expert, position)] {
                    assert!(span.offset >= layout.offset() && span.end() <= file.bytes(), "a row lies inside the file");
                }
                assert!(file.order().neuron(layer as u32, expert, position) < layout.shape().neurons);
            }
        }
    }
    let _ = file.verify(&mut |_| ControlFlow::Continue(()));
});
