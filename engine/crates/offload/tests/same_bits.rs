//! One result for all plans: whatever the cache, the threads, the lanes, the depth, the granularity, the overlap and the policy.

mod common;

use std::sync::Arc;
use std::time::Duration;

use cache::PolicyKind;
use common::*;
use flash::{BackendChoice, Fault, FaultyDisk, FileDisk, Reader, ReaderOptions};
use model::Route;
use neuron::{Activations, Gating, Kernels};
use offload::{Granularity, LayerCounters, Offload, OffloadError, Overlap};
use pool::{Options, Pool};

/// Every neuron is a candidate for firing.
const ALL: Choice<'static> = &|_, _, _, slots| slots;

#[test]
fn every_cache_size_thread_count_depth_and_lane_count_gives_the_bits_of_the_plain_way() {
    let folder = Folder::new();
    let file = packed(&folder);
    let work = work(3);
    let wanted = reference(&file, &work, Gating::Relu, ALL);
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

/// Threads that sleep at once, that spin for as long as it takes, and in between.
#[test]
fn waiting_asleep_or_awake_gives_the_same_bits() {
    let folder = Folder::new();
    let file = packed(&folder);
    let work = work(6);
    let wanted = reference(&file, &work, Gating::Relu, ALL);
    for spin in [Duration::ZERO, Duration::from_micros(1), Duration::from_secs(60)] {
        for (hot, cold) in [(0.3, 0.05), (1.0, 1.0)] {
            let mut offload = offload_with(&file, BackendChoice::Lanes(2), options(hot, cold, &file));
            let mut pool = Pool::new(&Options { spin, ..Options::new(3) }).unwrap();
            for _ in 0..20 {
                let (bits, _) = decode_in(&mut pool, &mut offload, &work).unwrap();
                assert!(bits == wanted, "spin {spin:?} hot {hot} cold {cold}");
            }
        }
    }
}

#[test]
fn every_granularity_overlap_and_policy_gives_the_same_bits() {
    let folder = Folder::new();
    let file = packed(&folder);
    let work = work(2);
    let wanted = reference(&file, &work, Gating::Relu, ALL);
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
fn a_model_whose_neurons_all_count_gives_the_same_bits_for_any_cache_granularity_and_phase() {
    let folder = Folder::new();
    let file = packed(&folder);
    let work = work(4);
    let wanted = reference(&file, &work, Gating::Silu, ALL);
    for granularity in Granularity::ALL {
        for (hot, cold) in [(0.0, 0.0), (0.3, 0.5), (1.0, 1.0)] {
            let mut options = options(hot, cold, &file);
            (options.granularity, options.every_neuron) = (granularity, true);
            let reader = reader_of(&file, BackendChoice::Uring(8));
            let mut offload = Offload::new(reader, Kernels::best(), Gating::Silu, 2, options).unwrap();
            let (bits, counters) = decode_all(&mut offload, 2, &work).unwrap();
            assert!(bits == wanted, "{} hot {hot} cold {cold}", granularity.name());
            assert_eq!(counters.fired, 4 * u64::from(LAYERS * 2 * NEURONS));
            assert!(prefill_all(&mut offload, 2, &work) == wanted, "prefill");
        }
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

/// All tokens of each layer together; the outputs as bits, in the order of decoding.
fn prefill_all(offload: &mut Offload, threads: usize, work: &Work) -> Vec<u32> {
    let width = WIDTH as usize;
    let mut pool = Pool::new(&Options::new(threads)).unwrap();
    let mut bits = vec![0; work.inputs.len() * width];
    for layer in 0..LAYERS as usize {
        let of_layer: Vec<usize> = (layer..work.inputs.len()).step_by(LAYERS as usize).collect();
        let input: Vec<f32> = of_layer.iter().flat_map(|step| work.inputs[*step].clone()).collect();
        let routes: Vec<Route> = of_layer.iter().flat_map(|step| work.routes[*step].clone()).collect();
        let mut out = vec![f32::NAN; input.len()];
        offload.prefill(&mut pool, layer, &routes, 2, &input, &mut out).unwrap();
        for (out, step) in out.chunks_exact(width).zip(of_layer) {
            let got = out.iter().map(|value| value.to_bits());
            bits[step * width..][..width]
                .iter_mut()
                .zip(got)
                .for_each(|(to, from)| *to = from);
        }
    }
    bits
}

#[test]
fn prefill_of_many_tokens_gives_the_bits_of_decoding_each_and_leaves_what_they_need() {
    let folder = Folder::new();
    let file = packed(&folder);
    let work = work(7);
    let wanted = reference(&file, &work, Gating::Relu, ALL);
    for threads in [1, 2, 3] {
        let mut offload = offload_with(&file, BackendChoice::Lanes(2), options(1.0, 0.6, &file));
        assert!(prefill_all(&mut offload, threads, &work) == wanted, "threads {threads}");
        let before = offload.totals();
        let (bits, after) = decode_all(&mut offload, threads, &work).unwrap();
        assert!(bits == wanted, "threads {threads}");
        // Gates of all experts in use are here, and most of the neurons that fired.
        assert_eq!(after.gate_misses, before.gate_misses);
        assert!(2 * after.misses < after.look_ups, "{after:?}");
    }
}

#[test]
fn a_failed_read_is_an_error_with_its_place_and_the_next_token_works() {
    let folder = Folder::new();
    let file = packed(&folder);
    let work = work(3);
    let wanted = reference(&file, &work, Gating::Relu, ALL);
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
