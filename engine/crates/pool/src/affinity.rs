//! Binding a thread to a core.

use std::io;

/// Binds the calling thread to the core `core`, as the operating system numbers it. Fails with what the system says: a core
/// that does not exist or that this process may not use. On systems other than Linux and Android it is `Unsupported`.
pub fn pin_current_thread(core: usize) -> io::Result<()> {
    pin(core)
}

/// The cores that a thread may use, to go back to.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Allowed(Vec<usize>);

impl Allowed {
    /// Those of the calling thread; `None` where the system does not say.
    pub fn now() -> Option<Self> {
        let mut mask = vec![0usize; WORDS];
        get(&mut mask).then_some(Self(mask))
    }

    /// Gives them back to the calling thread. A refusal leaves it bound, which costs speed and nothing else.
    pub fn restore(&self) {
        set(&self.0);
    }
}

/// Bits in a mask: as many as glibc's `cpu_set_t` has.
const CORES: usize = 1024;
const WORDS: usize = CORES / usize::BITS as usize;

#[cfg(any(target_os = "linux", target_os = "android"))]
unsafe extern "C" {
    fn sched_getaffinity(thread: i32, bytes: usize, mask: *mut usize) -> i32;
    fn sched_setaffinity(thread: i32, bytes: usize, mask: *const usize) -> i32;
}

#[cfg(any(target_os = "linux", target_os = "android"))]
fn get(mask: &mut [usize]) -> bool {
    // SAFETY: the mask is writable for the length given; thread 0 means the calling thread.
    (unsafe { sched_getaffinity(0, size_of_val(mask), mask.as_mut_ptr()) }) >= 0
}

#[cfg(any(target_os = "linux", target_os = "android"))]
fn set(mask: &[usize]) -> bool {
    // SAFETY: the mask is readable for the length given; thread 0 means the calling thread.
    (unsafe { sched_setaffinity(0, size_of_val(mask), mask.as_ptr()) }) == 0
}

#[cfg(not(any(target_os = "linux", target_os = "android")))]
fn get(_: &mut [usize]) -> bool {
    false
}

#[cfg(not(any(target_os = "linux", target_os = "android")))]
fn set(_: &[usize]) -> bool {
    false
}

#[cfg(any(target_os = "linux", target_os = "android"))]
fn pin(core: usize) -> io::Result<()> {
    const WORD: usize = usize::BITS as usize;

    if core >= CORES {
        return Err(io::Error::new(
            io::ErrorKind::InvalidInput,
            format!("no such core: {core}; the greatest number is {}", CORES - 1),
        ));
    }
    let mut mask = [0usize; WORDS];
    mask[core / WORD] |= 1 << (core % WORD);
    if set(&mask) { Ok(()) } else { Err(io::Error::last_os_error()) }
}

#[cfg(not(any(target_os = "linux", target_os = "android")))]
fn pin(_: usize) -> io::Result<()> {
    Err(io::Error::new(
        io::ErrorKind::Unsupported,
        "threads cannot be bound to cores on this system",
    ))
}
