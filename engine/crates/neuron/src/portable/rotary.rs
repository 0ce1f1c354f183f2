//! Rotary position embedding.

use crate::rope::RopeStyle;

/// Rotates the first `angles.len()` numbers of every head of `head_dim` in `vectors`. `angles` holds cosine and sine, pair
/// after pair; pair i is numbers (2i, 2i + 1) of the head, or (i, i + pairs) in the NEOX style.
#[inline(always)]
pub(crate) fn rope(style: RopeStyle, angles: &[f32], head_dim: usize, vectors: &mut [f32]) {
    let pairs = angles.len() / 2;
    for head in vectors.chunks_exact_mut(head_dim) {
        match style {
            RopeStyle::Adjacent => {
                for (pair, angle) in head.as_chunks_mut::<2>().0.iter_mut().zip(angles.as_chunks::<2>().0) {
                    *pair = rotate(*pair, *angle);
                }
            }
            RopeStyle::Neox => {
                let (first, second) = head.split_at_mut(pairs);
                for ((a, b), angle) in first.iter_mut().zip(second).zip(angles.as_chunks::<2>().0) {
                    [*a, *b] = rotate([*a, *b], *angle);
                }
            }
        }
    }
}

#[inline(always)]
fn rotate([a, b]: [f32; 2], [cos, sin]: [f32; 2]) -> [f32; 2] {
    [a * cos - b * sin, a * sin + b * cos]
}
