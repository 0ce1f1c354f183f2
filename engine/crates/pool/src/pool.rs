//! The threads and how work reaches them.

use std::any::Any;
use std::cell::UnsafeCell;
use std::fmt;
use std::io;
use std::ops::Range;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, mpsc};
use std::thread::{JoinHandle, Thread, ThreadId};
use std::time::Duration;

use crate::affinity::{Allowed, pin_current_thread};
use crate::barrier::Barrier;
use crate::split::share;
use crate::wait::spin_until;

/// How a pool is made.
#[derive(Clone, Debug)]
pub struct Options {
    /// Compute threads, the calling thread among them.
    pub threads: usize,
    /// Cores to bind to, one per thread; the first is the calling thread's. Empty binds nothing.
    pub cores: Vec<usize>,
    /// How long a thread that waits spins before it parks.
    pub spin: Duration,
}

impl Options {
    /// `threads` unbound threads that spin for 50 µs: longer than the serial part between two matrix products of a token,
    /// much shorter than a flash read that a compute thread may have to wait for.
    pub fn new(threads: usize) -> Self {
        Self {
            threads,
            cores: Vec::new(),
            spin: Duration::from_micros(50),
        }
    }
}

/// Why a pool could not be made.
#[derive(Debug)]
pub enum PoolError {
    /// A pool needs at least one thread.
    NoThreads,
    /// The list of cores is neither empty nor one per thread.
    Cores {
        /// How many cores were named.
        got: usize,
        /// How many threads there are.
        threads: usize,
    },
    /// The system refused to bind a thread.
    Pin {
        /// The core.
        core: usize,
        /// What the system said.
        source: io::Error,
    },
    /// The system refused a thread.
    Spawn(io::Error),
}

impl fmt::Display for PoolError {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoThreads => write!(out, "no compute threads: 0; must be at least 1"),
            Self::Cores { got, threads } => write!(
                out,
                "wrong number of cores: {got}; must be none or one per thread ({threads})"
            ),
            Self::Pin { core, source } => write!(out, "cannot bind a thread to core {core}: {source}"),
            Self::Spawn(source) => write!(out, "cannot start a thread: {source}"),
        }
    }
}

impl std::error::Error for PoolError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Pin { source, .. } | Self::Spawn(source) => Some(source),
            Self::NoThreads | Self::Cores { .. } => None,
        }
    }
}

/// A closure with its type erased: what to call and on what.
#[derive(Clone, Copy)]
struct Job {
    closure: *const (),
    call: unsafe fn(*const (), Worker<'_>),
}

/// What the threads of a pool share.
struct Shared {
    threads: usize,
    spin: Duration,
    /// The current job. Written by the calling thread while no worker runs, read by workers after they see the new epoch.
    job: UnsafeCell<Job>,
    /// Counts dispatches.
    epoch: AtomicUsize,
    /// Workers that have not finished the current job.
    running: AtomicUsize,
    /// Whether each worker is about to park or parked.
    parked: Vec<AtomicBool>,
    /// The thread that called `run`, to be woken when it parked, and whether it did.
    caller: UnsafeCell<Thread>,
    caller_parked: AtomicBool,
    stop: AtomicBool,
    barrier: Barrier,
    /// The first panic of the current job.
    panic: Mutex<Option<Box<dyn Any + Send>>>,
}

// SAFETY: `job` and `caller` are written only by the one thread inside `run` (it has the pool by `&mut`), before the release of
// `epoch` and after the acquire of `running == 0`; workers read them only in between. Everything else is atomic or locked.
unsafe impl Sync for Shared {}
// SAFETY: the pointers in `job` are only used while the closure they point to is borrowed by `run`, and it is `Sync`.
unsafe impl Send for Shared {}

/// One thread's view of a dispatch.
#[derive(Clone, Copy)]
pub struct Worker<'a> {
    index: usize,
    shared: &'a Shared,
}

impl Worker<'_> {
    /// Which thread this is: 0 is the one that called `run`.
    pub fn index(&self) -> usize {
        self.index
    }

    /// How many threads run this closure.
    pub fn threads(&self) -> usize {
        self.shared.threads
    }

    /// Spins until `done`, no longer than a waiting thread of this pool spins before it parks. Returns whether it is done.
    pub fn spin_until(&self, done: impl Fn() -> bool) -> bool {
        spin_until(self.shared.spin, done)
    }

    /// This thread's even part of `0..items`; see [`share`].
    pub fn share(&self, items: usize, grain: usize) -> Range<usize> {
        share(items, grain, self.index, self.shared.threads)
    }

    /// Waits until every thread of the dispatch has come here. What threads wrote before is visible to all after. Panics
    /// when another thread of the dispatch panicked.
    pub fn barrier(&self) {
        self.shared.barrier.wait(self.shared.spin);
    }
}

/// Compute threads. Dropping the pool ends and joins them.
pub struct Pool {
    shared: Arc<Shared>,
    workers: Vec<JoinHandle<()>>,
    /// What the thread that made the pool could use before it was bound.
    before: Option<(ThreadId, Allowed)>,
}

impl Pool {
    /// Starts the threads (one fewer than asked for: the caller of `run` is one). Binds the calling thread too when cores are
    /// given, until the pool is dropped there. When anything fails, the threads already started are ended.
    pub fn new(options: &Options) -> Result<Self, PoolError> {
        let threads = options.threads;
        if threads == 0 {
            return Err(PoolError::NoThreads);
        }
        if !options.cores.is_empty() && options.cores.len() != threads {
            return Err(PoolError::Cores {
                got: options.cores.len(),
                threads,
            });
        }
        let shared = Arc::new(Shared {
            threads,
            spin: options.spin,
            job: UnsafeCell::new(Job {
                closure: std::ptr::null(),
                call: |_, _| {},
            }),
            epoch: AtomicUsize::new(0),
            running: AtomicUsize::new(0),
            parked: (0..threads).map(|_| AtomicBool::new(false)).collect(),
            caller: UnsafeCell::new(std::thread::current()),
            caller_parked: AtomicBool::new(false),
            stop: AtomicBool::new(false),
            barrier: Barrier::new(threads),
            panic: Mutex::new(None),
        });
        let mut pool = Self {
            shared,
            workers: Vec::new(),
            before: None,
        };
        let (sender, pinned) = mpsc::channel();
        for index in 1..threads {
            let (shared, sender, core) = (Arc::clone(&pool.shared), sender.clone(), options.cores.get(index).copied());
            let body = move || {
                let bound = core.map_or(Ok(()), |core| {
                    pin_current_thread(core).map_err(|source| PoolError::Pin { core, source })
                });
                if sender.send(bound).is_ok() {
                    drop(sender);
                    work(&shared, index);
                }
            };
            let spawned = std::thread::Builder::new().name(format!("compute-{index}")).spawn(body);
            pool.workers.push(spawned.map_err(PoolError::Spawn)?);
        }
        drop(sender);
        pinned.iter().take(threads - 1).collect::<Result<(), _>>()?;
        if let Some(&core) = options.cores.first() {
            pool.before = Allowed::now().map(|allowed| (std::thread::current().id(), allowed));
            pin_current_thread(core).map_err(|source| PoolError::Pin { core, source })?;
        }
        Ok(pool)
    }

    /// Compute threads, the calling one included.
    pub fn threads(&self) -> usize {
        self.shared.threads
    }

    /// Runs `body` once on every thread and returns when all are done. A panic in any of them is raised here afterwards (the
    /// first, if there are several). Allocates nothing.
    pub fn run<F: Fn(Worker<'_>) + Sync>(&mut self, body: F) {
        /// Calls the closure behind the pointer.
        ///
        /// # Safety
        /// `closure` points to a live `F`.
        unsafe fn call<F: Fn(Worker<'_>) + Sync>(closure: *const (), worker: Worker<'_>) {
            // SAFETY: as this function's contract says.
            (unsafe { &*closure.cast::<F>() })(worker);
        }
        let shared = &*self.shared;
        shared.barrier.reset();
        // SAFETY: no worker runs (the last dispatch ended with `running == 0`), so nothing reads the cells now.
        unsafe {
            *shared.job.get() = Job {
                closure: (&raw const body).cast(),
                call: call::<F>,
            };
            if (*shared.caller.get()).id() != std::thread::current().id() {
                *shared.caller.get() = std::thread::current();
            }
        }
        shared.running.store(shared.threads - 1, Ordering::Relaxed);
        wake_workers(shared, &self.workers);
        shared.attempt(0);
        shared.wait_for_workers();
        // `body` is still borrowed by nobody from here on: every worker has counted itself out.
        let panic = shared.panic.lock().unwrap_or_else(|poisoned| poisoned.into_inner()).take();
        if let Some(panic) = panic {
            resume_unwind(panic);
        }
    }

    /// Runs `body(task)` once for every task in `0..tasks`; threads take the next task when they are done with one.
    pub fn run_tasks<F: Fn(usize) + Sync>(&mut self, tasks: usize, body: F) {
        let next = AtomicUsize::new(0);
        self.run(|_| {
            loop {
                let task = next.fetch_add(1, Ordering::Relaxed);
                if task >= tasks {
                    break;
                }
                body(task);
            }
        });
    }

    /// Runs `body(i, &mut items[i])` once for every item; threads take the next item when they are done with one.
    pub fn run_each<T: Send, F: Fn(usize, &mut T) + Sync>(&mut self, items: &mut [T], body: F) {
        let first = Ours(items.as_mut_ptr());
        self.run_tasks(items.len(), |task| {
            // SAFETY: every task number below the length is handed out once, so no two threads have the same item.
            body(task, unsafe { &mut *first.get().add(task) });
        });
    }

    /// Cuts `items` into one even part per thread, with boundaries at multiples of `grain`, and runs `body(first, part)`, where
    /// `first` is the place of the part's first item. Threads without work are not called.
    pub fn run_split<T: Send, F: Fn(usize, &mut [T]) + Sync>(&mut self, items: &mut [T], grain: usize, body: F) {
        let (first, len) = (Ours(items.as_mut_ptr()), items.len());
        self.run(|worker| {
            let part = worker.share(len, grain);
            if !part.is_empty() {
                // SAFETY: the parts of different threads are disjoint and lie inside `items`.
                body(part.start, unsafe {
                    std::slice::from_raw_parts_mut(first.get().add(part.start), part.len())
                });
            }
        });
    }
}

impl Drop for Pool {
    fn drop(&mut self) {
        self.shared.stop.store(true, Ordering::Relaxed);
        wake_workers(&self.shared, &self.workers);
        for worker in self.workers.drain(..) {
            // A worker catches the panics of jobs, so joining fails only if this crate is wrong; nothing to do about it here.
            let _ = worker.join();
        }
        if let Some((thread, before)) = self.before.take()
            && thread == std::thread::current().id()
        {
            before.restore();
        }
    }
}

/// A pointer that may cross threads, because its users take care to touch different places.
struct Ours<T>(*mut T);
// SAFETY: only a pointer; each use says why it is exclusive, and T may be sent.
unsafe impl<T: Send> Sync for Ours<T> {}

impl<T> Ours<T> {
    fn get(&self) -> *mut T {
        self.0
    }
}

/// Publishes a new epoch and wakes the workers that parked.
fn wake_workers(shared: &Shared, workers: &[JoinHandle<()>]) {
    shared.epoch.fetch_add(1, Ordering::SeqCst);
    for (worker, parked) in workers.iter().zip(&shared.parked[1..]) {
        if parked.swap(false, Ordering::SeqCst) {
            worker.thread().unpark();
        }
    }
}

impl Shared {
    /// Runs the current job as thread `index` and keeps its panic, if it is the first.
    fn attempt(&self, index: usize) {
        // SAFETY: between the new epoch and `running == 0` the job is set and its closure borrowed by `run`.
        let done = catch_unwind(AssertUnwindSafe(|| unsafe {
            let job = *self.job.get();
            (job.call)(job.closure, Worker { index, shared: self });
        }));
        if let Err(panic) = done {
            let mut first = self.panic.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
            first.get_or_insert(panic);
            drop(first);
            self.barrier.break_open();
        }
    }

    fn wait_for_workers(&self) {
        let done = || self.running.load(Ordering::SeqCst) == 0;
        while !spin_until(self.spin, done) {
            self.caller_parked.store(true, Ordering::SeqCst);
            if !done() {
                std::thread::park();
            }
            self.caller_parked.store(false, Ordering::SeqCst);
        }
    }
}

/// The life of a worker thread.
fn work(shared: &Shared, index: usize) {
    let mut seen = 0;
    loop {
        let called = || shared.epoch.load(Ordering::SeqCst) != seen;
        while !spin_until(shared.spin, called) {
            shared.parked[index].store(true, Ordering::SeqCst);
            if !called() {
                std::thread::park();
            }
            shared.parked[index].store(false, Ordering::SeqCst);
        }
        // Epochs cannot be skipped: the caller waits for every worker before it publishes the next.
        seen = seen.wrapping_add(1);
        if shared.stop.load(Ordering::Relaxed) {
            return;
        }
        shared.attempt(index);
        // The caller may return from `run`, and a next one begin, as soon as the count is zero: take its handle before.
        // SAFETY: `caller` is only written while `running` is 0, and this worker has not yet counted itself out.
        let caller = unsafe { (*shared.caller.get()).clone() };
        if shared.running.fetch_sub(1, Ordering::SeqCst) == 1 && shared.caller_parked.swap(false, Ordering::SeqCst) {
            caller.unpark();
        }
    }
}
