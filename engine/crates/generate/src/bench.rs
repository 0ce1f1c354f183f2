//! How fast a loaded model is: the tests of llama.cpp's llama-bench.
//!
//! Prompt test of n: n random tokens as one prompt, logits after the last. Generation test of n: n passes of one random token
//! each, from an empty context. Before the repetitions of a test it is run once unmeasured, the generation test with one token.
//! Every repetition begins with an empty KV cache; what the neuron cache holds stays, as it does in use.

use std::ops::ControlFlow;
use std::time::{Duration, SystemTime};

use model::{BATCH, ModelConfig};
use text::Random;

use crate::loaded::{Facts, Loaded};
use crate::report::{FlashUse, Phase};
use crate::sound::naming_weights;
use crate::{GenerateError, ModelFile, Options, resident};

/// What is timed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BenchTest {
    /// So many tokens read as one prompt.
    Prompt(usize),
    /// So many tokens, one by one.
    Generation(usize),
}

impl BenchTest {
    /// Tokens of one repetition.
    pub const fn tokens(self) -> usize {
        match self {
            Self::Prompt(tokens) | Self::Generation(tokens) => tokens,
        }
    }
}

/// What is measured, and how often.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BenchOptions {
    /// In this order, all with the model loaded once.
    pub tests: Vec<BenchTest>,
    /// Of each test.
    pub repetitions: usize,
    /// Whether each test is run once before it is measured.
    pub warm_up: bool,
    /// Of the tokens.
    pub seed: u64,
}

/// What a bench tells while it goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BenchTold {
    /// The model is loaded.
    Loaded,
    /// A token, or a batch of a prompt, was run; told often.
    Ran,
    /// So many repetitions of test `test` are measured.
    Measured {
        /// Place in the list of tests.
        test: usize,
        /// Repetitions.
        done: usize,
    },
}

/// One test's repetitions.
#[derive(Clone, Debug)]
pub struct BenchResult {
    /// Which.
    pub test: BenchTest,
    /// When the first repetition began.
    pub started: SystemTime,
    /// Each repetition.
    pub samples: Vec<Duration>,
    /// All repetitions together.
    pub spent: Phase,
}

/// Everything to be known of a finished bench.
#[derive(Clone, Debug)]
pub struct BenchReport {
    /// What was measured.
    pub facts: Facts,
    /// In the order of the tests.
    pub results: Vec<BenchResult>,
    /// How reads went, where FFNs are on flash.
    pub flash: Option<FlashUse>,
    /// The most the process ever held (bytes), where the system says.
    pub peak_resident: Option<u64>,
}

/// Loads the model that `options` name (prompt, tokens and sampler of them have no meaning here) and runs the tests. `told` may
/// stop it between tokens, with [`GenerateError::Cancelled`].
pub fn bench(
    options: &Options,
    what: &BenchOptions,
    told: &mut dyn FnMut(BenchTold) -> ControlFlow<()>,
) -> Result<BenchReport, GenerateError> {
    naming_weights(&options.model, || measure(options, what, told))
}

fn measure(
    options: &Options,
    what: &BenchOptions,
    told: &mut dyn FnMut(BenchTold) -> ControlFlow<()>,
) -> Result<BenchReport, GenerateError> {
    let wrong = |name, what: &str| {
        Err(GenerateError::Input {
            name,
            what: what.to_owned(),
        })
    };
    if what.repetitions == 0 {
        return wrong("repetitions", "should be at least 1, got 0");
    }
    if what.tests.is_empty() || what.tests.iter().any(|test| test.tokens() == 0) {
        return wrong("tests", "should be at least one, of at least 1 token");
    }
    let positions = what.tests.iter().map(|test| test.tokens()).max().unwrap_or(1);
    let file = ModelFile::open(&options.model)?;
    let config = ModelConfig::from_gguf(file.source().gguf())?;
    let context = config.context;
    if let Some(test) = what.tests.iter().find(|test| test.tokens() > context) {
        let (tokens, name) = match *test {
            BenchTest::Prompt(tokens) => (tokens, "n-prompt"),
            BenchTest::Generation(tokens) => (tokens, "n-gen"),
        };
        return wrong(
            name,
            &format!("{tokens} tokens are more than the model's context of {context}; give at most that"),
        );
    }
    let together = |test: &BenchTest| match *test {
        BenchTest::Prompt(tokens) => tokens.min(BATCH),
        BenchTest::Generation(_) => 1,
    };
    let most = what.tests.iter().map(together).max().unwrap_or(1);
    let mut loaded = Loaded::load(&file, config, options, positions, (most, 1))?;
    tell(told, BenchTold::Loaded)?;
    let mut random = Random::new(what.seed);
    let vocabulary = loaded.vocabulary() as f64;
    let mut draw = |tokens: usize| -> Vec<u32> { (0..tokens).map(|_| (random.unit() * vocabulary) as u32).collect() };
    let mut results = Vec::with_capacity(what.tests.len());
    for (place, &test) in what.tests.iter().enumerate() {
        if what.warm_up {
            let tokens = match test {
                BenchTest::Prompt(tokens) => tokens,
                BenchTest::Generation(_) => 1,
            };
            once(&mut loaded, test, &draw(tokens), told)?;
        }
        let mut result = BenchResult {
            test,
            started: SystemTime::now(),
            samples: Vec::with_capacity(what.repetitions),
            spent: Phase::default(),
        };
        for done in 1..=what.repetitions {
            let spent = once(&mut loaded, test, &draw(test.tokens()), told)?;
            result.samples.push(spent.took);
            result.spent.add(&spent);
            tell(told, BenchTold::Measured { test: place, done })?;
        }
        results.push(result);
    }
    Ok(BenchReport {
        flash: loaded.meter.flash_use(),
        facts: loaded.facts,
        results,
        peak_resident: resident().map(|(_, peak)| peak),
    })
}

fn tell(told: &mut dyn FnMut(BenchTold) -> ControlFlow<()>, what: BenchTold) -> Result<(), GenerateError> {
    match told(what) {
        ControlFlow::Continue(()) => Ok(()),
        ControlFlow::Break(()) => Err(GenerateError::Cancelled),
    }
}

/// One repetition, and what it cost.
fn once(
    loaded: &mut Loaded,
    test: BenchTest,
    tokens: &[u32],
    told: &mut dyn FnMut(BenchTold) -> ControlFlow<()>,
) -> Result<Phase, GenerateError> {
    loaded.clear()?;
    let together = match test {
        BenchTest::Prompt(_) => BATCH,
        BenchTest::Generation(_) => {
            loaded.prepare_to_decode()?;
            1
        }
    };
    let before = loaded.meter.now();
    for batch in tokens.chunks(together) {
        loaded.pass(batch)?;
        tell(told, BenchTold::Ran)?;
    }
    Ok(loaded.meter.now().since(&before))
}
