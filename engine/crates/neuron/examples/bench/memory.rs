//! Memory for weights: in huge pages where the system gives them, as the engine's caches are.

use std::alloc::{Layout, alloc, dealloc, handle_alloc_error};

/// Bytes of a huge page.
const HUGE: usize = 2 << 20;

/// Zeroed bytes that start on a huge page's boundary.
pub struct Slab {
    start: *mut u8,
    len: usize,
    layout: Layout,
}

// SAFETY: plain memory that this value owns.
unsafe impl Sync for Slab {}

impl Slab {
    pub fn new(len: usize) -> Self {
        let layout = Layout::from_size_align(len.max(1).next_multiple_of(HUGE), HUGE).expect("a size that fits");
        // SAFETY: the layout is not empty.
        let start = unsafe { alloc(layout) };
        if start.is_null() {
            handle_alloc_error(layout);
        }
        #[cfg(target_os = "linux")]
        {
            unsafe extern "C" {
                fn madvise(start: *mut u8, bytes: usize, advice: i32) -> i32;
            }
            const MADV_HUGEPAGE: i32 = 14;
            if std::env::var_os("NO_HUGE_PAGES").is_none() {
                // SAFETY: the range is the allocation's. A refusal changes nothing but the speed.
                unsafe { madvise(start, layout.size(), MADV_HUGEPAGE) };
            }
        }
        // Only now is memory given out, in pages of the advised size.
        // SAFETY: the allocation is this long.
        unsafe { start.write_bytes(0, layout.size()) };
        Self { start, len, layout }
    }

    pub fn bytes(&self) -> &[u8] {
        // SAFETY: the allocation is at least this long and initialised.
        unsafe { std::slice::from_raw_parts(self.start, self.len) }
    }

    pub fn bytes_mut(&mut self) -> &mut [u8] {
        // SAFETY: as above, and the borrow is exclusive.
        unsafe { std::slice::from_raw_parts_mut(self.start, self.len) }
    }

    /// The whole words of the slab.
    pub fn words(&self) -> &[u64] {
        // SAFETY: as above; the start is aligned to more than a word.
        unsafe { std::slice::from_raw_parts(self.start.cast(), self.len / 8) }
    }
}

impl Drop for Slab {
    fn drop(&mut self) {
        // SAFETY: allocated with this layout.
        unsafe { dealloc(self.start, self.layout) };
    }
}
