//! Readers of a packed file: requests of five granularities in, completions with page-aligned buffers out.

mod buffer;
mod data;
mod disk;
mod flights;
mod lanes;
mod options;
mod page_ring;
mod pages;
mod reader;
mod ring;
mod run;
mod statistics;
mod stream;
mod uring;

use std::sync::Arc;
use std::time::Instant;

pub use buffer::{BufferPool, PooledBuffer};
pub use data::{Completion, Data};
pub use disk::{Disk, Fault, FaultyDisk, FileDisk};
pub use options::{BackendChoice, BackendUsed, ReaderOptions};
pub use pages::{PageDone, PageRead};
pub use reader::Reader;
pub use statistics::{Histogram, Statistics};
pub use stream::Stream;

use crate::file::FlashFile;
use crate::{FlashError, Request, ShaperReport};

/// Reads from a packed file. All methods take `&self` and may be called from several threads.
pub trait FlashReader: Send + Sync {
    /// Queues requests; neighbouring ranges among them share reads. Each request completes exactly once, with data or an
    /// error. Fails as a whole, queueing nothing, if one names what the file does not have.
    fn submit(&self, requests: &[Request]) -> Result<(), FlashError>;

    /// A completion, if one is there.
    fn poll(&self) -> Option<Completion>;

    /// The next completion; `None` once no request is in flight and all completions have been taken.
    fn wait(&self) -> Option<Completion>;

    /// The next completion with this tag; others stay for their own takers. `None` once nothing is in flight and none is
    /// left.
    fn wait_for(&self, tag: u64) -> Option<Completion>;

    /// Begins reads of whole pages into the caller's memory. Their ends are told by [`Self::pages_done`] and
    /// [`Self::wait_pages`] alone. Fails as a whole, beginning nothing, where a read is not of whole pages inside the file.
    ///
    /// # Safety
    /// Until the end of a read is told (or the reader was dropped), its memory is initialised, lies on a page, and nobody
    /// else reads or writes it.
    unsafe fn read_pages(&self, reads: &[PageRead]) -> Result<(), FlashError>;

    /// Adds the page reads that are over to `done`, without waiting. Finds nothing while another thread waits for them.
    fn pages_done(&self, done: &mut Vec<PageDone>);

    /// The same, after waiting for at least one, at most until `until`; at once where none is on its way. For one thread at a
    /// time.
    fn wait_pages(&self, done: &mut Vec<PageDone>, until: Option<Instant>);

    /// Drops reads that have not begun; their requests complete with [`FlashError::Cancelled`]. The reader stays usable.
    fn cancel(&self);

    /// From now on buffers that nobody uses are kept as long as all together are at most `most` bytes; others go at once.
    fn limit_buffers(&self, most: usize);

    /// Counters so far.
    fn statistics(&self) -> Statistics;

    /// What a modelled device did to the reads; `None` where there is none.
    fn shaped(&self) -> Option<ShaperReport>;

    /// What serves the reads.
    fn backend_used(&self) -> &BackendUsed;

    /// The file.
    fn file(&self) -> &Arc<FlashFile>;
}
