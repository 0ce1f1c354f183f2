//! Memory from the operating system: one anonymous mapping whose pages come on first use and go back when told to.

use std::ffi::{c_int, c_void};
use std::ops::Range;
use std::ptr::NonNull;

/// What the system hands out and takes back. Slots are multiples of it, so that direct reads can land in them.
pub const PAGE_BYTES: usize = 4096;
/// A transparent huge page of x86-64, and of aarch64 with 4 KiB pages.
pub(crate) const HUGE_PAGE_BYTES: usize = 2 << 20;

// Values of Linux, the same on x86-64 and aarch64.
const PROT_READ_WRITE: c_int = 3;
const MAP_PRIVATE_ANONYMOUS_NORESERVE: c_int = 0x2 | 0x20 | 0x4000;
const MADV_DONTNEED: c_int = 4;
const MADV_HUGEPAGE: c_int = 14;
const MADV_NOHUGEPAGE: c_int = 15;
/// Since Linux 5.14; an older one refuses it, and pages come on first use as ever.
const MADV_POPULATE_WRITE: c_int = 23;

unsafe extern "C" {
    fn mmap(address: *mut c_void, bytes: usize, protection: c_int, flags: c_int, file: c_int, offset: i64) -> *mut c_void;
    fn munmap(address: *mut c_void, bytes: usize) -> c_int;
    fn madvise(address: *mut c_void, bytes: usize, advice: c_int) -> c_int;
    fn mincore(address: *mut c_void, bytes: usize, resident: *mut u8) -> c_int;
}

/// A mapping of whole huge pages' worth of addresses, aligned to one. Holds no memory until written.
pub(crate) struct Mapping {
    start: NonNull<u8>,
    bytes: usize,
    /// What `mmap` gave: more than asked for, to align the start.
    given: NonNull<u8>,
    given_bytes: usize,
}

// SAFETY: a mapping is addresses and sizes; nothing in it is tied to a thread. Who may read and write the bytes, and when, is
// said where pointers to them are handed out (segmented.rs).
unsafe impl Send for Mapping {}
// SAFETY: as above; methods that take `&self` change no field.
unsafe impl Sync for Mapping {}

impl Mapping {
    /// Maps at least `bytes` bytes; the system's error number where it refuses. Huge pages stay off until `allow_huge_pages`,
    /// whatever the system's default: a read into one slot must not take 2 MiB from the budget.
    pub(crate) fn new(bytes: usize) -> Result<Mapping, i32> {
        let bytes = bytes.max(1).checked_next_multiple_of(HUGE_PAGE_BYTES);
        let Some((bytes, given_bytes)) = bytes.and_then(|bytes| Some((bytes, bytes.checked_add(HUGE_PAGE_BYTES)?))) else {
            const NO_MEMORY: i32 = 12;
            return Err(NO_MEMORY);
        };
        // SAFETY: a new anonymous mapping at an address of the system's choice touches no existing memory.
        let address = unsafe {
            mmap(
                std::ptr::null_mut(),
                given_bytes,
                PROT_READ_WRITE,
                MAP_PRIVATE_ANONYMOUS_NORESERVE,
                -1,
                0,
            )
        };
        // MAP_FAILED is the address -1; zero is not given to a process that did not ask for it.
        let given = NonNull::new(address.cast::<u8>()).filter(|given| given.addr().get() != usize::MAX);
        let Some(given) = given else { return Err(last_error()) };
        let shift = given.as_ptr().align_offset(HUGE_PAGE_BYTES);
        // SAFETY: `shift` is less than HUGE_PAGE_BYTES (u8 pointers can always be aligned), by which the mapping is too long.
        let start = unsafe { given.add(shift) };
        let mapping = Mapping {
            start,
            bytes,
            given,
            given_bytes,
        };
        mapping.advise(&(0..bytes), MADV_NOHUGEPAGE);
        Ok(mapping)
    }

    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }

    /// The address of a byte. The offset must lie inside the mapping or at its end.
    pub(crate) fn at(&self, offset: usize) -> *mut u8 {
        assert!(offset <= self.bytes, "offset {offset} of a mapping of {} bytes", self.bytes);
        // SAFETY: inside the mapping or one past its end, as asserted.
        unsafe { self.start.as_ptr().add(offset) }
    }

    /// Gives the memory of whole pages back; they read as zeros afterwards.
    ///
    /// # Safety
    /// Nobody else may be using the bytes, by reference or through the kernel.
    pub(crate) unsafe fn release(&self, range: Range<usize>) {
        self.advise(&range, MADV_DONTNEED);
    }

    /// Lets the system back exactly `range` with huge pages where whole ones fit in it, and nothing after it.
    pub(crate) fn allow_huge_pages(&self, range: Range<usize>, after: usize) {
        let huge = range.start.next_multiple_of(HUGE_PAGE_BYTES)..range.end / HUGE_PAGE_BYTES * HUGE_PAGE_BYTES;
        let rest = huge.end.max(range.start)..after;
        self.advise(&huge, MADV_HUGEPAGE);
        self.advise(&rest, MADV_NOHUGEPAGE);
    }

    /// Takes the memory of whole pages from the system now, so that whoever writes there first does not wait for it. What they hold stays.
    /// Whether the system did so.
    pub(crate) fn populate(&self, range: Range<usize>) -> bool {
        self.advise(&range, MADV_POPULATE_WRITE)
    }

    /// Advice that the system may ignore; a refusal (an old kernel without huge pages) costs speed or nothing.
    /// Whether it was taken.
    fn advise(&self, range: &Range<usize>, advice: c_int) -> bool {
        if range.start >= range.end {
            return true;
        }
        debug_assert!(range.start.is_multiple_of(PAGE_BYTES) && range.end.is_multiple_of(PAGE_BYTES));
        let from = self.at(range.start);
        let _ = self.at(range.end);
        // SAFETY: the range lies inside this mapping, as `at` asserts. DONTNEED, the only advice that changes contents, comes
        // from `release` alone, whose caller promises to have the only access.
        unsafe { madvise(from.cast(), range.end - range.start, advice) == 0 }
    }

    /// Bytes of the range (whole pages) that the system backs with memory now.
    pub(crate) fn resident_bytes(&self, range: Range<usize>) -> usize {
        const PAGES: usize = 1 << 16;
        let mut flags = vec![0u8; PAGES.min(range.len().div_ceil(PAGE_BYTES))];
        let mut resident = 0;
        let mut from = range.start;
        while from < range.end {
            let bytes = (range.end - from).min(PAGES * PAGE_BYTES);
            let address = self.at(from);
            let _ = self.at(from + bytes);
            // SAFETY: the range lies inside this mapping, and `flags` has one byte for each of its pages.
            if unsafe { mincore(address.cast(), bytes, flags.as_mut_ptr()) } == 0 {
                resident += flags[..bytes.div_ceil(PAGE_BYTES)]
                    .iter()
                    .filter(|&&flag| flag & 1 == 1)
                    .count();
            }
            from += bytes;
        }
        resident * PAGE_BYTES
    }
}

impl Drop for Mapping {
    fn drop(&mut self) {
        // SAFETY: exactly what `mmap` gave, once. Whoever hands out addresses keeps a share of the mapping while they are used.
        unsafe {
            munmap(self.given.as_ptr().cast(), self.given_bytes);
        }
    }
}

fn last_error() -> i32 {
    std::io::Error::last_os_error().raw_os_error().unwrap_or(0)
}

/// Gives memory that was freed back to the system, where the allocator would keep it for later: before something else takes as much.
pub fn return_freed_memory() {
    #[cfg(target_env = "gnu")]
    {
        unsafe extern "C" {
            fn malloc_trim(keep: usize) -> c_int;
        }
        // SAFETY: it takes no pointers, locks the allocator's own structures, and touches nothing that is in use.
        unsafe {
            malloc_trim(0);
        }
    }
}

/// Empty, with room for `len` elements that will be accessed at random, on huge pages where the system gives them: most of the
/// cost of a lookup is then one memory access and not two. They must be asked for before the first write.
pub(crate) fn room<T>(len: usize) -> Vec<T> {
    let mut room: Vec<T> = Vec::with_capacity(len);
    let Range { start, end } = room.spare_capacity_mut().as_ptr_range();
    let from = start.addr().next_multiple_of(HUGE_PAGE_BYTES);
    let to = end.addr() / HUGE_PAGE_BYTES * HUGE_PAGE_BYTES;
    if from < to {
        // SAFETY: whole pages inside the vector's own memory; this advice changes no contents.
        unsafe {
            madvise(std::ptr::without_provenance_mut(from), to - from, MADV_HUGEPAGE);
        }
    }
    room
}

/// A table of `len` equal elements in such memory.
pub(crate) fn table<T: Clone>(element: T, len: usize) -> Vec<T> {
    let mut table = room(len);
    table.resize(len, element);
    table
}
