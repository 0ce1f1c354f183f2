//! Layers that are announced before their turn: reads begin early, and nothing else changes.

mod common;

use std::sync::Arc;

use common::*;
use flash::{BackendChoice, Fault, FaultyDisk, FileDisk, FlashFile, Reader, ReaderOptions};
use model::Route;
use neuron::{Activations, Gating, Kernels};
use offload::{Granularity, LayerCounters, Offload, OffloadError};
use pool::{Options, Pool};

const ALL: Choice<'static> = &|_, _, _, slots| slots;

/// As `decode_all`, each layer announced first.
fn announced(offload: &mut Offload, threads: usize, work: &Work) -> Result<(Vec<u32>, LayerCounters), OffloadError> {
    let mut pool = Pool::new(&Options::new(threads)).unwrap();
    let mut bits = Vec::new();
    for (step, (input, routes)) in work.inputs.iter().zip(&work.routes).enumerate() {
        let layer = step % LAYERS as usize;
        offload.begin_early(layer, routes)?;
        let mut x = Activations::new();
        Kernels::best().quantise(input, &mut x);
        let mut out = vec![f32::NAN; WIDTH as usize];
        offload.decode(&mut pool, layer, routes, &x, &mut out)?;
        bits.extend(out.iter().map(|value| value.to_bits()));
    }
    Ok((bits, offload.totals()))
}

fn with(file: &Arc<FlashFile>, backend: BackendChoice, granularity: Granularity) -> Offload {
    let mut options = options(0.5, 0.4, file);
    options.granularity = granularity;
    offload_with(file, backend, options)
}

#[test]
fn what_was_announced_gives_the_bits_and_the_look_ups_of_what_was_not() {
    let folder = Folder::new();
    let file = packed(&folder);
    let work = work(6);
    let wanted = reference(&file, &work, Gating::Relu, ALL);
    for granularity in Granularity::ALL {
        let (_, counted) = decode_all(&mut with(&file, BackendChoice::Lanes(1), granularity), 1, &work).unwrap();
        assert_eq!(counted.gates_announced, 0);
        for (backend, threads) in [
            (BackendChoice::Lanes(1), 1),
            (BackendChoice::Lanes(4), 3),
            (BackendChoice::Uring(16), 2),
        ] {
            let name = granularity.name();
            let (bits, mut early) = announced(&mut with(&file, backend, granularity), threads, &work).unwrap();
            assert!(bits == wanted, "{name} {backend:?} threads {threads}");
            // All gates of two experts are less than what may be on its way.
            assert_eq!(early.gates_announced, early.gate_misses, "{name}");
            assert!(early.gates_announced > 0, "{name}: {early:?}");
            early.gates_announced = 0;
            assert_eq!(early, counted, "{name} {backend:?} threads {threads}");
        }
    }
}

#[test]
fn reads_begin_at_the_announcement_and_none_is_made_twice() {
    let folder = Folder::new();
    let file = packed(&folder);
    let work = work(1);
    let mut offload = with(&file, BackendChoice::Lanes(2), Granularity::Neuron);
    let reader = Arc::clone(offload.reader());
    offload.begin_early(0, &work.routes[0]).unwrap();
    let clusters = 2 * u64::from(NEURONS.div_ceil(256));
    assert_eq!(reader.statistics().requests, clusters);
    let mut pool = Pool::new(&Options::new(2)).unwrap();
    let mut x = Activations::new();
    Kernels::best().quantise(&work.inputs[0], &mut x);
    let mut out = vec![0.0; WIDTH as usize];
    let counted = offload.decode(&mut pool, 0, &work.routes[0], &x, &mut out).unwrap();
    assert_eq!((counted.gate_misses, counted.gates_announced), (clusters, clusters));
    // What came after the announcement are single units of up and down.
    assert_eq!(reader.statistics().requests, clusters + counted.misses);
}

#[test]
fn a_layer_that_is_announced_and_not_run_leaves_nothing_behind() {
    let folder = Folder::new();
    let file = packed(&folder);
    let work = work(5);
    let wanted = reference(&file, &work, Gating::Relu, ALL);
    for granularity in [Granularity::Neuron, Granularity::Cluster] {
        let mut offload = with(&file, BackendChoice::Uring(8), granularity);
        // Announced twice, for other experts than those that come, and of another layer.
        for (layer, expert) in [(0, 0), (0, 0), (1, 3), (0, 3)] {
            offload.begin_early(layer, &[Route { expert, weight: 1.0 }]).unwrap();
        }
        let (bits, _) = decode_all(&mut offload, 2, &work).unwrap();
        assert!(bits == wanted, "{}", granularity.name());
        // A prompt follows, and then nothing.
        offload.begin_early(1, &work.routes[1]).unwrap();
        let mut pool = Pool::new(&Options::new(2)).unwrap();
        let mut out = vec![0.0; WIDTH as usize];
        offload
            .prefill(&mut pool, 0, &work.routes[0], 2, &work.inputs[0], &mut out)
            .unwrap();
        assert!(
            out.iter()
                .map(|value| value.to_bits())
                .eq(wanted[..WIDTH as usize].iter().copied())
        );
        offload.begin_early(1, &work.routes[1]).unwrap();
        drop(offload);
    }
}

#[test]
fn a_read_that_fails_after_the_announcement_is_told_when_the_layer_runs() {
    let folder = Folder::new();
    let file = packed(&folder);
    let work = work(2);
    let wanted = reference(&file, &work, Gating::Relu, ALL);
    let first = file.layers()[0].expert_span(work.routes[0][0].expert).offset;
    let disk = FaultyDisk::new(FileDisk::open(file.path(), true).unwrap(), [(first, Fault::Error(5), 1)]);
    let reader = Reader::with_disk(&file, Arc::new(disk), ReaderOptions::default()).unwrap();
    let mut offload = Offload::new(Arc::new(reader), Kernels::best(), Gating::Relu, 2, options(0.5, 0.4, &file)).unwrap();
    let error = announced(&mut offload, 2, &work).unwrap_err().to_string();
    assert!(
        error.contains("Input/output error") && error.contains("model.flash"),
        "{error}"
    );
    assert!(announced(&mut offload, 2, &work).unwrap().0 == wanted);
}

#[test]
fn what_the_file_does_not_have_is_refused_at_the_announcement() {
    let folder = Folder::new();
    let file = packed(&folder);
    let mut offload = with(&file, BackendChoice::Lanes(1), Granularity::Neuron);
    let text = |outcome: Result<(), OffloadError>| outcome.unwrap_err().to_string();
    let route = |expert| [Route { expert, weight: 1.0 }];
    assert_eq!(text(offload.begin_early(2, &route(0))), "no layer 2; the packed file has 2");
    assert_eq!(text(offload.begin_early(0, &route(4))), "no expert 4; the packed file has 4");
}
