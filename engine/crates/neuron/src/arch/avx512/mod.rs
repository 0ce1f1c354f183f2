//! AVX-512 with byte, short-vector and VNNI extensions.

mod gemm;

use std::arch::x86_64::*;

use super::vector_backend::vector_backend;
use crate::format::{Q4_0_BYTES, Q8_0_BYTES};
use crate::lanes::{Codes, Lanes};
use crate::q6_k::{HALF_AT, HIGH_AT, Q6_K_BYTES, SCALES_AT};

/// Proof that this CPU has AVX-512 F, BW, VL and VNNI, and F16C. Only `detect` can make one.
#[derive(Clone, Copy, Debug)]
pub struct Avx512(());

impl Avx512 {
    /// A proof, if this CPU has the features and the operating system saves the registers.
    pub fn detect() -> Option<Self> {
        let has = is_x86_feature_detected!("avx512f")
            && is_x86_feature_detected!("avx512bw")
            && is_x86_feature_detected!("avx512vl")
            && is_x86_feature_detected!("avx512vnni")
            && is_x86_feature_detected!("avx2")
            && is_x86_feature_detected!("fma")
            && is_x86_feature_detected!("f16c");
        has.then_some(Self(()))
    }
}

vector_backend!(Avx512, Zmm, "avx512f,avx512bw,avx512vl,avx512vnni,avx2,fma,f16c", gemm::gemm);

/// One 512-bit register.
#[derive(Clone, Copy)]
pub(super) struct Zmm(__m512);

/// Where word `w` (0 to 35) of four Q4_0 blocks is in two loads that overlap, the second four words after the first.
const fn nibble_words() -> [i16; 32] {
    let mut index = [0; 32];
    let mut i = 0;
    while i < 32 {
        let word = i / 8 * 9 + 1 + i % 8;
        index[i] = if word < 32 { word as i16 } else { (32 + word - 4) as i16 };
        i += 1;
    }
    index
}

/// Place 4g + i takes lane 4i + g: undoes the interleaving of four groups of four blocks.
const fn untangle_fours() -> [i32; 16] {
    let mut index = [0; 16];
    let mut i = 0;
    while i < 16 {
        index[i] = (i % 4 * 4 + i / 4) as i32;
        i += 1;
    }
    index
}

static NIBBLE_WORDS: [i16; 32] = nibble_words();
static UNTANGLE_FOURS: [i32; 16] = untangle_fours();
/// The words of the scales of four Q4_0 blocks, for every group of four places.
static Q4_0_SCALE_WORDS: [i16; 32] = [
    0, 9, 18, 27, 0, 9, 18, 27, 0, 9, 18, 27, 0, 9, 18, 27, 0, 9, 18, 27, 0, 9, 18, 27, 0, 9, 18, 27, 0, 9, 18, 27,
];
/// The words of the scales of two Q8_0 blocks, for every two places.
static Q8_0_SCALE_WORDS: [i16; 32] = [
    0, 17, 0, 17, 0, 17, 0, 17, 0, 17, 0, 17, 0, 17, 0, 17, 0, 17, 0, 17, 0, 17, 0, 17, 0, 17, 0, 17, 0, 17, 0, 17,
];
/// From the order that eight pairs of blocks come out in (even blocks of the first four pairs, odd ones, and again).
static UNTANGLE_PAIRS: [i32; 16] = [0, 4, 1, 5, 2, 6, 3, 7, 8, 12, 9, 13, 10, 14, 11, 15];
/// The values of the sixteen nibbles.
static NIBBLE_VALUES: [f32; 16] = [
    -8.0, -7.0, -6.0, -5.0, -4.0, -3.0, -2.0, -1.0, 0.0, 1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0,
];

/// Sixteen 32-bit lanes from memory.
///
/// # Safety
/// 64 bytes can be read.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vnni,avx2,fma,f16c")]
unsafe fn load(at: *const impl Sized) -> __m512i {
    // SAFETY: the caller's promise.
    unsafe { _mm512_loadu_si512(at.cast()) }
}

/// In each 128-bit lane: the sums of the four numbers of a, b, c and d.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vnni,avx2,fma,f16c")]
fn sum_fours(a: __m512i, b: __m512i, c: __m512i, d: __m512i) -> __m512i {
    let ab = _mm512_add_epi32(_mm512_unpacklo_epi32(a, b), _mm512_unpackhi_epi32(a, b));
    let cd = _mm512_add_epi32(_mm512_unpacklo_epi32(c, d), _mm512_unpackhi_epi32(c, d));
    _mm512_add_epi32(_mm512_unpacklo_epi64(ab, cd), _mm512_unpackhi_epi64(ab, cd))
}

/// From eight registers of two blocks each, a block being two neighbouring 128-bit lanes, the sums of the sixteen blocks.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vnni,avx2,fma,f16c")]
fn sum_pairs(sums: &[__m512i; 8]) -> __m512i {
    let (a, b) = (
        sum_fours(sums[0], sums[1], sums[2], sums[3]),
        sum_fours(sums[4], sums[5], sums[6], sums[7]),
    );
    let sums = _mm512_add_epi32(_mm512_shuffle_i32x4::<0x88>(a, b), _mm512_shuffle_i32x4::<0xdd>(a, b));
    // SAFETY: the table is sixteen numbers.
    _mm512_permutexvar_epi32(unsafe { load(&UNTANGLE_PAIRS) }, sums)
}

/// Partial sums of the four parts of half `half` of a Q6_K superblock times the codes at `x`, the scales of the groups in them:
/// two parts to a register.
///
/// # Safety
/// The superblock and 128 codes can be read.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vnni,avx2,fma,f16c")]
unsafe fn q6_k_half(superblock: *const u8, half: usize, x: *const i8) -> [__m512i; 2] {
    // SAFETY: the caller's promise.
    let (nibbles, highs, scales) = unsafe {
        (
            load(superblock.add(half * 64)),
            _mm512_broadcast_i64x4(_mm256_loadu_si256(superblock.add(HIGH_AT + half * 32).cast())),
            _mm256_broadcastsi128_si256(_mm_loadu_si128(superblock.add(SCALES_AT).cast())),
        )
    };
    let (low_nibble, high_bits, offset) = (_mm512_set1_epi8(15), _mm512_set1_epi8(0x30), _mm512_set1_epi8(32));
    // The high bits of the part in the lower half of the register, and of the one in the upper.
    let both = |lower: i16, upper: i16| _mm512_inserti64x4::<1>(_mm512_set1_epi16(lower), _mm256_set1_epi16(upper));
    let low = [nibbles, _mm512_srli_epi16::<4>(nibbles)];
    let high = [_mm512_sllv_epi16(highs, both(4, 2)), _mm512_srlv_epi16(highs, both(0, 2))];
    // Which scale each 16-bit sum of two products takes: those of the half from 8 * half on, each for eight sums.
    let ones = 0x0101_0101_0101_0101;
    let places = _mm256_set_epi64x(3 * ones, 2 * ones, ones, 0);
    std::array::from_fn(|i| {
        let codes = _mm512_or_si512(_mm512_and_si512(low[i], low_nibble), _mm512_and_si512(high[i], high_bits));
        // SAFETY: two times 64 codes.
        let x = unsafe { load(x.add(i * 64)) };
        // Codes without their offset of 32, and that offset: two products of at most 63 * 127 fit in 16 bits.
        let products = _mm512_sub_epi16(_mm512_maddubs_epi16(codes, x), _mm512_maddubs_epi16(offset, x));
        let places = _mm256_add_epi8(places, _mm256_set1_epi8((8 * half + 4 * i) as i8));
        _mm512_madd_epi16(products, _mm512_cvtepi8_epi16(_mm256_shuffle_epi8(scales, places)))
    })
}

/// `Lanes::q4_0_products` of so many times four blocks, at most four times; what comes behind them is zero.
///
/// # Safety
/// So many blocks can be read, and the codes of sixteen.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vnni,avx2,fma,f16c")]
unsafe fn q4_0_fours<const FOURS: usize>(blocks: *const u8, x: Codes) -> __m512 {
    // SAFETY: the second load of a group of four ends with its 72 bytes; the codes are those of sixteen blocks.
    unsafe {
        let (words, scale_words) = (load(&NIBBLE_WORDS), load(&Q4_0_SCALE_WORDS));
        let low_nibble = _mm512_set1_epi8(15);
        let mut scales = _mm512_setzero_si512();
        let mut sums = [_mm512_setzero_si512(); 4];
        for g in 0..FOURS {
            let at = blocks.add(g * 4 * Q4_0_BYTES);
            let first = load(at);
            let nibbles = _mm512_permutex2var_epi16(first, words, load(at.add(8)));
            let low = _mm512_and_si512(nibbles, low_nibble);
            let high = _mm512_and_si512(_mm512_srli_epi16::<4>(nibbles), low_nibble);
            let halves = x.halves.add(g * 128);
            sums[g] = _mm512_dpbusd_epi32(sums[g], low, load(halves));
            sums[g] = _mm512_dpbusd_epi32(sums[g], high, load(halves.add(64)));
            scales = _mm512_mask_permutexvar_epi16(scales, 15 << (4 * g), scale_words, first);
        }
        let sums = sum_fours(sums[0], sums[1], sums[2], sums[3]);
        let sums = _mm512_permutexvar_epi32(load(&UNTANGLE_FOURS), sums);
        // The unsigned nibbles are 8 more than the codes.
        let sums = _mm512_add_epi32(sums, load(x.offsets));
        let scales = _mm512_cvtph_ps(_mm512_castsi512_si256(scales));
        _mm512_mul_ps(_mm512_cvtepi32_ps(sums), scales)
    }
}

/// `Lanes::q8_0_products` of so many pairs of blocks, at most eight; what comes behind them is zero.
///
/// # Safety
/// So many blocks can be read, and the codes of sixteen.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vnni,avx2,fma,f16c")]
unsafe fn q8_0_pairs<const PAIRS: usize>(blocks: *const u8, x: Codes) -> __m512 {
    // SAFETY: the loads of a pair end within its 68 bytes; the codes are those of sixteen blocks.
    unsafe {
        let scale_words = load(&Q8_0_SCALE_WORDS);
        let offset = _mm512_set1_epi8(-128);
        let mut scales = _mm512_setzero_si512();
        let mut sums = [_mm512_setzero_si512(); 8];
        for p in 0..PAIRS {
            let at = blocks.add(p * 2 * Q8_0_BYTES);
            let first = _mm512_castsi256_si512(_mm256_loadu_si256(at.add(2).cast()));
            let codes = _mm512_inserti64x4::<1>(first, _mm256_loadu_si256(at.add(2 + Q8_0_BYTES).cast()));
            sums[p] = _mm512_dpbusd_epi32(sums[p], _mm512_xor_si512(codes, offset), load(x.plain.add(p * 64)));
            scales = _mm512_mask_permutexvar_epi16(scales, 3 << (2 * p), scale_words, load(at));
        }
        let sums = sum_pairs(&sums);
        // The unsigned codes are 128 more than the signed.
        let sums = _mm512_add_epi32(sums, _mm512_slli_epi32::<4>(load(x.offsets)));
        let scales = _mm512_cvtph_ps(_mm512_castsi512_si256(scales));
        _mm512_mul_ps(_mm512_cvtepi32_ps(sums), scales)
    }
}

impl Lanes for Zmm {
    const ROOMY: bool = true;

    #[inline]
    #[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vnni,avx2,fma,f16c")]
    unsafe fn splat(value: f32) -> Self {
        Self(_mm512_set1_ps(value))
    }

    #[inline]
    #[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vnni,avx2,fma,f16c")]
    unsafe fn load(at: *const f32) -> Self {
        // SAFETY: the caller's promise.
        Self(unsafe { _mm512_loadu_ps(at) })
    }

    #[inline]
    #[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vnni,avx2,fma,f16c")]
    unsafe fn store(self, at: *mut f32) {
        // SAFETY: the caller's promise.
        unsafe { _mm512_storeu_ps(at, self.0) }
    }

    #[inline]
    #[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vnni,avx2,fma,f16c")]
    unsafe fn load_half(at: *const u16) -> Self {
        // SAFETY: the caller's promise.
        Self(_mm512_cvtph_ps(unsafe { _mm256_loadu_si256(at.cast()) }))
    }

    #[inline]
    #[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vnni,avx2,fma,f16c")]
    unsafe fn store_half(self, at: *mut u16) {
        // SAFETY: the caller's promise.
        unsafe { _mm256_storeu_si256(at.cast(), _mm512_cvtps_ph::<_MM_FROUND_TO_NEAREST_INT>(self.0)) }
    }

    #[inline]
    #[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vnni,avx2,fma,f16c")]
    unsafe fn fma(self, by: Self, to: Self) -> Self {
        Self(_mm512_fmadd_ps(self.0, by.0, to.0))
    }

    #[inline]
    #[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vnni,avx2,fma,f16c")]
    unsafe fn mul(self, by: Self) -> Self {
        Self(_mm512_mul_ps(self.0, by.0))
    }

    #[inline]
    #[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vnni,avx2,fma,f16c")]
    unsafe fn fold(self) -> f32 {
        let low = _mm512_castps512_ps256(self.0);
        let high = _mm256_castsi256_ps(_mm512_extracti64x4_epi64::<1>(_mm512_castps_si512(self.0)));
        let eight = _mm256_add_ps(low, high);
        let four = _mm_add_ps(_mm256_castps256_ps128(eight), _mm256_extractf128_ps::<1>(eight));
        let two = _mm_add_ps(four, _mm_movehl_ps(four, four));
        _mm_cvtss_f32(_mm_add_ss(two, _mm_movehdup_ps(two)))
    }

    #[inline]
    #[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vnni,avx2,fma,f16c")]
    unsafe fn q4_0_products(blocks: *const u8, x: Codes) -> Self {
        // SAFETY: the caller's promise.
        Self(unsafe { q4_0_fours::<4>(blocks, x) })
    }

    #[inline]
    #[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vnni,avx2,fma,f16c")]
    unsafe fn q4_0_products_of_eight(blocks: *const u8, x: Codes) -> Self {
        // SAFETY: the caller's promise.
        Self(unsafe { q4_0_fours::<2>(blocks, x) })
    }

    #[inline]
    #[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vnni,avx2,fma,f16c")]
    unsafe fn q8_0_products(blocks: *const u8, x: Codes) -> Self {
        // SAFETY: the caller's promise.
        Self(unsafe { q8_0_pairs::<8>(blocks, x) })
    }

    #[inline]
    #[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vnni,avx2,fma,f16c")]
    unsafe fn q8_0_products_of_eight(blocks: *const u8, x: Codes) -> Self {
        // SAFETY: the caller's promise.
        Self(unsafe { q8_0_pairs::<4>(blocks, x) })
    }

    #[inline]
    #[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vnni,avx2,fma,f16c")]
    unsafe fn q6_k_products(blocks: *const u8, x: Codes) -> Self {
        // SAFETY: two superblocks and the codes of sixteen blocks can be read.
        unsafe {
            let mut sums = [_mm512_setzero_si512(); 8];
            let mut scales = [_mm256_setzero_ps(); 2];
            for s in 0..2 {
                let superblock = blocks.add(s * Q6_K_BYTES);
                let half = superblock.add(HALF_AT).cast::<u16>().read_unaligned();
                scales[s] = _mm256_cvtph_ps(_mm_set1_epi16(half as i16));
                for half in 0..2 {
                    let pairs = q6_k_half(superblock, half, x.plain.add((s * 2 + half) * 128));
                    sums[(s * 2 + half) * 2] = pairs[0];
                    sums[(s * 2 + half) * 2 + 1] = pairs[1];
                }
            }
            let scales = _mm512_insertf64x4::<1>(
                _mm512_castps_pd(_mm512_castps256_ps512(scales[0])),
                _mm256_castps_pd(scales[1]),
            );
            Self(_mm512_mul_ps(_mm512_cvtepi32_ps(sum_pairs(&sums)), _mm512_castpd_ps(scales)))
        }
    }

    #[inline]
    #[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vnni,avx2,fma,f16c")]
    unsafe fn q4_0_scales(blocks: *const u8) -> Self {
        // SAFETY: the loads end inside sixteen blocks.
        unsafe {
            let words = load(&Q4_0_SCALE_WORDS);
            let mut scales = _mm512_setzero_si512();
            for g in 0..4 {
                scales = _mm512_mask_permutexvar_epi16(scales, 15 << (4 * g), words, load(blocks.add(g * 4 * Q4_0_BYTES)));
            }
            Self(_mm512_cvtph_ps(_mm512_castsi512_si256(scales)))
        }
    }

    #[inline]
    #[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vnni,avx2,fma,f16c")]
    unsafe fn q8_0_scales(blocks: *const u8) -> Self {
        // SAFETY: the loads end inside sixteen blocks.
        unsafe {
            let words = load(&Q8_0_SCALE_WORDS);
            let mut scales = _mm512_setzero_si512();
            for g in 0..8 {
                scales = _mm512_mask_permutexvar_epi16(scales, 3 << (2 * g), words, load(blocks.add(g * 2 * Q8_0_BYTES)));
            }
            Self(_mm512_cvtph_ps(_mm512_castsi512_si256(scales)))
        }
    }

    #[inline]
    #[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vnni,avx2,fma,f16c")]
    unsafe fn q4_0_codes(block: *const u8) -> [Self; 2] {
        // SAFETY: a block is 18 bytes.
        unsafe {
            let pairs = _mm512_cvtepu8_epi32(_mm_loadu_si128(block.add(2).cast()));
            // The low nibbles by a lookup, which takes the low four bits of each lane and ignores the rest; the high ones by
            // arithmetic, so that the shuffle units are not what all wait for: where they lie, bits 4 to 7 count ones in a float
            // of 2^19, whose last bit is 2^-4.
            let low = _mm512_permutexvar_ps(pairs, _mm512_loadu_ps(NIBBLE_VALUES.as_ptr()));
            let high_nibble = _mm512_set1_epi32(0xf0);
            let two_to_19 = _mm512_set1_epi32(0x4900_0000);
            let high = _mm512_ternarylogic_epi32::<0xea>(pairs, high_nibble, two_to_19);
            [
                Self(low),
                Self(_mm512_sub_ps(_mm512_castsi512_ps(high), _mm512_set1_ps(524_296.0))),
            ]
        }
    }

    #[inline]
    #[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vnni,avx2,fma,f16c")]
    unsafe fn q8_0_codes(block: *const u8) -> [Self; 2] {
        // SAFETY: a block is 34 bytes.
        unsafe {
            let low = _mm_loadu_si128(block.add(2).cast());
            let high = _mm_loadu_si128(block.add(18).cast());
            [low, high].map(|half| Self(_mm512_cvtepi32_ps(_mm512_cvtepi8_epi32(half))))
        }
    }

    #[inline]
    #[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vnni,avx2,fma,f16c")]
    #[allow(unused_unsafe, reason = "safe from Rust 1.95 on")]
    unsafe fn prefetch(at: *const u8) {
        // SAFETY: a prefetch of any address is harmless.
        unsafe { _mm_prefetch::<_MM_HINT_T1>(at.cast()) }
    }
}
