//! The FFN from flash under a predictor gives the bits of the plain way over the neurons that the predictor chose.

mod common;

use std::sync::Arc;

use common::*;
use flash::{BackendChoice, FlashFile};
use model::{FeedForward, LowRank, ModelError, NeuronPredictor, PredictorInput};
use neuron::{Activations, Format, Gating, Kernels, Matrix};
use offload::{OffloadOptions, Overlap, PredictedOffload};

const RANK: usize = 16;

/// Random matrices: which neurons they choose has nothing to do with which would fire.
struct Dice {
    first: Vec<u8>,
    second: Vec<u8>,
    threshold: f32,
}

impl Dice {
    fn new(threshold: f32) -> Self {
        let mut random = Random(5);
        let mut matrix = |numbers: usize| (0..numbers).flat_map(|_| random.signed().to_le_bytes()).collect();
        Self {
            first: matrix(RANK * WIDTH as usize),
            second: matrix(NEURONS as usize * RANK),
            threshold,
        }
    }
}

impl NeuronPredictor for Dice {
    fn input(&self) -> PredictorInput {
        PredictorInput::Normed
    }

    fn low_rank(&self, _layer: usize, _expert: usize) -> Result<LowRank<'_>, ModelError> {
        Ok(LowRank {
            first: Matrix::new(Format::F32, RANK, WIDTH as usize, &self.first)?,
            second: Matrix::new(Format::F32, NEURONS as usize, RANK, &self.second)?,
            threshold: self.threshold,
            rectified: true,
        })
    }

    fn bytes(&self) -> u64 {
        (self.first.len() + self.second.len()) as u64
    }
}

/// The predictor's choice, computed without any of the code under test.
fn chosen(dice: &Dice, x: &Activations, candidates: Vec<u32>) -> Vec<u32> {
    let kernels = Kernels::best();
    let low_rank = dice.low_rank(0, 0).unwrap();
    let mut sums = vec![0.0; RANK];
    kernels.gemv(&low_rank.first, x, &mut sums).unwrap();
    sums.iter_mut().for_each(|sum| *sum = sum.max(0.0));
    let mut hidden = Activations::new();
    kernels.quantise(&sums, &mut hidden);
    let mut scores = vec![0.0; NEURONS as usize];
    kernels.gemv(&low_rank.second, &hidden, &mut scores).unwrap();
    candidates
        .into_iter()
        .filter(|&neuron| scores[neuron as usize] >= dice.threshold)
        .collect()
}

fn ffn(file: &Arc<FlashFile>, backend: BackendChoice, predictor: Arc<Dice>, options: OffloadOptions) -> PredictedOffload {
    PredictedOffload::new(
        reader_of(file, backend),
        Kernels::best(),
        Gating::Relu,
        (LAYERS as usize, EXPERTS as usize, 2),
        predictor,
        options,
    )
    .unwrap()
}

fn sized(file: &FlashFile, hot: f64, cold: f64) -> OffloadOptions {
    let mut options = options(0.0, 0.0, file);
    let needs = PredictedOffload::needs(file, 2, &options).unwrap();
    options.decode.hot = (needs.all_hot as f64 * hot) as usize;
    options.decode.cold = (needs.all_cold as f64 * cold) as usize;
    options.prefill = options.decode;
    options
}

#[test]
fn every_size_thread_count_depth_overlap_and_backend_gives_the_bits_of_the_plain_way_over_what_was_chosen() {
    let folder = Folder::new();
    let file = packed(&folder);
    let work = work(3);
    let dice = Arc::new(Dice::new(1.0));
    let wanted = reference(&file, &work, Gating::Relu, &|_, _, x, slots| chosen(&dice, x, slots));
    let exact = reference(&file, &work, Gating::Relu, &|_, _, _, slots| slots);
    assert!(wanted != exact, "the predictor left nothing out");
    for (hot, cold) in [(0.0, 0.0), (0.02, 0.3), (0.4, 0.1), (1.0, 1.0)] {
        for (threads, backend, depth, overlap) in [
            (1, BackendChoice::Lanes(1), 1, Overlap::Cluster),
            (3, BackendChoice::Lanes(4), 8, Overlap::Cluster),
            (2, BackendChoice::Uring(16), 2, Overlap::Cluster),
            (2, BackendChoice::Uring(16), 2, Overlap::Matrix),
            (2, BackendChoice::Lanes(3), 4, Overlap::Nothing),
        ] {
            let mut options = sized(&file, hot, cold);
            (options.depth, options.overlap) = (depth, overlap);
            let mut ffn = ffn(&file, backend, Arc::clone(&dice), options);
            let bits = forward_all(&mut ffn, threads, &work);
            assert!(
                bits == wanted,
                "hot {hot} cold {cold} threads {threads} {backend:?} depth {depth}"
            );
            let counted = ffn.predicted().unwrap();
            let sums = [&counted.scored, &counted.predicted, &counted.fired].map(|of| of.iter().sum::<u64>());
            assert!(sums[0] > sums[1] && sums[1] > sums[2] && sums[2] > 0, "{sums:?}");
            assert_eq!(ffn.labels().last(), Some(&"predicted"));
        }
    }
}

#[test]
fn hits_do_not_depend_on_threads_or_backend_and_what_is_held_is_not_read_again() {
    let folder = Folder::new();
    let file = packed(&folder);
    let work = work(6);
    let dice = Arc::new(Dice::new(1.0));
    let counted = |threads, backend, share| {
        let mut ffn = ffn(&file, backend, Arc::clone(&dice), sized(&file, share, share));
        forward_all(&mut ffn, threads, &work);
        let first = ffn.offload().totals();
        forward_all(&mut ffn, threads, &work);
        (first, ffn.offload().totals())
    };
    let first = counted(1, BackendChoice::Lanes(1), 0.5);
    assert!(
        first.0.gate_misses > 0 && first.0.gate_misses < first.0.gate_look_ups,
        "{first:?}"
    );
    assert_eq!(counted(3, BackendChoice::Lanes(4), 0.5), first);
    assert_eq!(counted(2, BackendChoice::Uring(32), 0.5), first);
    let (once, twice) = counted(2, BackendChoice::Uring(32), 1.0);
    assert_eq!((once.bytes, once.misses), (twice.bytes, twice.misses));
}

#[test]
fn what_is_preloaded_is_where_it_is_looked_for_and_changes_no_bit() {
    let folder = Folder::new();
    let file = packed(&folder);
    let work = work(4);
    let dice = Arc::new(Dice::new(1.0));
    let wanted = reference(&file, &work, Gating::Relu, &|_, _, x, slots| chosen(&dice, x, slots));
    for (hot, cold) in [(1.0, 1.0), (0.5, 0.25), (0.0, 0.5)] {
        let run = |preloads: bool| {
            let mut ffn = ffn(&file, BackendChoice::Uring(16), Arc::clone(&dice), sized(&file, hot, cold));
            let read = if preloads { ffn.preload().unwrap() } else { 0 };
            let counts = |ffn: &PredictedOffload| -> Vec<[u32; 2]> {
                let segments = ffn.offload().cache().segments().iter();
                segments
                    .map(|segment| [segment.counts().resident, segment.counts().slots])
                    .collect()
            };
            let held = counts(&ffn);
            (read, held, forward_all(&mut ffn, 2, &work) == wanted, ffn.offload().totals())
        };
        let (told, (read, held, same, warm)) = (format!("hot {hot} cold {cold}"), run(true));
        let (_, empty, _, cold_start) = run(false);
        assert!(read > 0 && same, "{told}: rows of other neurons, or of other places");
        assert!(held.iter().all(|[resident, slots]| resident == slots), "{told}: {held:?}");
        assert!(empty.iter().all(|[resident, _]| *resident == 0), "{told}");
        if (hot, cold) == (1.0, 1.0) {
            assert_eq!((warm.gate_misses, warm.misses, warm.bytes), (0, 0, 0), "{told}");
        }
        assert!(warm.bytes < cold_start.bytes, "{told}: {warm:?}, {cold_start:?}");
    }
}

#[test]
fn a_predictor_of_other_sizes_is_refused() {
    let folder = Folder::new();
    let file = packed(&folder);
    let mut dice = Dice::new(0.0);
    dice.second.truncate(64 * RANK * 4);
    struct Short(Dice);
    impl NeuronPredictor for Short {
        fn input(&self) -> PredictorInput {
            PredictorInput::Normed
        }
        fn low_rank(&self, _: usize, _: usize) -> Result<LowRank<'_>, ModelError> {
            Ok(LowRank {
                first: Matrix::new(Format::F32, RANK, WIDTH as usize, &self.0.first)?,
                second: Matrix::new(Format::F32, 64, RANK, &self.0.second)?,
                threshold: 0.0,
                rectified: false,
            })
        }
        fn bytes(&self) -> u64 {
            0
        }
    }
    let made = PredictedOffload::new(
        reader_of(&file, BackendChoice::Lanes(1)),
        Kernels::best(),
        Gating::Relu,
        (LAYERS as usize, EXPERTS as usize, 2),
        Arc::new(Short(dice)),
        sized(&file, 1.0, 1.0),
    );
    assert!(made.is_err_and(|error| error.to_string().contains("the model wants")));
}
