//! How the threads of a dispatch share buffers and work.
//!
//! Work is handed out in chunks of rows, first come first served, so that a thread that the system holds up does not hold up
//! the rest. Which thread computes a row changes no bit of it.

use std::marker::PhantomData;
use std::ops::Range;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use neuron::{Activations, Kernels, Matrix, Output, Scratch};

use crate::ModelError;

/// Boundaries of chunks are multiples of this many numbers: a cache line, so that threads do not write to the same one, and
/// a whole number of the widest vectors.
pub(crate) const GRAIN: usize = 16;

/// Chunks that a phase is cut into for each thread: enough to even out a thread held up, few enough to cost nothing.
const CHUNKS: usize = 8;

/// Of the tasks that are left, a run takes one in so many for each thread.
const RUNS: usize = 2;

/// Items of the next phase that nobody has taken yet.
pub(crate) struct Work {
    next: AtomicUsize,
    items: usize,
    /// The least that is handed out at once.
    chunk: usize,
    /// When there are more, so many of what is left.
    share: usize,
}

impl Work {
    /// `items` in chunks for so many threads; a chunk is a multiple of `grain`.
    pub(crate) fn new(items: usize, grain: usize, threads: usize) -> Self {
        Self {
            next: AtomicUsize::new(0),
            items,
            chunk: items.div_ceil(threads * CHUNKS).next_multiple_of(grain).max(1),
            share: usize::MAX,
        }
    }

    /// Tasks that are better done several at a time: long runs first, single ones at the end, so that all threads end together.
    pub(crate) fn runs(items: usize, threads: usize) -> Self {
        Self {
            share: threads * RUNS,
            ..Self::tasks(items)
        }
    }

    /// Tasks that are taken one by one.
    pub(crate) fn tasks(items: usize) -> Self {
        Self {
            next: AtomicUsize::new(0),
            items,
            chunk: 1,
            share: usize::MAX,
        }
    }
}

impl Iterator for &Work {
    type Item = Range<usize>;

    fn next(&mut self) -> Option<Range<usize>> {
        let end = |start: usize| {
            let left = self.items.saturating_sub(start);
            start + (left / self.share).max(self.chunk).min(left)
        };
        let taken = self.next.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |start| {
            (start < self.items).then(|| end(start))
        });
        taken.ok().map(|start| start..end(start))
    }
}

/// A buffer that the threads of a dispatch write in disjoint parts.
pub(crate) struct Shared<'a, T> {
    first: *mut T,
    len: usize,
    of: PhantomData<&'a mut [T]>,
}

// SAFETY: an exclusive borrow of the buffer, whose parts the users of `part` keep disjoint.
unsafe impl<T: Send> Sync for Shared<'_, T> {}
// SAFETY: as a `&mut [T]`.
unsafe impl<T: Send> Send for Shared<'_, T> {}

impl<'a, T> Shared<'a, T> {
    pub(crate) fn new(buffer: &'a mut [T]) -> Self {
        Self {
            first: buffer.as_mut_ptr(),
            len: buffer.len(),
            of: PhantomData,
        }
    }

    /// The items in `range`. Panics when they lie outside the buffer.
    ///
    /// # Safety
    /// While the part lives, no other thread has a part that shares an item with it.
    #[expect(clippy::mut_from_ref, reason = "the contract makes the parts disjoint")]
    pub(crate) unsafe fn part(&self, range: Range<usize>) -> &mut [T] {
        assert!(
            range.start <= range.end && range.end <= self.len,
            "part {range:?} of {}",
            self.len
        );
        // SAFETY: inside the buffer; exclusive by the contract.
        unsafe { std::slice::from_raw_parts_mut(self.first.add(range.start), range.len()) }
    }

    /// All of it, to read.
    ///
    /// # Safety
    /// While the slice lives, no thread writes: a barrier lies between the writes and this.
    pub(crate) unsafe fn all(&self) -> &[T] {
        // SAFETY: inside the buffer; not written by the contract.
        unsafe { std::slice::from_raw_parts(self.first, self.len) }
    }
}

/// A table of tokens by columns that threads fill column range by column range.
pub(crate) struct Table<'a>(Output<'a>);

// SAFETY: an exclusive borrow of the table, whose columns the users of `columns` keep disjoint.
unsafe impl Sync for Table<'_> {}

impl<'a> Table<'a> {
    /// All of `data`: `tokens` lines of `width`.
    pub(crate) fn new(data: &'a mut [f32], tokens: usize, width: usize) -> Result<Self, ModelError> {
        Ok(Self(Output::new(data, tokens, width)?))
    }

    /// The columns in `range`, in every line.
    ///
    /// # Safety
    /// While the result lives, no other thread has columns that share one with it.
    pub(crate) unsafe fn columns(&self, range: Range<usize>) -> Output<'_> {
        // SAFETY: an `Output` is a pointer with sizes and has no destructor, so a copy is harmless; that both are not used on
        // the same columns is the contract.
        let copy: Output<'_> = unsafe { std::ptr::read(&self.0) };
        let (_, from_start) = copy.split_at(range.start);
        from_start.split_at(range.len()).0
    }
}

/// What one thread works with: memory that grows to the largest call and stays.
#[derive(Default)]
pub(crate) struct Workplace {
    pub(crate) scratch: Scratch,
    pub(crate) activations: Activations,
    pub(crate) floats: Vec<f32>,
}

/// The rows of `matrix` in `rows` times all of `x`, into `out`, whose columns are those rows. The same bits for one token as
/// for that token among many.
pub(crate) fn product(
    kernels: &Kernels,
    matrix: &Matrix<'_>,
    rows: Range<usize>,
    x: &Activations,
    scratch: &mut Scratch,
    mut out: Output<'_>,
) -> Result<(), ModelError> {
    let part = matrix.slice(rows)?;
    if x.tokens() == 1 {
        kernels.gemv(&part, x, out.line(0))?;
    } else {
        kernels.gemm(&part, x, scratch, out)?;
    }
    Ok(())
}

/// The first error of a dispatch.
#[derive(Default)]
pub(crate) struct Faults(Mutex<Option<ModelError>>);

impl Faults {
    /// Keeps the error of `result`, if it is the first.
    pub(crate) fn note(&self, result: Result<(), ModelError>) {
        if let Err(error) = result {
            let mut first = self.0.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
            first.get_or_insert(error);
        }
    }

    /// The first error noted, if there was one.
    pub(crate) fn result(self) -> Result<(), ModelError> {
        let first = self.0.into_inner().unwrap_or_else(|poisoned| poisoned.into_inner());
        first.map_or(Ok(()), Err)
    }
}

#[cfg(test)]
mod tests {
    use super::Work;

    #[test]
    fn runs_shrink_and_cover_every_task_once() {
        for (items, threads) in [(0, 2), (1, 4), (7, 1), (32, 2), (56, 3), (1000, 8)] {
            let work = Work::runs(items, threads);
            let runs: Vec<_> = (&work).into_iter().collect();
            let tasks: Vec<usize> = runs.iter().cloned().flatten().collect();
            assert_eq!(tasks, (0..items).collect::<Vec<_>>());
            assert!(runs.windows(2).all(|pair| pair[1].len() <= pair[0].len()), "{runs:?}");
            assert!(runs.last().is_none_or(|run| run.len() == 1), "{runs:?}");
            if items >= 4 * threads {
                assert!(runs[0].len() > 1, "{runs:?}");
            }
        }
    }
}
