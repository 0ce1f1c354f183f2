//! The three ways of reading gate rows: one result, one set of look-ups, and different reads; also when the way changes between tokens.

mod common;

use std::sync::Arc;

use common::*;
use flash::{BackendChoice, Fault, FaultyDisk, FileDisk, FlashFile, Reader, ReaderOptions};
use neuron::{Activations, Gating, Kernels};
use offload::{GateReads, Granularity, LayerCounters, Offload, Overlap};
use pool::{Options, Pool};

const ALL: Choice<'static> = &|_, _, _, slots| slots;

fn with(file: &Arc<FlashFile>, backend: BackendChoice, gates: GateReads, (hot, cold): (f64, f64)) -> Offload {
    let mut options = options(hot, cold, file);
    options.gates = gates;
    offload_with(file, backend, options)
}

/// Without what depends on the way: bytes.
fn looked_up(counters: LayerCounters) -> LayerCounters {
    LayerCounters { bytes: 0, ..counters }
}

#[test]
fn every_way_gives_the_same_bits_and_look_ups_for_any_memory_threads_and_backend() {
    let folder = Folder::new();
    let file = packed(&folder);
    let work = work(6);
    let wanted = reference(&file, &work, Gating::Relu, ALL);
    // Nothing kept; less than a layer needs; some of both.
    for memory in [(0.0, 0.0), (0.1, 0.02), (0.5, 0.3)] {
        let (_, counted) = decode_all(&mut with(&file, BackendChoice::Lanes(1), GateReads::Joined, memory), 1, &work).unwrap();
        assert!(counted.beside > 0 && counted.beside <= counted.misses, "{counted:?}");
        for gates in GateReads::ALL {
            for (backend, threads) in [
                (BackendChoice::Lanes(1), 1),
                (BackendChoice::Lanes(4), 3),
                (BackendChoice::Uring(16), 2),
            ] {
                let told = format!("{} {backend:?} threads {threads} memory {memory:?}", gates.name());
                let (bits, found) = decode_all(&mut with(&file, backend, gates, memory), threads, &work).unwrap();
                assert!(bits == wanted, "{told}");
                assert_eq!(looked_up(found), looked_up(counted), "{told}");
            }
        }
    }
}

#[test]
fn bytes_and_reads_are_those_of_the_way() {
    let folder = Folder::new();
    let file = packed(&folder);
    let work = work(4);
    let layout = &file.layers()[0];
    let (gate, rest) = (layout.part_span(0, 0).bytes, layout.part_span(0, 1).bytes);
    let groups = u64::from(layout.groups());
    let of = |gates| {
        // Nothing stays: every token misses all that it asks.
        let mut offload = with(&file, BackendChoice::Lanes(2), gates, (0.0, 0.0));
        decode_all(&mut offload, 2, &work).unwrap();
        (offload.totals(), offload.reader().statistics())
    };
    let experts = 2 * u64::from(LAYERS) * 4;
    let (apart, read) = of(GateReads::Apart);
    assert_eq!(apart.bytes, experts * groups * gate + apart.misses * rest);
    assert_eq!(read.reads, experts * groups + apart.misses);
    let (bundles, read) = of(GateReads::Bundles);
    assert_eq!(
        (bundles.bytes, bundles.beside),
        (experts * groups * (gate + rest), bundles.misses)
    );
    assert_eq!(read.requests, experts * u64::from(NEURONS.div_ceil(256)));
    assert_eq!(read.bytes, bundles.bytes);
}

#[test]
fn the_way_may_change_between_any_two_layers_and_is_refused_where_it_has_no_meaning() {
    let folder = Folder::new();
    let file = packed(&folder);
    let work = work(9);
    let wanted = reference(&file, &work, Gating::Relu, ALL);
    let mut offload = with(&file, BackendChoice::Uring(8), GateReads::Joined, (0.3, 0.2));
    assert_eq!(offload.gate_choices(), GateReads::ALL);
    let mut pool = Pool::new(&Options::new(2)).unwrap();
    let mut bits = Vec::new();
    for (step, (input, routes)) in work.inputs.iter().zip(&work.routes).enumerate() {
        let mut x = Activations::new();
        Kernels::best().quantise(input, &mut x);
        let mut out = vec![f32::NAN; WIDTH as usize];
        let layer = step % LAYERS as usize;
        // Announced in one way and computed in the next: what is on its way is settled first.
        offload.begin_early(layer, routes).unwrap();
        offload.read_gates(GateReads::ALL[(step * 2 + step / 5) % 3]);
        if step % 2 == 0 {
            offload.begin_early(layer, routes).unwrap();
        }
        offload.decode(&mut pool, layer, routes, &x, &mut out).unwrap();
        bits.extend(out.iter().map(|value| value.to_bits()));
    }
    assert!(bits == wanted);

    let mut coarse = options(0.3, 0.2, &file);
    coarse.granularity = Granularity::Cluster;
    coarse.gates = GateReads::Apart;
    let coarse = offload_with(&file, BackendChoice::Lanes(1), coarse);
    assert_eq!(
        (coarse.gate_reads(), coarse.gate_choices()),
        (GateReads::Joined, vec![GateReads::Joined])
    );
    let mut barriers = options(0.3, 0.2, &file);
    barriers.overlap = Overlap::Matrix;
    barriers.gates = GateReads::Bundles;
    let barriers = offload_with(&file, BackendChoice::Lanes(1), barriers);
    assert_eq!(barriers.gate_reads(), GateReads::Joined);
    assert_eq!(barriers.gate_choices(), [GateReads::Apart, GateReads::Joined]);
}

#[test]
fn a_read_that_fails_ends_the_token_and_leaves_a_cache_that_goes_on() {
    let folder = Folder::new();
    let file = packed(&folder);
    let work = work(3);
    let wanted = reference(&file, &work, Gating::Relu, ALL);
    for gates in GateReads::ALL {
        for backend in [BackendChoice::Lanes(3), BackendChoice::Lanes(1)] {
            let expert = work.routes[0][1].expert;
            let faults = [40u64, 41, 200].map(|group| (file.layers()[0].part_span(expert, 2 * group).offset, Fault::Error(5), 1));
            let disk = FaultyDisk::new(FileDisk::open(file.path(), false).unwrap(), faults);
            let reading = ReaderOptions {
                backend,
                direct: false,
                ..ReaderOptions::default()
            };
            let reader = Arc::new(Reader::with_disk(&file, Arc::new(disk), reading).unwrap());
            let mut options = options(0.4, 0.3, &file);
            options.gates = gates;
            let mut offload = Offload::new(reader, Kernels::best(), Gating::Relu, 2, options).unwrap();
            let told = format!("{} {backend:?}", gates.name());
            let mut failures = 0;
            // One fault may end a token before the next is met.
            while let Err(error) = decode_all(&mut offload, 2, &work) {
                assert!(error.to_string().contains("read"), "{told}: {error}");
                failures += 1;
                assert!(failures <= 3, "{told}");
            }
            assert!(failures > 0, "{told}");
            let (bits, _) = decode_all(&mut offload, 2, &work).unwrap();
            assert!(bits == wanted, "{told}");
        }
    }
}
