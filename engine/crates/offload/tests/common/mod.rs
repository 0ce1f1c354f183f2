//! A small packed file, some tokens, and what must come out.
#![allow(dead_code, reason = "not every test takes all of it")]

use std::ops::ControlFlow;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use cache::PolicyKind;
use flash::{
    BackendChoice, DownChoice, FlashFile, FlashReader, GroupChoice, PackOptions, Reader, ReaderOptions, Request, Target, pack,
};
use gguf::{TensorType, Writer};
use model::{FeedForward, FfnBatch, Route};
use neuron::{Activations, Bundles, ClusterScratch, Gating, Kernels, Matrix, SUM_BLOCK};
use offload::{
    Division, GateReads, Granularity, LayerCounters, Offload, OffloadError, OffloadOptions, Overlap, PredictedOffload,
};
use pool::{Options, Pool};

pub const LAYERS: u32 = 2;
pub const EXPERTS: u32 = 4;
pub const WIDTH: u32 = 128;
/// Not a whole number of clusters.
pub const NEURONS: u32 = 608;

pub struct Folder(PathBuf);

impl Folder {
    pub fn new() -> Self {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let name = format!(
            "neuronlab-offload-{}-{}",
            std::process::id(),
            NUMBER.fetch_add(1, Ordering::Relaxed)
        );
        let path = std::env::temp_dir().join(name);
        std::fs::create_dir_all(&path).unwrap();
        Self(path)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        drop(std::fs::remove_dir_all(&self.0));
    }
}

pub struct Random(pub u64);

impl Random {
    pub fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    /// Between -1 and 1.
    pub fn signed(&mut self) -> f32 {
        (self.next() % 20001) as f32 / 10000.0 - 1.0
    }
}

/// A mixture of experts with random F32 rows; the packed file's down is exact and a row a neuron.
pub fn packed(folder: &Folder) -> Arc<FlashFile> {
    let (source, target) = (folder.0.join("model.gguf"), folder.0.join("model.flash"));
    let mut writer = Writer::new(&source);
    writer.metadata("general.architecture", "smallthinker").unwrap();
    writer.metadata("smallthinker.block_count", LAYERS).unwrap();
    writer.metadata("smallthinker.embedding_length", WIDTH).unwrap();
    let (width, neurons, experts) = (u64::from(WIDTH), u64::from(NEURONS), u64::from(EXPERTS));
    let mut names = Vec::new();
    for layer in 0..LAYERS {
        for (part, shape) in [
            ("gate", [width, neurons, experts]),
            ("up", [width, neurons, experts]),
            ("down", [neurons, width, experts]),
        ] {
            let name = format!("blk.{layer}.ffn_{part}_exps.weight");
            writer.tensor(&name, &shape, TensorType::F32).unwrap();
            names.push(name);
        }
    }
    let mut random = Random(0x1234_5678_9abc_def1);
    let mut data = writer.start().unwrap();
    for name in names {
        let mut bytes = Vec::new();
        for _ in 0..width * neurons * experts {
            bytes.extend(random.signed().to_le_bytes());
        }
        data.write(&name, &bytes).unwrap();
    }
    data.finish().unwrap();
    let options = PackOptions {
        down: DownChoice::Exact,
        group: GroupChoice::Fixed(2),
        ..PackOptions::default()
    };
    pack(&source, &target, &options, &mut |_| ControlFlow::Continue(())).unwrap();
    Arc::new(FlashFile::open(&target).unwrap())
}

pub fn reader_of(file: &Arc<FlashFile>, backend: BackendChoice) -> Arc<dyn FlashReader> {
    Arc::new(
        Reader::open(
            file,
            ReaderOptions {
                backend,
                ..ReaderOptions::default()
            },
        )
        .unwrap(),
    )
}

pub fn options(hot_share: f64, cold_share: f64, file: &FlashFile) -> OffloadOptions {
    let mut options = OffloadOptions {
        prefill: Division::default(),
        decode: Division::default(),
        policy: PolicyKind::Lru,
        cluster_neurons: 256,
        depth: 4,
        granularity: Granularity::Neuron,
        overlap: Overlap::Cluster,
        gates: GateReads::Joined,
        predicted: false,
        every_neuron: false,
        prefill_ahead: 3,
    };
    let needs = Offload::needs(file, 2, &options).unwrap();
    options.decode = Division {
        hot: (needs.all_hot as f64 * hot_share) as usize,
        cold: (needs.all_cold as f64 * cold_share) as usize,
        reads: 1 << 20,
    };
    options.prefill = options.decode;
    options
}

/// Tokens of the test: each layer of each gets an input and two experts.
pub struct Work {
    pub inputs: Vec<Vec<f32>>,
    pub routes: Vec<Vec<Route>>,
}

pub fn work(tokens: usize) -> Work {
    let mut random = Random(77);
    let mut inputs = Vec::new();
    let mut routes = Vec::new();
    for _ in 0..tokens * LAYERS as usize {
        inputs.push((0..WIDTH).map(|_| random.signed()).collect());
        let first = (random.next() % u64::from(EXPERTS)) as u32;
        let second = (first + 1 + (random.next() % u64::from(EXPERTS - 1)) as u32) % EXPERTS;
        let weight = 0.5 + 0.4 * random.signed();
        let mut pair = vec![
            Route { expert: first, weight },
            Route {
                expert: second,
                weight: 1.0 - weight,
            },
        ];
        pair.sort_by_key(|route| route.expert);
        routes.push(pair);
    }
    Work { inputs, routes }
}

/// All tokens by decode; the outputs as bits.
pub fn decode_all(offload: &mut Offload, threads: usize, work: &Work) -> Result<(Vec<u32>, LayerCounters), OffloadError> {
    decode_in(&mut Pool::new(&Options::new(threads)).unwrap(), offload, work)
}

/// The same on these threads.
pub fn decode_in(pool: &mut Pool, offload: &mut Offload, work: &Work) -> Result<(Vec<u32>, LayerCounters), OffloadError> {
    let kernels = Kernels::best();
    let mut bits = Vec::new();
    for (step, (input, routes)) in work.inputs.iter().zip(&work.routes).enumerate() {
        let mut x = Activations::new();
        kernels.quantise(input, &mut x);
        // Dirty: what is in the output before must not matter.
        let mut out = vec![f32::NAN; WIDTH as usize];
        offload.decode(pool, step % LAYERS as usize, routes, &x, &mut out)?;
        bits.extend(out.iter().map(|value| value.to_bits()));
    }
    Ok((bits, offload.totals()))
}

/// All tokens one after the other under a predictor; the outputs as bits.
pub fn forward_all(ffn: &mut PredictedOffload, threads: usize, work: &Work) -> Vec<u32> {
    let mut pool = Pool::new(&Options::new(threads)).unwrap();
    let mut bits = Vec::new();
    for (step, (input, routes)) in work.inputs.iter().zip(&work.routes).enumerate() {
        let mut x = Activations::new();
        Kernels::best().quantise(input, &mut x);
        let mut out = vec![f32::NAN; WIDTH as usize];
        let batch = FfnBatch {
            tokens: 1,
            stream: input,
            input,
            activations: &x,
            routes,
            experts_used: 2,
        };
        ffn.forward(&mut pool, step % LAYERS as usize, &batch, &mut out).unwrap();
        bits.extend(out.iter().map(|value| value.to_bits()));
    }
    bits
}

/// Which of some neurons of an expert are computed: layer, expert, input, candidates.
pub type Choice<'a> = &'a dyn Fn(u32, u32, &Activations, Vec<u32>) -> Vec<u32>;

/// The plain way: every expert read whole, every block by the kernel, sums in order.
pub fn reference(file: &Arc<FlashFile>, work: &Work, gating: Gating, choice: Choice<'_>) -> Vec<u32> {
    let kernels = Kernels::best();
    let reader = reader_of(file, BackendChoice::Lanes(1));
    let mut bits = Vec::new();
    for (step, (input, routes)) in work.inputs.iter().zip(&work.routes).enumerate() {
        let layer = (step % LAYERS as usize) as u32;
        let layout = &file.layers()[layer as usize];
        let mut x = Activations::new();
        kernels.quantise(input, &mut x);
        let mut out = vec![0.0f32; WIDTH as usize];
        for (place, route) in routes.iter().enumerate() {
            reader
                .submit(&[Request {
                    tag: 0,
                    target: Target::Expert {
                        layer,
                        expert: route.expert,
                    },
                }])
                .unwrap();
            let data = reader.wait().unwrap().outcome.unwrap();
            let rows = |place: &dyn Fn(u32) -> flash::Span| -> Vec<u8> {
                (0..NEURONS)
                    .flat_map(|position| data.bytes_of(place(position)).unwrap().to_vec())
                    .collect()
            };
            let gate = rows(&|position| layout.gate_row(route.expert, position));
            let up = rows(&|position| layout.up_row(route.expert, position));
            let down = rows(&|position| layout.down_unit(route.expert, position));
            let matrix = |bytes| Matrix::new(neuron::Format::F32, NEURONS as usize, WIDTH as usize, bytes).unwrap();
            let bundles = Bundles {
                gate: matrix(&gate),
                up: matrix(&up),
                down: matrix(&down),
            };
            let mut sum = vec![0.0f32; WIDTH as usize];
            let mut scratch = ClusterScratch::new();
            for first in (0..NEURONS).step_by(SUM_BLOCK) {
                let slots: Vec<u32> = (first..(first + SUM_BLOCK as u32).min(NEURONS)).collect();
                let slots = choice(layer, route.expert, &x, slots);
                let mut partial = vec![0.0f32; WIDTH as usize];
                if kernels
                    .cluster(&bundles, gating, &slots, &x, &mut scratch, &mut partial)
                    .unwrap()
                    > 0
                {
                    kernels.add(&partial, &mut sum).unwrap();
                }
            }
            out.iter_mut().zip(&sum).for_each(|(out, sum)| {
                *out = if place == 0 {
                    route.weight * sum
                } else {
                    *out + route.weight * sum
                };
            });
        }
        bits.extend(out.iter().map(|value| value.to_bits()));
    }
    bits
}

pub fn offload_with(file: &Arc<FlashFile>, backend: BackendChoice, options: OffloadOptions) -> Offload {
    Offload::new(reader_of(file, backend), Kernels::best(), Gating::Relu, 2, options).unwrap()
}
