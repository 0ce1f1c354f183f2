//! A recording is the run that it is of.

use std::ops::ControlFlow;
use std::path::PathBuf;

use text::SamplerOptions;
use trace::{RecordOptions, TraceError, read, record};

fn fixture(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .join("../../rivals/llama.cpp/fixtures")
        .join(format!("{name}.gguf"))
}

fn options(name: &str, model: &str) -> RecordOptions {
    RecordOptions {
        model: fixture(model),
        out: std::env::temp_dir().join(format!("neuronlab-record-{}-{name}.trace", std::process::id())),
        prompt: "one of the ".repeat(20),
        tokens: 40,
        stop_at_end: false,
        sampler: SamplerOptions::default(),
        threads: 2,
        memory: None,
    }
}

#[test]
fn the_text_is_that_of_generate_and_the_neurons_are_those_it_counted() {
    let options = options("same", "smallthinker-softmax-f32");
    let report = record(&options, &mut |_| ControlFlow::Continue(())).unwrap();
    let run = generate::Options {
        tokens: 40,
        threads: 2,
        stop_at_end: false,
        ..generate::Options::new(&options.model, &options.prompt)
    };
    let wanted = generate::run(&run, &mut |_| ControlFlow::Continue(())).unwrap();
    assert_eq!((&report.text, report.prompt_tokens), (&wanted.text, wanted.prompt_tokens));
    let (mut fired, mut seen, mut ids) = (0, 0, Vec::new());
    let summary = read(&options.out, &mut |shape, token| {
        // The first pass of decode is the first generated token's; generate does not run the last one.
        let passes = report.prompt_tokens as u64..(report.prompt_tokens + 39) as u64;
        if passes.contains(&token.place) {
            fired += token.experts.iter().map(|(_, set)| set.len()).sum::<usize>();
            seen += token.experts.len() * shape.neurons as usize;
        }
        if token.layer == 0 && token.place >= report.prompt_tokens as u64 {
            ids.push(token.id);
        }
    })
    .unwrap();
    std::fs::remove_file(&options.out).unwrap();
    assert_eq!(ids, wanted.rows.iter().map(|row| row.token).collect::<Vec<_>>());
    assert_eq!(
        (summary.tokens, summary.prompt as usize),
        (report.prompt_tokens as u64 + 40, report.prompt_tokens)
    );
    assert_eq!(fired as f64 / seen as f64, wanted.fired.unwrap());
}

#[test]
fn a_silu_model_has_no_neurons_to_tell() {
    let options = options("silu", "llama-f32");
    let report = record(&options, &mut |_| ControlFlow::Continue(())).unwrap();
    let summary = read(&options.out, &mut |_, fired| assert_eq!(fired.experts, [(0, vec![])])).unwrap();
    std::fs::remove_file(&options.out).unwrap();
    assert!(report.share.is_none() && !summary.shape.neurons_recorded);
}

#[test]
fn what_cannot_be_recorded_is_refused_and_a_stop_leaves_nothing() {
    let small = "smallthinker-softmax-f32";
    let refused = |changed: RecordOptions| record(&changed, &mut |_| ControlFlow::Continue(())).unwrap_err();
    let long = refused(RecordOptions {
        tokens: 1 << 20,
        ..options("long", small)
    });
    assert!(matches!(long, TraceError::Input { name: "tokens", .. }), "{long}");
    let tight = refused(RecordOptions {
        memory: Some(1 << 20),
        ..options("tight", small)
    });
    assert!(matches!(tight, TraceError::DoesNotFit { allowed: 1_048_576, .. }), "{tight}");
    let stopped = options("stopped", small);
    let error = record(&stopped, &mut |progress| match progress.done > 0 {
        true => ControlFlow::Break(()),
        false => ControlFlow::Continue(()),
    });
    assert!(matches!(error, Err(TraceError::Cancelled)));
    let left = |name: &str| {
        name.contains(&format!("neuronlab-record-{}", std::process::id())) && !name.contains("same") && !name.contains("silu")
    };
    let folder = std::fs::read_dir(std::env::temp_dir()).unwrap();
    assert!(
        !folder
            .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
            .any(|name| left(&name))
    );
}
