//! The engine sees what was planted, in every architecture.

use std::ops::ControlFlow;
use std::path::PathBuf;

use model::{Activation, Architecture};
use neuron::Format;
use synth::{
    Progress, Shape, Skew, Statistics, SynthError, SynthSpec, TOLERANCE, VerifyOptions, continuation, verify, verify_told, write,
    write_told,
};
use text::SamplerOptions;

fn spec(architecture: Architecture, activation: Activation) -> SynthSpec {
    SynthSpec {
        name: "planted".to_owned(),
        architecture,
        activation,
        format: Format::Q4_0,
        shape: Shape {
            hidden: 384,
            neurons: 768,
            layers: 3,
            heads: 4,
            kv_heads: 2,
            head_dim: 64,
            experts: 1,
            experts_used: 1,
            vocabulary: 2048,
            context: 2048,
        },
        statistics: Statistics::default(),
        seed: 5,
    }
}

fn mixture(mut spec: SynthSpec, repeat: f64) -> SynthSpec {
    spec.shape.experts = 4;
    spec.shape.experts_used = 2;
    spec.shape.neurons = 384;
    spec.statistics.repeat = Some(repeat);
    spec
}

/// A file that is gone with the test.
struct Scratch(PathBuf);

impl Scratch {
    fn new(name: &str) -> Self {
        Self(std::env::temp_dir().join(format!("neuronlab-synth-{}-{name}.gguf", std::process::id())))
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        // It may never have been made.
        let _ = std::fs::remove_file(&self.0);
    }
}

fn holds(name: &str, spec: &SynthSpec) {
    let file = Scratch::new(name);
    let written = write(spec, &file.0, 2).unwrap();
    assert_eq!(written.bytes, std::fs::metadata(&file.0).unwrap().len());
    let report = verify(&file.0, 2048, 3, 2).unwrap();
    assert_eq!(report.planted.share.is_some(), spec.activation.is_sparse());
    let misses = report.misses(&TOLERANCE);
    assert!(misses.is_empty(), "{name}\n{report}\n{misses:#?}");
    if spec.activation.is_sparse() {
        assert_eq!(report.measured.share.len(), spec.shape.layers);
        assert!(report.measured.skew.len() >= 4);
    }
}

#[test]
fn smallthinker_with_one_expert() {
    holds("smallthinker", &spec(Architecture::SmallThinker, Activation::Relu));
}

#[test]
fn smallthinker_with_experts_that_repeat() {
    holds("mixture", &mixture(spec(Architecture::SmallThinker, Activation::Relu), 0.7));
}

#[test]
fn llama_with_relu_and_with_drelu() {
    holds("relu", &spec(Architecture::Llama, Activation::Relu));
    holds("drelu", &spec(Architecture::Llama, Activation::DoubleRelu));
}

#[test]
fn llama_with_experts_of_drelu() {
    holds(
        "drelu-mixture",
        &mixture(spec(Architecture::Llama, Activation::DoubleRelu), 0.6),
    );
}

#[test]
fn dense_llama_loads_and_has_nothing_planted() {
    holds("silu", &spec(Architecture::Llama, Activation::Silu));
    // Experts repeat all the same.
    holds("silu-mixture", &mixture(spec(Architecture::Llama, Activation::Silu), 0.75));
}

#[test]
fn other_statistics_in_every_format() {
    let formats = [Format::F32, Format::F16, Format::Q8_0, Format::Q4_0];
    for (place, format) in formats.into_iter().enumerate() {
        let mut other = spec(Architecture::SmallThinker, Activation::Relu);
        other.format = format;
        other.statistics.share = 0.05 + 0.1 * place as f64;
        other.statistics.overlap = 0.15 * place as f64;
        other.statistics.skew = [Skew::even(), Skew::power(0.4).unwrap()][place % 2].clone();
        holds(format.name(), &other);
    }
}

#[test]
fn what_the_report_says_of_a_file_is_wrong_when_the_file_is() {
    // The same report against other plants: the check can fail.
    let file = Scratch::new("fails");
    write(&spec(Architecture::SmallThinker, Activation::Relu), &file.0, 2).unwrap();
    let mut report = verify(&file.0, 1024, 3, 2).unwrap();
    report.planted.share = Some(0.13);
    report.planted.overlap = Some(0.4);
    report.planted.skew[1].1 += 0.05;
    let missed: Vec<String> = report.misses(&TOLERANCE).into_iter().map(|row| row.what).collect();
    assert_eq!(missed, ["share active", "overlap", "activations of the hottest 10 %"]);
}

#[test]
fn the_bytes_depend_on_the_seed_and_not_on_the_threads() {
    let (one, many, other) = (Scratch::new("one"), Scratch::new("many"), Scratch::new("other"));
    let mut spec = mixture(spec(Architecture::SmallThinker, Activation::Relu), 0.6);
    write(&spec, &one.0, 1).unwrap();
    write(&spec, &many.0, 5).unwrap();
    spec.seed += 1;
    write(&spec, &other.0, 1).unwrap();
    let bytes = |file: &Scratch| std::fs::read(&file.0).unwrap();
    assert!(bytes(&one) == bytes(&many));
    assert!(bytes(&one) != bytes(&other));
}

#[test]
fn greedy_text_can_be_read_and_does_not_run_in_a_circle() {
    let file = Scratch::new("text");
    let mut spec = spec(Architecture::SmallThinker, Activation::Relu);
    spec.shape.vocabulary = 8192;
    write(&spec, &file.0, 2).unwrap();
    let said = continuation(&file.0, &[300, 266], 256, SamplerOptions::default(), 2).unwrap();
    assert_eq!(said.tokens.len(), 256);
    assert!(said.tokens.iter().all(|&token| token >= 259), "{:?}", said.tokens);
    assert!(said.different() > 200, "{} different", said.different());
    assert!(
        said.text
            .chars()
            .all(|character| character == '\n' || !character.is_control())
    );
    let share = said.share.unwrap();
    assert!((0.085..0.115).contains(&share), "{share}");
}

#[test]
fn what_cannot_be_made_is_refused_with_the_number_that_is_wrong() {
    let refused = |change: &dyn Fn(&mut SynthSpec), what: &str| {
        let file = Scratch::new("refused");
        let mut spec = spec(Architecture::SmallThinker, Activation::Relu);
        change(&mut spec);
        let error = write(&spec, &file.0, 1).unwrap_err();
        assert!(matches!(error, SynthError::Spec { .. }), "{error}");
        assert!(error.to_string().contains(what), "{error}");
        assert!(!file.0.exists());
    };
    refused(&|spec| spec.shape.hidden = 400, "hidden");
    refused(&|spec| spec.shape.kv_heads = 3, "heads");
    refused(&|spec| spec.shape.head_dim = 0, "head");
    refused(&|spec| spec.activation = Activation::Silu, "relu");
    refused(&|spec| spec.statistics.share = 0.0, "share");
    refused(&|spec| spec.statistics.overlap = 0.97, "overlap");
    refused(&|spec| spec.statistics.share = f64::NAN, "share");
    refused(&|spec| spec.shape.vocabulary = 100, "vocabulary");
    refused(&|spec| *spec = mixture(spec.clone(), 0.2), "repetition");
}

#[test]
fn progress_ends_at_its_total_and_a_stop_leaves_nothing() {
    let file = Scratch::new("progress");
    let spec = spec(Architecture::SmallThinker, Activation::Relu);
    let mut told: Vec<Progress> = Vec::new();
    write_told(&spec, &file.0, 2, &mut |progress| {
        told.push(progress);
        ControlFlow::Continue(())
    })
    .unwrap();
    assert!(
        told.windows(2)
            .all(|pair| pair[0].done < pair[1].done && pair[0].total == pair[1].total)
    );
    assert!(
        told.last()
            .is_some_and(|last| last.done == last.total && last.total > 1 << 20)
    );
    let stopped = Scratch::new("stopped");
    let error = write_told(
        &spec,
        &stopped.0,
        2,
        &mut |progress| match progress.done * 2 > progress.total {
            true => ControlFlow::Break(()),
            false => ControlFlow::Continue(()),
        },
    );
    assert!(matches!(error, Err(SynthError::Cancelled)));
    let left = |entry: std::io::Result<std::fs::DirEntry>| {
        let name = entry.unwrap().file_name().into_string().unwrap();
        name.contains(&format!("neuronlab-synth-{}-stopped", std::process::id()))
    };
    assert!(!std::fs::read_dir(std::env::temp_dir()).unwrap().any(left));

    let mut options = VerifyOptions {
        tokens: Some(200),
        seed: 3,
        threads: 2,
        memory: None,
    };
    let mut last = None;
    let report = verify_told(&file.0, &options, &mut |progress| {
        last = Some(progress);
        ControlFlow::Continue(())
    });
    assert_eq!(report.unwrap().measured.tokens, 200);
    assert_eq!(last, Some(Progress { done: 200, total: 200 }));
    let error = verify_told(&file.0, &options, &mut |_| ControlFlow::Break(()));
    assert!(matches!(error, Err(SynthError::Cancelled)));
    options.memory = Some(1 << 20);
    let error = verify_told(&file.0, &options, &mut |_| ControlFlow::Continue(())).unwrap_err();
    assert!(matches!(error, SynthError::DoesNotFit { needed, allowed: 1_048_576 } if needed > told[0].total));
    options.tokens = Some(1);
    let error = verify_told(&file.0, &options, &mut |_| ControlFlow::Continue(())).unwrap_err();
    assert!(error.to_string().contains("at least 2 tokens"), "{error}");
}

#[test]
fn a_folder_that_is_not_there_is_a_fault_of_writing() {
    let path = std::env::temp_dir().join("neuronlab-synth-no-such-folder/x.gguf");
    let error = write(&spec(Architecture::SmallThinker, Activation::Relu), path, 1).unwrap_err();
    assert!(matches!(error, SynthError::Writing(_)), "{error}");
}
