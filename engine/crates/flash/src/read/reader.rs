//! The reader over any backend: requests joined to runs, runs cut to chunks, chunks and pages given to whom serves them.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Instant;

use super::lanes::Lanes;
use super::page_ring::PageRing;
use super::run::{Chunk, Member, Pending, Run, Shared};
use super::uring::Uring;
use super::{
    BackendChoice, BackendUsed, BufferPool, Completion, Disk, FileDisk, FlashReader, PageDone, PageRead, ReaderOptions,
    Statistics,
};
use crate::file::FlashFile;
use crate::{FlashError, PAGE, Request, Shaper, ShaperReport, Span};

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

    /// The chunks to be read: spans that touch, or lie close enough, share a read.
    fn joined(&self, mut wanted: Vec<Wanted>, pending: &[Arc<Pending>]) -> Vec<Chunk> {
        wanted.sort_by_key(|wanted| wanted.span.offset);
        let counters = &self.shared.counters;
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
        chunks
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
        let chunks = self.joined(wanted, &pending);
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
