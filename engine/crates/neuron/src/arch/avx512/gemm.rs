//! Matrix-matrix products of quantised weights with VNNI.
//!
//! Panels of 32 rows are repacked so that a register holds four consecutive codes of sixteen rows; an activation's four codes
//! are broadcast against it. The lanes are then rows, so the chains of `order.rs`, which are lanes elsewhere, are visited one
//! after the other in the order in which the fold needs them ([`VISIT`]), and pairs are added as soon as both are there. The
//! panel holds its blocks in that order.

use std::arch::x86_64::*;

use super::Zmm;
use crate::activations::{Activations, Token};
use crate::format::{BLOCK, Format, Q4_0_BYTES, Q8_0_BYTES};
use crate::order::{CHAINS, VISIT};
use crate::product;
use crate::{Matrix, Output, Scratch};

/// Rows of a panel: two registers of sixteen.
const ROWS: usize = 32;
/// Tokens of a tile: with two registers of integer sums and two of float sums each, 24 of the 32 registers.
const TOKENS: usize = 6;
/// Steps of four codes in a block.
const STEPS: usize = BLOCK / 4;
/// Bytes of a block of a panel.
const PANEL_BLOCK: usize = ROWS * BLOCK;
/// Tokens with this many blocks are asked for ahead: a tile of them is most of the first-level cache. Chains pass them in steps of sixteen
/// blocks, each in a line that the processor does not foresee. For shorter ones it costs more (7 % at 64 blocks) than it saves.
const LONG: usize = 96;
/// Below this many tokens repacking costs more than it saves.
const WORTH_PACKING: usize = 4;

/// out.line(t)[i] = dot(row i, token t).
///
/// # Safety
/// The CPU has the features of the backend; the shapes agree.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vnni,avx2,fma,f16c")]
pub(super) unsafe fn gemm(matrix: &Matrix<'_>, x: &Activations, scratch: &mut Scratch, mut out: Output<'_>) {
    let quantised = matches!(matrix.format(), Format::Q4_0 | Format::Q8_0);
    if !quantised || x.tokens() < WORTH_PACKING {
        // SAFETY: this function is compiled for the features.
        unsafe { product::gemm::<Zmm>(matrix, x, out) };
        return;
    }
    let blocks = matrix.cols() / BLOCK;
    scratch.panel.resize_dirty(blocks * PANEL_BLOCK);
    scratch.panel_scales.resize_dirty(blocks * ROWS);
    for first in (0..matrix.rows()).step_by(ROWS) {
        let count = ROWS.min(matrix.rows() - first);
        // A panel that is not full repeats its last row; what comes of it is dropped.
        let rows: [*const u8; ROWS] = std::array::from_fn(|i| matrix.row(first + i.min(count - 1)).as_ptr());
        // SAFETY: the rows have this many blocks, the panel room for them; tiles take tokens that exist.
        unsafe {
            match matrix.format() {
                Format::Q4_0 => pack::<true>(&rows, blocks, &mut scratch.panel, &mut scratch.panel_scales),
                _ => pack::<false>(&rows, blocks, &mut scratch.panel, &mut scratch.panel_scales),
            }
            let panel = Panel {
                codes: &scratch.panel,
                scales: &scratch.panel_scales,
                blocks,
                eight_bit: matrix.format() == Format::Q8_0,
            };
            let mut token = 0;
            while token < x.tokens() {
                let tile = TOKENS.min(x.tokens() - token);
                let mut sums = [[0f32; ROWS]; TOKENS];
                match blocks >= LONG {
                    false => panel.tile_of::<false>(tile, x, token, &mut sums),
                    true => panel.tile_of::<true>(tile, x, token, &mut sums),
                }
                for (t, sums) in sums[..tile].iter().enumerate() {
                    out.line(token + t)[first..first + count].copy_from_slice(&sums[..count]);
                }
                token += tile;
            }
        }
    }
}

/// From four registers that hold in lane i sixteen bytes of row 4i + r (r the register): the four registers that hold dword d
/// of all sixteen rows.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vnni,avx2,fma,f16c")]
fn transpose(r: [__m512i; 4]) -> [__m512i; 4] {
    let (low01, high01) = (_mm512_unpacklo_epi32(r[0], r[1]), _mm512_unpackhi_epi32(r[0], r[1]));
    let (low23, high23) = (_mm512_unpacklo_epi32(r[2], r[3]), _mm512_unpackhi_epi32(r[2], r[3]));
    [
        _mm512_unpacklo_epi64(low01, low23),
        _mm512_unpackhi_epi64(low01, low23),
        _mm512_unpacklo_epi64(high01, high23),
        _mm512_unpackhi_epi64(high01, high23),
    ]
}

/// Sixteen bytes of each of sixteen rows at `offset`, transposed by dwords.
///
/// # Safety
/// The bytes can be read.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vnni,avx2,fma,f16c")]
unsafe fn columns(rows: &[*const u8; CHAINS], offset: usize) -> [__m512i; 4] {
    let mut registers = [_mm512_setzero_si512(); 4];
    for (r, register) in registers.iter_mut().enumerate() {
        // SAFETY: the caller's promise.
        unsafe {
            let part = |i: usize| _mm_loadu_si128(rows[4 * i + r].add(offset).cast());
            let low = _mm256_inserti128_si256::<1>(_mm256_castsi128_si256(part(0)), part(1));
            let high = _mm256_inserti128_si256::<1>(_mm256_castsi128_si256(part(2)), part(3));
            *register = _mm512_inserti64x4::<1>(_mm512_castsi256_si512(low), high);
        }
    }
    transpose(registers)
}

/// Fills a panel: per block (chains in the order of the fold, blocks of a chain ascending) eight steps of two registers of
/// unsigned codes (nibbles, or codes plus 128), and 32 scales.
///
/// # Safety
/// The rows have `blocks` blocks of Q4_0 (`FOUR`) or Q8_0; the buffers have room.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vnni,avx2,fma,f16c")]
unsafe fn pack<const FOUR: bool>(rows: &[*const u8; ROWS], blocks: usize, codes: &mut [u8], scales: &mut [f32]) {
    let bytes = if FOUR { Q4_0_BYTES } else { Q8_0_BYTES };
    let order = VISIT.iter().flat_map(|&chain| (chain..blocks).step_by(CHAINS));
    for ((b, codes), scales) in order
        .zip(codes.chunks_exact_mut(PANEL_BLOCK))
        .zip(scales.chunks_exact_mut(ROWS))
    {
        for half in 0..2 {
            let rows: &[*const u8; CHAINS] = rows[half * CHAINS..][..CHAINS].try_into().expect("half the rows");
            // SAFETY: block b of each row exists; each step is two registers, of which `half` says which.
            unsafe {
                let mut store = |step: usize, register| {
                    _mm512_storeu_si512(codes.as_mut_ptr().add((step * 2 + half) * 64).cast(), register);
                };
                if FOUR {
                    let low_nibble = _mm512_set1_epi8(15);
                    for (d, pairs) in columns(rows, b * bytes + 2).into_iter().enumerate() {
                        store(d, _mm512_and_si512(pairs, low_nibble));
                        store(d + 4, _mm512_and_si512(_mm512_srli_epi16::<4>(pairs), low_nibble));
                    }
                } else {
                    let offset = _mm512_set1_epi8(-128);
                    for part in 0..2 {
                        for (d, signed) in columns(rows, b * bytes + 2 + part * 16).into_iter().enumerate() {
                            store(part * 4 + d, _mm512_xor_si512(signed, offset));
                        }
                    }
                }
                let halves: [u16; CHAINS] = std::array::from_fn(|r| rows[r].add(b * bytes).cast::<u16>().read_unaligned());
                let wide = _mm512_cvtph_ps(_mm256_loadu_si256(halves.as_ptr().cast()));
                _mm512_storeu_ps(scales.as_mut_ptr().add(half * CHAINS), wide);
            }
        }
    }
}

/// A repacked panel.
struct Panel<'a> {
    codes: &'a [u8],
    scales: &'a [f32],
    blocks: usize,
    eight_bit: bool,
}

/// Two registers of float sums per token.
type Sums<const T: usize> = [[__m512; 2]; T];

impl Panel<'_> {
    /// The 32 dot products with each of `count` tokens from `first` on, at most [`TOKENS`].
    ///
    /// # Safety
    /// As for `tile`.
    #[inline]
    #[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vnni,avx2,fma,f16c")]
    unsafe fn tile_of<const AHEAD: bool>(&self, count: usize, x: &Activations, first: usize, out: &mut [[f32; ROWS]; TOKENS]) {
        // SAFETY: the caller's promise.
        unsafe {
            match count {
                1 => self.tile::<1, AHEAD>(x, first, out),
                2 => self.tile::<2, AHEAD>(x, first, out),
                3 => self.tile::<3, AHEAD>(x, first, out),
                4 => self.tile::<4, AHEAD>(x, first, out),
                5 => self.tile::<5, AHEAD>(x, first, out),
                _ => self.tile::<TOKENS, AHEAD>(x, first, out),
            }
        }
    }

    /// The 32 dot products with each of `T` tokens from `first` on. `AHEAD` asks for what the tokens, and those that follow them, have at
    /// the same place of the next chain; an odd chain lies in the lines of the even one before it.
    ///
    /// # Safety
    /// The tokens exist and have as many blocks as the panel.
    #[inline]
    #[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vnni,avx2,fma,f16c")]
    unsafe fn tile<const T: usize, const AHEAD: bool>(&self, x: &Activations, first: usize, out: &mut [[f32; ROWS]; TOKENS]) {
        let tokens: [Token<'_>; T] = std::array::from_fn(|t| x.token(first + t));
        let zero = [[_mm512_setzero_ps(); 2]; T];
        // Finished sums of 1, 2, 4, 8 and 16 chains that wait for their other half.
        let mut waiting = [zero; 5];
        let mut at = 0;
        for (place, &chain) in VISIT.iter().enumerate() {
            let mut sums = zero;
            let next = VISIT[(place + 1) % CHAINS];
            for b in (chain..self.blocks).step_by(CHAINS) {
                if AHEAD && next.is_multiple_of(2) {
                    expect(&tokens, b - chain + next, next == VISIT[0]);
                }
                // SAFETY: panel block `at` and block b of every token exist.
                unsafe {
                    match self.eight_bit {
                        false => self.block::<T, 0>(&tokens, at, b, &mut sums),
                        true => self.block::<T, 4>(&tokens, at, b, &mut sums),
                    }
                }
                at += 1;
            }
            let rest = self.blocks % CHAINS;
            if rest != 0 && chain >= rest {
                // The padding's zero, which the vector product adds too: a negative zero becomes positive.
                add_to(&mut sums, &zero);
            }
            let mut level = 0;
            while place >> level & 1 == 1 {
                add_to(&mut sums, &waiting[level]);
                level += 1;
            }
            waiting[level] = sums;
        }
        for (sums, out) in waiting[4].iter().zip(out) {
            // SAFETY: `out` is 32 numbers.
            unsafe {
                _mm512_storeu_ps(out.as_mut_ptr(), sums[0]);
                _mm512_storeu_ps(out.as_mut_ptr().add(16), sums[1]);
            }
        }
    }

    /// Adds block `b` of the tokens times panel block `at`. The sums that take the codes' offset off are kept for an offset of 8;
    /// `SHIFT` makes them those of the panel's offset.
    ///
    /// # Safety
    /// The blocks exist.
    #[inline]
    #[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vnni,avx2,fma,f16c")]
    unsafe fn block<const T: usize, const SHIFT: u32>(&self, tokens: &[Token<'_>; T], at: usize, b: usize, sums: &mut Sums<T>) {
        // SAFETY: the caller's promise.
        unsafe {
            let codes = self.codes.as_ptr().add(at * PANEL_BLOCK);
            let mut integers = [[_mm512_setzero_si512(); 2]; T];
            for t in 0..T {
                let start = _mm512_slli_epi32::<SHIFT>(_mm512_set1_epi32(*tokens[t].offsets.get_unchecked(b)));
                integers[t] = [start; 2];
            }
            for step in 0..STEPS {
                let w0 = _mm512_loadu_si512(codes.add(step * 128).cast());
                let w1 = _mm512_loadu_si512(codes.add(step * 128 + 64).cast());
                for t in 0..T {
                    let four = tokens[t].codes.as_ptr().add(b * BLOCK + step * 4).cast::<i32>();
                    let x = _mm512_set1_epi32(four.read_unaligned());
                    integers[t] = [
                        _mm512_dpbusd_epi32(integers[t][0], w0, x),
                        _mm512_dpbusd_epi32(integers[t][1], w1, x),
                    ];
                }
            }
            let scales = self.scales.as_ptr().add(at * ROWS);
            let scales = [_mm512_loadu_ps(scales), _mm512_loadu_ps(scales.add(16))];
            for t in 0..T {
                let x_scale = _mm512_set1_ps(*tokens[t].scales.get_unchecked(b));
                for half in 0..2 {
                    let products = _mm512_mul_ps(_mm512_cvtepi32_ps(integers[t][half]), scales[half]);
                    sums[t][half] = _mm512_fmadd_ps(products, x_scale, sums[t][half]);
                }
            }
        }
    }
}

/// Asks for the codes of block `b` of the tokens: of the `T` tokens that lie behind these when they are done with, and for those blocks'
/// scales. What is asked for need not exist.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vnni,avx2,fma,f16c")]
fn expect<const T: usize>(tokens: &[Token<'_>; T], b: usize, done_with: bool) {
    let on = if done_with { T } else { 0 };
    for Token {
        codes, scales, offsets, ..
    } in tokens
    {
        _mm_prefetch::<_MM_HINT_T0>(codes.as_ptr().wrapping_add(on * codes.len() + b * BLOCK));
        if done_with {
            _mm_prefetch::<_MM_HINT_T0>(scales.as_ptr().wrapping_add(on * scales.len() + b).cast());
            _mm_prefetch::<_MM_HINT_T0>(offsets.as_ptr().wrapping_add(on * offsets.len() + b).cast());
        }
    }
}

/// sums = waiting + sums.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vnni,avx2,fma,f16c")]
fn add_to<const T: usize>(sums: &mut Sums<T>, waiting: &Sums<T>) {
    for (sums, waiting) in sums.iter_mut().zip(waiting) {
        *sums = [_mm512_add_ps(waiting[0], sums[0]), _mm512_add_ps(waiting[1], sums[1])];
    }
}
