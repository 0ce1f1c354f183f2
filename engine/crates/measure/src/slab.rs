//! Memory for weights: in huge pages where the system gives them, as the engine's caches are.

use std::alloc::{Layout, alloc, dealloc};

use neuron::{Format, KernelError};

use crate::error::MeasureError;
use crate::scratch::Numbers;
use crate::sys;

const HUGE: usize = 2 << 20;

/// Different rows that a slab is filled with.
const PATTERNS: usize = 64;

/// Bytes that start on a huge page's boundary.
pub(crate) struct Slab {
    start: *mut u8,
    len: usize,
    layout: Layout,
    /// What it is filled with, and the bytes from one thing to the next.
    holds: Option<(Vec<(Format, usize)>, usize)>,
}

// SAFETY: plain memory that this value owns.
unsafe impl Send for Slab {}
// SAFETY: shared access to it is read-only.
unsafe impl Sync for Slab {}

impl Slab {
    /// Errors where the system does not give so much.
    pub fn new(len: usize) -> Result<Self, MeasureError> {
        let layout = Layout::from_size_align(len.max(1).next_multiple_of(HUGE), HUGE).map_err(MeasureError::system)?;
        // SAFETY: the layout is not empty.
        let start = unsafe { alloc(layout) };
        if start.is_null() {
            return Err(MeasureError::System(format!("no memory: {len} bytes for weights")));
        }
        // SAFETY: the range is the allocation's.
        unsafe { sys::advise_huge_pages(start, layout.size()) };
        // Only now is memory given out, in pages of the advised size.
        // SAFETY: the allocation is this long.
        unsafe { start.write_bytes(0, layout.size()) };
        Ok(Self {
            start,
            len,
            layout,
            holds: None,
        })
    }

    pub fn bytes(&self) -> &[u8] {
        // SAFETY: the allocation is at least this long and initialised.
        unsafe { std::slice::from_raw_parts(self.start, self.len) }
    }

    pub fn bytes_mut(&mut self) -> &mut [u8] {
        self.holds = None;
        // SAFETY: as above, and the borrow is exclusive.
        unsafe { std::slice::from_raw_parts_mut(self.start, self.len) }
    }

    /// The whole words of it.
    pub fn words(&self) -> &[u64] {
        // SAFETY: as above; the start is aligned to more than a word.
        unsafe { std::slice::from_raw_parts(self.start.cast(), self.len / 8) }
    }

    /// Fills it with things that are each a row of every format named, of so many weights, one after the other; a thing starts on
    /// a multiple of `align`. Returns the bytes from one thing to the next. Does nothing where it holds these already.
    pub fn hold(&mut self, rows: &[(Format, usize)], align: usize) -> Result<usize, KernelError> {
        let mut length = 0;
        for &(format, cols) in rows {
            length += format.row_bytes(cols)?;
        }
        let stride = length.next_multiple_of(align);
        if self
            .holds
            .as_ref()
            .is_some_and(|(held, step)| held == rows && *step == stride)
        {
            return Ok(stride);
        }
        let mut patterns = Vec::with_capacity(PATTERNS);
        for pattern in 0..PATTERNS {
            let mut thing = Vec::with_capacity(stride);
            for &(format, cols) in rows {
                let at = thing.len();
                thing.resize(at + format.row_bytes(cols)?, 0);
                format.quantise_row(&values(cols, pattern as u64 + 1), &mut thing[at..])?;
            }
            thing.resize(stride, 0);
            patterns.push(thing);
        }
        for (place, thing) in self.bytes_mut().chunks_exact_mut(stride).enumerate() {
            thing.copy_from_slice(&patterns[place % PATTERNS]);
        }
        self.holds = Some((rows.to_vec(), stride));
        Ok(stride)
    }
}

impl Drop for Slab {
    fn drop(&mut self) {
        // SAFETY: allocated with this layout.
        unsafe { dealloc(self.start, self.layout) };
    }
}

/// Numbers between -0.5 and 0.5 that look random.
pub(crate) fn values(count: usize, seed: u64) -> Vec<f32> {
    let mut numbers = Numbers::new(seed);
    (0..count)
        .map(|_| (numbers.next() >> 40) as f32 / (1u64 << 24) as f32 - 0.5)
        .collect()
}
