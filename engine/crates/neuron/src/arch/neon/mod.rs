//! NEON: the base instructions, the dot-product extension, and the 8-bit matrix extension.
//!
//! The extensions' instructions are written as assembly, because their intrinsics are not in stable Rust.

mod gemm;
mod instructions;

use std::arch::aarch64::*;
use std::arch::is_aarch64_feature_detected;

use self::instructions::{dot16, narrow4, sdot, widen4};
use super::vector_backend::vector_backend;
use crate::format::{Q4_0_BYTES, Q8_0_BYTES};
use crate::half::f16_to_f32;
use crate::lanes::{Codes, Lanes};
use crate::order::CHAINS;
use crate::product;
use crate::q6_k::{HALF_AT, HIGH_AT, Q6_K_BYTES, SCALES_AT};
use crate::{Activations, Matrix, Output, Scratch};

/// Proof that this CPU has NEON. Only `detect` can make one.
#[derive(Clone, Copy, Debug)]
pub struct Neon(());

impl Neon {
    /// A proof, if this CPU has the features.
    pub fn detect() -> Option<Self> {
        is_aarch64_feature_detected!("neon").then_some(Self(()))
    }
}

/// Proof that this CPU has NEON with the dot-product extension (`sdot`).
#[derive(Clone, Copy, Debug)]
pub struct NeonDot(());

impl NeonDot {
    /// A proof, if this CPU has the features.
    pub fn detect() -> Option<Self> {
        (is_aarch64_feature_detected!("neon") && is_aarch64_feature_detected!("dotprod")).then_some(Self(()))
    }
}

/// Proof that this CPU has NEON with the dot-product and the 8-bit matrix extension (`smmla`).
#[derive(Clone, Copy, Debug)]
pub struct NeonMatrix(());

impl NeonMatrix {
    /// A proof, if this CPU has the features.
    pub fn detect() -> Option<Self> {
        let has = is_aarch64_feature_detected!("neon")
            && is_aarch64_feature_detected!("dotprod")
            && is_aarch64_feature_detected!("i8mm");
        has.then_some(Self(()))
    }
}

vector_backend!(Neon, Quads<false>, "neon", gemm_base);
vector_backend!(NeonDot, Quads<true>, "neon,dotprod", gemm_dot);
vector_backend!(NeonMatrix, Quads<true>, "neon,dotprod,i8mm", gemm::gemm);

/// # Safety
/// The CPU has NEON.
#[inline]
#[target_feature(enable = "neon")]
unsafe fn gemm_base(matrix: &Matrix<'_>, x: &Activations, _: &mut Scratch, out: Output<'_>) {
    // SAFETY: this function is compiled for the features.
    unsafe { product::gemm::<Quads<false>>(matrix, x, out) }
}

/// # Safety
/// The CPU has NEON and the dot-product extension.
#[inline]
#[target_feature(enable = "neon,dotprod")]
unsafe fn gemm_dot(matrix: &Matrix<'_>, x: &Activations, _: &mut Scratch, out: Output<'_>) {
    // SAFETY: this function is compiled for the features.
    unsafe { product::gemm::<Quads<true>>(matrix, x, out) }
}

/// Four 128-bit registers: lanes 0 to 3, 4 to 7, 8 to 11, 12 to 15. `DOT`: code that uses them runs only where `sdot` is.
#[derive(Clone, Copy)]
pub(super) struct Quads<const DOT: bool>(pub(super) [float32x4_t; 4]);

/// The codes of a Q4_0 block: weights 0 to 15 and 16 to 31.
///
/// # Safety
/// One block can be read.
#[inline]
#[target_feature(enable = "neon")]
pub(super) unsafe fn q4_0_bytes(block: *const u8) -> [int8x16_t; 2] {
    // SAFETY: a block is 18 bytes.
    let pairs = unsafe { vld1q_u8(block.add(2)) };
    let eight = vdupq_n_s8(8);
    let low = vreinterpretq_s8_u8(vandq_u8(pairs, vdupq_n_u8(15)));
    let high = vreinterpretq_s8_u8(vshrq_n_u8::<4>(pairs));
    [vsubq_s8(low, eight), vsubq_s8(high, eight)]
}

/// The codes of a Q8_0 block.
///
/// # Safety
/// One block can be read.
#[inline]
#[target_feature(enable = "neon")]
pub(super) unsafe fn q8_0_bytes(block: *const u8) -> [int8x16_t; 2] {
    // SAFETY: a block is 34 bytes.
    unsafe { [vld1q_s8(block.add(2).cast()), vld1q_s8(block.add(18).cast())] }
}

/// The codes of part `part` (0 to 3) of half `half` of a Q6_K superblock.
///
/// # Safety
/// The superblock can be read.
#[inline]
#[target_feature(enable = "neon")]
unsafe fn q6_k_bytes(superblock: *const u8, half: usize, part: usize) -> [int8x16_t; 2] {
    let mut codes = [vdupq_n_s8(0); 2];
    for (group, codes) in codes.iter_mut().enumerate() {
        // SAFETY: the caller's promise.
        let (nibbles, highs) = unsafe {
            (
                vld1q_u8(superblock.add(half * 64 + part % 2 * 32 + group * 16)),
                vld1q_u8(superblock.add(HIGH_AT + half * 32 + group * 16)),
            )
        };
        let low = vandq_u8(vshlq_u8(nibbles, vdupq_n_s8(-4 * (part / 2) as i8)), vdupq_n_u8(15));
        let high = vandq_u8(vshlq_u8(highs, vdupq_n_s8(4 - 2 * part as i8)), vdupq_n_u8(0x30));
        *codes = vsubq_s8(vreinterpretq_s8_u8(vorrq_u8(low, high)), vdupq_n_s8(32));
    }
    codes
}

/// Sixteen codes as f32.
#[inline]
#[target_feature(enable = "neon")]
fn to_floats<const DOT: bool>(codes: int8x16_t) -> Quads<DOT> {
    let (low, high) = (vmovl_s8(vget_low_s8(codes)), vmovl_high_s8(codes));
    Quads([
        vcvtq_f32_s32(vmovl_s16(vget_low_s16(low))),
        vcvtq_f32_s32(vmovl_high_s16(low)),
        vcvtq_f32_s32(vmovl_s16(vget_low_s16(high))),
        vcvtq_f32_s32(vmovl_high_s16(high)),
    ])
}

/// The scales of sixteen blocks that start `bytes` apart.
///
/// # Safety
/// The blocks' scales can be read.
#[inline]
#[target_feature(enable = "neon")]
pub(super) unsafe fn scales<const DOT: bool>(blocks: *const u8, bytes: usize) -> Quads<DOT> {
    let mut halves = [0u16; CHAINS];
    for (b, half) in halves.iter_mut().enumerate() {
        // SAFETY: the caller's promise.
        *half = unsafe { blocks.add(b * bytes).cast::<u16>().read_unaligned() };
    }
    // SAFETY: the array is sixteen numbers.
    unsafe { Quads::load_half(halves.as_ptr()) }
}

/// Scale times code sum of sixteen blocks, whose codes `$codes` reads: the integer sums of four blocks fill a register.
macro_rules! products {
    ($blocks:expr, $bytes:expr, $x:expr, $codes:ident) => {{
        // SAFETY: sixteen blocks and their activations' codes can be read.
        unsafe {
            let scales = scales::<DOT>($blocks, $bytes);
            let mut products = [vdupq_n_f32(0.0); 4];
            for quad in 0..4 {
                let mut sums = [vdupq_n_s32(0); 4];
                for i in 0..4 {
                    let b = quad * 4 + i;
                    let w = $codes($blocks.add(b * $bytes));
                    let x = [vld1q_s8($x.plain.add(b * 32)), vld1q_s8($x.plain.add(b * 32 + 16))];
                    sums[i] = if DOT {
                        sdot(sdot(sums[i], w[0], x[0]), w[1], x[1])
                    } else {
                        vaddq_s32(dot16(w[0], x[0]), dot16(w[1], x[1]))
                    };
                }
                let sums = vpaddq_s32(vpaddq_s32(sums[0], sums[1]), vpaddq_s32(sums[2], sums[3]));
                products[quad] = vmulq_f32(vcvtq_f32_s32(sums), scales.0[quad]);
            }
            Self(products)
        }
    }};
}

impl<const DOT: bool> Lanes for Quads<DOT> {
    // Sixteen accumulators would be 64 of the 32 registers.
    const ROOMY: bool = false;

    #[inline]
    #[target_feature(enable = "neon")]
    unsafe fn splat(value: f32) -> Self {
        Self([vdupq_n_f32(value); 4])
    }

    #[inline]
    #[target_feature(enable = "neon")]
    unsafe fn load(at: *const f32) -> Self {
        // SAFETY: the caller's promise.
        unsafe {
            Self([
                vld1q_f32(at),
                vld1q_f32(at.add(4)),
                vld1q_f32(at.add(8)),
                vld1q_f32(at.add(12)),
            ])
        }
    }

    #[inline]
    #[target_feature(enable = "neon")]
    unsafe fn store(self, at: *mut f32) {
        for (i, quad) in self.0.into_iter().enumerate() {
            // SAFETY: the caller's promise.
            unsafe { vst1q_f32(at.add(4 * i), quad) };
        }
    }

    #[inline]
    #[target_feature(enable = "neon")]
    unsafe fn load_half(at: *const u16) -> Self {
        let mut quads = [vdupq_n_f32(0.0); 4];
        for (i, quad) in quads.iter_mut().enumerate() {
            // SAFETY: the caller's promise.
            *quad = widen4(unsafe { vld1_u16(at.add(4 * i)) });
        }
        Self(quads)
    }

    #[inline]
    #[target_feature(enable = "neon")]
    unsafe fn store_half(self, at: *mut u16) {
        for (i, quad) in self.0.into_iter().enumerate() {
            // SAFETY: the caller's promise.
            unsafe { vst1_u16(at.add(4 * i), narrow4(quad)) };
        }
    }

    #[inline]
    #[target_feature(enable = "neon")]
    unsafe fn fma(self, by: Self, to: Self) -> Self {
        let mut sums = to.0;
        for i in 0..4 {
            sums[i] = vfmaq_f32(to.0[i], self.0[i], by.0[i]);
        }
        Self(sums)
    }

    #[inline]
    #[target_feature(enable = "neon")]
    unsafe fn mul(self, by: Self) -> Self {
        let mut products = by.0;
        for i in 0..4 {
            products[i] = vmulq_f32(self.0[i], by.0[i]);
        }
        Self(products)
    }

    #[inline]
    #[target_feature(enable = "neon")]
    unsafe fn fold(self) -> f32 {
        let [a, b, c, d] = self.0;
        let four = vaddq_f32(vaddq_f32(a, c), vaddq_f32(b, d));
        vpadds_f32(vadd_f32(vget_low_f32(four), vget_high_f32(four)))
    }

    #[inline]
    #[target_feature(enable = "neon")]
    unsafe fn q4_0_products(blocks: *const u8, x: Codes) -> Self {
        products!(blocks, Q4_0_BYTES, x, q4_0_bytes)
    }

    #[inline]
    #[target_feature(enable = "neon")]
    unsafe fn q8_0_products(blocks: *const u8, x: Codes) -> Self {
        products!(blocks, Q8_0_BYTES, x, q8_0_bytes)
    }

    #[inline]
    #[target_feature(enable = "neon")]
    unsafe fn q6_k_products(blocks: *const u8, x: Codes) -> Self {
        // SAFETY: two superblocks and the codes of sixteen blocks can be read.
        unsafe {
            let mut products = [vdupq_n_f32(0.0); 4];
            // A quarter of the sixteen blocks is half a superblock.
            for quad in 0..4 {
                let (superblock, half) = (blocks.add(quad / 2 * Q6_K_BYTES), quad % 2);
                let mut sums = [vdupq_n_s32(0); 4];
                for part in 0..4 {
                    let codes = q6_k_bytes(superblock, half, part);
                    for group in 0..2 {
                        let x = vld1q_s8(x.plain.add((quad * 4 + part) * 32 + group * 16));
                        let sum = if DOT {
                            sdot(vdupq_n_s32(0), codes[group], x)
                        } else {
                            dot16(codes[group], x)
                        };
                        let scale = superblock.add(SCALES_AT + half * 8 + part * 2 + group).cast::<i8>().read();
                        sums[part] = vmlaq_n_s32(sums[part], sum, i32::from(scale));
                    }
                }
                let sums = vpaddq_s32(vpaddq_s32(sums[0], sums[1]), vpaddq_s32(sums[2], sums[3]));
                let scale = f16_to_f32(superblock.add(HALF_AT).cast::<u16>().read_unaligned());
                products[quad] = vmulq_n_f32(vcvtq_f32_s32(sums), scale);
            }
            Self(products)
        }
    }

    #[inline]
    #[target_feature(enable = "neon")]
    unsafe fn q4_0_scales(blocks: *const u8) -> Self {
        // SAFETY: the caller's promise.
        unsafe { scales(blocks, Q4_0_BYTES) }
    }

    #[inline]
    #[target_feature(enable = "neon")]
    unsafe fn q8_0_scales(blocks: *const u8) -> Self {
        // SAFETY: the caller's promise.
        unsafe { scales(blocks, Q8_0_BYTES) }
    }

    #[inline]
    #[target_feature(enable = "neon")]
    unsafe fn q4_0_codes(block: *const u8) -> [Self; 2] {
        // SAFETY: the caller's promise.
        let [low, high] = unsafe { q4_0_bytes(block) };
        [to_floats(low), to_floats(high)]
    }

    #[inline]
    #[target_feature(enable = "neon")]
    unsafe fn q8_0_codes(block: *const u8) -> [Self; 2] {
        // SAFETY: the caller's promise.
        let [low, high] = unsafe { q8_0_bytes(block) };
        [to_floats(low), to_floats(high)]
    }

    #[inline]
    #[target_feature(enable = "neon")]
    unsafe fn prefetch(at: *const u8) {
        instructions::prefetch(at);
    }
}
