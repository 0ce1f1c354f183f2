//! The two rings of io_uring, over raw system calls (Linux 5.11): a read goes in, its result comes out.

use std::io;
use std::os::fd::{OwnedFd, RawFd};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Instant;

use crate::sys::{self, KernelTimespec, SharedMap};

const READ: u8 = 22;
const FEATURE_EXT_ARG: u32 = 1 << 8;

/// `struct io_uring_sqe`, the fields of a read.
#[repr(C)]
struct Submission {
    operation: u8,
    flags: u8,
    priority: u16,
    fd: i32,
    offset: u64,
    address: u64,
    bytes: u32,
    read_flags: u32,
    user: u64,
    rest: [u64; 3],
}

/// `struct io_uring_cqe`.
#[repr(C)]
struct Finished {
    user: u64,
    result: i32,
    flags: u32,
}

const _: () = assert!(
    size_of::<Submission>() == 64 && size_of::<Finished>() == 16,
    "the kernel's sizes"
);

/// The rings. Used by one thread at a time.
pub(super) struct Ring {
    fd: OwnedFd,
    submissions: SharedMap,
    queue: SharedMap,
    done: SharedMap,
    tail: u32,
    pending: u32,
    entries: u32,
    offsets: Offsets,
}

fn time_left(until: Instant) -> KernelTimespec {
    let left = until.saturating_duration_since(Instant::now());
    KernelTimespec {
        seconds: left.as_secs() as i64,
        nanoseconds: i64::from(left.subsec_nanos()),
    }
}

/// Places inside the maps, as the kernel gave them.
struct Offsets {
    queue_tail: usize,
    queue_array: usize,
    done_head: usize,
    done_tail: usize,
    done_mask: u32,
    done_entries: usize,
}

impl Ring {
    pub fn new(entries: u32) -> io::Result<Self> {
        let mut parameters = [0u32; 30];
        let fd = sys::uring_setup(entries, &mut parameters)?;
        // struct io_uring_params: 10 numbers, then the offsets of the submission ring, then those of the completion ring.
        let (general, rings) = parameters.split_at(10);
        let (queue_at, done_at) = rings.split_at(10);
        if general[5] & FEATURE_EXT_ARG == 0 {
            return Err(io::Error::other("the kernel's io_uring has no timed wait (Linux 5.11)"));
        }
        let (entries, done_count) = (general[0], general[1]);
        let queue = SharedMap::new(&fd, queue_at[6] as usize + entries as usize * 4, 0)?;
        let done = SharedMap::new(
            &fd,
            done_at[5] as usize + done_count as usize * size_of::<Finished>(),
            0x800_0000,
        )?;
        let submissions = SharedMap::new(&fd, entries as usize * size_of::<Submission>(), 0x1000_0000)?;
        let offsets = Offsets {
            queue_tail: queue_at[1] as usize,
            queue_array: queue_at[6] as usize,
            done_head: done_at[0] as usize,
            done_tail: done_at[1] as usize,
            done_mask: done_count - 1,
            done_entries: done_at[5] as usize,
        };
        Ok(Self {
            fd,
            submissions,
            queue,
            done,
            tail: 0,
            pending: 0,
            entries,
            offsets,
        })
    }

    /// Enters a read; the caller keeps at most `entries` outstanding, so there is always a free place.
    pub fn push(&mut self, fd: RawFd, offset: u64, address: *mut u8, bytes: u32, user: u64) -> io::Result<()> {
        let index = self.tail & (self.entries - 1);
        let entry = Submission {
            operation: READ,
            flags: 0,
            priority: 0,
            fd,
            offset,
            address: address as u64,
            bytes,
            read_flags: 0,
            user,
            rest: [0; 3],
        };
        let place = self.submissions.at::<Submission>(index as usize * size_of::<Submission>())?;
        let slot = self.queue.at::<u32>(self.offsets.queue_array + index as usize * 4)?;
        let tail = self.queue.at::<AtomicU32>(self.offsets.queue_tail)?;
        self.tail = self.tail.wrapping_add(1);
        // SAFETY: the places lie in the maps (checked by `at`), the kernel has consumed what stood there, and the release
        // store publishes the entry before its number.
        unsafe {
            place.write(entry);
            slot.write(index);
            (*tail).store(self.tail, Ordering::Release);
        }
        self.pending += 1;
        Ok(())
    }

    /// Submits what was pushed and waits for a completion, at most until `until`.
    pub fn enter(&mut self, wait: bool, until: Option<Instant>) -> io::Result<()> {
        const ETIME: i32 = 62;
        const EBUSY: i32 = 16;
        match sys::uring_enter(&self.fd, self.pending, u32::from(wait), until.map(time_left)) {
            Ok(consumed) => {
                self.pending -= consumed.min(self.pending);
                Ok(())
            }
            // With entries consumed the kernel returns their number, so on these errors none was.
            Err(error) if matches!(error.raw_os_error(), Some(ETIME | EBUSY | sys::EINTR | sys::EAGAIN)) => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// Submits what was pushed and waits for nothing. What the kernel does not take now stays pushed.
    pub fn submit(&mut self) -> io::Result<()> {
        if self.pending == 0 { Ok(()) } else { self.enter(false, None) }
    }

    /// The ring's descriptor once more, to wait on beside whoever uses the ring.
    pub fn descriptor(&self) -> io::Result<OwnedFd> {
        self.fd.try_clone()
    }

    /// Waits for a completion to lie in the ring of `fd`, at most until `until`.
    pub fn wait(fd: &OwnedFd, until: Option<Instant>) -> io::Result<()> {
        sys::uring_enter(fd, 0, 1, until.map(time_left)).map(drop)
    }

    pub fn pop(&mut self) -> io::Result<Option<(u64, i32)>> {
        let head = self.done.at::<AtomicU32>(self.offsets.done_head)?;
        let tail = self.done.at::<AtomicU32>(self.offsets.done_tail)?;
        // SAFETY: both lie in the map; this thread is the only one that moves the head, the kernel moves the tail.
        unsafe {
            let at = (*head).load(Ordering::Relaxed);
            if at == (*tail).load(Ordering::Acquire) {
                return Ok(None);
            }
            let index = (at & self.offsets.done_mask) as usize;
            let entry = self
                .done
                .at::<Finished>(self.offsets.done_entries + index * size_of::<Finished>())?;
            let finished = ((*entry).user, (*entry).result);
            (*head).store(at.wrapping_add(1), Ordering::Release);
            Ok(Some(finished))
        }
    }
}
