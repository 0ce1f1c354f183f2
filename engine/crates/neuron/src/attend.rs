//! Attention over sixteen lanes, told once for every vector backend.

use crate::attention::AttentionTask;
use crate::lanes::Lanes;
use crate::order::CHAINS;
use crate::output::Output;
use crate::portable;
use crate::product::{Half, float_tile};
use crate::scratch::Scratch;

/// Queries that share a pass over keys and values.
const QUERIES: usize = 4;
/// Keys whose scores are computed together.
const KEYS: usize = 4;

/// A query of the tile: its place in the output and the positions that it sees.
#[derive(Clone, Copy, Default)]
struct Query {
    token: usize,
    head: usize,
    from: usize,
    to: usize,
}

/// Scores, softmax and the weighted sum of values, in tiles of queries that have the same key-value head. What a query gets
/// does not depend on its tile: scores are independent dot products, the softmax runs over the query's own positions, and
/// values are added in ascending positions.
///
/// # Safety
/// As for `Lanes`.
#[inline(always)]
pub(crate) unsafe fn attention<L: Lanes>(task: &AttentionTask<'_>, scratch: &mut Scratch, mut out: Output<'_>) {
    let (dim, group) = (task.shape.head_dim, task.group());
    let padded = dim.next_multiple_of(CHAINS);
    let positions = (task.first_position + task.tokens).next_multiple_of(CHAINS);
    scratch.floats.resize_dirty(QUERIES * (padded + positions));
    let (queries, scores) = scratch.floats.split_at_mut(QUERIES * padded);
    for kv_head in task.kv_heads.clone() {
        let all = task.tokens * group;
        let mut done = 0;
        while done < all {
            let count = QUERIES.min(all - done);
            let mut tile = [Query::default(); QUERIES];
            for (i, query) in tile.iter_mut().enumerate() {
                // A tile that is not full repeats its last query and drops the result.
                let number = done + i.min(count - 1);
                let (token, head) = (number / group, kv_head * group + number % group);
                let sees = task.shape.sees(task.first_position + token);
                *query = Query {
                    token,
                    head,
                    from: sees.start,
                    to: sees.end,
                };
                queries[i * padded..][..dim].copy_from_slice(task.query(token, head));
                queries[i * padded + dim..(i + 1) * padded].fill(0.0);
            }
            // SAFETY: queries are padded; the key of every position before the last query's end exists.
            unsafe { score_tile::<L>(task, kv_head, &tile, queries, padded, scores, positions) };
            for (i, query) in tile[..count].iter().enumerate() {
                let weights = &mut scores[i * positions + query.from..i * positions + query.to];
                portable::scale(weights, task.shape.scale);
                let inverse = 1.0 / portable::exponentials(weights);
                let place = (query.head - task.kv_heads.start * group) * dim;
                let out = &mut out.line(query.token)[place..][..dim];
                // SAFETY: the values of the query's positions exist.
                unsafe { weigh_values::<L>(task, kv_head, *query, &scores[i * positions..], out) };
                portable::scale(out, inverse);
            }
            done += count;
        }
    }
}

/// The dot products of the tile's queries with the keys from the first position that any sees to the last.
///
/// # Safety
/// As for `Lanes`; `queries` are QUERIES times `padded` numbers, zero past the head's size.
#[inline(always)]
unsafe fn score_tile<L: Lanes>(
    task: &AttentionTask<'_>,
    kv_head: usize,
    tile: &[Query; QUERIES],
    queries: &[f32],
    padded: usize,
    scores: &mut [f32],
    positions: usize,
) {
    let dim = task.shape.head_dim;
    // Queries of a tile come in ascending tokens.
    let (from, to) = (tile[0].from, tile[QUERIES - 1].to);
    let key = |position: usize| task.kv.keys[task.kv.at(position, kv_head)..][..dim].as_ptr().cast::<u8>();
    let mut position = from;
    while position < to {
        // The last tile of keys repeats the last key.
        let keys: [*const u8; KEYS] = std::array::from_fn(|k| key((position + k).min(to - 1)));
        let mut pair = 0;
        while pair < QUERIES {
            let count = KEYS.min(to - position);
            if L::ROOMY {
                let vectors: [*const f32; QUERIES] = std::array::from_fn(|q| queries[q * padded..].as_ptr());
                // SAFETY: keys have `dim` halves; queries are padded.
                let chains = unsafe { float_tile::<L, Half, KEYS, QUERIES>(keys, vectors, dim) };
                for (k, chains) in chains[..count].iter().enumerate() {
                    for (q, chains) in chains.iter().enumerate() {
                        // SAFETY: the caller's promise.
                        scores[q * positions + position + k] = unsafe { chains.fold() };
                    }
                }
                pair += QUERIES;
            } else {
                let vectors = [queries[pair * padded..].as_ptr(), queries[(pair + 1) * padded..].as_ptr()];
                for k in (0..count).step_by(2) {
                    // SAFETY: as above.
                    let chains = unsafe { float_tile::<L, Half, 2, 2>([keys[k], keys[k + 1]], vectors, dim) };
                    for (k, chains) in (k..count.min(k + 2)).zip(chains) {
                        for (q, chains) in chains.iter().enumerate() {
                            // SAFETY: the caller's promise.
                            scores[(pair + q) * positions + position + k] = unsafe { chains.fold() };
                        }
                    }
                }
                pair += 2;
            }
        }
        position += KEYS;
    }
}

/// out = the sum over the query's positions, ascending, of weight times value; the sums stay in registers.
///
/// # Safety
/// As for `Lanes`.
#[inline(always)]
unsafe fn weigh_values<L: Lanes>(task: &AttentionTask<'_>, kv_head: usize, query: Query, weights: &[f32], out: &mut [f32]) {
    const VECTORS: usize = 8;
    let dim = out.len();
    let value = |position: usize, at: usize, len: usize| task.kv.values[task.kv.at(position, kv_head) + at..][..len].as_ptr();
    let mut at = 0;
    // SAFETY: each value slice was cut to the length that is read; stores stay inside `out`.
    unsafe {
        while at + VECTORS * CHAINS <= dim {
            let mut sums = [L::splat(0.0); VECTORS];
            for (position, &weight) in (query.from..query.to).zip(&weights[query.from..query.to]) {
                let (values, weight) = (value(position, at, VECTORS * CHAINS), L::splat(weight));
                for (v, sum) in sums.iter_mut().enumerate() {
                    *sum = weight.fma(L::load_half(values.add(v * CHAINS)), *sum);
                }
            }
            for (v, sum) in sums.iter().enumerate() {
                sum.store(out.as_mut_ptr().add(at + v * CHAINS));
            }
            at += VECTORS * CHAINS;
        }
        while at < dim {
            let len = CHAINS.min(dim - at);
            let mut sum = L::splat(0.0);
            for (position, &weight) in (query.from..query.to).zip(&weights[query.from..query.to]) {
                let values = value(position, at, len);
                let mut rest = [0u16; CHAINS];
                let values = if len == CHAINS {
                    values
                } else {
                    std::ptr::copy_nonoverlapping(values, rest.as_mut_ptr(), len);
                    rest.as_ptr()
                };
                sum = L::splat(weight).fma(L::load_half(values), sum);
            }
            let mut sums = [0f32; CHAINS];
            sum.store(sums.as_mut_ptr());
            out[at..at + len].copy_from_slice(&sums[..len]);
            at += len;
        }
    }
}
