//! Segments filled before the first token.

mod common;

use std::sync::Arc;

use cache::PolicyKind;
use common::*;
use flash::{BackendChoice, Fault, FaultyDisk, FileDisk, Reader, ReaderOptions};
use neuron::{Gating, Kernels};
use offload::{Granularity, Offload, OffloadError};

/// Shares with room for everything, however coarse the units that it is rounded up to.
const ALL_OF_IT: (f64, f64) = (2.0, 2.0);

#[test]
fn what_is_preloaded_fills_the_segments_within_the_buffers_of_decoding_and_changes_no_bit() {
    let folder = Folder::new();
    let file = packed(&folder);
    let work = work(6);
    let wanted = reference(&file, &work, Gating::Relu, &|_, _, _, slots| slots);
    for granularity in Granularity::ALL {
        for (hot, cold) in [(0.0, 0.0), (0.0, 0.4), (0.5, 0.3), (1.0, 0.25), ALL_OF_IT] {
            let mut options = options(hot, cold, &file);
            options.granularity = granularity;
            let asked = options.clone();
            let mut offload = offload_with(&file, BackendChoice::Lanes(2), options);
            let read = offload.preload().unwrap();
            let held: Vec<[u32; 2]> = held(&offload);
            for [resident, slots] in &held {
                assert_eq!(resident, slots, "{} hot {hot} cold {cold}: {held:?}", granularity.name());
            }
            assert_eq!(read > 0, held.iter().any(|[resident, _]| *resident > 0));
            let most = 2 * Offload::needs(&file, 2, &asked).unwrap().requested as u64;
            let peak = offload.reader().statistics().peak_buffer_bytes;
            assert!(peak <= most, "{}: {peak} of {most} bytes", granularity.name());
            // Of a full segment nothing more can be kept, and of an empty one nothing is read.
            offload.preload().unwrap();
            assert_eq!(self::held(&offload), held);
            let (bits, counters) = decode_all(&mut offload, 2, &work).unwrap();
            assert!(bits == wanted, "{} hot {hot} cold {cold}", granularity.name());
            if (hot, cold) == ALL_OF_IT {
                assert_eq!(
                    (counters.gate_misses, counters.misses, counters.bytes),
                    (0, 0, 0),
                    "{}",
                    granularity.name()
                );
            }
        }
    }
}

/// Of each segment: what it holds, and what it could.
fn held(offload: &Offload) -> Vec<[u32; 2]> {
    let counts = offload.cache().segments().iter().map(|segment| segment.counts());
    counts.map(|counts| [counts.resident, counts.slots]).collect()
}

#[test]
fn a_part_that_is_preloaded_spares_as_much_of_the_first_token_as_it_is() {
    let folder = Folder::new();
    let file = packed(&folder);
    let work = work(1);
    let misses = |preload: bool| {
        let mut offload = offload_with(&file, BackendChoice::Lanes(2), options(0.5, 0.5, &file));
        if preload {
            offload.preload().unwrap();
        }
        decode_all(&mut offload, 2, &work).unwrap().1
    };
    let (cold, warm) = (misses(false), misses(true));
    assert_eq!((cold.gate_misses, cold.misses), (cold.gate_look_ups, cold.look_ups));
    // Gates lie in three clusters an expert, of which one or two have a slot.
    let about_half = |missed: u64, of: u64| 3 * missed >= of && 3 * missed <= 2 * of;
    assert!(about_half(warm.gate_misses, warm.gate_look_ups), "{warm:?}");
    assert!(about_half(warm.misses, warm.look_ups), "{warm:?}");
}

#[test]
fn every_policy_is_filled() {
    let folder = Folder::new();
    let file = packed(&folder);
    let work = work(4);
    let wanted = reference(&file, &work, Gating::Relu, &|_, _, _, slots| slots);
    for policy in PolicyKind::ALL.into_iter().filter(|policy| *policy != PolicyKind::Belady) {
        let mut options = options(0.5, 0.25, &file);
        options.policy = policy;
        let mut offload = offload_with(&file, BackendChoice::Uring(8), options);
        offload.preload().unwrap();
        let held = held(&offload);
        assert!(held.iter().all(|[resident, _]| *resident > 0), "{}: {held:?}", policy.name());
        assert!(decode_all(&mut offload, 2, &work).unwrap().0 == wanted, "{}", policy.name());
    }
}

#[test]
fn a_read_that_fails_is_an_error_and_the_rest_works() {
    let folder = Folder::new();
    let file = packed(&folder);
    let work = work(3);
    let wanted = reference(&file, &work, Gating::Relu, &|_, _, _, slots| slots);
    // A page in the middle of the layers fails once.
    let page = (file.layers()[1].offset() / 4096 + 3) * 4096;
    let disk = FaultyDisk::new(FileDisk::open(file.path(), true).unwrap(), [(page, Fault::Error(5), 1)]);
    let reader = Reader::with_disk(&file, Arc::new(disk), ReaderOptions::default()).unwrap();
    let mut offload = Offload::new(Arc::new(reader), Kernels::best(), Gating::Relu, 2, options(1.0, 1.0, &file)).unwrap();
    let failed = offload.preload();
    assert!(matches!(failed, Err(OffloadError::Flash(_))), "{failed:?}");
    assert!(decode_all(&mut offload, 2, &work).unwrap().0 == wanted);
    offload.preload().unwrap();
    let before = offload.totals();
    assert!(decode_all(&mut offload, 2, &work).unwrap().0 == wanted);
    assert_eq!(offload.totals().bytes, before.bytes);
}
