//! The weight formats, in exactly the block layouts of GGUF.
//!
//! | format | block | bytes | value of weight i |
//! |---|---|---|---|
//! | `F32` | 1 | 4 | itself |
//! | `F16` | 1 | 2 | itself |
//! | `Q8_0` | 32 | 34 | `d * q[i]`: binary16 `d`, then 32 `i8` |
//! | `Q4_0` | 32 | 18 | `d * (nibble[i] - 8)`: binary16 `d`, then 16 bytes; low nibbles are weights 0..16, high ones 16..32 |
//! | `Q6_K` | 256 | 210 | `d * scale[i / 16] * (code[i] - 32)`: see `q6_k.rs` |

use std::fmt;

use crate::error::{KernelError, same_length};
use crate::half::{f16_to_f32, f32_to_f16};
use crate::q6_k::{self, Q6_K_BYTES, SUPERBLOCK};

/// Weights per block of the quantised formats, and activations per scale.
pub const BLOCK: usize = 32;
/// Bytes of a Q4_0 block.
pub(crate) const Q4_0_BYTES: usize = 2 + BLOCK / 2;
/// Bytes of a Q8_0 block.
pub(crate) const Q8_0_BYTES: usize = 2 + BLOCK;

/// How the weights of a matrix are stored.
#[allow(non_camel_case_types, reason = "the names are those of GGUF's tools")]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Format {
    /// IEEE binary32.
    F32,
    /// IEEE binary16.
    F16,
    /// 8-bit, 32 weights to a binary16 scale.
    Q8_0,
    /// 4-bit, 32 weights to a binary16 scale.
    Q4_0,
    /// 6-bit, 16 weights to an 8-bit scale, 256 to a binary16 one.
    Q6_K,
}

impl fmt::Display for Format {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(self.name())
    }
}

impl Format {
    /// Every format, the finest first.
    pub const ALL: [Format; 5] = [Format::F32, Format::F16, Format::Q8_0, Format::Q6_K, Format::Q4_0];

    /// The name that GGUF tools print.
    pub const fn name(self) -> &'static str {
        match self {
            Self::F32 => "F32",
            Self::F16 => "F16",
            Self::Q8_0 => "Q8_0",
            Self::Q4_0 => "Q4_0",
            Self::Q6_K => "Q6_K",
        }
    }

    /// The number that stands for this format in a GGUF tensor header.
    pub const fn gguf_id(self) -> u32 {
        match self {
            Self::F32 => 0,
            Self::F16 => 1,
            Self::Q4_0 => 2,
            Self::Q8_0 => 8,
            Self::Q6_K => 14,
        }
    }

    /// The format of a GGUF tensor type, if the kernels know it.
    pub const fn from_gguf_id(id: u32) -> Option<Self> {
        match id {
            0 => Some(Self::F32),
            1 => Some(Self::F16),
            2 => Some(Self::Q4_0),
            8 => Some(Self::Q8_0),
            14 => Some(Self::Q6_K),
            _ => None,
        }
    }

    /// Weights per block.
    pub const fn block_weights(self) -> usize {
        match self {
            Self::F32 | Self::F16 => 1,
            Self::Q8_0 | Self::Q4_0 => BLOCK,
            Self::Q6_K => SUPERBLOCK,
        }
    }

    /// Bytes per block.
    pub const fn block_bytes(self) -> usize {
        match self {
            Self::F32 => 4,
            Self::F16 => 2,
            Self::Q8_0 => Q8_0_BYTES,
            Self::Q4_0 => Q4_0_BYTES,
            Self::Q6_K => Q6_K_BYTES,
        }
    }

    /// Bytes of a row of `cols` weights. Fails when `cols` is not a whole number of blocks or the size overflows.
    pub const fn row_bytes(self, cols: usize) -> Result<usize, KernelError> {
        let block = self.block_weights();
        if !cols.is_multiple_of(block) {
            return Err(KernelError::Ragged {
                format: self,
                cols,
                block,
            });
        }
        match (cols / block).checked_mul(self.block_bytes()) {
            Some(bytes) => Ok(bytes),
            None => Err(KernelError::TooLarge { what: "a row" }),
        }
    }

    /// Writes one row of weights in this format: `out` must have `row_bytes(row.len())` bytes.
    ///
    /// Q4_0 takes as scale the weight of greatest magnitude divided by -8, Q8_0 the greatest magnitude over 127, as GGUF's
    /// own tools do, so files made here look like theirs; for Q6_K see `q6_k.rs`. Weights must be finite.
    pub fn quantise_row(self, row: &[f32], out: &mut [u8]) -> Result<(), KernelError> {
        same_length("the quantised row", out.len(), self.row_bytes(row.len())?)?;
        match self {
            Self::F32 => {
                for (bytes, weight) in out.chunks_exact_mut(4).zip(row) {
                    bytes.copy_from_slice(&weight.to_le_bytes());
                }
            }
            Self::F16 => {
                for (bytes, &weight) in out.chunks_exact_mut(2).zip(row) {
                    bytes.copy_from_slice(&f32_to_f16(weight).to_le_bytes());
                }
            }
            Self::Q8_0 => {
                for (bytes, weights) in out.chunks_exact_mut(Q8_0_BYTES).zip(row.chunks_exact(BLOCK)) {
                    quantise_q8_0(weights, bytes);
                }
            }
            Self::Q4_0 => {
                for (bytes, weights) in out.chunks_exact_mut(Q4_0_BYTES).zip(row.chunks_exact(BLOCK)) {
                    quantise_q4_0(weights, bytes);
                }
            }
            Self::Q6_K => {
                for (bytes, weights) in out.chunks_exact_mut(Q6_K_BYTES).zip(row.chunks_exact(SUPERBLOCK)) {
                    q6_k::quantise(weights, bytes);
                }
            }
        }
        Ok(())
    }

    /// Reads one row into f32: `row` must have `row_bytes(out.len())` bytes.
    pub fn dequantise_row(self, row: &[u8], out: &mut [f32]) -> Result<(), KernelError> {
        same_length("the quantised row", row.len(), self.row_bytes(out.len())?)?;
        match self {
            Self::F32 => {
                for (bytes, weight) in row.chunks_exact(4).zip(out) {
                    *weight = f32::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]);
                }
            }
            Self::F16 => {
                for (bytes, weight) in row.chunks_exact(2).zip(out) {
                    *weight = f16_to_f32(u16::from_le_bytes([bytes[0], bytes[1]]));
                }
            }
            Self::Q8_0 | Self::Q4_0 => {
                for (bytes, weights) in row.chunks_exact(self.block_bytes()).zip(out.chunks_exact_mut(BLOCK)) {
                    let scale = block_scale(bytes);
                    let codes = if self == Self::Q8_0 {
                        q8_0_codes(bytes)
                    } else {
                        q4_0_codes(bytes)
                    };
                    for (weight, code) in weights.iter_mut().zip(codes) {
                        *weight = scale * f32::from(code);
                    }
                }
            }
            Self::Q6_K => {
                for (bytes, weights) in row.chunks_exact(Q6_K_BYTES).zip(out.chunks_exact_mut(SUPERBLOCK)) {
                    q6_k::dequantise(bytes, weights);
                }
            }
        }
        Ok(())
    }
}

/// The scale of a quantised block.
#[inline(always)]
pub(crate) fn block_scale(block: &[u8]) -> f32 {
    f16_to_f32(u16::from_le_bytes([block[0], block[1]]))
}

/// The codes of a Q8_0 block: weight = scale * code.
#[inline(always)]
pub(crate) fn q8_0_codes(block: &[u8]) -> [i8; BLOCK] {
    let mut codes = [0; BLOCK];
    for (code, &byte) in codes.iter_mut().zip(&block[2..Q8_0_BYTES]) {
        *code = byte as i8;
    }
    codes
}

/// The codes of a Q4_0 block, the offset of 8 taken off: weight = scale * code.
#[inline(always)]
pub(crate) fn q4_0_codes(block: &[u8]) -> [i8; BLOCK] {
    let mut codes = [0; BLOCK];
    for (i, &byte) in block[2..Q4_0_BYTES].iter().enumerate() {
        codes[i] = (byte & 15) as i8 - 8;
        codes[i + BLOCK / 2] = (byte >> 4) as i8 - 8;
    }
    codes
}

/// Rounded against the scale as it is stored, to the nearest and ties to even: as packing does, so that a file in memory and the same file
/// packed are one model to the bit.
fn quantise_q8_0(weights: &[f32], out: &mut [u8]) {
    let greatest = weights.iter().fold(0.0f32, |greatest, weight| greatest.max(weight.abs()));
    let half = f32_to_f16(greatest / 127.0);
    let scale = f16_to_f32(half);
    let inverse = if scale > 0.0 { 1.0 / scale } else { 0.0 };
    out[..2].copy_from_slice(&half.to_le_bytes());
    for (code, weight) in out[2..].iter_mut().zip(weights) {
        *code = (weight * inverse).clamp(-127.0, 127.0).round_ties_even() as i8 as u8;
    }
}

fn quantise_q4_0(weights: &[f32], out: &mut [u8]) {
    // The signed weight of greatest magnitude maps to code -8, the end of the range that has one step more.
    let extreme = weights.iter().fold(
        0.0f32,
        |extreme, &weight| if weight.abs() > extreme.abs() { weight } else { extreme },
    );
    let scale = extreme / -8.0;
    let inverse = if scale == 0.0 { 0.0 } else { 1.0 / scale };
    out[..2].copy_from_slice(&f32_to_f16(scale).to_le_bytes());
    let code = |weight: f32| (weight * inverse + 8.5).clamp(0.0, 15.0) as u8;
    for i in 0..BLOCK / 2 {
        out[2 + i] = code(weights[i]) | code(weights[i + BLOCK / 2]) << 4;
    }
}
