//! The one order in which the parts of an FFN's output are added.

/// expert += partial: one block's sum onto that of its expert. Blocks come in ascending order, those in which nothing fired
/// are left out. Element by element, so callers may split the vectors over threads.
#[inline]
pub fn add_partial(partial: &[f32], expert: &mut [f32]) {
    for (sum, part) in expert.iter_mut().zip(partial) {
        *sum += part;
    }
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
