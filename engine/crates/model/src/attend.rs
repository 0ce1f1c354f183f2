//! Attention over keys and values in single precision: plain loops, for comparisons.

use neuron::{Attention, Output};

/// Attention of the tokens of `out` (the first at `first_position`) for key-value head `head`. `queries` is tokens by heads
/// by numbers; `keys` and `values` are those of the head, position by position; `scores` is working memory. `out` has the
/// columns of the query heads that share the head.
#[expect(clippy::too_many_arguments, reason = "the operands of an attention")]
pub(crate) fn attend_f32(
    shape: &Attention,
    queries: &[f32],
    first_position: usize,
    head: usize,
    keys: &[f32],
    values: &[f32],
    scores: &mut Vec<f32>,
    mut out: Output<'_>,
) {
    let (dim, group) = (shape.head_dim, shape.heads / shape.kv_heads);
    for token in 0..out.tokens() {
        let seen = shape.sees(first_position + token);
        let line = out.line(token);
        for (member, out) in line.chunks_exact_mut(dim).enumerate() {
            let query = &queries[(token * shape.heads + head * group + member) * dim..][..dim];
            scores.clear();
            scores.extend(seen.clone().map(|position| {
                let key = &keys[position * dim..][..dim];
                let dot: f64 = query.iter().zip(key).map(|(&q, &k)| f64::from(q) * f64::from(k)).sum();
                dot as f32 * shape.scale
            }));
            let greatest = scores.iter().fold(f32::NEG_INFINITY, |greatest, &score| greatest.max(score));
            let mut sum = 0.0f64;
            for score in scores.iter_mut() {
                *score = (*score - greatest).exp();
                sum += f64::from(*score);
            }
            out.fill(0.0);
            for (&score, position) in scores.iter().zip(seen.clone()) {
                let weight = (f64::from(score) / sum) as f32;
                for (out, value) in out.iter_mut().zip(&values[position * dim..][..dim]) {
                    *out += weight * value;
                }
            }
        }
    }
}
