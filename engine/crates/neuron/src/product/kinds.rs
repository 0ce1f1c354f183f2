//! The formats as types, so that loops are compiled for each.

use crate::format::{Q4_0_BYTES, Q8_0_BYTES};
use crate::lanes::{Codes, Lanes};

/// A float format as a type, so that loops are compiled for it.
pub(crate) trait Floats {
    /// Bytes per weight.
    const BYTES: usize;
    /// Sixteen weights.
    ///
    /// # Safety
    /// As for `Lanes`; sixteen weights can be read.
    unsafe fn load<L: Lanes>(at: *const u8) -> L;
}

/// binary32.
pub(crate) struct Single;
/// binary16.
pub(crate) struct Half;

impl Floats for Single {
    const BYTES: usize = 4;
    #[inline(always)]
    unsafe fn load<L: Lanes>(at: *const u8) -> L {
        // SAFETY: the caller's promise.
        unsafe { L::load(at.cast()) }
    }
}

impl Floats for Half {
    const BYTES: usize = 2;
    #[inline(always)]
    unsafe fn load<L: Lanes>(at: *const u8) -> L {
        // SAFETY: the caller's promise.
        unsafe { L::load_half(at.cast()) }
    }
}

/// A quantised format as a type.
pub(crate) trait Blocks {
    /// Bytes per block.
    const BYTES: usize;
    /// Scale times code sum of sixteen blocks.
    ///
    /// # Safety
    /// As for `Lanes`; sixteen blocks can be read.
    unsafe fn products<L: Lanes>(blocks: *const u8, x: Codes) -> L;
    /// The scales of sixteen blocks.
    ///
    /// # Safety
    /// As for `Lanes`; sixteen blocks can be read.
    unsafe fn scales<L: Lanes>(blocks: *const u8) -> L;
    /// The codes of one block.
    ///
    /// # Safety
    /// As for `Lanes`; one block can be read.
    unsafe fn codes<L: Lanes>(block: *const u8) -> [L; 2];
}

/// Q4_0.
pub(crate) struct FourBit;
/// Q8_0.
pub(crate) struct EightBit;

impl Blocks for FourBit {
    const BYTES: usize = Q4_0_BYTES;
    #[inline(always)]
    unsafe fn products<L: Lanes>(blocks: *const u8, x: Codes) -> L {
        // SAFETY: the caller's promise.
        unsafe { L::q4_0_products(blocks, x) }
    }
    #[inline(always)]
    unsafe fn scales<L: Lanes>(blocks: *const u8) -> L {
        // SAFETY: the caller's promise.
        unsafe { L::q4_0_scales(blocks) }
    }
    #[inline(always)]
    unsafe fn codes<L: Lanes>(block: *const u8) -> [L; 2] {
        // SAFETY: the caller's promise.
        unsafe { L::q4_0_codes(block) }
    }
}

impl Blocks for EightBit {
    const BYTES: usize = Q8_0_BYTES;
    #[inline(always)]
    unsafe fn products<L: Lanes>(blocks: *const u8, x: Codes) -> L {
        // SAFETY: the caller's promise.
        unsafe { L::q8_0_products(blocks, x) }
    }
    #[inline(always)]
    unsafe fn scales<L: Lanes>(blocks: *const u8) -> L {
        // SAFETY: the caller's promise.
        unsafe { L::q8_0_scales(blocks) }
    }
    #[inline(always)]
    unsafe fn codes<L: Lanes>(block: *const u8) -> [L; 2] {
        // SAFETY: the caller's promise.
        unsafe { L::q8_0_codes(block) }
    }
}
