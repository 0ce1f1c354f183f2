//! The k greatest of a list.

use std::cmp::Ordering;

/// Is `a` before `b` in the result? Greater values first, equal ones by lower index, NaN after everything.
fn before(a: (u32, f32), b: (u32, f32)) -> bool {
    let by_value = match (a.1.is_nan(), b.1.is_nan()) {
        (true, true) => Ordering::Equal,
        (true, false) => Ordering::Less,
        (false, true) => Ordering::Greater,
        (false, false) => a.1.partial_cmp(&b.1).unwrap_or(Ordering::Equal),
    };
    by_value.then(b.0.cmp(&a.0)) == Ordering::Greater
}

/// Fills `out` with the index and value of the `k` greatest of `values` (all, if there are fewer), greatest first; equal
/// values by lower index first, NaN last. Clears `out` first and allocates only when it is too small.
pub fn top_k(values: &[f32], k: usize, out: &mut Vec<(u32, f32)>) {
    out.clear();
    if k == 0 {
        return;
    }
    // `out` is a heap whose root is the last of those kept, so most candidates cost one comparison.
    for (index, &value) in values.iter().enumerate() {
        let candidate = (index as u32, value);
        if out.len() < k {
            out.push(candidate);
            let mut at = out.len() - 1;
            while at > 0 && before(out[(at - 1) / 2], out[at]) {
                out.swap((at - 1) / 2, at);
                at = (at - 1) / 2;
            }
        } else if before(candidate, out[0]) {
            out[0] = candidate;
            let mut at = 0;
            loop {
                let (left, right) = (2 * at + 1, 2 * at + 2);
                let mut last = at;
                if left < k && before(out[last], out[left]) {
                    last = left;
                }
                if right < k && before(out[last], out[right]) {
                    last = right;
                }
                if last == at {
                    break;
                }
                out.swap(last, at);
                at = last;
            }
        }
    }
    out.sort_unstable_by(|&a, &b| if before(a, b) { Ordering::Less } else { Ordering::Greater });
}
