//! Perplexity of a text: against a plain forward pass, against llama.cpp, from flash, under a predictor, and what is refused.

use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use flash::{PackOptions, pack};
use generate::{Blame, GenerateError, Options, PerplexityOptions, PerplexityReport, PerplexityTold, perplexity};
use model::{DenseFfn, GgufSource, KvFormat, Model, Session, TensorSource, Want};
use neuron::Kernels;
use pool::Pool;
use predictor::{TrainOptions, train};
use text::{EncodeOptions, Tokeniser};

fn fixtures() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../rivals/llama.cpp/fixtures")
}

fn fixture() -> PathBuf {
    fixtures().join("smallthinker-softmax-f32.gguf")
}

/// A folder that is gone with the test.
struct Scratch(PathBuf);

impl Scratch {
    fn new(name: &str) -> Self {
        let folder = std::env::temp_dir().join(format!("neuronlab-perplexity-{name}-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        Self(folder)
    }

    fn file(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// Some words that the fixtures' vocabulary has in one piece, and some that it has not.
fn text() -> String {
    let words = [
        "the rain",
        "in a tin",
        "he is there",
        "no one sees it",
        "a stone in the tea",
        "Ähm: 17",
    ];
    (0..120)
        .map(|place| words[place * place % 11 % words.len()])
        .collect::<Vec<_>>()
        .join(" ")
}

fn what(window: usize) -> PerplexityOptions {
    PerplexityOptions {
        window,
        ..PerplexityOptions::new(text())
    }
}

fn options(model: &Path) -> Options {
    Options {
        threads: 2,
        ..Options::new(model, "")
    }
}

fn run(options: &Options, what: &PerplexityOptions) -> Result<PerplexityReport, GenerateError> {
    perplexity(options, what, &mut |_| ControlFlow::Continue(()))
}

/// The same by the definition: token by token, probabilities by division, one sum.
fn by_definition(gguf: &Path, what: &PerplexityOptions) -> (f64, f64, usize) {
    let source = GgufSource::open(gguf).unwrap();
    let model = Arc::new(Model::load(&source, Kernels::best()).unwrap());
    let ffn = Box::new(DenseFfn::load(&source, model.config(), Kernels::best()).unwrap());
    let pool = Pool::new(&pool::Options::new(1)).unwrap();
    let mut session = Session::new(model, ffn, pool, KvFormat::F16, what.window).unwrap();
    let tokeniser = Tokeniser::from_metadata(&source.gguf().metadata).unwrap();
    let tokens = tokeniser.encode(&what.text, EncodeOptions::PROMPT);
    let mut surprises = Vec::new();
    for window in tokens.chunks_exact(what.window) {
        session.truncate(0).unwrap();
        for next in 1..window.len() {
            let logits = session.forward(&[window[next - 1]], Want::Last).unwrap();
            if next > window.len() / 2 {
                let all: f64 = logits.iter().map(|&logit| f64::from(logit).exp()).sum();
                surprises.push(-(f64::from(logits[window[next] as usize]).exp() / all).ln());
            }
        }
    }
    let count = surprises.len() as f64;
    let mean = surprises.iter().sum::<f64>() / count;
    let spread = surprises.iter().map(|surprise| (surprise - mean).powi(2)).sum::<f64>() / count;
    (mean.exp(), mean.exp() * (spread / (count - 1.0)).sqrt(), surprises.len())
}

#[test]
fn it_is_what_the_definition_says_for_even_and_odd_windows() {
    for window in [32, 45] {
        let found = run(&options(&fixture()), &what(window)).unwrap();
        let (wanted, error, scored) = by_definition(&fixture(), &what(window));
        assert_eq!(found.scored, scored);
        assert_eq!(found.scored, found.windows * (window - 1 - window / 2));
        assert_eq!(found.windows, found.tokens / window);
        assert!(
            (found.perplexity / wanted - 1.0).abs() < 1e-5,
            "{} for {wanted}",
            found.perplexity
        );
        assert!(
            (found.standard_error / error - 1.0).abs() < 1e-4,
            "{} for {error}",
            found.standard_error
        );
    }
}

#[test]
fn fewer_windows_score_the_beginning_and_a_line_break_at_the_end_is_nothing() {
    let whole = run(&options(&fixture()), &what(32)).unwrap();
    let two = PerplexityOptions {
        windows: Some(2),
        ..what(32)
    };
    let mut told = Vec::new();
    let found = perplexity(&options(&fixture()), &two, &mut |step| {
        if let PerplexityTold::Window { done, of, perplexity } = step {
            told.push((done, of, perplexity));
        }
        ControlFlow::Continue(())
    })
    .unwrap();
    assert_eq!((found.windows, found.scored, found.tokens), (2, 2 * 15, whole.tokens));
    assert_eq!(told.len(), 2);
    assert_eq!(told[1], (2, 2, found.perplexity));
    assert!(found.perplexity != whole.perplexity);
    let broken = PerplexityOptions {
        text: format!("{}\n", text()),
        ..what(32)
    };
    let again = run(&options(&fixture()), &broken).unwrap();
    assert_eq!((again.tokens, again.perplexity), (whole.tokens, whole.perplexity));
}

#[test]
fn from_flash_it_is_the_same_bits_in_any_memory() {
    let scratch = Scratch::new("flash");
    let packed = scratch.file("m.flash");
    pack(&fixture(), &packed, &PackOptions::default(), &mut |_| {
        ControlFlow::Continue(())
    })
    .unwrap();
    let in_memory = run(&options(&packed), &what(64)).unwrap();
    // The last has room for all up and down; a hot segment for all FFNs would mean that they are in memory whole.
    for segments in [(0, 0), (1 << 14, 1 << 14), (1 << 14, 1 << 30)] {
        let from_flash = Options {
            memory: Some(1 << 30),
            segments: Some(segments),
            ..options(&packed)
        };
        let found = run(&from_flash, &what(64)).unwrap();
        assert_eq!(found.facts.ffn, "from flash");
        assert_eq!(found.perplexity.to_bits(), in_memory.perplexity.to_bits(), "{segments:?}");
        assert!(found.spent.disk_bytes > 0);
    }
}

#[test]
fn under_a_predictor_it_is_that_of_predicting_and_says_what_was_predicted() {
    let scratch = Scratch::new("predicted");
    let predictor = scratch.file("m.predictor");
    let from = scratch.file("from.txt");
    std::fs::write(&from, text()).unwrap();
    let fit = TrainOptions {
        tokens: 400,
        passes: 2,
        threads: 2,
        text: Some(from),
        ..TrainOptions::new(fixture(), &predictor)
    };
    train(&fit, &mut |_| ControlFlow::Continue(())).unwrap();
    let lossless = run(&options(&fixture()), &what(32)).unwrap();
    let predicted = Options {
        predictor: Some(predictor),
        audit: true,
        ..options(&fixture())
    };
    let found = run(&predicted, &what(32)).unwrap();
    let counted = found.predicted.unwrap();
    assert!(counted.share > 0.0 && counted.share <= 1.0);
    assert!(counted.recall.unwrap() > 0.5 && counted.recall.unwrap() < 1.0);
    assert_eq!(found.facts.labels, ["predicted"]);
    assert_eq!((found.scored, found.tokens), (lossless.scored, lossless.tokens));
    assert!(found.perplexity != lossless.perplexity);
    assert!(lossless.predicted.is_none());
}

#[test]
fn what_cannot_be_scored_is_refused_and_a_stop_is_the_callers() {
    let refuse = |change: &dyn Fn(&mut PerplexityOptions), name: &str| {
        let mut asked = what(32);
        change(&mut asked);
        let error = run(&options(&fixture()), &asked).unwrap_err();
        assert!(
            error.to_string().starts_with(name) && error.blame() == Blame::Input,
            "{error}"
        );
    };
    refuse(
        &|asked| asked.window = 3,
        "window: should be from 4 to the model's context, 512",
    );
    refuse(&|asked| asked.window = 513, "window");
    refuse(&|asked| asked.windows = Some(0), "windows");
    refuse(&|asked| asked.text = "a stone".to_owned(), "text: has ");
    let mut left = 3;
    let stopped = perplexity(&options(&fixture()), &what(32), &mut |_| {
        left -= 1;
        match left {
            0 => ControlFlow::Break(()),
            _ => ControlFlow::Continue(()),
        }
    });
    assert!(matches!(stopped, Err(GenerateError::Cancelled)) && left == 0);
}
