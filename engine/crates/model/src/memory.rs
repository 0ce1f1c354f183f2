//! Memory for weights: whole pages, on large pages where the system has them.

use std::alloc::{Layout, alloc, dealloc};
use std::ops::{Deref, DerefMut};
use std::ptr::NonNull;

use crate::ModelError;

/// Start of every buffer (bytes): what direct reads and mappings want.
const PAGE: usize = 4096;
/// A large page of x86-64 and of aarch64 with 4 KiB pages. Larger buffers start at one.
const LARGE_PAGE: usize = 2 << 20;

/// Asks the system to back `len` bytes from `first` by large pages, so that streaming weights misses fewer translations. A
/// refusal costs speed only, so it is not an error.
#[cfg(target_os = "linux")]
fn ask_for_large_pages(first: NonNull<u8>, len: usize) {
    use std::ffi::{c_int, c_void};
    unsafe extern "C" {
        fn madvise(address: *mut c_void, length: usize, advice: c_int) -> c_int;
    }
    /// `MADV_HUGEPAGE` of linux/mman.h.
    const LARGE_PAGES: c_int = 14;
    // SAFETY: only the whole large pages inside our own allocation; the advice changes no contents.
    let _ = unsafe { madvise(first.as_ptr().cast(), len / LARGE_PAGE * LARGE_PAGE, LARGE_PAGES) };
}

#[cfg(not(target_os = "linux"))]
fn ask_for_large_pages(_: NonNull<u8>, _: usize) {}

/// Bytes that start at a page, filled once at loading.
pub struct PageBuffer {
    first: NonNull<u8>,
    len: usize,
    layout: Layout,
}

// SAFETY: the buffer owns its memory as a `Vec<u8>` would.
unsafe impl Send for PageBuffer {}
// SAFETY: as above: shared access is read access.
unsafe impl Sync for PageBuffer {}

impl PageBuffer {
    /// `len` zero bytes; `what` is for the error when there is no memory for them.
    pub fn zeroed(len: usize, what: &str) -> Result<Self, ModelError> {
        let none = || ModelError::OutOfMemory {
            what: what.to_owned(),
            bytes: len as u64,
        };
        let align = if len >= LARGE_PAGE { LARGE_PAGE } else { PAGE };
        let layout = Layout::from_size_align(len.max(1), align).map_err(|_| none())?;
        // SAFETY: the layout's size is at least 1.
        let first = NonNull::new(unsafe { alloc(layout) }).ok_or_else(none)?;
        if align == LARGE_PAGE {
            // Before the memory is touched: that is when its pages are chosen.
            ask_for_large_pages(first, len);
        }
        // SAFETY: `len` bytes of the allocation, which is at least as long.
        unsafe { first.as_ptr().write_bytes(0, len) };
        Ok(Self { first, len, layout })
    }
}

impl Deref for PageBuffer {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        // SAFETY: `len` initialised bytes that this value owns.
        unsafe { std::slice::from_raw_parts(self.first.as_ptr(), self.len) }
    }
}

impl DerefMut for PageBuffer {
    fn deref_mut(&mut self) -> &mut [u8] {
        // SAFETY: `len` initialised bytes that this value owns, borrowed exclusively.
        unsafe { std::slice::from_raw_parts_mut(self.first.as_ptr(), self.len) }
    }
}

impl Drop for PageBuffer {
    fn drop(&mut self) {
        // SAFETY: allocated with this layout, and freed once.
        unsafe { dealloc(self.first.as_ptr(), self.layout) };
    }
}
