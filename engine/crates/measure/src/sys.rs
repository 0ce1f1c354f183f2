//! The few calls of the operating system that std does not offer (Linux and Android, x86-64 and aarch64). Nothing else in the crate
//! declares foreign functions.

use std::ffi::{c_int, c_long, c_void};
use std::fs::File;
use std::io;
use std::os::fd::AsRawFd;
use std::ptr::NonNull;

/// What the engine's own files ask of the system too.
pub use flash::{O_DIRECT, O_TMPFILE, file_size_limit, reserve};

unsafe extern "C" {
    fn mmap(address: *mut c_void, length: usize, protection: c_int, flags: c_int, fd: c_int, offset: i64) -> *mut c_void;
    fn munmap(address: *mut c_void, length: usize) -> c_int;
    fn madvise(address: *mut c_void, length: usize, advice: c_int) -> c_int;
    fn posix_fadvise(fd: c_int, offset: i64, length: i64, advice: c_int) -> c_int;
    fn fstatvfs(fd: c_int, about: *mut [u64; 32]) -> c_int;
    fn clock_gettime(clock: c_int, time: *mut [c_long; 2]) -> c_int;
    fn getrusage(who: c_int, usage: *mut [c_long; 18]) -> c_int;
}

/// Bytes that this process may still write on the filesystem of `file`, where it says.
pub fn free_bytes(file: &File) -> Option<u64> {
    /// Places of the fragment's size and of the free fragments in `struct statvfs`: words in glibc, musl and bionic alike.
    const FRAGMENT: usize = 1;
    const AVAILABLE: usize = 4;
    let mut about = [0; 32];
    // SAFETY: the structure has less than 32 words, on a descriptor that `file` keeps open.
    let result = unsafe { fstatvfs(file.as_raw_fd(), &raw mut about) };
    (result == 0).then(|| about[FRAGMENT].saturating_mul(about[AVAILABLE]))
}

/// Drops what the page cache holds of a file. Pages that are not yet written stay.
pub fn drop_cached(file: &File) {
    const DONTNEED: c_int = 4;
    // SAFETY: a plain system call on a descriptor that `file` keeps open. A refusal leaves the cache as it is.
    unsafe { posix_fadvise(file.as_raw_fd(), 0, 0, DONTNEED) };
}

fn nanoseconds_of(clock: c_int) -> f64 {
    let mut time = [0; 2];
    // SAFETY: fills the two numbers of `struct timespec`.
    unsafe { clock_gettime(clock, &raw mut time) };
    time[0] as f64 * 1e9 + time[1] as f64
}

/// Nanoseconds that all threads of this process have computed so far, in their own code and in the system's for them.
pub fn process_cpu_ns() -> f64 {
    const CLOCK_PROCESS_CPUTIME_ID: c_int = 2;
    nanoseconds_of(CLOCK_PROCESS_CPUTIME_ID)
}

/// Nanoseconds that this thread has computed so far: what others ran in between does not count.
pub fn thread_cpu_ns() -> f64 {
    const CLOCK_THREAD_CPUTIME_ID: c_int = 3;
    nanoseconds_of(CLOCK_THREAD_CPUTIME_ID)
}

/// How often the system took a core away from this process before it would have given it up.
pub fn preemptions() -> u64 {
    const INVOLUNTARY: usize = 17;
    let mut usage = [0; 18];
    // SAFETY: `struct rusage` is two times of two numbers each and fourteen numbers more.
    unsafe { getrusage(0, &raw mut usage) };
    usage[INVOLUNTARY] as u64
}

/// Asks for huge pages behind memory that is not yet touched. A refusal changes nothing but the speed.
///
/// # Safety
/// The range belongs to one allocation or mapping.
pub unsafe fn advise_huge_pages(start: *mut u8, bytes: usize) {
    // SAFETY: by the contract; this advice changes no contents.
    unsafe { madvise(start.cast(), bytes, Advice::HugePages as c_int) };
}

/// A mapping, unmapped at the end.
pub struct Map {
    start: NonNull<u8>,
    bytes: usize,
}

// SAFETY: addresses and a size; whoever uses the bytes from several threads synchronises.
unsafe impl Send for Map {}
// SAFETY: as above.
unsafe impl Sync for Map {}

/// Advice about a mapping.
#[derive(Clone, Copy)]
pub enum Advice {
    /// Faults bring in one page.
    Random = 1,
    /// Memory in huge pages where the system has them.
    HugePages = 14,
    /// Memory in small pages.
    SmallPages = 15,
}

impl Map {
    /// So many bytes of zeros that take memory when they are touched.
    pub fn memory(bytes: usize) -> io::Result<Self> {
        const PRIVATE_ANONYMOUS: c_int = 0x22;
        const READ_WRITE: c_int = 3;
        Self::new(bytes, READ_WRITE, PRIVATE_ANONYMOUS, -1)
    }

    /// The first bytes of a file, to read.
    pub fn file(file: &File, bytes: usize) -> io::Result<Self> {
        const SHARED: c_int = 1;
        const READ: c_int = 1;
        Self::new(bytes, READ, SHARED, file.as_raw_fd())
    }

    fn new(bytes: usize, protection: c_int, flags: c_int, fd: c_int) -> io::Result<Self> {
        // SAFETY: asks for a fresh mapping anywhere; nothing existing is touched.
        let address = unsafe { mmap(std::ptr::null_mut(), bytes, protection, flags, fd, 0) };
        // MAP_FAILED is the address -1.
        match NonNull::new(address.cast::<u8>()).filter(|start| start.addr().get() != usize::MAX) {
            Some(start) => Ok(Self { start, bytes }),
            None => Err(io::Error::last_os_error()),
        }
    }

    /// A hint; a refusal changes nothing but the speed.
    pub fn advise(&self, advice: Advice) {
        // SAFETY: the range is this mapping, and none of the advice changes its contents.
        unsafe { madvise(self.start.as_ptr().cast(), self.bytes, advice as c_int) };
    }

    /// Reads the byte at `offset`. Panics outside the mapping.
    pub fn touch(&self, offset: usize) -> u8 {
        assert!(offset < self.bytes, "byte {offset} of a mapping of {}", self.bytes);
        // SAFETY: inside the mapping, which can be read; volatile, so that the read is made.
        unsafe { self.start.as_ptr().add(offset).read_volatile() }
    }

    /// Writes the byte at `offset` of memory. Panics outside the mapping.
    pub fn dirty(&mut self, offset: usize) {
        assert!(offset < self.bytes, "byte {offset} of a mapping of {}", self.bytes);
        // SAFETY: inside the mapping, borrowed exclusively; only `memory` gives a mapping that is dirtied.
        unsafe { self.start.as_ptr().add(offset).write_volatile(1) };
    }
}

impl Drop for Map {
    fn drop(&mut self) {
        // SAFETY: the map is this value's own and nothing points into it any more.
        unsafe { munmap(self.start.as_ptr().cast(), self.bytes) };
    }
}
