//! Readers of a packed file: requests of five granularities in, completions with page-aligned buffers out.

mod buffer;
mod disk;
mod flights;
mod lanes;
mod page_ring;
mod pages;
mod ring;
mod run;
mod statistics;
mod stream;
mod uring;

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Instant;

pub use buffer::{BufferPool, PooledBuffer};
pub use disk::{Disk, Fault, FaultyDisk, FileDisk};
pub use pages::{PageDone, PageRead};
pub use run::{Completion, Data};
pub use statistics::{Histogram, Statistics};
pub use stream::Stream;

use crate::file::FlashFile;
use crate::{FlashError, PAGE, Request, Shaper, ShaperReport, Span};
use lanes::Lanes;
use page_ring::PageRing;
use run::{Chunk, Member, Pending, Run, Shared};
use uring::Uring;

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

enum Backend {
    Lanes(Lanes),
    /// Requests through a thread that also joins and cuts; pages by whoever wants them.
    Uring(Uring, Box<PageRing>),
}

impl Backend {
    fn enqueue(&self, chunks: Vec<Chunk>) {
        match self {
            Self::Lanes(lanes) => lanes.enqueue(chunks),
            Self::Uring(uring, _) => uring.enqueue(chunks),
        }
    }

    fn cancel(&self) {
        match self {
            Self::Lanes(lanes) => lanes.cancel(),
            Self::Uring(uring, pages) => {
                uring.cancel();
                pages.cancel();
            }
        }
    }
}

/// The reader over any backend. Dropping it waits for reads that have begun and cancels the rest.
pub struct Reader {
    // Dropped first: its threads end before what they use.
    backend: Backend,
    shared: Arc<Shared>,
    used: BackendUsed,
    options: ReaderOptions,
}

impl Reader {
    /// Opens the packed file's own disk.
    pub fn open(file: &Arc<FlashFile>, options: ReaderOptions) -> Result<Self, FlashError> {
        Self::with_file_disk(file, FileDisk::open(file.path(), options.direct)?, options)
    }

    /// Reads through a file opened by the caller; if direct reads were refused there, the result says so.
    pub fn with_file_disk(file: &Arc<FlashFile>, disk: FileDisk, options: ReaderOptions) -> Result<Self, FlashError> {
        let refused: Vec<String> = disk.refused().map(String::from).into_iter().collect();
        let direct = options.direct && refused.is_empty();
        Self::start(file, Arc::new(disk), direct, refused, options)
    }

    /// Reads through another disk, such as one with planted faults; it is taken to be as direct as asked.
    pub fn with_disk(file: &Arc<FlashFile>, disk: Arc<dyn Disk>, options: ReaderOptions) -> Result<Self, FlashError> {
        let direct = options.direct;
        Self::start(file, disk, direct, Vec::new(), options)
    }

    fn start(
        file: &Arc<FlashFile>,
        disk: Arc<dyn Disk>,
        direct: bool,
        mut fallbacks: Vec<String>,
        options: ReaderOptions,
    ) -> Result<Self, FlashError> {
        let whole = |what: &str, bytes: u64| {
            if bytes > 0 && bytes.is_multiple_of(PAGE) && bytes <= 1 << 30 {
                Ok(())
            } else {
                Err(FlashError::input(format!(
                    "{what}: {bytes} bytes; a multiple of {PAGE}, at most 1 GiB"
                )))
            }
        };
        whole("largest read", options.largest_read)?;
        whole("largest merge", options.largest_merge)?;
        let (BackendChoice::Lanes(asked) | BackendChoice::Uring(asked)) = options.backend;
        if asked == 0 || asked > 1024 {
            return Err(FlashError::input(format!("lanes or depth: {asked}; 1 to 1024")));
        }
        let counted = if matches!(options.backend, BackendChoice::Lanes(_)) {
            asked
        } else {
            1
        };
        let share = |lanes: u32| {
            Shared::new(
                Arc::clone(file),
                BufferPool::new(options.most_buffer_bytes),
                lanes as usize,
                options.verify,
            )
        };
        let mut shared = share(counted);
        let shaper = options.shaper.as_ref();
        let mut lanes = asked;
        if let BackendChoice::Uring(depth) = options.backend {
            let requests = Uring::new(&shared, &disk, depth, options.pin.first().copied(), shaper);
            match requests.and_then(|requests| Ok((requests, Box::new(PageRing::new(&shared, &disk, depth, shaper)?)))) {
                Ok((requests, pages)) => {
                    let used = BackendUsed {
                        backend: options.backend,
                        direct,
                        fallbacks,
                    };
                    return Ok(Self {
                        backend: Backend::Uring(requests, pages),
                        shared,
                        used,
                        options,
                    });
                }
                Err(reason) => {
                    // As many lanes as are worth their threads; the depth asked for may be hundreds.
                    lanes = depth.min(8);
                    fallbacks.push(format!("{reason}: pread lanes instead"));
                    shared = share(lanes);
                }
            }
        }
        let backend = Lanes::new(&shared, &disk, lanes as usize, &options.pin, shaper)?;
        let used = BackendUsed {
            backend: BackendChoice::Lanes(lanes),
            direct,
            fallbacks,
        };
        Ok(Self {
            backend: Backend::Lanes(backend),
            shared,
            used,
            options,
        })
    }

    /// The pool that buffers come from.
    pub fn pool(&self) -> &Arc<BufferPool> {
        &self.shared.pool
    }
}

/// A span that a request wants, while runs are formed.
struct Wanted {
    span: Span,
    request: usize,
    second_phase: bool,
}

impl FlashReader for Reader {
    fn submit(&self, requests: &[Request]) -> Result<(), FlashError> {
        let submitted = Instant::now();
        let mut wanted = Vec::with_capacity(requests.len());
        let mut counts = Vec::with_capacity(requests.len());
        for (request, Request { target, .. }) in requests.iter().enumerate() {
            let spans = target.spans(self.file())?;
            let second_phase = target.is_second_phase();
            let before = wanted.len();
            wanted.extend(spans.into_iter().filter(|span| span.bytes > 0).map(|span| Wanted {
                span,
                request,
                second_phase,
            }));
            counts.push(wanted.len() - before);
        }
        let pending: Vec<Arc<Pending>> = requests
            .iter()
            .zip(&counts)
            .map(|(request, count)| Pending::new(request.tag, *count, submitted))
            .collect();
        self.shared.expect(requests.len());
        let counters = &self.shared.counters;
        counters.requests.fetch_add(requests.len() as u64, Ordering::Relaxed);
        counters.ranges.fetch_add(wanted.len() as u64, Ordering::Relaxed);
        for (pending, count) in pending.iter().zip(&counts) {
            // An empty tensor has no pages: complete at once.
            if *count == 0 {
                self.shared.complete_empty(pending);
            }
        }
        wanted.sort_by_key(|wanted| wanted.span.offset);
        let mut chunks = Vec::new();
        let mut rest = wanted.as_slice();
        while let Some((first, _)) = rest.split_first() {
            let mut span = first.span;
            let mut count = 1;
            while let Some(next) = rest.get(count) {
                let end = span.end().max(next.span.end());
                let close = next.span.offset <= span.end() + self.options.largest_gap;
                // What lies wholly inside the run costs nothing more, however long the run is.
                if !close || (end > span.end() && end - span.offset > self.options.largest_merge) {
                    break;
                }
                span.bytes = end - span.offset;
                count += 1;
            }
            let (these, others) = rest.split_at(count);
            rest = others;
            counters.merged.fetch_add(count as u64 - 1, Ordering::Relaxed);
            let members = these
                .iter()
                .map(|one| Member {
                    pending: Arc::clone(&pending[one.request]),
                    span: one.span,
                })
                .collect();
            let second_phase = these.iter().all(|one| one.second_phase);
            chunks.extend(Run::chunks(
                &self.shared,
                span,
                second_phase,
                members,
                self.options.largest_read,
            ));
        }
        self.backend.enqueue(chunks);
        Ok(())
    }

    fn poll(&self) -> Option<Completion> {
        self.shared.poll()
    }

    fn wait(&self) -> Option<Completion> {
        self.shared.wait(|_| true)
    }

    fn wait_for(&self, tag: u64) -> Option<Completion> {
        self.shared.wait(|completion| completion.tag == tag)
    }

    unsafe fn read_pages(&self, reads: &[PageRead]) -> Result<(), FlashError> {
        let whole = |read: &PageRead| {
            let end = read.offset.checked_add(u64::from(read.bytes));
            read.bytes > 0
                && u64::from(read.bytes).is_multiple_of(PAGE)
                && read.offset.is_multiple_of(PAGE)
                && (read.into.addr() as u64).is_multiple_of(PAGE)
                && end.is_some_and(|end| end <= self.file().bytes())
        };
        if let Some(read) = reads.iter().find(|read| !whole(read)) {
            return Err(FlashError::input(format!(
                "pages {} + {}; whole pages inside the file's {} bytes, into memory on a page",
                read.offset,
                read.bytes,
                self.file().bytes()
            )));
        }
        let counters = &self.shared.counters;
        counters.requests.fetch_add(reads.len() as u64, Ordering::Relaxed);
        counters.ranges.fetch_add(reads.len() as u64, Ordering::Relaxed);
        match &self.backend {
            Backend::Lanes(lanes) => lanes.read_pages(reads),
            Backend::Uring(_, pages) => pages.submit(reads)?,
        }
        Ok(())
    }

    fn pages_done(&self, done: &mut Vec<PageDone>) {
        match &self.backend {
            Backend::Lanes(lanes) => lanes.tray().take(done),
            Backend::Uring(_, pages) => pages.take(done),
        }
    }

    fn wait_pages(&self, done: &mut Vec<PageDone>, until: Option<Instant>) {
        match &self.backend {
            Backend::Lanes(lanes) => lanes.tray().wait(done, until),
            Backend::Uring(_, pages) => pages.wait(done, until),
        }
    }

    fn cancel(&self) {
        self.backend.cancel();
    }

    fn limit_buffers(&self, most: usize) {
        self.shared.pool.limit(most);
    }

    fn statistics(&self) -> Statistics {
        self.shared.counters.snapshot(self.shared.pool.peak_bytes())
    }

    fn shaped(&self) -> Option<ShaperReport> {
        self.options.shaper.as_deref().map(Shaper::report)
    }

    fn backend_used(&self) -> &BackendUsed {
        &self.used
    }

    fn file(&self) -> &Arc<FlashFile> {
        &self.shared.file
    }
}
