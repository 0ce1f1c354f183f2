//! Adapting while generating: a storage that becomes slower in mid-run is noticed, what reads gate rows changes, and the text does not.

use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

use flash::{GroupChoice, PackOptions};
use generate::{
    AdaptOptions, BackendChoice, Decision, FlashCurve, FlashShape, GateReads, GenerateError, Options, RandomPoint, Rates,
    ReadCost, Report, SequentialPoint, SlowStorage, Slowdown, run,
};

mod common;
use common::{Folder, MODEL, exact, fixture, report, tokens};

/// One neuron a page, so that a run over its neighbours' up and down reads several times as much.
fn packed(folder: &Folder) -> PathBuf {
    let options = PackOptions {
        group: GroupChoice::Fixed(1),
        ..exact()
    };
    folder.packed(&fixture(MODEL), &options)
}

/// A link of 40 MB/s, and 20 microseconds a command: slow enough for any disk and any machine that is busy with other tests.
const BYTE_NS: f64 = 25.0;
const COMMAND_NS: f64 = 20_000.0;

fn shape() -> FlashShape {
    let rate = |block: u64| block as f64 * 1e9 / (COMMAND_NS + BYTE_NS * block as f64);
    let blocks = [4096u64, 8192, 65536, 524_288];
    let random = |block| RandomPoint {
        block,
        range: 1 << 27,
        rate: rate(block),
    };
    FlashShape {
        curve: FlashCurve {
            sequential: vec![SequentialPoint {
                block: 524_288,
                rate: 1e9 / BYTE_NS,
            }],
            random: blocks.map(random).to_vec(),
            queues: 1,
            contention_floor: 1.0,
            contention_submitters: 4,
            latency_ns: 50_000.0,
            second_phase_ratio: 1.0,
        },
        core_ratio: 1.0,
    }
}

/// Nothing is kept: every gate is read for every token.
fn options(packed: &Path) -> Options {
    Options {
        tokens: 41,
        threads: 2,
        stop_at_end: false,
        memory: Some(1 << 30),
        segments: Some((0, 0)),
        shape: Some(shape()),
        gates: GateReads::Bundles,
        backend: BackendChoice::Uring(64),
        ..Options::new(packed, "one of the")
    }
}

fn adapt() -> Option<AdaptOptions> {
    Some(AdaptOptions {
        every: 4,
        rates: Rates {
            command_ns: COMMAND_NS,
            byte_ns: BYTE_NS,
        },
        cost: ReadCost {
            own_ns: 1000.0,
            handed_ns: 15_000.0,
        },
    })
}

const SLOW: Option<SlowStorage> = Some(SlowStorage {
    token: 16,
    slowdown: Slowdown::Bytes(6.0),
});

fn milliseconds(report: &Report, rows: std::ops::Range<usize>) -> f64 {
    let rows = &report.rows[rows];
    rows.iter().map(|row| row.took.as_secs_f64() * 1e3).sum::<f64>() / rows.len() as f64
}

#[test]
fn a_storage_whose_link_slows_down_is_noticed_and_read_apart_and_the_text_stays_the_same() {
    let folder = Folder::new();
    let packed = packed(&folder);
    let wanted = report(&Options {
        memory: None,
        segments: None,
        shape: None,
        ..options(&packed)
    });
    let fixed = report(&Options {
        slow: SLOW,
        ..options(&packed)
    });
    assert_eq!((fixed.adaptation.as_ref(), tokens(&fixed)), (None, tokens(&wanted)));
    // It slows down when it was told to: the first row is no pass.
    assert!(
        milliseconds(&fixed, 17..41) > 2.0 * milliseconds(&fixed, 1..17),
        "{:?}",
        fixed.rows
    );
    let adaptive = report(&Options {
        slow: SLOW,
        adapt: adapt(),
        ..options(&packed)
    });
    assert_eq!((tokens(&adaptive), &adaptive.text), (tokens(&wanted), &wanted.text));
    assert_eq!(adaptive.labels, ["lossless"]);
    let decisions: Vec<Decision> = adaptive.adaptation.clone().unwrap();
    let last = decisions.last().unwrap();
    assert_eq!(last.gates[1], GateReads::Apart, "{decisions:?}");
    assert!(decisions.iter().all(|decision| decision.token % 4 == 0));
    assert!(
        decisions.iter().any(|decision| decision.token > 16 && decision.token <= 32),
        "{decisions:?}"
    );
    // Six times the time of a byte, and three quarters of the bytes saved.
    let (slow, adapted) = (milliseconds(&fixed, 37..41), milliseconds(&adaptive, 37..41));
    assert!(adapted < 0.8 * slow, "{adapted} ms a token against {slow}: {decisions:?}");
}

#[test]
fn every_way_of_reading_gates_gives_the_same_text_and_so_does_adapting_without_a_change_of_storage() {
    let folder = Folder::new();
    let packed = packed(&folder);
    let wanted = report(&Options {
        memory: None,
        segments: None,
        shape: None,
        tokens: 13,
        ..options(&packed)
    });
    for gates in GateReads::ALL {
        for backend in [BackendChoice::Lanes(4), BackendChoice::Uring(16)] {
            for adapt in [None, adapt()] {
                let found = report(&Options {
                    gates,
                    backend,
                    adapt,
                    tokens: 13,
                    shape: None,
                    ..options(&packed)
                });
                assert_eq!(tokens(&found), tokens(&wanted), "{} {backend:?}", gates.name());
                assert_eq!(found.adaptation.is_some(), adapt.is_some());
            }
        }
    }
}

#[test]
fn a_slower_storage_needs_a_modelled_one() {
    let folder = Folder::new();
    let packed = packed(&folder);
    let refused = Options {
        slow: SLOW,
        shape: None,
        ..options(&packed)
    };
    let Err(GenerateError::Input { name, what }) = run(&refused, &mut |_| ControlFlow::Continue(())) else {
        panic!("made a real disk slower");
    };
    assert!(name == "slow-storage" && what.contains("--shape-flash"), "{name} {what}");
}
