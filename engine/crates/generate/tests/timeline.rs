//! What a traced run leaves, and where threads and reads may be: costs and records change, the text never does.

use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

use generate::{
    Activity, BackendChoice, Blame, FfnChoice, FlashCurve, FlashShape, GenerateError, Granularity, Lane, Options, Overlap,
    RandomPoint, Report, SequentialPoint, Span, Timeline, run,
};

mod common;
use common::{Folder, MODEL, exact, fixture, report, tokens};

/// Layers of that model.
const LAYERS: u16 = 2;

fn packed(folder: &Folder) -> PathBuf {
    folder.packed(&fixture(MODEL), &exact())
}

fn options(model: &Path) -> Options {
    Options {
        tokens: 12,
        threads: 2,
        stop_at_end: false,
        ..Options::new(model, "one of the")
    }
}

/// Half of nothing in memory: every token reads.
fn from_flash(model: &Path) -> Options {
    Options {
        memory: Some(1 << 30),
        segments: Some((0, 0)),
        backend: BackendChoice::Lanes(3),
        ..options(model)
    }
}

fn traced(options: &Options) -> (Report, Timeline) {
    let report = report(&Options {
        trace: true,
        ..options.clone()
    });
    let timeline = report.timeline.clone().unwrap();
    (report, timeline)
}

fn spans(timeline: &Timeline) -> Vec<Span> {
    timeline.kept.iter().flat_map(|pass| pass.spans.clone()).collect()
}

fn spent_on(timeline: &Timeline, what: Activity) -> u64 {
    timeline.decode.by_activity[what as usize]
}

/// What holds of every timeline.
fn check(report: &Report, timeline: &Timeline, threads: u64) {
    let passes = report.rows.len() - 1;
    assert_eq!((timeline.rows.len(), timeline.decode.passes), (passes, passes));
    assert_eq!((timeline.forgotten, timeline.lost), (0, 0));
    assert_eq!(timeline.kept.len(), passes + timeline.prompt.passes);
    for (row, token) in timeline.rows.iter().zip(&report.rows[1..]) {
        assert_eq!(row.took, token.took);
    }
    let decode = &timeline.decode;
    let wall = decode.took.as_nanos() as u64;
    let of_threads = |is: fn(Activity) -> bool| -> u64 {
        Activity::ALL
            .into_iter()
            .filter(|&what| is(what))
            .map(|what| spent_on(timeline, what))
            .sum()
    };
    let computing = of_threads(Activity::is_compute);
    assert_eq!(computing, decode.by_thread.iter().sum::<u64>() + threads * decode.together);
    assert!(computing + spent_on(timeline, Activity::Wait) <= wall * threads);
    assert!(decode.exposed <= decode.reading && decode.reading <= wall);
    assert!(decode.reading <= of_threads(Activity::is_read));
    let all = spans(timeline);
    assert!(
        all.iter()
            .all(|span| span.start() <= span.end() && span.layer().is_none_or(|layer| layer < LAYERS))
    );
    // A thread does one thing at a time, and nothing of its own while all do something together.
    for thread in 0..threads as u16 {
        let mut own: Vec<&Span> = all
            .iter()
            .filter(|span| span.lane() == Lane::Thread(thread) || span.lane() == Lane::Together)
            .collect();
        own.sort_by_key(|span| (span.start(), span.end()));
        for pair in own.windows(2) {
            assert!(
                pair[0].end() <= pair[1].start(),
                "thread {thread}: {:?} then {:?}",
                pair[0],
                pair[1]
            );
        }
    }
    for pass in timeline.kept.iter().filter(|pass| pass.token.is_some()) {
        let heads = pass.spans.iter().filter(|span| span.what() == Activity::Head).count();
        let attentions = pass.spans.iter().filter(|span| span.what() == Activity::Attention).count();
        assert_eq!((heads, attentions), (1, usize::from(LAYERS)), "token {:?}", pass.token);
    }
}

#[test]
fn a_traced_run_from_flash_has_every_stage_and_read_and_the_same_tokens() {
    let folder = Folder::new();
    let packed = packed(&folder);
    let plain = report(&from_flash(&packed));
    assert!(plain.timeline.is_none());
    for backend in [BackendChoice::Lanes(3), BackendChoice::Uring(16)] {
        for (granularity, overlap) in [
            (Granularity::Neuron, Overlap::Cluster),
            (Granularity::Cluster, Overlap::Nothing),
        ] {
            let (report, timeline) = traced(&Options {
                backend,
                granularity,
                overlap,
                ..from_flash(&packed)
            });
            assert_eq!(tokens(&report), tokens(&plain));
            check(&report, &timeline, 2);
            for what in [
                Activity::Gate,
                Activity::UpDown,
                Activity::Cache,
                Activity::ReadGate,
                Activity::ReadUpDown,
                Activity::Attention,
                Activity::Head,
            ] {
                assert!(
                    spent_on(&timeline, what) > 0,
                    "{} in {granularity:?}, {backend:?}",
                    what.name()
                );
            }
            assert_eq!(spent_on(&timeline, Activity::DenseFfn), 0);
            assert!(timeline.prompt.by_activity[Activity::Stream as usize] > 0);
            assert!(timeline.prompt.by_activity[Activity::DenseFfn as usize] > 0);
            let sum = |of: fn(&generate::PassRow) -> u64| timeline.rows.iter().map(of).sum::<u64>();
            assert_eq!(sum(|row| row.bytes), report.decode.disk_bytes);
            assert_eq!(sum(|row| row.look_ups), report.decode.counters.look_ups);
            assert_eq!(sum(|row| row.misses), report.decode.counters.misses);
        }
    }
    // On a busy machine reads may be over before a thread comes to wait for them; not every time.
    let waits = || spent_on(&traced(&from_flash(&packed)).1, Activity::Wait) > 0;
    assert!((0..50).any(|_| waits()));
}

#[test]
fn ffns_in_memory_are_recorded_as_what_they_are() {
    for (ffn, seen, unseen) in [
        (FfnChoice::Dense, Activity::DenseFfn, Activity::UpDown),
        (FfnChoice::Sparse, Activity::UpDown, Activity::DenseFfn),
    ] {
        let (report, timeline) = traced(&Options {
            ffn,
            ..options(&fixture(MODEL))
        });
        check(&report, &timeline, 2);
        assert!(spent_on(&timeline, seen) > 0, "{ffn:?}");
        assert_eq!(spent_on(&timeline, unseen), 0, "{ffn:?}");
        assert_eq!((timeline.decode.reading, timeline.decode.exposed), (0, 0));
        assert!(timeline.rows.iter().all(|row| row.bytes == 0 && row.look_ups == 0));
    }
}

#[test]
fn the_timeline_is_a_part_of_the_budget() {
    let held = |trace| {
        let report = report(&Options {
            trace,
            ..options(&fixture(MODEL))
        });
        report.budget.fixed.iter().any(|part| part.name == "the timeline")
    };
    assert!(held(true) && !held(false));
}

/// One rate in bytes a second, for any block and any order of reads.
fn curve(rate: f64) -> FlashCurve {
    FlashCurve {
        sequential: vec![SequentialPoint { block: 512 << 10, rate }],
        random: vec![RandomPoint {
            block: 4096,
            range: 1 << 30,
            rate,
        }],
        queues: 1,
        contention_floor: 0.6,
        contention_submitters: 4,
        latency_ns: 0.0,
        second_phase_ratio: 1.0,
    }
}

#[test]
fn a_slower_flash_slows_the_reads_down_and_says_how_many_it_could_not() {
    let folder = Folder::new();
    let packed = packed(&folder);
    let plain = report(&from_flash(&packed));
    let shaped = |rate| {
        report(&Options {
            backend: BackendChoice::Uring(16),
            shape: Some(FlashShape {
                curve: curve(rate),
                core_ratio: 1.0,
            }),
            ..from_flash(&packed)
        })
    };
    let slow = shaped(20e6);
    assert_eq!(tokens(&slow), tokens(&plain));
    assert!(plain.flash.unwrap().shaped.is_none());
    let said = slow.flash.unwrap().shaped.unwrap();
    assert!(said.reads > 0 && said.late < said.reads, "{said:?}");
    // The device serves one read after the other: decoding lasts as long as its reads do in the model.
    let least = slow.decode.disk_bytes as f64 / 20e6;
    assert!(
        slow.decode.took.as_secs_f64() >= 0.9 * least,
        "{:?} for {} bytes",
        slow.decode.took,
        slow.decode.disk_bytes
    );
    let unreachable = shaped(1e15).flash.unwrap().shaped.unwrap();
    assert_eq!(unreachable.late_share(), 1.0, "{unreachable:?}");
}

#[test]
fn a_core_or_a_curve_that_cannot_be_is_the_argument_that_is_wrong() {
    let folder = Folder::new();
    let packed = packed(&folder);
    let wrong = |options: Options| match run(&options, &mut |_| ControlFlow::Continue(())).unwrap_err() {
        error @ GenerateError::Input { name, .. } => {
            assert_eq!(error.blame(), Blame::Input);
            (name, error.to_string())
        }
        other => panic!("{other}"),
    };
    let base = || from_flash(&packed);
    let (name, said) = wrong(Options {
        cores: vec![0],
        ..base()
    });
    assert_eq!(
        (name, said.as_str()),
        ("pin", "pin: wrong number of cores: 1; must be none or one per thread (2)")
    );
    assert_eq!(
        wrong(Options {
            cores: vec![0, 1023],
            ..base()
        })
        .0,
        "pin"
    );
    for backend in [BackendChoice::Lanes(2), BackendChoice::Uring(8)] {
        let (name, said) = wrong(Options {
            io_core: Some(1023),
            backend,
            ..base()
        });
        assert_eq!(name, "pin-io", "{said}");
        assert!(said.contains("cpu 1023"), "{said}");
    }
    let shape = FlashShape {
        curve: curve(-1.0),
        core_ratio: 1.0,
    };
    assert_eq!(
        wrong(Options {
            shape: Some(shape),
            ..base()
        })
        .0,
        "shape-flash"
    );
}

#[test]
fn bound_threads_make_the_same_text_and_the_caller_is_free_again() {
    let folder = Folder::new();
    let packed = packed(&folder);
    let allowed = || {
        let status = std::fs::read_to_string("/proc/thread-self/status").unwrap();
        let line = status.lines().find(|line| line.starts_with("Cpus_allowed_list:")).unwrap();
        line.to_owned()
    };
    let before = allowed();
    let bound = report(&Options {
        cores: vec![0, 0],
        io_core: Some(0),
        ..from_flash(&packed)
    });
    assert_eq!(tokens(&bound), tokens(&report(&from_flash(&packed))));
    assert_eq!(allowed(), before);
}
