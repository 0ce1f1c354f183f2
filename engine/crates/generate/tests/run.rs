//! Whole runs of small committed models: one text for all ways of running, honest limits, failures with their owner.

use std::ops::ControlFlow;
use std::path::PathBuf;

use flash::{DownChoice, PackOptions};
use generate::{
    BackendChoice, Blame, FfnChoice, GenerateError, Granularity, Options, Overlap, PolicyKind, SamplerOptions, Stop, Told, run,
};

mod common;
use common::{Folder, MODEL, fixture, report, tokens};

fn packed(folder: &Folder, name: &str, down: DownChoice) -> PathBuf {
    let options = PackOptions {
        down,
        ..PackOptions::default()
    };
    folder.packed(&fixture(name), &options)
}

fn options(model: PathBuf) -> Options {
    Options {
        tokens: 24,
        threads: 2,
        stop_at_end: false,
        ..Options::new(model, "one of the")
    }
}

#[test]
fn memory_threads_reads_and_policies_change_the_cost_and_never_the_text() {
    let folder = Folder::new();
    let packed = packed(&folder, MODEL, DownChoice::Exact);
    let wanted = report(&Options {
        ffn: FfnChoice::Sparse,
        ..options(fixture(MODEL))
    });
    assert_eq!(
        (wanted.ffn, wanted.labels.as_slice()),
        ("sparse in memory", ["lossless"].as_slice())
    );
    assert_eq!(tokens(&report(&options(packed.clone()))), tokens(&wanted));
    let from_flash = Options {
        memory: Some(1 << 30),
        ..options(packed.clone())
    };
    let mut ways = vec![from_flash.clone()];
    for policy in PolicyKind::ALL.into_iter().filter(|&policy| policy != PolicyKind::Belady) {
        ways.push(Options {
            policy,
            segments: Some((0, 1 << 14)),
            ..from_flash.clone()
        });
    }
    for granularity in Granularity::ALL {
        for overlap in [Overlap::Nothing, Overlap::Matrix, Overlap::Cluster] {
            ways.push(Options {
                granularity,
                overlap,
                threads: 1,
                segments: Some((1 << 16, 0)),
                ..from_flash.clone()
            });
        }
    }
    ways.push(Options {
        backend: BackendChoice::Uring(8),
        depth: 1,
        threads: 3,
        segments: Some((0, 0)),
        ..from_flash
    });
    for way in &ways {
        let found = report(way);
        assert_eq!(tokens(&found), tokens(&wanted), "{way:?}");
        assert_eq!(found.text, wanted.text, "{way:?}");
        assert_eq!((found.ffn, found.file), ("from flash", "packed"));
    }
}

#[test]
fn no_cache_reads_for_every_token_and_a_full_one_stops_reading() {
    let folder = Folder::new();
    let packed = packed(&folder, MODEL, DownChoice::Exact);
    let with = |segments| {
        report(&Options {
            memory: Some(1 << 30),
            segments,
            ..options(packed.clone())
        })
    };
    let (none, all) = (with(Some((0, 0))), with(None));
    assert_eq!(none.decode.counters.misses, none.decode.counters.look_ups);
    assert!(
        none.decode.disk_bytes > 4 * all.decode.disk_bytes,
        "{} and {}",
        none.decode.disk_bytes,
        all.decode.disk_bytes
    );
    assert!(
        all.decode.counters.misses < all.decode.counters.look_ups / 2,
        "{:?}",
        all.decode.counters
    );
    assert_eq!(none.fired, all.fired);
    assert!(none.fired.unwrap() > 0.0);
}

#[test]
fn too_little_memory_names_the_least_that_works_and_that_works() {
    let folder = Folder::new();
    let packed = packed(&folder, MODEL, DownChoice::Exact);
    for model in [packed, fixture("llama-q4_0")] {
        let Err(error) = run(
            &Options {
                memory: Some(1 << 20),
                ..options(model.clone())
            },
            &mut |_| ControlFlow::Continue(()),
        ) else {
            panic!("{} ran in a megabyte", model.display());
        };
        assert_eq!(error.blame(), Blame::DoesNotFit);
        let GenerateError::DoesNotFit { needed, parts, .. } = error else {
            panic!("{error}")
        };
        assert_eq!(parts.iter().map(|part| part.bytes).sum::<u64>(), needed);
        // Tests share a process, whose own size is part of what is needed: some slack for what the others hold.
        let found = report(&Options {
            memory: Some(needed + (64 << 20)),
            ..options(model)
        });
        assert_eq!(found.rows.len(), 24);
    }
}

#[test]
fn what_is_told_together_is_the_text_and_a_stop_is_obeyed() {
    let mut told = String::new();
    let mut order = Vec::new();
    let all = run(&options(fixture("llama-q4_0")), &mut |event| {
        match event {
            Told::Loaded => order.push("loaded"),
            Told::Prompt { .. } => order.push("prompt"),
            Told::Text(text) => told.push_str(text),
        }
        ControlFlow::Continue(())
    })
    .unwrap();
    assert_eq!((told, order), (all.text.clone(), vec!["loaded", "prompt"]));
    let mut left = 3;
    let some = run(&options(fixture("llama-q4_0")), &mut |event| {
        left -= i32::from(matches!(event, Told::Text(_)));
        if left == 0 {
            ControlFlow::Break(())
        } else {
            ControlFlow::Continue(())
        }
    })
    .unwrap();
    assert_eq!((some.stop, tokens(&some)), (Stop::Cancelled, tokens(&all)[..3].to_vec()));
    let none = run(&options(fixture("llama-q4_0")), &mut |_| ControlFlow::Break(())).unwrap();
    assert_eq!((none.stop, none.rows.len()), (Stop::Cancelled, 0));
}

#[test]
fn a_seed_fixes_what_is_sampled() {
    let sampled = |seed| {
        let sampler = SamplerOptions {
            temperature: 1.5,
            seed,
            ..SamplerOptions::default()
        };
        tokens(&report(&Options {
            sampler,
            ..options(fixture("llama-q4_0"))
        }))
    };
    assert_eq!(sampled(7), sampled(7));
    assert_ne!(sampled(7), sampled(8));
}

#[test]
fn a_requantised_file_says_so() {
    let folder = Folder::new();
    let packed = packed(&folder, "smallthinker-dense-q4_0", DownChoice::Auto);
    assert_eq!(report(&options(packed)).labels, ["requantised"]);
}

#[test]
fn failures_say_whose_they_are() {
    let folder = Folder::new();
    let of = |options: &Options| run(options, &mut |_| ControlFlow::Continue(())).map(|_| ()).unwrap_err();
    let absent = of(&options(folder.file("absent")));
    assert_eq!(absent.blame(), Blame::Input);
    assert!(absent.to_string().ends_with("absent: there is no such file"), "{absent}");
    let text = folder.file("text");
    std::fs::write(&text, "GGU").unwrap();
    assert_eq!(of(&options(text)).blame(), Blame::Input);
    let error = of(&Options {
        ffn: FfnChoice::Sparse,
        ..options(fixture("llama-f32"))
    });
    assert_eq!(error.blame(), Blame::Unsupported);
    assert!(error.to_string().contains("silu"), "{error}");
    let long = of(&Options {
        tokens: 1 << 20,
        ..options(fixture("llama-f32"))
    });
    assert!(matches!(long, GenerateError::Input { name: "tokens", .. }), "{long}");
    let damaged = packed(&folder, MODEL, DownChoice::Exact);
    let bytes = std::fs::read(&damaged).unwrap();
    std::fs::write(&damaged, &bytes[..bytes.len() / 2]).unwrap();
    assert!(matches!(of(&options(damaged)).blame(), Blame::Input | Blame::Disk));
}

#[test]
fn a_damaged_packed_file_is_the_disks_to_mend_wherever_it_is_damaged() {
    let folder = Folder::new();
    let packed = packed(&folder, MODEL, DownChoice::Exact);
    let sound = std::fs::read(&packed).unwrap();
    let file = flash::FlashFile::open(&packed).unwrap();
    let wanted = tokens(&report(&options(packed.clone())));
    let layer = &file.layers()[0];
    let places = [
        (file.dense()[0].offset, format!("tensor {}", file.dense()[0].name)),
        (layer.part_span(0, 0).offset, "gate of layer 0 expert 0 group 0".to_owned()),
    ];
    for (at, name) in places {
        let mut bytes = sound.clone();
        // A number that is none: what was computed from it would be none either.
        bytes[at as usize..at as usize + 4].copy_from_slice(&f32::NAN.to_le_bytes());
        std::fs::write(&packed, bytes).unwrap();
        for memory in [None, Some(1 << 30)] {
            for backend in [BackendChoice::Lanes(2), BackendChoice::Uring(8)] {
                let damaged = Options {
                    memory,
                    backend,
                    segments: memory.map(|_| (0, 0)),
                    // Enough tokens for every expert to be read.
                    prompt: "one of the ".repeat(20),
                    ..options(packed.clone())
                };
                let error = run(&damaged, &mut |_| ControlFlow::Continue(())).unwrap_err();
                assert_eq!(error.blame(), Blame::Disk, "{error}");
                let words = error.to_string();
                assert!(words.contains(&name) && words.contains("pack the GGUF file again"), "{words}");
            }
        }
    }
    std::fs::write(&packed, sound).unwrap();
    assert_eq!(tokens(&report(&options(packed))), wanted);
}
