//! Weights that are no numbers: NaN and infinities, in which every sum that meets them ends.
//!
//! Where weights share a scale, it alone decides: a finite binary16 scale times any code is finite in binary32.

use crate::error::GgufError;
use crate::kind::TensorType;

/// Where the binary16 scale of a block stands (bytes from its start); `None` where weights have none, or none that the kernels know.
const fn scale_at(kind: TensorType) -> Option<usize> {
    match kind {
        TensorType::F16 | TensorType::Q4_0 | TensorType::Q8_0 => Some(0),
        TensorType::Q6_K => Some(208),
        _ => None,
    }
}

/// The exponent of a number that is not finite is all ones: adding one to it carries into the sign's place.
const fn carries_half(half: u16) -> u16 {
    (half & 0x7c00) + 0x0400
}

const fn carries_single(single: u32) -> u32 {
    (single & 0x7f80_0000) + 0x0080_0000
}

fn half_at(block: &[u8], at: usize) -> u16 {
    u16::from_le_bytes([block[at], block[at + 1]])
}

fn single_at(block: &[u8]) -> u32 {
    u32::from_le_bytes([block[0], block[1], block[2], block[3]])
}

/// Whether a scale among these whole blocks is not finite. No branch: all sums of a piece are joined, and looked at once.
fn any_half<const BLOCK: usize>(blocks: &[u8], at: usize) -> bool {
    let (blocks, _) = blocks.as_chunks::<BLOCK>();
    blocks
        .iter()
        .fold(0, |joined, block| joined | carries_half(half_at(block, at)))
        & 0x8000
        != 0
}

fn any_single(blocks: &[u8]) -> bool {
    let (blocks, _) = blocks.as_chunks::<4>();
    blocks
        .iter()
        .fold(0, |joined, block| joined | carries_single(single_at(block)))
        & 0x8000_0000
        != 0
}

impl TensorType {
    /// Refuses a tensor (its name is asked for when it is), with `columns` weights in a row, for a weight in `blocks` that is not finite: whole blocks from byte
    /// `from` of its data on. Of types that the kernels do not compute with nothing is known, and nothing refused.
    pub fn check_finite(self, tensor: &dyn Fn() -> String, columns: u64, from: u64, blocks: &[u8]) -> Result<(), GgufError> {
        let sound = match (self, scale_at(self)) {
            (TensorType::F32, _) => !any_single(blocks),
            (TensorType::F16, Some(at)) => !any_half::<2>(blocks, at),
            (TensorType::Q4_0, Some(at)) => !any_half::<18>(blocks, at),
            (TensorType::Q8_0, Some(at)) => !any_half::<34>(blocks, at),
            (TensorType::Q6_K, Some(at)) => !any_half::<210>(blocks, at),
            _ => true,
        };
        if sound {
            return Ok(());
        }
        // Rare, so it may be slow: which block, and what is in it.
        let bytes = self.block_bytes();
        let infinite_or_nan = |block: &[u8]| match scale_at(self) {
            Some(at) => {
                let half = half_at(block, at);
                (carries_half(half) & 0x8000 != 0).then_some(half & 0x3ff == 0)
            }
            None => {
                let single = single_at(block);
                (carries_single(single) & 0x8000_0000 != 0).then_some(single & 0x7f_ffff == 0)
            }
        };
        let mut found = blocks.chunks_exact(bytes as usize).enumerate();
        match found.find_map(|(index, block)| Some((index as u64, infinite_or_nan(block)?))) {
            None => Ok(()),
            Some((index, is_infinite)) => Err(GgufError::NotFinite {
                tensor: tensor(),
                row: (from / bytes + index) * self.block_weights() / columns.max(1),
                found: if is_infinite { "an infinite number" } else { "NaN" },
            }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The weights of a block and its bytes, of every type that is computed with.
    const KINDS: [TensorType; 5] = [
        TensorType::F32,
        TensorType::F16,
        TensorType::Q4_0,
        TensorType::Q8_0,
        TensorType::Q6_K,
    ];

    fn name() -> String {
        "t".to_owned()
    }

    /// Puts a number, as the type writes its scales or weights, into block `index`.
    fn put(kind: TensorType, blocks: &mut [u8], index: usize, half: u16, single: u32) {
        let at = index * kind.block_bytes() as usize;
        match kind {
            TensorType::F32 => blocks[at..at + 4].copy_from_slice(&single.to_le_bytes()),
            TensorType::Q6_K => blocks[at + 208..at + 210].copy_from_slice(&half.to_le_bytes()),
            _ => blocks[at..at + 2].copy_from_slice(&half.to_le_bytes()),
        }
    }

    #[test]
    fn every_place_of_every_type_is_looked_at() {
        for kind in KINDS {
            let (blocks, columns) = (11, kind.block_weights() * 2);
            let sound = vec![0x3b; blocks * kind.block_bytes() as usize];
            assert!(kind.check_finite(&name, columns, 0, &sound).is_ok(), "{kind}");
            for index in 0..blocks {
                for (half, single, words) in [
                    (0x7c00, 0x7f80_0000, "an infinite number"),
                    (0xfc00, 0xff80_0000, "an infinite number"),
                    (0x7e00, 0x7fc0_0000, "NaN"),
                    (0xfc01, 0xff80_0001, "NaN"),
                ] {
                    let mut bad = sound.clone();
                    put(kind, &mut bad, index, half, single);
                    let error = kind.check_finite(&name, columns, 4 * kind.block_bytes(), &bad).unwrap_err();
                    let row = (4 + index) / 2;
                    assert_eq!(
                        error.to_string(),
                        format!(
                            "tensor t holds {words} in row {row}; expected finite numbers: convert the model again, or fetch it again"
                        )
                    );
                }
            }
        }
    }

    #[test]
    fn the_largest_finite_numbers_and_codes_that_look_like_nan_are_sound() {
        for kind in KINDS {
            let mut blocks = vec![0xff; 3 * kind.block_bytes() as usize];
            for index in 0..3 {
                put(kind, &mut blocks, index, 0xfbff, 0xff7f_ffff);
            }
            assert!(kind.check_finite(&name, kind.block_weights(), 0, &blocks).is_ok(), "{kind}");
        }
    }

    #[test]
    fn types_without_kernels_and_no_bytes_are_not_refused() {
        assert!(TensorType::Q4_K.check_finite(&name, 256, 0, &[0xff; 144]).is_ok());
        KINDS
            .iter()
            .for_each(|kind| assert!(kind.check_finite(&name, 0, 0, &[]).is_ok()));
    }
}
