//! A recording is the run that it is of.

use std::ops::ControlFlow;
use std::path::PathBuf;

use text::SamplerOptions;
use trace::{Fired, RecordOptions, TraceError, read, record};

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
        window: None,
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

/// What fired, by token and then by layer.
fn recorded(options: &RecordOptions) -> Vec<Fired> {
    record(options, &mut |_| ControlFlow::Continue(())).unwrap();
    let mut all = Vec::new();
    read(&options.out, &mut |_, fired| all.push(fired)).unwrap();
    std::fs::remove_file(&options.out).unwrap();
    all.sort_by_key(|fired| (fired.place, fired.layer));
    all
}

#[test]
fn a_text_longer_than_the_context_is_read_in_windows_that_know_nothing_of_each_other() {
    let short = RecordOptions {
        tokens: 0,
        ..options("windows", "smallthinker-softmax-f32")
    };
    let whole = recorded(&short);
    let ids: Vec<u32> = whole.iter().filter(|fired| fired.layer == 0).map(|fired| fired.id).collect();
    // The text repeats itself, and so do its tokens: a window of whole periods is the window before.
    let repeats = |period: &usize| ids.iter().zip(&ids[*period..]).all(|(one, other)| one == other);
    let period = (1..ids.len() / 4).find(repeats).unwrap();
    let window = 3 * period;
    let layers = whole.iter().map(|fired| fired.layer).max().unwrap() + 1;
    let windowed = recorded(&RecordOptions {
        window: Some(window),
        ..short.clone()
    });
    assert_eq!(windowed.len(), whole.len());
    assert!(windowed[..window * layers] == whole[..window * layers]);
    assert!(windowed[window * layers..2 * window * layers] != whole[window * layers..2 * window * layers]);
    let experts = |all: &[Fired]| all.iter().map(|fired| fired.experts.clone()).collect::<Vec<_>>();
    assert!(experts(&windowed[window * layers..2 * window * layers]) == experts(&whole[..window * layers]));

    let long = RecordOptions {
        prompt: "one of the ".repeat(300),
        ..short
    };
    let refused = |changed: &RecordOptions| record(changed, &mut |_| ControlFlow::Continue(())).unwrap_err().to_string();
    assert!(
        refused(&long).contains("a longer prompt can be read in windows"),
        "{}",
        refused(&long)
    );
    let past = RecordOptions {
        window: Some(513),
        ..long.clone()
    };
    assert!(
        refused(&past).starts_with("window: should be from 1 to the model's context, 512"),
        "{}",
        refused(&past)
    );
    let full = RecordOptions {
        window: Some(512),
        ..long
    };
    assert!(recorded(&full).len() > 512 * layers);
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
        name.contains(&format!("neuronlab-record-{}", std::process::id()))
            && !["same", "silu", "windows"].iter().any(|other| name.contains(other))
    };
    let folder = std::fs::read_dir(std::env::temp_dir()).unwrap();
    assert!(
        !folder
            .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
            .any(|name| left(&name))
    );
}
