//! Sums of rows, each times a coefficient, into a vector.

use super::dots::{LINE, prefetch};
use super::kinds::{EightBit, Floats, FourBit, Half, Scaled, Single};
use crate::format::{BLOCK, Format, Q8_0_BYTES};
use crate::lanes::Lanes;
use crate::order::CHAINS;
use crate::q6_k::{self, GROUP, Q6_K_BYTES, SUPERBLOCK};
use crate::rows::Rows;

/// out += coefficients[i] * row at place i, in order, up to four rows at a pass so that `out` is read and written less often.
///
/// # Safety
/// As for `Lanes`; every row has as many weights as `out` numbers.
#[inline(always)]
pub(crate) unsafe fn axpy_rows<L: Lanes>(format: Format, rows: Rows<'_>, coefficients: &[f32], out: &mut [f32]) {
    // SAFETY: the caller's promise.
    unsafe {
        match format {
            Format::F32 => float_axpys::<L, Single>(rows, coefficients, out),
            Format::F16 => float_axpys::<L, Half>(rows, coefficients, out),
            Format::Q8_0 => block_axpys::<L, EightBit>(rows, coefficients, out),
            Format::Q4_0 => block_axpys::<L, FourBit>(rows, coefficients, out),
            Format::Q6_K => q6_k_axpys::<L>(rows, coefficients, out),
        }
    }
}

/// # Safety
/// As for `axpy_rows`.
#[inline(always)]
unsafe fn float_axpys<L: Lanes, F: Floats>(rows: Rows<'_>, coefficients: &[f32], out: &mut [f32]) {
    for (place, &coefficient) in coefficients.iter().enumerate() {
        let row = rows.row(place).as_ptr();
        // SAFETY: the row is as long as the output; the rest that is not a group of sixteen goes through a copy.
        unsafe {
            let factor = L::splat(coefficient);
            let mut at = 0;
            while at + CHAINS <= out.len() {
                let to = out.as_mut_ptr().add(at);
                factor.fma(F::load::<L>(row.add(at * F::BYTES)), L::load(to)).store(to);
                at += CHAINS;
            }
            if at < out.len() {
                let (mut weights, mut sums) = ([0u8; CHAINS * 4], [0f32; CHAINS]);
                std::ptr::copy_nonoverlapping(row.add(at * F::BYTES), weights.as_mut_ptr(), (out.len() - at) * F::BYTES);
                sums[..out.len() - at].copy_from_slice(&out[at..]);
                factor
                    .fma(F::load::<L>(weights.as_ptr()), L::load(sums.as_ptr()))
                    .store(sums.as_mut_ptr());
                let rest = out.len() - at;
                out[at..].copy_from_slice(&sums[..rest]);
            }
        }
    }
}

/// # Safety
/// As for `axpy_rows`.
#[inline(always)]
unsafe fn block_axpys<L: Lanes, B: Scaled>(rows: Rows<'_>, coefficients: &[f32], out: &mut [f32]) {
    const AT_ONCE: usize = 4;
    let count = coefficients.len();
    let row = |place: usize| rows.row(place).as_ptr();
    if count >= AT_ONCE {
        for first in 0..AT_ONCE {
            // SAFETY: the caller's promise.
            unsafe { prefetch::<L>(row(first), rows.row(first).len()) };
        }
    }
    let mut place = 0;
    while place + AT_ONCE <= count {
        let these = std::array::from_fn(|i| row(place + i));
        let next = std::array::from_fn(|i| row((place + AT_ONCE + i).min(count - 1)));
        let coefficients = std::array::from_fn(|i| coefficients[place + i]);
        // SAFETY: rows are as long as the output.
        unsafe { block_axpy::<L, B, AT_ONCE>(these, next, coefficients, out) };
        place += AT_ONCE;
    }
    while place < count {
        // SAFETY: as above.
        unsafe { block_axpy::<L, B, 1>([row(place)], [row(place)], [coefficients[place]], out) };
        place += 1;
    }
}

/// Adds R rows to `out`, sixteen blocks of each at a time. When `next` is not `rows`, the rows it names are prefetched.
///
/// # Safety
/// As for `Lanes`; every row has a block per 32 numbers of `out`. `next` may be any addresses.
#[inline(always)]
unsafe fn block_axpy<L: Lanes, B: Scaled, const R: usize>(
    rows: [*const u8; R],
    next: [*const u8; R],
    coefficients: [f32; R],
    out: &mut [f32],
) {
    let ahead = next != rows;
    let (groups, rest) = out.as_chunks_mut::<{ BLOCK * CHAINS }>();
    let done = groups.len() * CHAINS * B::BYTES;
    for (g, out) in groups.iter_mut().enumerate() {
        let at = g * CHAINS * B::BYTES;
        let next = next.map(|next| next.wrapping_add(at));
        // SAFETY: these sixteen blocks of each row exist.
        unsafe { axpy_group::<L, B, R>(rows.map(|row| row.add(at)), ahead.then_some(next), coefficients, out) };
    }
    if !rest.is_empty() {
        let mut copies = [[0u8; CHAINS * Q8_0_BYTES]; R];
        let mut blocks = rows;
        for r in 0..R {
            // SAFETY: this many blocks of each row are left, fewer than sixteen.
            unsafe { std::ptr::copy_nonoverlapping(rows[r].add(done), copies[r].as_mut_ptr(), rest.len() / BLOCK * B::BYTES) };
            blocks[r] = copies[r].as_ptr();
        }
        // SAFETY: the copies are sixteen blocks long.
        unsafe { axpy_group::<L, B, R>(blocks, None, coefficients, rest) };
    }
}

/// Adds up to sixteen blocks of R rows to `out`, and asks for as many of the rows `next`: line by line between the blocks,
/// because a burst of requests holds up the loads behind it (measured on Zen 4: a fifth slower).
///
/// # Safety
/// As for `Lanes`; sixteen blocks of each row can be read; `out` is no longer than they are.
#[inline(always)]
unsafe fn axpy_group<L: Lanes, B: Scaled, const R: usize>(
    blocks: [*const u8; R],
    next: Option<[*const u8; R]>,
    coefficients: [f32; R],
    out: &mut [f32],
) {
    // Blocks from one request to the next: about a cache line.
    let apart = LINE.div_ceil(B::BYTES);
    // SAFETY: the caller's promise; `out` is taken in whole blocks.
    unsafe {
        if let Some(next) = next {
            // The line that the group ends in.
            for next in next {
                L::prefetch(next.wrapping_add(CHAINS * B::BYTES - 1));
            }
        }
        let mut factors = [[0f32; CHAINS]; R];
        for r in 0..R {
            B::scales::<L>(blocks[r])
                .mul(L::splat(coefficients[r]))
                .store(factors[r].as_mut_ptr());
        }
        for (b, out) in out.as_chunks_mut::<BLOCK>().0.iter_mut().enumerate() {
            if let Some(next) = next
                && b % apart == 0
            {
                for next in next {
                    L::prefetch(next.wrapping_add(b * B::BYTES));
                }
            }
            let to = out.as_mut_ptr();
            let mut sums = [L::load(to), L::load(to.add(CHAINS))];
            for r in 0..R {
                let factor = L::splat(*factors[r].get_unchecked(b));
                let codes = B::codes::<L>(blocks[r].add(b * B::BYTES));
                sums = [codes[0].fma(factor, sums[0]), codes[1].fma(factor, sums[1])];
            }
            sums[0].store(to);
            sums[1].store(to.add(CHAINS));
        }
    }
}

/// Adds Q6_K rows. Nothing that must be fast has transposed matrices in this format, so codes are unpacked one part at a time by
/// plain code.
///
/// # Safety
/// As for `axpy_rows`.
#[inline(always)]
unsafe fn q6_k_axpys<L: Lanes>(rows: Rows<'_>, coefficients: &[f32], out: &mut [f32]) {
    for (place, &coefficient) in coefficients.iter().enumerate() {
        let superblocks = rows.row(place).as_chunks::<Q6_K_BYTES>().0;
        for (superblock, out) in superblocks.iter().zip(out.as_chunks_mut::<SUPERBLOCK>().0) {
            let d = q6_k::scale(superblock);
            for (part, out) in out.as_chunks_mut::<BLOCK>().0.iter_mut().enumerate() {
                let codes = q6_k::codes(superblock, part).map(f32::from);
                for (half, out) in out.as_chunks_mut::<GROUP>().0.iter_mut().enumerate() {
                    let factor = coefficient * (d * f32::from(q6_k::group_scale(superblock, part * 2 + half)));
                    // SAFETY: both are sixteen numbers.
                    unsafe {
                        let codes = L::load(codes[half * GROUP..].as_ptr());
                        codes.fma(L::splat(factor), L::load(out.as_ptr())).store(out.as_mut_ptr());
                    }
                }
            }
        }
    }
}
