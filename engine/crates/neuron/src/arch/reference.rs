//! The reference: plain loops that say what every backend must compute, to the bit. Judged against f64 truth by the contract
//! suite; runs anywhere, slowly.

use crate::Matrix;
use crate::activations::{Activations, Token, TokenMut};
use crate::attention::AttentionTask;
use crate::backend::Backend;
use crate::format::{BLOCK, Format, block_scale, q4_0_codes, q8_0_codes};
use crate::half::f16_to_f32;
use crate::order::{CHAINS, fold};
use crate::output::Output;
use crate::portable;
use crate::q6_k::{self, GROUP, PARTS, SUPERBLOCK};
use crate::rope::RopeStyle;
use crate::rows::Rows;
use crate::scratch::Scratch;

/// Needs nothing of the CPU.
#[derive(Clone, Copy, Debug)]
pub struct Reference(());

impl Reference {
    /// Always there.
    pub const fn detect() -> Self {
        Self(())
    }
}

/// The sum of w * x over pairs, in the order of `order.rs`.
fn dot_values(pairs: impl Iterator<Item = (f32, f32)>) -> f32 {
    let mut chains = [0.0f32; CHAINS];
    let mut count = 0;
    for (w, x) in pairs {
        chains[count % CHAINS] = w.mul_add(x, chains[count % CHAINS]);
        count += 1;
    }
    fold(padded(chains, count))
}

/// What adding 0 * 0 to the chains of a last, partial group does: it turns a negative zero into a positive one.
fn padded(mut chains: [f32; CHAINS], count: usize) -> [f32; CHAINS] {
    if !count.is_multiple_of(CHAINS) {
        for chain in &mut chains[count % CHAINS..] {
            *chain += 0.0;
        }
    }
    chains
}

fn f32_at(row: &[u8], i: usize) -> f32 {
    f32::from_le_bytes([row[4 * i], row[4 * i + 1], row[4 * i + 2], row[4 * i + 3]])
}

fn f16_at(row: &[u8], i: usize) -> f32 {
    f16_to_f32(u16::from_le_bytes([row[2 * i], row[2 * i + 1]]))
}

/// The codes of a quantised block.
fn codes(format: Format, block: &[u8]) -> [i8; BLOCK] {
    if format == Format::Q8_0 {
        q8_0_codes(block)
    } else {
        q4_0_codes(block)
    }
}

fn dot(format: Format, row: &[u8], x: Token<'_>) -> f32 {
    match format {
        Format::F32 => dot_values((0..x.cols).map(|i| (f32_at(row, i), x.values[i]))),
        Format::F16 => dot_values((0..x.cols).map(|i| (f16_at(row, i), x.values[i]))),
        Format::Q8_0 | Format::Q4_0 => dot_values(row.chunks_exact(format.block_bytes()).enumerate().map(|(b, block)| {
            let x_codes = &x.codes[b * BLOCK..][..BLOCK];
            let sum: i32 = codes(format, block)
                .iter()
                .zip(x_codes)
                .map(|(&w, &x)| i32::from(w) * i32::from(x))
                .sum();
            (sum as f32 * block_scale(block), x.scales[b])
        })),
        Format::Q6_K => dot_values((0..x.cols / BLOCK).map(|b| {
            let superblock = &row[b / PARTS * format.block_bytes()..][..format.block_bytes()];
            let sum = q6_k_sum(superblock, b % PARTS, &x.codes[b * BLOCK..][..BLOCK]);
            (sum as f32 * q6_k::scale(superblock), x.scales[b])
        })),
    }
}

/// Products of the codes of a Q6_K part with those of a block of activations, each times the scale of its group, added up.
fn q6_k_sum(superblock: &[u8], part: usize, x: &[i8]) -> i32 {
    let products = q6_k::codes(superblock, part).into_iter().zip(x).enumerate();
    products
        .map(|(i, (w, &x))| i32::from(q6_k::group_scale(superblock, part * 2 + i / GROUP)) * i32::from(w) * i32::from(x))
        .sum()
}

fn axpy(format: Format, row: &[u8], coefficient: f32, out: &mut [f32]) {
    match format {
        Format::F32 => {
            for (i, out) in out.iter_mut().enumerate() {
                *out = coefficient.mul_add(f32_at(row, i), *out);
            }
        }
        Format::F16 => {
            for (i, out) in out.iter_mut().enumerate() {
                *out = coefficient.mul_add(f16_at(row, i), *out);
            }
        }
        Format::Q8_0 | Format::Q4_0 => {
            for (block, out) in row.chunks_exact(format.block_bytes()).zip(out.chunks_exact_mut(BLOCK)) {
                let factor = coefficient * block_scale(block);
                for (out, code) in out.iter_mut().zip(codes(format, block)) {
                    *out = factor.mul_add(f32::from(code), *out);
                }
            }
        }
        Format::Q6_K => {
            for (block, out) in row.chunks_exact(format.block_bytes()).zip(out.chunks_exact_mut(SUPERBLOCK)) {
                for (part, out) in out.chunks_exact_mut(BLOCK).enumerate() {
                    let codes = q6_k::codes(block, part);
                    for (i, (out, code)) in out.iter_mut().zip(codes).enumerate() {
                        let scale = q6_k::scale(block) * f32::from(q6_k::group_scale(block, part * 2 + i / GROUP));
                        *out = (coefficient * scale).mul_add(f32::from(code), *out);
                    }
                }
            }
        }
    }
}

impl Backend for Reference {
    fn quantise(self, values: &[f32], out: TokenMut<'_>) {
        portable::quantise(values, out);
    }

    fn dot_rows(self, format: Format, rows: Rows<'_>, x: Token<'_>, out: &mut [f32]) {
        for (place, out) in out.iter_mut().enumerate() {
            *out = dot(format, rows.row(place), x);
        }
    }

    fn gemm(self, matrix: &Matrix<'_>, x: &Activations, _: &mut Scratch, mut out: Output<'_>) {
        for token in 0..x.tokens() {
            self.dot_rows(matrix.format(), Rows::All(matrix), x.token(token), out.line(token));
        }
    }

    fn axpy_rows(self, format: Format, rows: Rows<'_>, coefficients: &[f32], out: &mut [f32]) {
        for (place, &coefficient) in coefficients.iter().enumerate() {
            axpy(format, rows.row(place), coefficient, out);
        }
    }

    fn expect(self, _: &[u8]) {}

    fn attention(self, task: &AttentionTask<'_>, _: &mut Scratch, mut out: Output<'_>) {
        let (dim, group) = (task.shape.head_dim, task.group());
        for token in 0..task.tokens {
            let line = out.line(token);
            line.fill(0.0);
            for (place, out) in line.chunks_exact_mut(dim).enumerate() {
                let head = task.kv_heads.start * group + place;
                let query = task.query(token, head);
                let seen = task.shape.sees(task.first_position + token);
                let half_row = |halves: &[u16], position: usize| -> Vec<f32> {
                    let at = task.kv.at(position, head / group);
                    halves[at..][..dim].iter().map(|&half| f16_to_f32(half)).collect()
                };
                let score = |position| {
                    let key = half_row(task.kv.keys, position);
                    dot_values(key.iter().zip(query).map(|(&k, &q)| (k, q))) * task.shape.scale
                };
                let mut weights: Vec<f32> = seen.clone().map(score).collect();
                let sum = portable::exponentials(&mut weights);
                for (position, weight) in seen.zip(weights) {
                    for (out, value) in out.iter_mut().zip(half_row(task.kv.values, position)) {
                        *out = weight.mul_add(value, *out);
                    }
                }
                portable::scale(out, 1.0 / sum);
            }
        }
    }

    fn rope(self, style: RopeStyle, angles: &[f32], head_dim: usize, vectors: &mut [f32]) {
        portable::rope(style, angles, head_dim, vectors);
    }

    fn rms_norm(self, x: &[f32], weight: &[f32], epsilon: f32, out: &mut [f32]) {
        portable::rms_norm(x, weight, epsilon, out);
    }

    fn softmax(self, x: &mut [f32]) {
        portable::softmax(x);
    }

    fn silu_mul(self, gate: &mut [f32], up: &[f32]) {
        portable::silu_mul(gate, up);
    }

    fn relu_mul(self, gate: &mut [f32], up: &[f32]) {
        portable::relu_mul(gate, up);
    }

    fn drelu_mul(self, gate: &mut [f32], up: &[f32]) {
        portable::drelu_mul(gate, up);
    }

    fn add(self, x: &[f32], out: &mut [f32]) {
        portable::add(x, out);
    }

    fn scale(self, x: &mut [f32], factor: f32) {
        portable::scale(x, factor);
    }

    fn widen(self, halves: &[u16], out: &mut [f32]) {
        portable::widen(halves, out);
    }

    fn narrow(self, values: &[f32], out: &mut [u16]) {
        portable::narrow(values, out);
    }
}
