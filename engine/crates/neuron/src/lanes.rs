//! Sixteen f32 lanes: what an instruction set must provide for the algorithms of `product.rs` and `attend.rs` to run on it.

use crate::format::{Q4_0_BYTES, Q8_0_BYTES};
use crate::order::CHAINS;

/// Where the 8-bit codes of sixteen blocks of activations are, in the two orders that `Activations` keeps, and minus eight
/// times the sum of the codes of each block.
#[derive(Clone, Copy)]
#[cfg_attr(not(target_arch = "x86_64"), allow(dead_code, reason = "not every backend needs all three"))]
pub(crate) struct Codes {
    pub(crate) plain: *const i8,
    pub(crate) halves: *const i8,
    pub(crate) offsets: *const i32,
}

/// Sixteen f32 numbers, one per chain of `order.rs`.
///
/// # Safety
/// Every method may only be called from code compiled for the implementor's CPU features, on a CPU that has them. Pointers
/// need no alignment and must be good for the number of elements that the method names.
pub(crate) trait Lanes: Copy {
    /// Whether there are registers for 24 accumulators (else four are used): what a tile of float rows and tokens takes.
    const ROOMY: bool;

    unsafe fn splat(value: f32) -> Self;
    /// Sixteen f32.
    unsafe fn load(at: *const f32) -> Self;
    /// Sixteen f32.
    unsafe fn store(self, at: *mut f32);
    /// Sixteen binary16.
    unsafe fn load_half(at: *const u16) -> Self;
    /// Sixteen binary16, rounded to nearest even.
    unsafe fn store_half(self, at: *mut u16);
    /// self * by + to, rounded once.
    unsafe fn fma(self, by: Self, to: Self) -> Self;
    unsafe fn mul(self, by: Self) -> Self;
    /// The sum of the lanes in the order of `order::fold`.
    unsafe fn fold(self) -> f32;
    /// For sixteen Q4_0 blocks at `blocks`: block scale times the exact sum of the 32 code products with `x`.
    unsafe fn q4_0_products(blocks: *const u8, x: Codes) -> Self;
    /// The same for sixteen Q8_0 blocks.
    unsafe fn q8_0_products(blocks: *const u8, x: Codes) -> Self;
    /// The same for eight Q4_0 blocks, whose products come first; the others are zeros. `x` holds zeros behind them. (Rows of 256
    /// columns are eight blocks: copying each behind zeros takes longer than computing it.)
    #[inline(always)]
    unsafe fn q4_0_products_of_eight(blocks: *const u8, x: Codes) -> Self {
        // SAFETY: the caller's promise; sixteen blocks are made of the eight.
        unsafe { Self::q4_0_products(behind_zeros::<Q4_0_BYTES>(blocks).as_ptr().cast(), x) }
    }
    /// The same for eight Q8_0 blocks.
    #[inline(always)]
    unsafe fn q8_0_products_of_eight(blocks: *const u8, x: Codes) -> Self {
        // SAFETY: as above.
        unsafe { Self::q8_0_products(behind_zeros::<Q8_0_BYTES>(blocks).as_ptr().cast(), x) }
    }
    /// For the two Q6_K superblocks at `blocks`, sixteen blocks: scale times the exact sum of the 32 products of code, group scale
    /// and `x`.
    unsafe fn q6_k_products(blocks: *const u8, x: Codes) -> Self;
    /// The scales of sixteen Q4_0 blocks.
    unsafe fn q4_0_scales(blocks: *const u8) -> Self;
    /// The scales of sixteen Q8_0 blocks.
    unsafe fn q8_0_scales(blocks: *const u8) -> Self;
    /// The 32 codes of one Q4_0 block as f32, offset taken off.
    unsafe fn q4_0_codes(block: *const u8) -> [Self; 2];
    /// The 32 codes of one Q8_0 block as f32.
    unsafe fn q8_0_codes(block: *const u8) -> [Self; 2];
    /// Asks for the cache line at `at`, which may be any address.
    unsafe fn prefetch(at: *const u8);
}

/// Eight blocks of so many bytes, and eight of zeros.
///
/// # Safety
/// Eight blocks can be read.
#[inline(always)]
unsafe fn behind_zeros<const BYTES: usize>(blocks: *const u8) -> [[u8; BYTES]; 16] {
    let mut sixteen = [[0; BYTES]; 16];
    // SAFETY: the caller's promise.
    unsafe { std::ptr::copy_nonoverlapping(blocks, sixteen.as_mut_ptr().cast(), 8 * BYTES) };
    sixteen
}

/// binary16 to f32.
///
/// # Safety
/// As for `Lanes`.
#[inline(always)]
pub(crate) unsafe fn widen<L: Lanes>(halves: &[u16], out: &mut [f32]) {
    let (from, from_rest) = halves.as_chunks::<CHAINS>();
    let (to, to_rest) = out.as_chunks_mut::<CHAINS>();
    for (from, to) in from.iter().zip(to) {
        // SAFETY: both are sixteen numbers.
        unsafe { L::load_half(from.as_ptr()).store(to.as_mut_ptr()) };
    }
    crate::portable::widen(from_rest, to_rest);
}

/// f32 to binary16.
///
/// # Safety
/// As for `Lanes`.
#[inline(always)]
pub(crate) unsafe fn narrow<L: Lanes>(values: &[f32], out: &mut [u16]) {
    let (from, from_rest) = values.as_chunks::<CHAINS>();
    let (to, to_rest) = out.as_chunks_mut::<CHAINS>();
    for (from, to) in from.iter().zip(to) {
        // SAFETY: both are sixteen numbers.
        unsafe { L::load(from.as_ptr()).store_half(to.as_mut_ptr()) };
    }
    crate::portable::narrow(from_rest, to_rest);
}
