//! The tests of llama-bench on small committed models.

use std::ops::ControlFlow;
use std::path::PathBuf;

use flash::{PackOptions, pack};
use generate::{BenchOptions, BenchReport, BenchTest, BenchTold, Blame, GenerateError, Options, bench};

fn fixture() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../rivals/llama.cpp/fixtures/smallthinker-softmax-f32.gguf")
}

/// The fixture, said to be trained for twice as long texts, so that a prompt may have more tokens than are read at once. Removed at the end.
struct Longer(PathBuf);

impl Longer {
    fn new(name: &str) -> Self {
        const KEY: &[u8] = b"smallthinker.context_length";
        let mut bytes = std::fs::read(fixture()).unwrap();
        let key = bytes.windows(KEY.len()).position(|window| window == KEY).unwrap();
        // Behind the key: four bytes of type, then the number.
        let at = key + KEY.len() + 4;
        bytes[at..at + 4].copy_from_slice(&1024u32.to_le_bytes());
        let path = std::env::temp_dir().join(format!("neuronlab-bench-{}-{name}.gguf", std::process::id()));
        std::fs::write(&path, bytes).unwrap();
        Self(path)
    }
}

impl Drop for Longer {
    fn drop(&mut self) {
        drop(std::fs::remove_file(&self.0));
    }
}

fn what() -> BenchOptions {
    BenchOptions {
        tests: vec![BenchTest::Prompt(600), BenchTest::Generation(12)],
        repetitions: 3,
        warm_up: true,
        seed: 1,
    }
}

fn options(model: PathBuf) -> Options {
    Options {
        threads: 2,
        ..Options::new(model, "")
    }
}

fn run(options: &Options, what: &BenchOptions) -> Result<BenchReport, GenerateError> {
    bench(options, what, &mut |_| ControlFlow::Continue(()))
}

#[test]
fn every_repetition_is_a_sample_and_says_what_it_cost() {
    let (mut heard, longer) = (Vec::new(), Longer::new("all"));
    let report = bench(&options(longer.0.clone()), &what(), &mut |told| {
        if told != BenchTold::Ran {
            heard.push(told);
        }
        ControlFlow::Continue(())
    })
    .unwrap();
    let measured = |test| (1..=3).map(move |done| BenchTold::Measured { test, done });
    let wanted: Vec<BenchTold> = std::iter::once(BenchTold::Loaded)
        .chain(measured(0))
        .chain(measured(1))
        .collect();
    assert_eq!(heard, wanted);
    let facts = &report.facts;
    assert_eq!(
        (facts.architecture, facts.file, facts.ffn, facts.threads, facts.weights.kind),
        ("smallthinker", "gguf", "sparse in memory", 2, "F32")
    );
    assert_eq!(facts.weights.bytes, 4 * facts.weights.count);
    for (result, test) in report.results.iter().zip(what().tests) {
        assert_eq!((result.test, result.samples.len()), (test, 3));
        let took: std::time::Duration = result.samples.iter().sum();
        assert!(result.spent.took == took && result.spent.ffn < took);
        assert!(result.spent.ffn.as_nanos() > 0);
        assert_eq!((result.spent.disk_bytes, result.spent.counters.look_ups), (0, 0));
    }
    assert!(report.flash.is_none());
}

#[test]
fn from_flash_the_cache_stays_warm_between_repetitions_and_look_ups_are_those_of_the_measured_ones() {
    let folder = std::env::temp_dir().join(format!("neuronlab-bench-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let packed = folder.join("m.flash");
    pack(&fixture(), &packed, &PackOptions::default(), &mut |_| {
        ControlFlow::Continue(())
    })
    .unwrap();
    let large = Options {
        memory: Some(1 << 30),
        ..options(packed)
    };
    let cold = BenchOptions {
        tests: vec![BenchTest::Generation(12)],
        repetitions: 1,
        warm_up: false,
        seed: 1,
    };
    let one = &run(&large, &cold).unwrap().results[0];
    let many = BenchOptions {
        repetitions: 6,
        ..cold.clone()
    };
    let six = &run(&large, &many).unwrap().results[0];
    let none = Options {
        segments: Some((0, 0)),
        ..large.clone()
    };
    let bare = &run(&none, &cold).unwrap().results[0];
    std::fs::remove_dir_all(&folder).unwrap();
    // Every gate cluster of the one fits, so what is missed once is there for the other five.
    assert!(one.spent.counters.gate_misses > 0 && one.spent.disk_bytes > 0);
    assert!(six.spent.counters.gate_misses < 2 * one.spent.counters.gate_misses);
    assert!(six.spent.counters.gate_look_ups == 6 * one.spent.counters.gate_look_ups);
    assert_eq!(bare.spent.counters.gate_misses, bare.spent.counters.gate_look_ups);
}

#[test]
fn what_fills_the_cache_before_the_first_token_is_none_of_the_reads_of_tokens() {
    let folder = std::env::temp_dir().join(format!("neuronlab-preload-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let packed = folder.join("m.flash");
    pack(&fixture(), &packed, &PackOptions::default(), &mut |_| {
        ControlFlow::Continue(())
    })
    .unwrap();
    let what = BenchOptions {
        tests: vec![BenchTest::Generation(12)],
        repetitions: 1,
        warm_up: false,
        seed: 1,
    };
    let [cold, warm] = [false, true].map(|preload| {
        let options = Options {
            memory: Some(1 << 30),
            preload,
            ..options(packed.clone())
        };
        let report = run(&options, &what).unwrap();
        (report.flash.unwrap(), report.results[0].spent.disk_bytes)
    });
    std::fs::remove_dir_all(&folder).unwrap();
    assert!(cold.0.preloaded.is_none() && cold.0.reads > 0 && cold.1 > 0);
    // All of it has room, so that nothing is left to be read.
    let filled = warm.0.preloaded.unwrap();
    assert!(filled.reads > 0 && filled.bytes > 0, "{filled:?}");
    assert_eq!((warm.0.reads, warm.0.p99.as_nanos(), warm.1), (0, 0, 0));
}

#[test]
fn nothing_to_measure_is_refused_and_a_stop_is_the_callers() {
    let none = BenchOptions {
        tests: Vec::new(),
        ..what()
    };
    let zero = BenchOptions {
        tests: vec![BenchTest::Generation(0)],
        ..what()
    };
    let never = BenchOptions {
        repetitions: 0,
        ..what()
    };
    for (what, name) in [(none, "tests"), (zero, "tests"), (never, "repetitions")] {
        let error = run(&options(fixture()), &what).unwrap_err();
        assert!(
            error.to_string().starts_with(name) && error.blame() == Blame::Input,
            "{error}"
        );
    }
    let longer = Longer::new("stopped");
    let mut left = 4;
    let stopped = bench(&options(longer.0.clone()), &what(), &mut |_| {
        left -= 1;
        match left {
            0 => ControlFlow::Break(()),
            _ => ControlFlow::Continue(()),
        }
    });
    assert!(matches!(stopped, Err(GenerateError::Cancelled)) && left == 0);
}

#[test]
fn a_test_longer_than_the_models_context_is_refused_before_anything_is_loaded() {
    for (test, name) in [(BenchTest::Prompt(8000), "n-prompt"), (BenchTest::Generation(513), "n-gen")] {
        let what = BenchOptions {
            tests: vec![BenchTest::Generation(2), test],
            repetitions: 1,
            warm_up: false,
            seed: 1,
        };
        let error = bench(&options(fixture()), &what, &mut |_| panic!("nothing is loaded")).unwrap_err();
        match error {
            GenerateError::Input { name: found, what } => {
                assert_eq!(found, name);
                assert!(what.contains("more than the model's context of 512"), "{what}");
            }
            other => panic!("{other}"),
        }
    }
}
