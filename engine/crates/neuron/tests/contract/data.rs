//! Numbers for the tests: seeded, so that a failure repeats, and nasty.

use neuron::{Activations, Format, Kernels, f16_to_f32, f32_to_f16};

/// Half a unit in the last place of 1.0: the greatest relative error of one rounding.
pub const ROUNDING: f64 = f32::EPSILON as f64 / 2.0;

/// A small random source (xorshift64*).
pub struct Source(u64);

impl Source {
    pub fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    pub fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 16
    }

    pub fn below(&mut self, limit: usize) -> usize {
        (self.next() % limit as u64) as usize
    }

    /// Roughly normal, mean 0, deviation 1.
    pub fn normal(&mut self) -> f32 {
        (0..6).map(|_| (self.next() & 0xffff) as f32 / 65536.0 - 0.5).sum::<f32>() * 1.4
    }

    pub fn values(&mut self, count: usize) -> Vec<f32> {
        (0..count).map(|_| self.normal()).collect()
    }
}

/// How the values of a test are chosen.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Kind {
    /// Roughly normal.
    Normal,
    /// Greatest codes with one sign, so that integer sums are as large as they get.
    Extreme,
    /// Mostly zeros, whole blocks of them included, some of them negative.
    Sparse,
    /// So small that scales are subnormal.
    Tiny,
    /// Large, but sums of them still finite.
    Huge,
}

pub const KINDS: [Kind; 5] = [Kind::Normal, Kind::Extreme, Kind::Sparse, Kind::Tiny, Kind::Huge];

/// `count` numbers of this kind.
pub fn numbers(kind: Kind, count: usize, source: &mut Source) -> Vec<f32> {
    (0..count)
        .map(|i| match kind {
            Kind::Normal => source.normal(),
            Kind::Extreme => 2.0,
            Kind::Sparse if (i / 32) % 2 == 0 || source.below(3) > 0 => [0.0, -0.0][source.below(2)],
            Kind::Sparse => source.normal(),
            Kind::Tiny => source.normal() * 1e-41,
            Kind::Huge => source.normal() * 1e15,
        })
        .collect()
}

/// Rows in this format, random in every bit that has no bad value: scales are finite, codes take every value (in Q8_0 also
/// -128, which no quantiser writes).
pub fn weights(format: Format, kind: Kind, rows: usize, cols: usize, source: &mut Source) -> Vec<u8> {
    let mut data = vec![0u8; rows * format.row_bytes(cols).unwrap()];
    match format {
        Format::F32 | Format::F16 => {
            // Binary16 has no room for the huge ones.
            let kind = if format == Format::F16 && kind == Kind::Huge {
                Kind::Normal
            } else {
                kind
            };
            format.quantise_row(&numbers(kind, rows * cols, source), &mut data).unwrap();
        }
        Format::Q8_0 | Format::Q4_0 => {
            for block in data.chunks_exact_mut(format.block_bytes()) {
                let scale = match kind {
                    Kind::Normal => source.normal() * 0.1,
                    Kind::Extreme => 65504.0,
                    Kind::Sparse => [0.0, -0.0, 0.5, -0.25][source.below(4)],
                    Kind::Tiny => 6e-8 * (1 + source.below(20)) as f32,
                    Kind::Huge => source.normal() * 1000.0,
                };
                block[..2].copy_from_slice(&neuron::f32_to_f16(scale).to_le_bytes());
                for code in &mut block[2..] {
                    *code = if kind == Kind::Extreme {
                        [0x80, 0x00][usize::from(format == Format::Q4_0)]
                    } else {
                        source.next() as u8
                    };
                }
            }
        }
        Format::Q6_K => {
            for block in data.chunks_exact_mut(210) {
                for byte in block.iter_mut() {
                    // All nibbles and high bits 0 are codes of -32; 128 is a scale of -128.
                    *byte = if kind == Kind::Extreme { 0 } else { source.next() as u8 };
                }
                let scale = match kind {
                    Kind::Normal => source.normal() * 0.1,
                    Kind::Extreme => 65504.0,
                    Kind::Sparse => [0.0, -0.0, 0.5, -0.25][source.below(4)],
                    Kind::Tiny => 6e-8 * (1 + source.below(20)) as f32,
                    Kind::Huge => source.normal() * 1000.0,
                };
                if kind == Kind::Extreme {
                    block[192..208].fill(0x80);
                }
                block[208..].copy_from_slice(&neuron::f32_to_f16(scale).to_le_bytes());
            }
        }
    }
    data
}

/// Lengths that are not multiples of anything, where the format allows it, and larger ones that are. Among those in blocks of 32 are
/// some that leave eight blocks behind whole sixteens, with none, one and two of these before: there are kernels for eight.
pub fn lengths(format: Format) -> &'static [usize] {
    match format {
        Format::F32 | Format::F16 => &[0, 1, 2, 3, 7, 8, 9, 15, 16, 17, 31, 33, 64, 255, 1023],
        Format::Q8_0 | Format::Q4_0 => &[0, 32, 64, 96, 128, 160, 256, 480, 512, 544, 768, 992, 1024, 1280, 1504, 2048],
        Format::Q6_K => &[0, 256, 512, 768, 1024, 1280, 2048],
    }
}

/// This many columns, or as many more as make whole blocks.
pub fn whole(format: Format, cols: usize) -> usize {
    cols.next_multiple_of(format.block_weights())
}

/// One token, quantised.
pub fn quantised(kernels: Kernels, values: &[f32]) -> Activations {
    let mut x = Activations::new();
    kernels.quantise(values, &mut x);
    x
}

/// What the kernels see of `values`: themselves for float weights, codes times scales for quantised ones, in f64.
/// Written from the definition, not with the library's quantiser.
pub fn seen_by(format: Format, values: &[f32]) -> Vec<f64> {
    if matches!(format, Format::F32 | Format::F16) {
        return values.iter().map(|&value| f64::from(value)).collect();
    }
    let mut seen = Vec::new();
    for block in values.chunks(32) {
        let greatest = block.iter().fold(0f32, |greatest, value| greatest.max(value.abs()));
        if greatest < 127.0 * f32::MIN_POSITIVE {
            seen.extend(block.iter().map(|_| 0.0));
            continue;
        }
        let half = f16_to_f32(f32_to_f16(greatest / 127.0));
        let scale = f64::from(if half.is_finite() { half } else { greatest / 127.0 });
        seen.extend(
            block
                .iter()
                .map(|&value| f64::from((value * (127.0 / greatest)).round_ties_even()) * scale),
        );
    }
    seen
}

/// The exact value of one row's weights.
pub fn exact(format: Format, row: &[u8], cols: usize) -> Vec<f64> {
    let mut values = vec![0f32; cols];
    if matches!(format, Format::F32 | Format::F16) {
        format.dequantise_row(row, &mut values).unwrap();
        return values.iter().map(|&value| f64::from(value)).collect();
    }
    if format == Format::Q6_K {
        return row
            .chunks_exact(210)
            .flat_map(|block| (0..256).map(|i| six_bit(block, i)))
            .collect();
    }
    let half = |bytes: &[u8]| f64::from(neuron::f16_to_f32(u16::from_le_bytes([bytes[0], bytes[1]])));
    let mut all = Vec::new();
    for block in row.chunks_exact(format.block_bytes()) {
        let codes = &block[2..];
        match format {
            Format::Q8_0 => all.extend(codes.iter().map(|&code| f64::from(code as i8) * half(block))),
            _ => {
                all.extend(codes.iter().map(|&code| (f64::from(code % 16) - 8.0) * half(block)));
                all.extend(codes.iter().map(|&code| (f64::from(code / 16) - 8.0) * half(block)));
            }
        }
    }
    all
}

/// Weight `i` of a Q6_K superblock, from where GGUF keeps its nibble, its two high bits and its scale.
fn six_bit(block: &[u8], i: usize) -> f64 {
    let (half, part, place) = (i / 128, i / 32 % 4, i % 32);
    let nibbles = block[64 * half + [0, 32, 0, 32][part] + place];
    let nibble = [nibbles % 16, nibbles % 16, nibbles / 16, nibbles / 16][part];
    let high = block[128 + 32 * half + place] / [1, 4, 16, 64][part] % 4;
    let scale = f64::from(block[192 + i / 16] as i8);
    let d = f64::from(neuron::f16_to_f32(u16::from_le_bytes([block[208], block[209]])));
    (f64::from(high) * 16.0 + f64::from(nibble) - 32.0) * scale * d
}

/// The sum of products and the sum of their magnitudes.
pub fn true_dot(weights: &[f64], x: &[f64]) -> (f64, f64) {
    let terms = || weights.iter().zip(x).map(|(w, x)| w * x);
    (terms().sum(), terms().map(f64::abs).sum())
}

/// Every number equal bit by bit.
#[track_caller]
pub fn assert_same(got: &[f32], want: &[f32], what: &str) {
    assert_eq!(got.len(), want.len(), "{what}");
    for (i, (got, want)) in got.iter().zip(want).enumerate() {
        assert_eq!(
            got.to_bits(),
            want.to_bits(),
            "{what}: number {i} is {got:e}, must be {want:e}"
        );
    }
}

/// Every number within its bound of the truth.
#[track_caller]
pub fn assert_near(got: f32, truth: f64, bound: f64, what: &str) {
    assert!(
        (f64::from(got) - truth).abs() <= bound,
        "{what}: got {got:e}, truth {truth:e}, bound {bound:e}"
    );
}
