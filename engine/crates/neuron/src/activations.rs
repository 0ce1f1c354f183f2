//! Activation vectors as the kernels want them: f32, and 8-bit codes in blocks of 32.

use crate::aligned::Aligned;
use crate::format::BLOCK;
use crate::order::CHAINS;

/// The vectors are padded with zeros to a multiple of this, so that kernels may read whole groups of sixteen blocks.
const PADDED_TO: usize = BLOCK * CHAINS;

/// One or more activation vectors (tokens) of equal length: the values themselves, for F32 and F16 weights, and their
/// 8-bit codes with one scale (of half precision, kept as f32) per block of 32, for quantised weights. Filled by `Kernels::quantise`; reusing one
/// allocates nothing once it has been large enough.
#[derive(Clone)]
pub struct Activations {
    cols: usize,
    tokens: usize,
    padded: usize,
    values: Aligned<f32>,
    codes: Aligned<i8>,
    /// The same codes, each group of four blocks as their four lower halves followed by their four upper halves: the
    /// order in which the nibbles of four Q4_0 blocks come out of one register.
    halves: Aligned<i8>,
    scales: Aligned<f32>,
    /// Minus eight times the sum of the codes of each block: added to a sum of products with unsigned nibbles, it takes their
    /// offset of 8 off again.
    offsets: Aligned<i32>,
}

/// One activation vector; all slices padded with zeros to whole groups of sixteen blocks.
#[derive(Clone, Copy)]
pub(crate) struct Token<'a> {
    /// Length without the padding.
    pub(crate) cols: usize,
    pub(crate) values: &'a [f32],
    pub(crate) codes: &'a [i8],
    pub(crate) halves: &'a [i8],
    pub(crate) scales: &'a [f32],
    pub(crate) offsets: &'a [i32],
}

/// Where one activation vector is written.
pub(crate) struct TokenMut<'a> {
    pub(crate) values: &'a mut [f32],
    pub(crate) codes: &'a mut [i8],
    pub(crate) halves: &'a mut [i8],
    pub(crate) scales: &'a mut [f32],
    pub(crate) offsets: &'a mut [i32],
}

impl Default for Activations {
    fn default() -> Self {
        Self::new()
    }
}

impl Activations {
    /// No vectors yet.
    pub fn new() -> Self {
        Self {
            cols: 0,
            tokens: 0,
            padded: 0,
            values: Aligned::new(),
            codes: Aligned::new(),
            halves: Aligned::new(),
            scales: Aligned::new(),
            offsets: Aligned::new(),
        }
    }

    /// Length of each vector.
    pub fn cols(&self) -> usize {
        self.cols
    }

    /// Number of vectors.
    pub fn tokens(&self) -> usize {
        self.tokens
    }

    /// The values of vector `token` as they were given. Panics when there is no such vector.
    pub fn values(&self, token: usize) -> &[f32] {
        &self.token(token).values[..self.cols]
    }

    /// Makes room for `tokens` vectors of `cols`; their contents are then whatever they were.
    pub(crate) fn reshape(&mut self, cols: usize, tokens: usize) {
        self.cols = cols;
        self.tokens = tokens;
        self.padded = cols.next_multiple_of(PADDED_TO);
        let all = self.padded.checked_mul(tokens).expect("a buffer fits in the address space");
        self.values.resize_dirty(all);
        self.codes.resize_dirty(all);
        self.halves.resize_dirty(all);
        self.scales.resize_dirty(all / BLOCK);
        self.offsets.resize_dirty(all / BLOCK);
    }

    #[inline(always)]
    pub(crate) fn token(&self, token: usize) -> Token<'_> {
        assert!(token < self.tokens, "no such token: {token}; there are {}", self.tokens);
        let (at, blocks) = (token * self.padded, self.padded / BLOCK);
        Token {
            cols: self.cols,
            values: &self.values[at..][..self.padded],
            codes: &self.codes[at..][..self.padded],
            halves: &self.halves[at..][..self.padded],
            scales: &self.scales[token * blocks..][..blocks],
            offsets: &self.offsets[token * blocks..][..blocks],
        }
    }

    pub(crate) fn token_mut(&mut self, token: usize) -> TokenMut<'_> {
        let (at, blocks) = (token * self.padded, self.padded / BLOCK);
        TokenMut {
            values: &mut self.values[at..][..self.padded],
            codes: &mut self.codes[at..][..self.padded],
            halves: &mut self.halves[at..][..self.padded],
            scales: &mut self.scales[token * blocks..][..blocks],
            offsets: &mut self.offsets[token * blocks..][..blocks],
        }
    }

    /// Copies the vectors named by `tokens`, in that order, into `out`: what an expert gets of a batch, without quantising
    /// again. Panics when a token does not exist.
    pub fn gather(&self, tokens: &[u32], out: &mut Activations) {
        out.reshape(self.cols, tokens.len());
        for (place, &token) in tokens.iter().enumerate() {
            let (from, to) = (self.token(token as usize), out.token_mut(place));
            to.values.copy_from_slice(from.values);
            to.codes.copy_from_slice(from.codes);
            to.halves.copy_from_slice(from.halves);
            to.scales.copy_from_slice(from.scales);
            to.offsets.copy_from_slice(from.offsets);
        }
    }
}
