//! One contract for all backends: whatever the granularity, the lanes, the depth and the cut of reads, the bytes are the source's.

mod common;

use common::reading::{backends, check, packed, targets};
use common::{Random, SMALL, Scratch};
use flash::{
    Arrangement, BackendChoice, DownChoice, FlashError, FlashReader, Part, Reader, ReaderOptions, Request, Span, Target,
};

#[test]
fn every_backend_brings_the_same_bytes_at_every_granularity() {
    for (arrangement, down, group) in [
        (Arrangement::Bundles, DownChoice::Exact, 32),
        (Arrangement::Bundles, DownChoice::TransposedQ8, 4),
        (Arrangement::Matrices, DownChoice::Exact, 32),
    ] {
        let scratch = Scratch::new();
        let (model, file) = packed(&scratch, arrangement, down, group);
        for (seed, backend) in backends().into_iter().enumerate() {
            let mut random = Random(1 + seed as u64);
            let options = ReaderOptions {
                backend,
                largest_read: [4096, 12288, 512 << 10][seed % 3],
                largest_merge: [4096, 512 << 10, 40960][seed % 3],
                largest_gap: [0, 4096][seed % 2],
                verify: true,
                ..ReaderOptions::default()
            };
            let reader = Reader::open(&file, options).unwrap();
            assert_eq!(reader.backend_used().backend, backend, "{}", reader.backend_used());
            let targets = targets(&file, &mut random, 36);
            for batch in targets.chunks(12) {
                let requests: Vec<Request> = batch
                    .iter()
                    .enumerate()
                    .map(|(tag, target)| Request {
                        tag: tag as u64,
                        target: target.clone(),
                    })
                    .collect();
                reader.submit(&requests).unwrap();
                let mut seen = vec![false; batch.len()];
                while let Some(completion) = reader.wait() {
                    let data = completion.outcome.unwrap_or_else(|error| panic!("{backend:?}: {error}"));
                    check(&model, &file, &batch[completion.tag as usize], &data);
                    assert!(completion.submitted <= completion.started && completion.started <= completion.finished);
                    assert!(
                        !std::mem::replace(&mut seen[completion.tag as usize], true),
                        "completed twice"
                    );
                }
                assert!(seen.iter().all(|seen| *seen), "every request completes");
            }
            let statistics = reader.statistics();
            assert_eq!(statistics.requests, 36);
            assert_eq!(statistics.latency.count(), statistics.reads);
            assert!(statistics.verified > 0 && statistics.bytes > 0);
            assert!(statistics.busy_ns.iter().sum::<u64>() > 0);
            assert_eq!(reader.pool().lent_bytes(), 0, "all buffers came back");
        }
    }
}

#[test]
fn neighbouring_neurons_share_a_read_and_distant_ones_do_not() {
    let scratch = Scratch::new();
    let (_, file) = packed(&scratch, Arrangement::Bundles, DownChoice::TransposedQ8, 4);
    let whole = |position: u32| Target::Neuron {
        layer: 0,
        expert: 0,
        part: Part::Whole,
        position,
    };
    let reads = |positions: &[u32], options: ReaderOptions| {
        let reader = Reader::open(&file, options).unwrap();
        let requests: Vec<Request> = positions
            .iter()
            .map(|position| Request {
                tag: 0,
                target: whole(*position),
            })
            .collect();
        reader.submit(&requests).unwrap();
        while let Some(completion) = reader.wait() {
            completion.outcome.unwrap();
        }
        let statistics = reader.statistics();
        assert_eq!(statistics.ranges - statistics.merged, statistics.reads);
        statistics.reads
    };
    let plain = ReaderOptions::default;
    assert_eq!(reads(&[0, 4, 8, 12], plain()), 1, "four groups in a row");
    assert_eq!(reads(&[0, 1, 2, 3], plain()), 1, "four neurons of one group");
    assert_eq!(reads(&[0, 8, 16], plain()), 3, "every other group");
    let bundle = file.layers()[0].expert_bytes() / u64::from(file.layers()[0].groups());
    assert_eq!(
        reads(
            &[0, 8, 16],
            ReaderOptions {
                largest_gap: bundle,
                ..plain()
            }
        ),
        1,
        "gaps of a bundle are read over"
    );
    assert_eq!(
        reads(
            &[0, 4, 8, 12],
            ReaderOptions {
                largest_merge: 2 * bundle,
                ..plain()
            }
        ),
        2,
        "merging has a limit"
    );
}

#[test]
fn two_phases_read_no_more_than_the_whole_and_the_first_only_gate_pages() {
    let scratch = Scratch::new();
    let (_, file) = packed(&scratch, Arrangement::Bundles, DownChoice::TransposedQ8, 4);
    let bytes = |part: Part| {
        let spans = Target::Neuron {
            layer: 1,
            expert: 2,
            part,
            position: 17,
        }
        .spans(&file)
        .unwrap();
        spans.iter().map(|span| span.bytes).sum::<u64>()
    };
    assert_eq!(bytes(Part::Gate) + bytes(Part::UpDown), bytes(Part::Whole));
    assert_eq!(bytes(Part::Gate), 4096);
}

#[test]
fn requests_for_what_the_file_does_not_have_are_refused_with_what_it_has() {
    let scratch = Scratch::new();
    let (_, file) = packed(&scratch, Arrangement::Bundles, DownChoice::TransposedQ8, 4);
    let reader = Reader::open(&file, ReaderOptions::default()).unwrap();
    let refuse = |target: Target, words: &str| {
        let error = reader
            .submit(&[
                Request {
                    tag: 0,
                    target: Target::Layer { layer: 0 },
                },
                Request { tag: 1, target },
            ])
            .unwrap_err();
        assert!(error.to_string().contains(words), "{error}");
        assert!(reader.wait().is_none(), "nothing was queued");
    };
    let part = Part::Whole;
    refuse(Target::Layer { layer: 2 }, "no layer 2; the file has 2");
    refuse(Target::Expert { layer: 0, expert: 3 }, "no expert 3");
    refuse(
        Target::Neuron {
            layer: 0,
            expert: 0,
            part,
            position: 352,
        },
        "no neuron 352",
    );
    refuse(
        Target::Cluster {
            layer: 0,
            expert: 0,
            part,
            groups: 3..3,
        },
        "groups 3..3",
    );
    refuse(
        Target::Cluster {
            layer: 0,
            expert: 0,
            part,
            groups: 0..u32::MAX,
        },
        "inside 0..88",
    );
    refuse(Target::Tensor { index: 99 }, "no dense tensor 99");
    refuse(Target::Pages(Span { offset: 1, bytes: 4096 }), "whole pages");
    refuse(
        Target::Pages(Span {
            offset: u64::MAX - 4095,
            bytes: 4096,
        }),
        "whole pages",
    );
    for (lanes, words) in [(0, "1 to 1024"), (2000, "1 to 1024")] {
        let options = ReaderOptions {
            backend: BackendChoice::Uring(lanes),
            ..ReaderOptions::default()
        };
        assert!(Reader::open(&file, options).err().unwrap().to_string().contains(words));
    }
    let options = ReaderOptions {
        largest_read: 5000,
        ..ReaderOptions::default()
    };
    assert!(
        Reader::open(&file, options)
            .err()
            .unwrap()
            .to_string()
            .contains("multiple of 4096")
    );
    let options = ReaderOptions {
        pin: vec![0, 1023],
        ..ReaderOptions::default()
    };
    assert!(
        Reader::open(&file, options)
            .err()
            .unwrap()
            .to_string()
            .contains("cannot pin lane 1 to cpu 1023")
    );
}

#[test]
fn cancelling_ends_every_request_and_leaves_the_reader_usable() {
    for backend in [BackendChoice::Lanes(1), BackendChoice::Uring(1)] {
        let scratch = Scratch::new();
        let (model, file) = packed(&scratch, Arrangement::Bundles, DownChoice::TransposedQ8, 4);
        let options = ReaderOptions {
            backend,
            largest_read: 4096,
            ..ReaderOptions::default()
        };
        let reader = Reader::open(&file, options).unwrap();
        let requests: Vec<Request> = (0..300)
            .map(|tag| Request {
                tag,
                target: Target::Expert {
                    layer: tag as u32 % 2,
                    expert: 1,
                },
            })
            .collect();
        // One by one, so that they are not merged into one run.
        requests
            .iter()
            .for_each(|request| reader.submit(std::slice::from_ref(request)).unwrap());
        reader.cancel();
        let outcomes: Vec<_> = std::iter::from_fn(|| reader.wait()).collect();
        assert_eq!(outcomes.len(), 300, "each request completes once");
        let cancelled = outcomes
            .iter()
            .filter(|one| matches!(one.outcome, Err(FlashError::Cancelled)))
            .count();
        assert!(cancelled > 100, "{cancelled} of 300 were cancelled");
        reader.submit(&requests[..1]).unwrap();
        let data = reader.wait().unwrap().outcome.unwrap();
        model.check(&file, &data, (0, 1), Part::Whole, 0..SMALL.neurons);
        // Dropping with work queued neither hangs nor crashes.
        requests
            .iter()
            .for_each(|request| reader.submit(std::slice::from_ref(request)).unwrap());
        drop(reader);
    }
}

#[test]
fn threads_can_wait_for_their_own_tags() {
    for backend in [BackendChoice::Lanes(4), BackendChoice::Uring(16)] {
        let scratch = Scratch::new();
        let (model, file) = packed(&scratch, Arrangement::Bundles, DownChoice::Exact, 32);
        let reader = Reader::open(
            &file,
            ReaderOptions {
                backend,
                ..ReaderOptions::default()
            },
        )
        .unwrap();
        std::thread::scope(|scope| {
            for expert in 0..3u32 {
                let (reader, model, file) = (&reader, &model, &file);
                scope.spawn(move || {
                    for round in 0..20u32 {
                        let layer = round % 2;
                        reader
                            .submit(&[Request {
                                tag: u64::from(expert),
                                target: Target::Expert { layer, expert },
                            }])
                            .unwrap();
                        let completion = reader.wait_for(u64::from(expert)).expect("a completion of this tag comes");
                        model.check(
                            file,
                            &completion.outcome.unwrap(),
                            (layer, expert),
                            Part::Whole,
                            0..SMALL.neurons,
                        );
                    }
                });
            }
        });
        assert!(reader.wait().is_none());
    }
}
