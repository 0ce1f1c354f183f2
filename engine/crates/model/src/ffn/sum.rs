//! The one order in which the parts of an FFN's output are added.

use super::Route;

/// expert += partial: one block's sum onto that of its expert. Blocks come in ascending order, those in which nothing fired
/// are left out. Element by element, so callers may split the vectors over threads.
#[inline]
pub fn add_partial(partial: &[f32], expert: &mut [f32]) {
    for (sum, part) in expert.iter_mut().zip(partial) {
        *sum += part;
    }
}

/// Columns `first..first + out.len()` of a token's output. `partials` are the sums of the blocks of its experts, blocks by
/// `hidden`, `per_expert` blocks of each route; `fired` says for each block how many of its neurons fired. `expert` is working
/// memory.
#[expect(
    clippy::too_many_arguments,
    reason = "one argument per operand of the sum; a struct would only rename them"
)]
pub(crate) fn sum_blocks(
    routes: &[Route],
    per_expert: usize,
    hidden: usize,
    first: usize,
    partials: &[f32],
    fired: &[usize],
    expert: &mut Vec<f32>,
    out: &mut [f32],
) {
    expert.resize(out.len().max(expert.len()), 0.0);
    let expert = &mut expert[..out.len()];
    let mut sum = SumExperts::new(out);
    for (slot, route) in routes.iter().enumerate() {
        expert.fill(0.0);
        for block in (slot * per_expert..(slot + 1) * per_expert).filter(|&block| fired[block] > 0) {
            add_partial(&partials[block * hidden + first..][..expert.len()], expert);
        }
        sum.add(route.weight, expert);
    }
    sum.finish();
}

/// Adds the experts of a token, in ascending order: `out = 0 + weight * expert + …`, each product rounded before it is added.
/// A single expert of weight 1 is copied as it is. Works on any range of columns.
pub struct SumExperts<'a> {
    out: &'a mut [f32],
    first: bool,
}

impl<'a> SumExperts<'a> {
    /// Will overwrite `out`.
    pub fn new(out: &'a mut [f32]) -> Self {
        Self { out, first: true }
    }

    /// Adds one expert's sum.
    #[inline]
    pub fn add(&mut self, weight: f32, expert: &[f32]) {
        if self.first {
            for (out, value) in self.out.iter_mut().zip(expert) {
                *out = weight * value;
            }
        } else {
            for (out, value) in self.out.iter_mut().zip(expert) {
                *out += weight * value;
            }
        }
        self.first = false;
    }

    /// Ends the sum; zero when no expert was added.
    pub fn finish(self) {
        if self.first {
            self.out.fill(0.0);
        }
    }
}
