//! Memory itself, attention, and what is done to one vector.

use std::hint::black_box;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use neuron::{Attention, KvView, Output, f32_to_f16};

use super::{Bench, Rate, keep, kept, locked, places, pool_on};
use crate::results::KernelCell;
use crate::samples::{sample, time};
use crate::scratch::Numbers;
use crate::slab::values;

/// Key-value heads, and query heads that share one: those of the 7B and 47B models.
const KV_HEADS: usize = 8;
const GROUP: usize = 4;

/// Bytes that a turn reads or copies: long against a dispatch, short against a time slice.
const STRETCH: usize = 16 << 20;

impl Bench {
    /// Plain reads, a stretch after the other.
    pub(super) fn read(&mut self, cell: &KernelCell) -> Rate {
        let words = self.slab.words();
        let stretch = (STRETCH / 8).min(words.len());
        let mut pool = pool_on(&cell.cores)?;
        let sums: Vec<AtomicU64> = cell.cores.iter().map(|_| AtomicU64::new(0)).collect();
        let mut next = 0;
        let times = sample(self.effort, || {
            let part = &words[next..next + stretch];
            next = if next + 2 * stretch > words.len() { 0 } else { next + stretch };
            Ok::<_, crate::MeasureError>(time(|| {
                pool.run(|worker| {
                    let mine = &part[worker.share(part.len(), 512)];
                    sums[worker.index()].store(sum(mine), Ordering::Relaxed);
                });
            }))
        })?;
        black_box(sums);
        Ok(times.rates((stretch * 8) as f64))
    }

    /// Rows of `cols` times four bytes from page-aligned places to slots in any order.
    pub(super) fn copy(&mut self, cell: &KernelCell) -> Rate {
        let bytes = 4 * cell.cols;
        let half = self.slab.bytes().len() / 2;
        let count = half / bytes;
        let (from, to) = self.slab.bytes_mut().split_at_mut(half);
        let order = Numbers::new(5).order(count);
        let mut slots: Vec<Option<&mut [u8]>> = to.chunks_exact_mut(bytes).map(Some).collect();
        let mut pairs: Vec<(&[u8], &mut [u8])> = Vec::with_capacity(count);
        for (place, slot) in order.into_iter().enumerate() {
            pairs.extend(
                slots
                    .get_mut(slot)
                    .and_then(Option::take)
                    .map(|slot| (&from[place * bytes..][..bytes], slot)),
            );
        }
        let stretch = (STRETCH / 4 / bytes).clamp(1, pairs.len().max(1));
        let mut pool = pool_on(&cell.cores)?;
        let mut next = 0;
        let times = sample(self.effort, || {
            next = if next + 2 * stretch > pairs.len() { 0 } else { next + stretch };
            let part = &mut pairs[next..next + stretch];
            Ok::<_, crate::MeasureError>(time(|| {
                pool.run_split(part, 1, |_, pairs| {
                    pairs.iter_mut().for_each(|(from, to)| to.copy_from_slice(from))
                });
            }))
        })?;
        Ok(times.rates((stretch * bytes) as f64))
    }

    pub(super) fn attention(&mut self, cell: &KernelCell) -> Rate {
        let (dim, positions, kernels) = (cell.cols, cell.rows, self.kernels);
        // As many layers' caches as are too much for the processor's.
        let of_layer = positions * KV_HEADS * dim;
        let layers = (self.slab.bytes().len() / 4 / of_layer).clamp(1, 64);
        let pattern: Vec<u16> = values(1 << 12, 1).iter().map(|&x| f32_to_f16(x)).collect();
        let make = || pattern.iter().copied().cycle().take(layers * of_layer).collect::<Vec<u16>>();
        let (keys, cached) = (make(), make());
        let queries = values(KV_HEADS * GROUP * dim, 3);
        let mut out = vec![0f32; KV_HEADS * GROUP * dim];
        let shape = Attention {
            heads: GROUP,
            kv_heads: 1,
            head_dim: dim,
            scale: 1.0 / (dim as f32).sqrt(),
            window: None,
        };
        let mut pool = pool_on(&cell.cores)?;
        let places = places(pool.threads());
        let mut layer = 0;
        let times = sample(self.effort, || {
            let first = layer * of_layer;
            layer = (layer + 1) % layers;
            let lines: Vec<Mutex<&mut [f32]>> = out.chunks_mut(GROUP * dim).map(Mutex::new).collect();
            let (next, fault) = (AtomicUsize::new(0), Mutex::default());
            let took = time(|| {
                pool.run(|worker| {
                    let place = &mut *locked(&places[worker.index()]);
                    loop {
                        let head = next.fetch_add(1, Ordering::Relaxed);
                        let Some(line) = lines.get(head) else { break };
                        let at = first + head * positions * dim;
                        let kv = KvView {
                            keys: &keys[at..][..positions * dim],
                            values: &cached[at..][..positions * dim],
                            positions,
                            position_stride: dim,
                            head_stride: positions * dim,
                        };
                        let queries = &queries[head * GROUP * dim..][..GROUP * dim];
                        let line = &mut *locked(line);
                        let done = Output::new(line, 1, GROUP * dim).and_then(|out| {
                            kernels.attention(&shape, queries, positions - 1, &kv, 0..1, &mut place.scratch, out)
                        });
                        keep(&fault, done);
                    }
                });
            });
            kept(fault).map(|()| took)
        })?;
        Ok(times.rates((4 * of_layer) as f64))
    }

    /// One thread's work on one vector; the others of a set would only do the same.
    pub(super) fn norm(&mut self, cell: &KernelCell) -> Rate {
        const AT_ONCE: usize = 64;
        let (kernels, x, weight) = (self.kernels, values(cell.cols, 1), values(cell.cols, 2));
        let mut pool = pool_on(&cell.cores)?;
        let places = places(pool.threads());
        let times = sample(self.effort, || {
            let fault = Mutex::default();
            let took = time(|| {
                pool.run(|worker| {
                    let place = &mut *locked(&places[worker.index()]);
                    place.floats.resize(x.len(), 0.0);
                    for _ in 0..AT_ONCE {
                        keep(&fault, kernels.rms_norm(&x, &weight, 1e-5, &mut place.floats));
                        kernels.quantise(&place.floats, &mut place.activations);
                    }
                });
            });
            kept(fault).map(|()| took)
        })?;
        Ok(times.rates((4 * cell.cols * AT_ONCE * cell.cores.len()) as f64))
    }
}

#[cfg(target_arch = "x86_64")]
fn sum(words: &[u64]) -> u64 {
    #[target_feature(enable = "avx2")]
    fn wide(words: &[u64]) -> u64 {
        plain_sum(words)
    }
    if is_x86_feature_detected!("avx2") {
        // SAFETY: the feature was detected.
        unsafe { wide(words) }
    } else {
        plain_sum(words)
    }
}

#[cfg(not(target_arch = "x86_64"))]
fn sum(words: &[u64]) -> u64 {
    plain_sum(words)
}

#[inline(always)]
fn plain_sum(words: &[u64]) -> u64 {
    let mut sums = [0u64; 32];
    let (whole, rest) = words.as_chunks::<32>();
    for part in whole {
        for j in 0..32 {
            sums[j] = sums[j].wrapping_add(part[j]);
        }
    }
    sums.iter().chain(rest).fold(0, |all, &word| all.wrapping_add(word))
}
