//! One result for all plans: whatever the cache, the threads, the lanes, the depth, the granularity, the overlap and the policy.

use std::ops::ControlFlow;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use cache::PolicyKind;
use flash::{
    BackendChoice, DownChoice, Fault, FaultyDisk, FileDisk, FlashFile, FlashReader, GroupChoice, PackOptions, Reader,
    ReaderOptions, Request, Target, pack,
};
use gguf::{TensorType, Writer};
use model::Route;
use neuron::{Activations, Bundles, ClusterScratch, Gating, Kernels, Matrix, SUM_BLOCK};
use offload::{Granularity, LayerCounters, Offload, OffloadError, OffloadOptions, Overlap};
use pool::{Options, Pool};

const LAYERS: u32 = 2;
const EXPERTS: u32 = 4;
const WIDTH: u32 = 128;
/// Not a whole number of clusters.
const NEURONS: u32 = 608;

struct Folder(PathBuf);

impl Folder {
    fn new() -> Self {
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

struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    /// Between -1 and 1.
    fn signed(&mut self) -> f32 {
        (self.next() % 20001) as f32 / 10000.0 - 1.0
    }
}

/// A mixture of experts with random F32 rows; the packed file's down is exact and a row a neuron.
fn packed(folder: &Folder) -> Arc<FlashFile> {
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

fn reader_of(file: &Arc<FlashFile>, backend: BackendChoice) -> Arc<dyn FlashReader> {
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

fn options(hot_share: f64, cold_share: f64, file: &FlashFile) -> OffloadOptions {
    let mut options = OffloadOptions {
        hot_bytes: 0,
        cold_bytes: 0,
        policy: PolicyKind::Lru,
        cluster_neurons: 256,
        depth: 4,
        granularity: Granularity::Neuron,
        overlap: Overlap::Cluster,
        prefill_ahead: 3,
    };
    let needs = Offload::needs(file, 2, &options).unwrap();
    options.hot_bytes = (needs.all_hot as f64 * hot_share) as usize;
    options.cold_bytes = (needs.all_cold as f64 * cold_share) as usize;
    options
}

/// Tokens of the test: each layer of each gets an input and two experts.
struct Work {
    inputs: Vec<Vec<f32>>,
    routes: Vec<Vec<Route>>,
}

fn work(tokens: usize) -> Work {
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
fn decode_all(offload: &mut Offload, threads: usize, work: &Work) -> Result<(Vec<u32>, LayerCounters), OffloadError> {
    let mut pool = Pool::new(&Options::new(threads)).unwrap();
    let kernels = Kernels::best();
    let mut bits = Vec::new();
    for (step, (input, routes)) in work.inputs.iter().zip(&work.routes).enumerate() {
        let mut x = Activations::new();
        kernels.quantise(input, &mut x);
        // Dirty: what is in the output before must not matter.
        let mut out = vec![f32::NAN; WIDTH as usize];
        offload.decode(&mut pool, step % LAYERS as usize, routes, &x, &mut out)?;
        bits.extend(out.iter().map(|value| value.to_bits()));
    }
    Ok((bits, offload.totals()))
}

/// The plain way: every expert read whole, every block by the kernel, sums in order.
fn reference(file: &Arc<FlashFile>, work: &Work) -> Vec<u32> {
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
                let mut partial = vec![0.0f32; WIDTH as usize];
                if kernels
                    .cluster(&bundles, Gating::Relu, &slots, &x, &mut scratch, &mut partial)
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

fn offload_with(file: &Arc<FlashFile>, backend: BackendChoice, options: OffloadOptions) -> Offload {
    Offload::new(reader_of(file, backend), Kernels::best(), Gating::Relu, 2, options).unwrap()
}

#[test]
fn every_cache_size_thread_count_depth_and_lane_count_gives_the_bits_of_the_plain_way() {
    let folder = Folder::new();
    let file = packed(&folder);
    let work = work(3);
    let wanted = reference(&file, &work);
    for (hot, cold) in [(0.0, 0.0), (0.3, 0.02), (1.0, 0.1), (0.5, 0.5), (1.0, 1.0)] {
        for threads in [1, 2, 3] {
            for (backend, depth, cluster) in [
                (BackendChoice::Lanes(1), 1, 256),
                (BackendChoice::Lanes(4), 8, 512),
                (BackendChoice::Uring(16), 2, 256),
            ] {
                let mut options = options(hot, cold, &file);
                options.depth = depth;
                options.cluster_neurons = cluster;
                let mut offload = offload_with(&file, backend, options);
                let (bits, _) = decode_all(&mut offload, threads, &work).unwrap();
                assert!(
                    bits == wanted,
                    "hot {hot} cold {cold} threads {threads} {backend:?} depth {depth} cluster {cluster}"
                );
            }
        }
    }
}

#[test]
fn every_granularity_overlap_and_policy_gives_the_same_bits() {
    let folder = Folder::new();
    let file = packed(&folder);
    let work = work(2);
    let wanted = reference(&file, &work);
    for granularity in Granularity::ALL {
        for overlap in [Overlap::Nothing, Overlap::Matrix, Overlap::Cluster] {
            let mut options = options(0.4, 0.3, &file);
            (options.granularity, options.overlap) = (granularity, overlap);
            let mut offload = offload_with(&file, BackendChoice::Lanes(3), options);
            let (bits, counters) = decode_all(&mut offload, 2, &work).unwrap();
            assert!(bits == wanted, "{} {}", granularity.name(), overlap.name());
            assert!(counters.bytes > 0 && counters.misses > 0);
        }
    }
    for policy in PolicyKind::ALL.into_iter().filter(|policy| *policy != PolicyKind::Belady) {
        let mut options = options(1.0, 0.25, &file);
        options.policy = policy;
        let (bits, _) = decode_all(&mut offload_with(&file, BackendChoice::Lanes(2), options), 2, &work).unwrap();
        assert!(bits == wanted, "{}", policy.name());
    }
}

#[test]
fn hits_and_bytes_do_not_depend_on_threads_lanes_or_backend() {
    let folder = Folder::new();
    let file = packed(&folder);
    let work = work(8);
    let counted = |threads, backend| {
        let mut offload = offload_with(&file, backend, options(0.5, 0.85, &file));
        decode_all(&mut offload, threads, &work).unwrap().1
    };
    let first = counted(1, BackendChoice::Lanes(1));
    assert!(first.look_ups > first.misses && first.misses > 0, "{first:?}");
    for _ in 0..3 {
        assert_eq!(counted(3, BackendChoice::Lanes(4)), first);
        assert_eq!(counted(2, BackendChoice::Uring(32)), first);
    }
}

#[test]
fn a_cache_that_holds_everything_reads_nothing_the_second_time() {
    let folder = Folder::new();
    let file = packed(&folder);
    let work = work(4);
    let mut offload = offload_with(&file, BackendChoice::Lanes(2), options(1.0, 1.0, &file));
    decode_all(&mut offload, 2, &work).unwrap();
    let before = offload.totals();
    decode_all(&mut offload, 2, &work).unwrap();
    assert_eq!(offload.totals().bytes, before.bytes);
    assert_eq!(offload.totals().misses, before.misses);
    assert_eq!(offload.totals().fired, 2 * before.fired);
}

#[test]
fn prefill_of_many_tokens_gives_the_bits_of_decoding_each() {
    let folder = Folder::new();
    let file = packed(&folder);
    let work = work(7);
    let wanted = reference(&file, &work);
    let width = WIDTH as usize;
    for threads in [1, 2, 3] {
        let mut offload = offload_with(&file, BackendChoice::Lanes(2), options(0.2, 0.1, &file));
        let mut pool = Pool::new(&Options::new(threads)).unwrap();
        for layer in 0..LAYERS as usize {
            let of_layer: Vec<usize> = (layer..work.inputs.len()).step_by(LAYERS as usize).collect();
            let input: Vec<f32> = of_layer.iter().flat_map(|step| work.inputs[*step].clone()).collect();
            let routes: Vec<Route> = of_layer.iter().flat_map(|step| work.routes[*step].clone()).collect();
            let mut out = vec![f32::NAN; input.len()];
            offload.prefill(&mut pool, layer, &routes, 2, &input, &mut out).unwrap();
            for (place, step) in of_layer.iter().enumerate() {
                let got: Vec<u32> = out[place * width..][..width].iter().map(|value| value.to_bits()).collect();
                assert!(
                    got == wanted[step * width..][..width],
                    "layer {layer} token {place} threads {threads}"
                );
            }
        }
    }
}

#[test]
fn a_failed_read_is_an_error_with_its_place_and_the_next_token_works() {
    let folder = Folder::new();
    let file = packed(&folder);
    let work = work(3);
    let wanted = reference(&file, &work);
    for granularity in [Granularity::Neuron, Granularity::Expert] {
        for fault in [Fault::Error(5), Fault::End] {
            // Every page of the layers fails once.
            let pages = (file.layers()[0].offset()..file.bytes())
                .step_by(4096)
                .map(|offset| (offset, fault, 1));
            let disk = FaultyDisk::new(FileDisk::open(file.path(), true).unwrap(), pages);
            let reader = Reader::with_disk(&file, Arc::new(disk), ReaderOptions::default()).unwrap();
            let mut options = options(0.5, 0.3, &file);
            options.granularity = granularity;
            let mut offload = Offload::new(Arc::new(reader), Kernels::best(), Gating::Relu, 2, options).unwrap();
            let mut failures = 0;
            let bits = loop {
                match decode_all(&mut offload, 2, &work) {
                    Ok((bits, _)) => break bits,
                    Err(OffloadError::Flash(error)) => {
                        failures += 1;
                        assert!(error.to_string().contains("model.flash"), "{error}");
                        assert!(failures < 100_000, "the faults run out");
                    }
                    Err(other) => panic!("{other}"),
                }
            };
            assert!(
                failures > 0 && bits == wanted,
                "{} {fault:?} after {failures} failures",
                granularity.name()
            );
        }
    }
}

#[test]
fn a_layer_or_expert_that_is_not_there_is_refused() {
    let folder = Folder::new();
    let file = packed(&folder);
    let mut offload = offload_with(&file, BackendChoice::Lanes(1), options(0.5, 0.5, &file));
    let mut pool = Pool::new(&Options::new(1)).unwrap();
    let mut x = Activations::new();
    Kernels::best().quantise(&[0.0; WIDTH as usize], &mut x);
    let mut out = vec![0.0; WIDTH as usize];
    let route = |expert| [Route { expert, weight: 1.0 }];
    let text = |outcome: Result<LayerCounters, OffloadError>| outcome.unwrap_err().to_string();
    assert_eq!(
        text(offload.decode(&mut pool, 2, &route(0), &x, &mut out)),
        "no layer 2; the packed file has 2"
    );
    assert_eq!(
        text(offload.decode(&mut pool, 0, &route(4), &x, &mut out)),
        "no expert 4; the packed file has 4"
    );
    assert_eq!(
        text(offload.decode(&mut pool, 0, &route(0), &x, &mut out[1..])),
        "an output of 127 numbers; 128 (1 tokens)"
    );
}
