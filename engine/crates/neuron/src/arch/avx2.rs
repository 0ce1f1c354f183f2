//! AVX2 with FMA and F16C: every x86-64 since about 2013.

use std::arch::x86_64::*;

use super::vector_backend::vector_backend;
use crate::format::{Q4_0_BYTES, Q8_0_BYTES};
use crate::lanes::{Codes, Lanes};
use crate::order::CHAINS;
use crate::q6_k::{HALF_AT, HIGH_AT, PARTS, Q6_K_BYTES, SCALES_AT};
use crate::{Activations, Matrix, Output, Scratch};

/// Proof that this CPU has AVX2, FMA and F16C. Only `detect` can make one.
#[derive(Clone, Copy, Debug)]
pub struct Avx2(());

impl Avx2 {
    /// A proof, if this CPU has the features and the operating system saves the registers.
    pub fn detect() -> Option<Self> {
        let has = is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma") && is_x86_feature_detected!("f16c");
        has.then_some(Self(()))
    }
}

vector_backend!(Avx2, Ymms, "avx2,fma,f16c", gemm);

/// # Safety
/// The CPU has the features of the backend.
#[inline]
#[target_feature(enable = "avx2,fma,f16c")]
unsafe fn gemm(matrix: &Matrix<'_>, x: &Activations, _: &mut Scratch, out: Output<'_>) {
    // SAFETY: this function is compiled for the features.
    unsafe { crate::product::gemm::<Ymms>(matrix, x, out) }
}

/// Two 256-bit registers: lanes 0 to 7 and 8 to 15.
#[derive(Clone, Copy)]
struct Ymms(__m256, __m256);

/// From eight registers of eight partial sums, one per block, the sums of the blocks in order.
#[inline]
#[target_feature(enable = "avx2,fma,f16c")]
fn sum_eights(p: &[__m256i; CHAINS], first: usize) -> __m256i {
    let fours = |i: usize| _mm256_hadd_epi32(_mm256_hadd_epi32(p[i], p[i + 1]), _mm256_hadd_epi32(p[i + 2], p[i + 3]));
    // Each register now holds four blocks' lower halves in its lower lane, their upper halves in its upper lane.
    let (a, b) = (fours(first), fours(first + 4));
    _mm256_add_epi32(
        _mm256_permute2x128_si256::<0x20>(a, b),
        _mm256_permute2x128_si256::<0x31>(a, b),
    )
}

/// The scales of sixteen blocks that start `bytes` apart.
///
/// # Safety
/// The blocks' scales can be read.
#[inline]
#[target_feature(enable = "avx2,fma,f16c")]
unsafe fn scales(blocks: *const u8, bytes: usize) -> Ymms {
    let mut halves = [0u16; CHAINS];
    for (b, half) in halves.iter_mut().enumerate() {
        // SAFETY: the caller's promise.
        *half = unsafe { blocks.add(b * bytes).cast::<u16>().read_unaligned() };
    }
    // SAFETY: the array is sixteen numbers.
    unsafe { Ymms::load_half(halves.as_ptr()) }
}

/// Scale times sum for sixteen blocks that start `bytes` apart.
///
/// # Safety
/// The blocks' scales can be read.
#[inline]
#[target_feature(enable = "avx2,fma,f16c")]
unsafe fn scaled(blocks: *const u8, bytes: usize, partial: &[__m256i; CHAINS], offset: [__m256i; 2]) -> Ymms {
    // SAFETY: the caller's promise.
    let scales = unsafe { scales(blocks, bytes) };
    let sums = [
        _mm256_add_epi32(sum_eights(partial, 0), offset[0]),
        _mm256_add_epi32(sum_eights(partial, 8), offset[1]),
    ];
    Ymms(
        _mm256_mul_ps(_mm256_cvtepi32_ps(sums[0]), scales.0),
        _mm256_mul_ps(_mm256_cvtepi32_ps(sums[1]), scales.1),
    )
}

/// Eight partial sums of part `part` of a Q6_K superblock times `x`, the scales of its two groups in them.
///
/// # Safety
/// The superblock can be read.
#[inline]
#[target_feature(enable = "avx2,fma,f16c")]
unsafe fn q6_k_part(superblock: *const u8, part: usize, x: __m256i) -> __m256i {
    let (half, place) = (part / 4, part % 4);
    // SAFETY: the caller's promise.
    let (nibbles, highs, scales) = unsafe {
        (
            _mm256_loadu_si256(superblock.add(half * 64 + place % 2 * 32).cast()),
            _mm256_loadu_si256(superblock.add(HIGH_AT + half * 32).cast()),
            _mm_loadu_si128(superblock.add(SCALES_AT).cast()),
        )
    };
    let low_nibble = _mm256_set1_epi8(15);
    let low = match place {
        0 | 1 => _mm256_and_si256(nibbles, low_nibble),
        _ => _mm256_and_si256(_mm256_srli_epi16::<4>(nibbles), low_nibble),
    };
    let high = match place {
        0 => _mm256_slli_epi16::<4>(highs),
        1 => _mm256_slli_epi16::<2>(highs),
        2 => highs,
        _ => _mm256_srli_epi16::<2>(highs),
    };
    let codes = _mm256_or_si256(low, _mm256_and_si256(high, _mm256_set1_epi8(0x30)));
    let codes = _mm256_sub_epi8(codes, _mm256_set1_epi8(32));
    // |w| as unsigned times x with w's sign: two products of at most 32 * 127 fit in 16 bits.
    let products = _mm256_maddubs_epi16(_mm256_abs_epi8(codes), _mm256_sign_epi8(x, codes));
    // The first group's scale eight times, then the second's.
    let first = _mm_set1_epi8(2 * part as i8);
    let places = _mm_add_epi8(first, _mm_set_epi64x(0x0101_0101_0101_0101, 0));
    _mm256_madd_epi16(products, _mm256_cvtepi8_epi16(_mm_shuffle_epi8(scales, places)))
}

/// Sixteen bytes to sixteen signed f32.
#[inline]
#[target_feature(enable = "avx2,fma,f16c")]
fn to_floats(bytes: __m128i) -> Ymms {
    let high = _mm_unpackhi_epi64(bytes, bytes);
    Ymms(
        _mm256_cvtepi32_ps(_mm256_cvtepi8_epi32(bytes)),
        _mm256_cvtepi32_ps(_mm256_cvtepi8_epi32(high)),
    )
}

impl Lanes for Ymms {
    const ROOMY: bool = false;

    #[inline]
    #[target_feature(enable = "avx2,fma,f16c")]
    unsafe fn splat(value: f32) -> Self {
        Self(_mm256_set1_ps(value), _mm256_set1_ps(value))
    }

    #[inline]
    #[target_feature(enable = "avx2,fma,f16c")]
    unsafe fn load(at: *const f32) -> Self {
        // SAFETY: the caller's promise.
        unsafe { Self(_mm256_loadu_ps(at), _mm256_loadu_ps(at.add(8))) }
    }

    #[inline]
    #[target_feature(enable = "avx2,fma,f16c")]
    unsafe fn store(self, at: *mut f32) {
        // SAFETY: the caller's promise.
        unsafe {
            _mm256_storeu_ps(at, self.0);
            _mm256_storeu_ps(at.add(8), self.1);
        }
    }

    #[inline]
    #[target_feature(enable = "avx2,fma,f16c")]
    unsafe fn load_half(at: *const u16) -> Self {
        // SAFETY: the caller's promise.
        unsafe {
            Self(
                _mm256_cvtph_ps(_mm_loadu_si128(at.cast())),
                _mm256_cvtph_ps(_mm_loadu_si128(at.add(8).cast())),
            )
        }
    }

    #[inline]
    #[target_feature(enable = "avx2,fma,f16c")]
    unsafe fn store_half(self, at: *mut u16) {
        // SAFETY: the caller's promise.
        unsafe {
            _mm_storeu_si128(at.cast(), _mm256_cvtps_ph::<_MM_FROUND_TO_NEAREST_INT>(self.0));
            _mm_storeu_si128(at.add(8).cast(), _mm256_cvtps_ph::<_MM_FROUND_TO_NEAREST_INT>(self.1));
        }
    }

    #[inline]
    #[target_feature(enable = "avx2,fma,f16c")]
    unsafe fn fma(self, by: Self, to: Self) -> Self {
        Self(_mm256_fmadd_ps(self.0, by.0, to.0), _mm256_fmadd_ps(self.1, by.1, to.1))
    }

    #[inline]
    #[target_feature(enable = "avx2,fma,f16c")]
    unsafe fn mul(self, by: Self) -> Self {
        Self(_mm256_mul_ps(self.0, by.0), _mm256_mul_ps(self.1, by.1))
    }

    #[inline]
    #[target_feature(enable = "avx2,fma,f16c")]
    unsafe fn fold(self) -> f32 {
        let eight = _mm256_add_ps(self.0, self.1);
        let four = _mm_add_ps(_mm256_castps256_ps128(eight), _mm256_extractf128_ps::<1>(eight));
        let two = _mm_add_ps(four, _mm_movehl_ps(four, four));
        _mm_cvtss_f32(_mm_add_ss(two, _mm_movehdup_ps(two)))
    }

    #[inline]
    #[target_feature(enable = "avx2,fma,f16c")]
    unsafe fn q4_0_products(blocks: *const u8, x: Codes) -> Self {
        // SAFETY: sixteen blocks, their codes and their sums can be read.
        unsafe {
            let low_nibble = _mm256_set1_epi8(15);
            let ones = _mm256_set1_epi16(1);
            let mut partial = [_mm256_setzero_si256(); CHAINS];
            for (b, partial) in partial.iter_mut().enumerate() {
                let pairs = _mm_loadu_si128(blocks.add(b * Q4_0_BYTES + 2).cast());
                let nibbles = _mm256_and_si256(_mm256_set_m128i(_mm_srli_epi16::<4>(pairs), pairs), low_nibble);
                // Two products of at most 15 * 127 fit in 16 bits.
                let products = _mm256_maddubs_epi16(nibbles, _mm256_loadu_si256(x.plain.add(b * 32).cast()));
                *partial = _mm256_madd_epi16(products, ones);
            }
            let offsets = [0, 8].map(|b| _mm256_loadu_si256(x.offsets.add(b).cast()));
            scaled(blocks, Q4_0_BYTES, &partial, offsets)
        }
    }

    #[inline]
    #[target_feature(enable = "avx2,fma,f16c")]
    unsafe fn q8_0_products(blocks: *const u8, x: Codes) -> Self {
        // SAFETY: sixteen blocks, their codes and their sums can be read.
        unsafe {
            let ones = _mm256_set1_epi16(1);
            let mut partial = [_mm256_setzero_si256(); CHAINS];
            for (b, partial) in partial.iter_mut().enumerate() {
                let w = _mm256_loadu_si256(blocks.add(b * Q8_0_BYTES + 2).cast());
                let x = _mm256_loadu_si256(x.plain.add(b * 32).cast());
                // |w| as unsigned times x with w's sign: two products of at most 128 * 127 fit in 16 bits.
                let products = _mm256_maddubs_epi16(_mm256_abs_epi8(w), _mm256_sign_epi8(x, w));
                *partial = _mm256_madd_epi16(products, ones);
            }
            scaled(blocks, Q8_0_BYTES, &partial, [_mm256_setzero_si256(); 2])
        }
    }

    #[inline]
    #[target_feature(enable = "avx2,fma,f16c")]
    unsafe fn q6_k_products(blocks: *const u8, x: Codes) -> Self {
        // SAFETY: two superblocks and the codes of sixteen blocks can be read.
        unsafe {
            let mut partial = [_mm256_setzero_si256(); CHAINS];
            let mut scales = [_mm256_setzero_ps(); 2];
            for (s, scale) in scales.iter_mut().enumerate() {
                let superblock = blocks.add(s * Q6_K_BYTES);
                let half = superblock.add(HALF_AT).cast::<u16>().read_unaligned();
                *scale = _mm256_set1_ps(_mm_cvtss_f32(_mm_cvtph_ps(_mm_cvtsi32_si128(i32::from(half)))));
                for part in 0..PARTS {
                    let b = s * PARTS + part;
                    partial[b] = q6_k_part(superblock, part, _mm256_loadu_si256(x.plain.add(b * 32).cast()));
                }
            }
            let sums = [sum_eights(&partial, 0), sum_eights(&partial, PARTS)];
            Self(
                _mm256_mul_ps(_mm256_cvtepi32_ps(sums[0]), scales[0]),
                _mm256_mul_ps(_mm256_cvtepi32_ps(sums[1]), scales[1]),
            )
        }
    }

    #[inline]
    #[target_feature(enable = "avx2,fma,f16c")]
    unsafe fn q4_0_scales(blocks: *const u8) -> Self {
        // SAFETY: the caller's promise.
        unsafe { scales(blocks, Q4_0_BYTES) }
    }

    #[inline]
    #[target_feature(enable = "avx2,fma,f16c")]
    unsafe fn q8_0_scales(blocks: *const u8) -> Self {
        // SAFETY: the caller's promise.
        unsafe { scales(blocks, Q8_0_BYTES) }
    }

    #[inline]
    #[target_feature(enable = "avx2,fma,f16c")]
    unsafe fn q4_0_codes(block: *const u8) -> [Self; 2] {
        // SAFETY: a block is 18 bytes.
        let pairs = unsafe { _mm_loadu_si128(block.add(2).cast()) };
        let (low_nibble, eight) = (_mm_set1_epi8(15), _mm_set1_epi8(8));
        let low = _mm_sub_epi8(_mm_and_si128(pairs, low_nibble), eight);
        let high = _mm_sub_epi8(_mm_and_si128(_mm_srli_epi16::<4>(pairs), low_nibble), eight);
        [to_floats(low), to_floats(high)]
    }

    #[inline]
    #[target_feature(enable = "avx2,fma,f16c")]
    unsafe fn q8_0_codes(block: *const u8) -> [Self; 2] {
        // SAFETY: a block is 34 bytes.
        unsafe {
            [
                to_floats(_mm_loadu_si128(block.add(2).cast())),
                to_floats(_mm_loadu_si128(block.add(18).cast())),
            ]
        }
    }

    #[inline]
    #[target_feature(enable = "avx2,fma,f16c")]
    #[allow(unused_unsafe, reason = "safe from Rust 1.95 on")]
    unsafe fn prefetch(at: *const u8) {
        // SAFETY: a prefetch of any address is harmless.
        unsafe { _mm_prefetch::<_MM_HINT_T1>(at.cast()) }
    }
}
