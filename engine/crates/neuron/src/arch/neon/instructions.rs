//! Single instructions that stable Rust has no intrinsic for (or had none when this was written), and one replacement.

use std::arch::aarch64::*;
use std::arch::asm;

/// sums[i] + the four products of bytes 4i to 4i + 3.
#[inline]
#[target_feature(enable = "neon,dotprod")]
pub(super) fn sdot_extension(mut sums: int32x4_t, a: int8x16_t, b: int8x16_t) -> int32x4_t {
    // SAFETY: works on registers only; the function is compiled for the extension.
    unsafe {
        asm!("sdot {sums:v}.4s, {a:v}.16b, {b:v}.16b", sums = inout(vreg) sums, a = in(vreg) a, b = in(vreg) b,
            options(pure, nomem, nostack, preserves_flags));
    }
    sums
}

/// `sdot_extension`, callable from code that is compiled without the extension but only runs with it.
///
/// # Safety
/// The CPU has the dot-product extension.
#[inline]
#[target_feature(enable = "neon")]
pub(super) unsafe fn sdot(sums: int32x4_t, a: int8x16_t, b: int8x16_t) -> int32x4_t {
    // SAFETY: the caller's promise.
    unsafe { sdot_extension(sums, a, b) }
}

/// The 2 x 2 products of the two rows of eight bytes in `a` with the two in `b`, added to `sums`: row 0 with 0, 0 with 1, 1 with
/// 0, 1 with 1.
#[inline]
#[target_feature(enable = "neon,dotprod,i8mm")]
pub(super) fn smmla(mut sums: int32x4_t, a: int8x16_t, b: int8x16_t) -> int32x4_t {
    // SAFETY: works on registers only; the function is compiled for the extension.
    unsafe {
        asm!("smmla {sums:v}.4s, {a:v}.16b, {b:v}.16b", sums = inout(vreg) sums, a = in(vreg) a, b = in(vreg) b,
            options(pure, nomem, nostack, preserves_flags));
    }
    sums
}

/// Four partial sums of the sixteen products, with base instructions. Two products of magnitude at most 128 * 127 fit in 16 bits.
#[inline]
#[target_feature(enable = "neon")]
pub(super) fn dot16(a: int8x16_t, b: int8x16_t) -> int32x4_t {
    let low = vmull_s8(vget_low_s8(a), vget_low_s8(b));
    vpaddlq_s16(vmlal_high_s8(low, a, b))
}

/// Four binary16 numbers to f32.
#[inline]
#[target_feature(enable = "neon")]
pub(super) fn widen4(halves: uint16x4_t) -> float32x4_t {
    let wide: float32x4_t;
    // SAFETY: works on registers only.
    unsafe {
        asm!("fcvtl {wide:v}.4s, {halves:v}.4h", wide = out(vreg) wide, halves = in(vreg) halves,
            options(pure, nomem, nostack, preserves_flags));
    }
    wide
}

/// Four f32 to binary16, to nearest even (the mode that Rust runs in).
#[inline]
#[target_feature(enable = "neon")]
pub(super) fn narrow4(values: float32x4_t) -> uint16x4_t {
    let halves: uint16x4_t;
    // SAFETY: works on registers only.
    unsafe {
        asm!("fcvtn {halves:v}.4h, {values:v}.4s", halves = out(vreg) halves, values = in(vreg) values,
            options(pure, nomem, nostack, preserves_flags));
    }
    halves
}

/// Asks for a cache line, into the second level; any address will do.
#[inline(always)]
pub(super) fn prefetch(at: *const u8) {
    // SAFETY: a prefetch reads nothing and never faults.
    unsafe { asm!("prfm pldl2keep, [{at}]", at = in(reg) at, options(nostack, preserves_flags, readonly)) }
}
