//! The one order of float additions.
//!
//! A dot product is the same bits whether its row is computed alone, in a block of rows, in a list, in a matrix-matrix
//! product, on any thread and in **any backend**, because all of them follow this order:
//!
//! - sixteen *chains*. In a float format, element `i` belongs to chain `i % 16` and adds by `chain = fma(w, x, chain)`.
//!   In a quantised format the sum `s` of a block of 32 code products (in Q6_K times the scales of its halves) is an exact
//!   integer; block `b` belongs to chain `b % 16` and adds by `chain = fma(s * d_w, d_x, chain)`, the product `s * d_w`
//!   rounded to f32 first;
//! - a row is padded with zeros to a whole number of sixteen elements or blocks;
//! - the chains are *folded*: chain `j` takes chain `j + 8`, then `j + 4`, `j + 2`, `j + 1`.
//!
//! The sixteen chains are the lanes of a vector, so a row alone runs at full speed; in a matrix-matrix product, where the
//! lanes are rows, the chains are visited one after the other in the order in which the fold needs them.

/// Number of chains.
pub(crate) const CHAINS: usize = 16;

/// Neurons whose down-projections are summed into one partial vector. Partials are then added in ascending order, so that
/// the sum does not depend on which thread computed which block.
pub const SUM_BLOCK: usize = 256;

/// The order in which chains are visited when they are visited one at a time: sixteen numbers, bits reversed. After every
/// odd one, the fold adds as many finished pairs as the place has trailing one bits.
#[cfg_attr(not(target_arch = "x86_64"), allow(dead_code, reason = "only where lanes are rows"))]
pub(crate) const VISIT: [usize; CHAINS] = [0, 8, 4, 12, 2, 10, 6, 14, 1, 9, 5, 13, 3, 11, 7, 15];

/// Folds the sixteen chains into their sum.
#[inline(always)]
pub(crate) fn fold(chains: [f32; CHAINS]) -> f32 {
    let mut chains = chains;
    let mut half = CHAINS / 2;
    while half > 0 {
        for j in 0..half {
            chains[j] += chains[j + half];
        }
        half /= 2;
    }
    chains[0]
}
