//! What the pipeline asks of flash: which phase a read belongs to, and of how many clusters reads are on their way at once.

mod common;

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::Instant;

use common::*;
use flash::{
    BackendChoice, BackendUsed, Completion, FlashError, FlashFile, FlashReader, PageDone, PageRead, Request, ShaperReport,
    Statistics,
};
use model::{LowRank, ModelError, NeuronPredictor, PredictorInput};
use neuron::{Format, Gating, Kernels, Matrix};
use offload::{GateReads, Offload, OffloadOptions, PredictedOffload};

/// Neurons of a cluster in these tests.
const CLUSTER: u64 = 256;

/// Page reads that were begun and not yet told of, by what they are for.
#[derive(Default)]
struct Seen {
    under_way: HashMap<u32, (u64, u64)>,
    /// Offset, and whether it was said to be of the second phase.
    begun: Vec<(u64, bool)>,
    most_clusters: usize,
}

/// A reader that looks at page reads on their way.
struct Watching {
    inner: Arc<dyn FlashReader>,
    seen: Mutex<Seen>,
}

/// Which layer, part of it (in the file's order of parts) and expert lie at an offset.
fn place(file: &FlashFile, offset: u64) -> (u64, u64) {
    let layer = file.layers().partition_point(|layout| layout.offset() <= offset) - 1;
    let layout = &file.layers()[layer];
    let expert = (offset - layout.offset()) / layout.expert_bytes();
    let part = (0..layout.parts_of_expert())
        .find(|&part| layout.part_span(expert as u32, part).offset == offset)
        .expect("reads of single units begin where their part does");
    (expert, part)
}

impl Watching {
    fn new(file: &Arc<FlashFile>) -> Arc<Self> {
        Arc::new(Self {
            inner: reader_of(file, BackendChoice::Lanes(3)),
            seen: Mutex::default(),
        })
    }

    fn told(&self, done: &[PageDone]) {
        let seen = &mut self.seen.lock().unwrap();
        for done in done {
            seen.under_way.remove(&done.tag);
        }
    }
}

impl FlashReader for Watching {
    fn submit(&self, requests: &[Request]) -> Result<(), FlashError> {
        self.inner.submit(requests)
    }

    fn poll(&self) -> Option<Completion> {
        self.inner.poll()
    }

    fn wait(&self) -> Option<Completion> {
        self.inner.wait()
    }

    fn wait_for(&self, tag: u64) -> Option<Completion> {
        self.inner.wait_for(tag)
    }

    unsafe fn read_pages(&self, reads: &[PageRead]) -> Result<(), FlashError> {
        let seen = &mut *self.seen.lock().unwrap();
        for read in reads {
            let (expert, part) = place(self.inner.file(), read.offset);
            let group = u64::from(self.inner.file().layers()[0].shape().group);
            seen.under_way.insert(read.tag, (expert, part / 2 * group / CLUSTER));
            seen.begun.push((read.offset, read.second_phase));
        }
        let mut clusters: Vec<_> = seen.under_way.values().collect();
        clusters.sort_unstable();
        clusters.dedup();
        seen.most_clusters = seen.most_clusters.max(clusters.len());
        // SAFETY: the caller's promise is handed on.
        unsafe { self.inner.read_pages(reads) }
    }

    fn pages_done(&self, done: &mut Vec<PageDone>) {
        self.inner.pages_done(done);
        self.told(done);
    }

    fn wait_pages(&self, done: &mut Vec<PageDone>, until: Option<Instant>) {
        self.inner.wait_pages(done, until);
        self.told(done);
    }

    fn cancel(&self) {
        self.inner.cancel();
    }

    fn limit_buffers(&self, most: usize) {
        self.inner.limit_buffers(most);
    }

    fn statistics(&self) -> Statistics {
        self.inner.statistics()
    }

    fn shaped(&self) -> Option<ShaperReport> {
        self.inner.shaped()
    }

    fn backend_used(&self) -> &BackendUsed {
        self.inner.backend_used()
    }

    fn file(&self) -> &Arc<FlashFile> {
        self.inner.file()
    }
}

#[test]
fn gates_are_of_the_first_phase_and_up_and_down_of_the_second() {
    let folder = Folder::new();
    let file = packed(&folder);
    let work = work(3);
    let reader = Watching::new(&file);
    let mut asked = options(0.0, 0.0, &file);
    asked.gates = GateReads::Apart;
    let mut ffn = Offload::new(reader.clone(), Kernels::best(), Gating::Relu, 2, asked).unwrap();
    decode_all(&mut ffn, 2, &work).unwrap();
    let seen = reader.seen.lock().unwrap();
    for phase in [false, true] {
        assert!(seen.begun.iter().any(|&(_, second)| second == phase));
    }
    for &(offset, second) in &seen.begun {
        assert_eq!(place(&file, offset).1 % 2 == 1, second, "offset {offset}");
    }
}

/// Names every neuron.
struct All {
    zeros: Vec<u8>,
}

impl NeuronPredictor for All {
    fn input(&self) -> PredictorInput {
        PredictorInput::Normed
    }

    fn low_rank(&self, _layer: usize, _expert: usize) -> Result<LowRank<'_>, ModelError> {
        let matrix = |rows: u32, cols: u32| {
            Matrix::new(
                Format::F32,
                rows as usize,
                cols as usize,
                &self.zeros[..(4 * rows * cols) as usize],
            )
        };
        Ok(LowRank {
            first: matrix(32, WIDTH)?,
            second: matrix(NEURONS, 32)?,
            threshold: 0.0,
            rectified: true,
        })
    }

    fn bytes(&self) -> u64 {
        self.zeros.len() as u64
    }
}

fn clusters_at_once(file: &Arc<FlashFile>, options: OffloadOptions, threads: usize) -> usize {
    let reader = Watching::new(file);
    let predictor = Arc::new(All {
        zeros: vec![0; 4 * 32 * WIDTH.max(NEURONS) as usize],
    });
    let experts = (LAYERS as usize, EXPERTS as usize, 2);
    let mut ffn = PredictedOffload::new(reader.clone(), Kernels::best(), Gating::Relu, experts, predictor, options).unwrap();
    forward_all(&mut ffn, threads, &work(4));
    let seen = reader.seen.lock().unwrap();
    seen.most_clusters
}

#[test]
fn reads_of_no_more_clusters_than_the_depth_are_on_their_way() {
    let folder = Folder::new();
    let file = packed(&folder);
    for depth in [1, 2, 3] {
        for threads in [1, 3] {
            let mut asked = options(0.0, 0.0, &file);
            asked.depth = depth;
            let most = clusters_at_once(&file, asked, threads);
            assert!(
                (1..=depth as usize).contains(&most),
                "depth {depth}, {threads} threads: {most}"
            );
            // It is the depth that holds them back: with more of it there are more.
            assert!(threads > 1 || depth < 3 || most > 1, "depth {depth}: {most}");
        }
    }
}

/// The same where the true gates decide: they are in memory, or come by requests, and up and down are read page by page.
fn clusters_at_once_lossless(file: &Arc<FlashFile>, depth: u32, threads: usize) -> usize {
    let reader = Watching::new(file);
    let mut asked = options(1.0, 0.0, file);
    asked.depth = depth;
    let mut ffn = Offload::new(reader.clone(), Kernels::best(), Gating::Relu, 2, asked).unwrap();
    decode_all(&mut ffn, threads, &work(6)).unwrap();
    let seen = reader.seen.lock().unwrap();
    seen.most_clusters
}

#[test]
fn the_depth_holds_where_the_true_gates_decide() {
    let folder = Folder::new();
    let file = packed(&folder);
    for threads in [1, 3] {
        for depth in [1, 2, 3] {
            let most = clusters_at_once_lossless(&file, depth, threads);
            // Where a gate that was begun later ends first, the one that it waits for comes in beyond the depth.
            let beyond = usize::from(threads > 1);
            assert!(
                (1..=depth as usize + beyond).contains(&most),
                "depth {depth}, {threads} threads: {most}"
            );
        }
        assert!(clusters_at_once_lossless(&file, 6, threads) > 1 + usize::from(threads > 1));
    }
}
