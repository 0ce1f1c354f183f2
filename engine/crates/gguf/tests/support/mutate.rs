//! Mutations of a file: the small lies that a hostile or damaged one tells.

use super::random::Random;

/// Numbers at which lengths, counts and offsets go wrong.
const AWKWARD: [u64; 16] = [
    0,
    1,
    2,
    7,
    8,
    12,
    63,
    64,
    255,
    65_536,
    i32::MAX as u64,
    u32::MAX as u64,
    1 << 32,
    i64::MAX as u64,
    u64::MAX - 31,
    u64::MAX,
];

/// Changes `bytes` in one to six places; `other` lends pieces.
pub fn mutate(random: &mut Random, bytes: &mut Vec<u8>, other: &[u8]) {
    for _ in 0..1 + random.below(6) {
        if bytes.is_empty() {
            bytes.extend_from_slice(other);
            return;
        }
        let at = random.below(bytes.len());
        match random.below(9) {
            0 => bytes[at] ^= 1 << random.below(8),
            1 => bytes[at] = random.next() as u8,
            2 => overwrite(bytes, at, &random.pick(&AWKWARD).to_le_bytes()),
            3 => overwrite(bytes, at, &(*random.pick(&AWKWARD) as u32).to_le_bytes()),
            4 => bytes.truncate(at),
            5 => {
                let end = (at + 1 + random.below(40)).min(bytes.len());
                bytes.drain(at..end);
            }
            6 => {
                let end = (at + 1 + random.below(40)).min(bytes.len());
                let piece = bytes[at..end].to_vec();
                bytes.splice(at..at, piece);
            }
            7 if !other.is_empty() => {
                let from = random.below(other.len());
                let end = (from + 1 + random.below(64)).min(other.len());
                bytes.splice(at..at, other[from..end].iter().copied());
            }
            _ => {
                // One more or one less in a small number, where lengths live.
                bytes[at] = bytes[at].wrapping_add(if random.chance(2) { 1 } else { 255 });
            }
        }
    }
}

fn overwrite(bytes: &mut [u8], at: usize, with: &[u8]) {
    let end = (at + with.len()).min(bytes.len());
    bytes[at..end].copy_from_slice(&with[..end - at]);
}
