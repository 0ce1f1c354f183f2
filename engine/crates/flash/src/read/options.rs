//! How reads are made: what was asked for, and what came of it.

use std::fmt;
use std::sync::Arc;

use crate::Shaper;

/// How reads reach the kernel. The plan chooses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BackendChoice {
    /// So many threads, each with one `pread` in flight.
    Lanes(u32),
    /// One thread with so many reads in flight through io_uring.
    Uring(u32),
}

/// What really serves the reads, with the reason where it is not what was asked for. Part of every result.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BackendUsed {
    /// The backend in use.
    pub backend: BackendChoice,
    /// True if reads bypass the page cache.
    pub direct: bool,
    /// Why it differs from what was asked for; empty if it does not.
    pub fallbacks: Vec<String>,
}

impl fmt::Display for BackendUsed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.backend {
            BackendChoice::Lanes(lanes) => write!(f, "pread, {lanes} lanes")?,
            BackendChoice::Uring(depth) => write!(f, "io_uring, depth {depth}")?,
        }
        f.write_str(if self.direct { ", direct" } else { ", buffered" })?;
        if self.fallbacks.is_empty() {
            Ok(())
        } else {
            write!(f, " ({})", self.fallbacks.join("; "))
        }
    }
}

/// How to read.
#[derive(Clone)]
pub struct ReaderOptions {
    /// Backend and its lanes or depth.
    pub backend: BackendChoice,
    /// Bypass the page cache (`O_DIRECT`), so that memory is really kept to its budget.
    pub direct: bool,
    /// CPUs of the lanes, in order; empty leaves them to the scheduler.
    pub pin: Vec<usize>,
    /// Largest single read in bytes, a multiple of 4096; longer ranges are read in pieces, by several lanes at once.
    pub largest_read: u64,
    /// Ranges of one `submit` are joined up to this length in bytes.
    pub largest_merge: u64,
    /// Ranges of one `submit` are joined over gaps of up to so many bytes, which are then read for nothing.
    pub largest_gap: u64,
    /// Compare every page that was asked for with its checksum before anybody sees it. Left out only to measure what it costs.
    pub verify: bool,
    /// Buffers that nobody uses are kept as long as all buffers together are at most so many bytes; [`FlashReader::limit_buffers`].
    pub most_buffer_bytes: usize,
    /// Makes the disk as slow as a modelled one.
    pub shaper: Option<Arc<Shaper>>,
}

impl Default for ReaderOptions {
    fn default() -> Self {
        Self {
            backend: BackendChoice::Lanes(4),
            direct: true,
            pin: Vec::new(),
            largest_read: 512 << 10,
            largest_merge: 512 << 10,
            largest_gap: 0,
            verify: true,
            most_buffer_bytes: 16 << 20,
            shaper: None,
        }
    }
}
