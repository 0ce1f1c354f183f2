//! Binding a thread to a core.

use std::io;

/// Binds the calling thread to the core `core`, as the operating system numbers it. Fails with what the system says: a core
/// that does not exist or that this process may not use. On systems other than Linux and Android it is `Unsupported`.
pub fn pin_current_thread(core: usize) -> io::Result<()> {
    pin(core)
}

#[cfg(any(target_os = "linux", target_os = "android"))]
fn pin(core: usize) -> io::Result<()> {
    /// Bits in the mask: as many as glibc's `cpu_set_t` has.
    const CORES: usize = 1024;
    const WORD: usize = usize::BITS as usize;

    unsafe extern "C" {
        fn sched_setaffinity(thread: i32, bytes: usize, mask: *const usize) -> i32;
    }

    if core >= CORES {
        return Err(io::Error::new(
            io::ErrorKind::InvalidInput,
            format!("no such core: {core}; the greatest number is {}", CORES - 1),
        ));
    }
    let mut mask = [0usize; CORES / WORD];
    mask[core / WORD] |= 1 << (core % WORD);
    // SAFETY: the mask is readable for the length given; thread 0 means the calling thread.
    match unsafe { sched_setaffinity(0, size_of_val(&mask), mask.as_ptr()) } {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}

#[cfg(not(any(target_os = "linux", target_os = "android")))]
fn pin(_: usize) -> io::Result<()> {
    Err(io::Error::new(
        io::ErrorKind::Unsupported,
        "threads cannot be bound to cores on this system",
    ))
}
