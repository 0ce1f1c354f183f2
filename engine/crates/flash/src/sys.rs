//! The few calls of the operating system that std does not offer (Linux, x86-64 and aarch64). Nothing else in the crate
//! declares foreign functions.

use std::ffi::{CString, c_char, c_int, c_long, c_uint, c_ulong, c_void};
use std::fs::File;
use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

unsafe extern "C" {
    fn syscall(number: c_long, ...) -> c_long;
    fn mmap(address: *mut c_void, length: usize, protection: c_int, flags: c_int, fd: c_int, offset: i64) -> *mut c_void;
    fn munmap(address: *mut c_void, length: usize) -> c_int;
    fn eventfd(initial: c_uint, flags: c_int) -> c_int;
    fn fallocate(fd: c_int, mode: c_int, offset: i64, length: i64) -> c_int;
    fn linkat(old_dir: c_int, old: *const c_char, new_dir: c_int, new: *const c_char, flags: c_int) -> c_int;
    fn sched_setaffinity(pid: c_int, size: usize, mask: *const c_ulong) -> c_int;
    fn getrlimit(resource: c_int, limit: *mut [c_ulong; 2]) -> c_int;
    fn prctl(option: c_int, ...) -> c_int;
}

/// Open flag: reads and writes bypass the page cache. The numbers differ by architecture.
#[cfg(target_arch = "x86_64")]
pub const O_DIRECT: c_int = 0o40000;
#[cfg(target_arch = "aarch64")]
pub const O_DIRECT: c_int = 0o200000;
/// Open flag: a file without a name, gone when its last descriptor closes.
#[cfg(target_arch = "x86_64")]
pub const O_TMPFILE: c_int = 0o20200000;
#[cfg(target_arch = "aarch64")]
pub const O_TMPFILE: c_int = 0o20040000;
#[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
compile_error!("open flags are known for x86-64 and aarch64; other architectures need theirs here");

/// `errno` values that are told apart.
pub const EINTR: i32 = 4;
pub const EAGAIN: i32 = 11;
pub const EINVAL: i32 = 22;
pub const EFBIG: i32 = 27;
pub const ENOSPC: i32 = 28;
pub const EDQUOT: i32 = 122;

const SYS_IO_URING_SETUP: c_long = 425;
const SYS_IO_URING_ENTER: c_long = 426;

fn checked(result: c_long) -> io::Result<c_long> {
    if result < 0 {
        Err(io::Error::last_os_error())
    } else {
        Ok(result)
    }
}

/// Reserves room for the whole file, so that a full disk is found before the work. Filesystems that cannot are no error.
pub fn reserve(file: &File, bytes: u64) -> io::Result<()> {
    const EOPNOTSUPP: i32 = 95;
    const ENOSYS: i32 = 38;
    let length = i64::try_from(bytes).map_err(|_| io::Error::from_raw_os_error(EFBIG))?;
    // SAFETY: a plain system call on a descriptor that `file` keeps open.
    match checked(c_long::from(unsafe { fallocate(file.as_raw_fd(), 0, 0, length) })) {
        Ok(_) => Ok(()),
        Err(error) if matches!(error.raw_os_error(), Some(EOPNOTSUPP | ENOSYS)) => Ok(()),
        Err(error) => Err(error),
    }
}

/// The longest file that this process may write, if there is a limit. Beyond it a write does not fail, it kills the process.
pub fn file_size_limit() -> Option<u64> {
    const RLIMIT_FSIZE: c_int = 1;
    let mut limit = [c_ulong::MAX; 2];
    // SAFETY: fills the two numbers of `struct rlimit`.
    let result = unsafe { getrlimit(RLIMIT_FSIZE, &raw mut limit) };
    (result == 0 && limit[0] != c_ulong::MAX).then_some(limit[0])
}

/// Gives a file without a name (`O_TMPFILE`) the name `path`, which must be free.
pub fn name_file(file: &File, path: &Path) -> io::Result<()> {
    const AT_FDCWD: c_int = -100;
    const AT_SYMLINK_FOLLOW: c_int = 0x400;
    let old = CString::new(format!("/proc/self/fd/{}", file.as_raw_fd()))?;
    let new = CString::new(path.as_os_str().as_bytes())?;
    // SAFETY: both strings end in a zero byte and live over the call.
    checked(c_long::from(unsafe {
        linkat(AT_FDCWD, old.as_ptr(), AT_FDCWD, new.as_ptr(), AT_SYMLINK_FOLLOW)
    }))
    .map(|_| ())
}

/// Keeps the calling thread on one CPU.
pub fn pin_to(cpu: usize) -> io::Result<()> {
    const BITS: usize = c_ulong::BITS as usize;
    let mut mask = [0 as c_ulong; 1024 / BITS];
    let word = mask.get_mut(cpu / BITS).ok_or_else(|| io::Error::from_raw_os_error(EINVAL))?;
    *word |= 1 << (cpu % BITS);
    // SAFETY: the mask lives over the call and its size is the one given; 0 means the calling thread.
    checked(c_long::from(unsafe {
        sched_setaffinity(0, size_of_val(&mask), mask.as_ptr())
    }))
    .map(|_| ())
}

/// Asks for sleeps of this thread as exact as the timers allow; the default slack of 50 us is as long as a flash read.
pub fn sleep_exactly() {
    const PR_SET_TIMERSLACK: c_int = 29;
    // SAFETY: sets a number of the calling thread. A refusal only makes sleeps longer, so it is not an error.
    unsafe { prctl(PR_SET_TIMERSLACK, 1 as c_ulong, 0 as c_ulong, 0 as c_ulong, 0 as c_ulong) };
}

/// A descriptor that wakes whoever reads it once something was written.
pub fn event() -> io::Result<File> {
    const EFD_CLOEXEC: c_int = 0o2000000;
    // SAFETY: a plain system call; its result is checked before it becomes a descriptor.
    let fd = checked(c_long::from(unsafe { eventfd(0, EFD_CLOEXEC) }))?;
    // SAFETY: the descriptor is new and owned by nobody else.
    Ok(File::from(unsafe { OwnedFd::from_raw_fd(fd as RawFd) }))
}

/// `io_uring_setup`: `parameters` is filled by the kernel.
pub fn uring_setup(entries: u32, parameters: &mut [u32; 30]) -> io::Result<OwnedFd> {
    // SAFETY: `struct io_uring_params` is 120 bytes of u32 fields (two u64 among reserved ones), as the array is.
    let fd = checked(unsafe { syscall(SYS_IO_URING_SETUP, entries as c_ulong, parameters.as_mut_ptr()) })?;
    // SAFETY: the descriptor is new and owned by nobody else.
    Ok(unsafe { OwnedFd::from_raw_fd(fd as RawFd) })
}

/// `struct __kernel_timespec`.
#[repr(C)]
pub struct KernelTimespec {
    pub seconds: i64,
    pub nanoseconds: i64,
}

/// `struct io_uring_getevents_arg`.
#[repr(C)]
struct GetEventsArgument {
    signal_mask: u64,
    signal_mask_bytes: u32,
    min_wait_us: u32,
    timeout: u64,
}

/// `io_uring_enter`: submits `submit` entries and waits for `wait` completions, at most until `timeout`.
pub fn uring_enter(ring: &OwnedFd, submit: u32, wait: u32, timeout: Option<KernelTimespec>) -> io::Result<u32> {
    const GETEVENTS: c_ulong = 1;
    const EXT_ARG: c_ulong = 8;
    let mut flags = if wait > 0 { GETEVENTS } else { 0 };
    let mut argument = GetEventsArgument {
        signal_mask: 0,
        signal_mask_bytes: 8,
        min_wait_us: 0,
        timeout: 0,
    };
    let (pointer, bytes) = match &timeout {
        Some(timespec) => {
            flags |= EXT_ARG;
            argument.timeout = std::ptr::from_ref(timespec) as u64;
            (std::ptr::from_ref(&argument).cast::<c_void>(), size_of::<GetEventsArgument>())
        }
        None => (std::ptr::null(), 0),
    };
    // SAFETY: argument and time live over the call, and the size is the one of the structure that the flag announces.
    let result = unsafe {
        syscall(
            SYS_IO_URING_ENTER,
            ring.as_raw_fd() as c_long,
            submit as c_ulong,
            wait as c_ulong,
            flags,
            pointer,
            bytes,
        )
    };
    checked(result).map(|count| count as u32)
}

/// Memory shared with the kernel, unmapped at the end.
pub struct SharedMap {
    address: *mut u8,
    bytes: usize,
}

// SAFETY: the map is plain memory; whoever uses its address from several threads synchronises on it.
unsafe impl Send for SharedMap {}

impl SharedMap {
    pub fn new(fd: &OwnedFd, bytes: usize, offset: i64) -> io::Result<Self> {
        const PROT_READ_WRITE: c_int = 3;
        const MAP_SHARED_POPULATE: c_int = 0x01 | 0x8000;
        // SAFETY: asks for a fresh mapping anywhere; nothing existing is touched.
        let address = unsafe {
            mmap(
                std::ptr::null_mut(),
                bytes,
                PROT_READ_WRITE,
                MAP_SHARED_POPULATE,
                fd.as_raw_fd(),
                offset,
            )
        };
        if address as isize == -1 {
            Err(io::Error::last_os_error())
        } else {
            Ok(Self {
                address: address.cast(),
                bytes,
            })
        }
    }

    /// Address of the `u32` at `offset`, inside the map.
    pub fn at<T>(&self, offset: usize) -> io::Result<*mut T> {
        if offset.checked_add(size_of::<T>()).is_none_or(|end| end > self.bytes) || !offset.is_multiple_of(align_of::<T>()) {
            return Err(io::Error::from_raw_os_error(EINVAL));
        }
        // SAFETY: the offset lies inside the map, as just checked.
        Ok(unsafe { self.address.add(offset) }.cast())
    }
}

impl Drop for SharedMap {
    fn drop(&mut self) {
        // SAFETY: the map is this value's own and nothing points into it any more.
        unsafe { munmap(self.address.cast(), self.bytes) };
    }
}
