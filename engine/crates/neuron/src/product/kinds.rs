//! The formats as types, so that loops are compiled for each.

use crate::format::{Q4_0_BYTES, Q8_0_BYTES};
use crate::lanes::{Codes, Lanes};
use crate::q6_k::{PARTS, Q6_K_BYTES};

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

/// A quantised format as a type. A block is 32 weights, which meet one scale of the activations.
pub(crate) trait Blocks {
    /// Blocks that are stored as one, and the bytes of those.
    const STORED: (usize, usize);
    /// Bytes of this many blocks, which are whole stored ones.
    #[inline(always)]
    fn bytes(blocks: usize) -> usize {
        blocks / Self::STORED.0 * Self::STORED.1
    }
    /// Scale times code sum of sixteen blocks.
    ///
    /// # Safety
    /// As for `Lanes`; sixteen blocks can be read.
    unsafe fn products<L: Lanes>(blocks: *const u8, x: Codes) -> L;
    /// The same of eight blocks, in the first eight places; zeros in the others.
    ///
    /// # Safety
    /// As for `Lanes`; eight blocks can be read, and the codes of sixteen, of which the last eight are zeros.
    unsafe fn products_of_eight<L: Lanes>(blocks: *const u8, x: Codes) -> L;
}

/// A quantised format with one scale to each block.
pub(crate) trait Scaled: Blocks {
    /// Bytes per block.
    const BYTES: usize = Self::STORED.1;
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
/// Q6_K.
pub(crate) struct SixBit;

impl Blocks for FourBit {
    const STORED: (usize, usize) = (1, Q4_0_BYTES);
    #[inline(always)]
    unsafe fn products<L: Lanes>(blocks: *const u8, x: Codes) -> L {
        // SAFETY: the caller's promise.
        unsafe { L::q4_0_products(blocks, x) }
    }
    #[inline(always)]
    unsafe fn products_of_eight<L: Lanes>(blocks: *const u8, x: Codes) -> L {
        // SAFETY: the caller's promise.
        unsafe { L::q4_0_products_of_eight(blocks, x) }
    }
}

impl Scaled for FourBit {
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
    const STORED: (usize, usize) = (1, Q8_0_BYTES);
    #[inline(always)]
    unsafe fn products<L: Lanes>(blocks: *const u8, x: Codes) -> L {
        // SAFETY: the caller's promise.
        unsafe { L::q8_0_products(blocks, x) }
    }
    #[inline(always)]
    unsafe fn products_of_eight<L: Lanes>(blocks: *const u8, x: Codes) -> L {
        // SAFETY: the caller's promise.
        unsafe { L::q8_0_products_of_eight(blocks, x) }
    }
}

impl Scaled for EightBit {
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

impl Blocks for SixBit {
    const STORED: (usize, usize) = (PARTS, Q6_K_BYTES);
    #[inline(always)]
    unsafe fn products<L: Lanes>(blocks: *const u8, x: Codes) -> L {
        // SAFETY: the caller's promise.
        unsafe { L::q6_k_products(blocks, x) }
    }
    #[inline(always)]
    unsafe fn products_of_eight<L: Lanes>(superblock: *const u8, x: Codes) -> L {
        let mut two = [0u8; 2 * Q6_K_BYTES];
        // SAFETY: eight blocks are one superblock; another of zeros follows it.
        unsafe {
            std::ptr::copy_nonoverlapping(superblock, two.as_mut_ptr(), Q6_K_BYTES);
            L::q6_k_products(two.as_ptr(), x)
        }
    }
}
