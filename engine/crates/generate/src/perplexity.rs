//! How well a model predicts a text, as llama.cpp's llama-perplexity says it, so that the two numbers can be compared.
//!
//! The text is cut into windows of so many tokens, each read from an empty KV cache, and the second half of each is scored: every
//! scored token has at least half a window before it. What remains behind the last whole window is left out. Where the model wants a
//! token to begin with, that stands in the place of each window's first. (llama.cpp v0.5.0, tools/perplexity/perplexity.cpp.)
//!
//! Under a predictor every token goes through alone, so the predictor decides for all of them, as it does while generating.

use std::ops::ControlFlow;

use model::{Activation, ModelConfig, ModelError, Want, log_probability};
use text::{EncodeOptions, Tokeniser};

use crate::loaded::{Facts, Loaded};
use crate::report::{FlashUse, Phase, Predicted};
use crate::sound::naming_weights;
use crate::{GenerateError, ModelFile, Options, resident};

/// What is scored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PerplexityOptions {
    /// The text. One line break at its end is dropped, as llama.cpp's programs drop that of a file.
    pub text: String,
    /// Tokens of a window; llama-perplexity's own is 512.
    pub window: usize,
    /// At most so many windows; `None`: all.
    pub windows: Option<usize>,
}

impl PerplexityOptions {
    /// All of a text, in windows of llama-perplexity's length.
    pub fn new(text: impl Into<String>) -> Self {
        Self {
            text: text.into(),
            window: 512,
            windows: None,
        }
    }
}

/// What is told while it goes on.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum PerplexityTold {
    /// The model is loaded.
    Loaded,
    /// A pass has ended; told often.
    Ran,
    /// Another window is scored.
    Window {
        /// Windows scored.
        done: usize,
        /// All of them.
        of: usize,
        /// Of the windows so far.
        perplexity: f64,
    },
}

/// Everything to be known of a text that was scored.
#[derive(Clone, Debug)]
pub struct PerplexityReport {
    /// What it was scored by.
    pub facts: Facts,
    /// How its gate and up combine.
    pub activation: Activation,
    /// Tokens of the text.
    pub tokens: usize,
    /// Windows that were scored.
    pub windows: usize,
    /// Tokens that were scored.
    pub scored: usize,
    /// e to the mean of -ln p over the tokens scored.
    pub perplexity: f64,
    /// Its standard error, the scored tokens taken for independent draws, which is what llama-perplexity prints behind `+/-`.
    pub standard_error: f64,
    /// The mean of -ln p over what is scored of each window: what two reports of one text are compared by, window by window.
    pub losses: Vec<f64>,
    /// All windows.
    pub spent: Phase,
    /// What predicting came to, where a predictor decided.
    pub predicted: Option<Predicted>,
    /// How reads went, where FFNs are on flash.
    pub flash: Option<FlashUse>,
    /// The most the process ever held (bytes), where the system says.
    pub peak_resident: Option<u64>,
}

/// Logits that one pass gives at most (numbers): a large vocabulary takes several passes for what is scored of a window.
const MOST_LOGITS: usize = 1 << 22;

/// Tokens that llama-perplexity leaves unscored at the least: a window shorter than this has nothing to score.
const SHORTEST_WINDOW: usize = 4;

/// Sums of -ln p and of its square.
#[derive(Clone, Copy, Debug, Default)]
struct Surprise {
    sum: f64,
    squares: f64,
    scored: usize,
}

impl Surprise {
    fn add(&mut self, log_probability: f64) {
        self.sum -= log_probability;
        self.squares += log_probability * log_probability;
        self.scored += 1;
    }

    fn perplexity(&self) -> f64 {
        (self.sum / self.scored as f64).exp()
    }

    /// The deviation of the mean of -ln p, times the perplexity: what an error of the exponent does to it. 0 of one token.
    fn standard_error(&self) -> f64 {
        let mean = self.sum / self.scored as f64;
        let variance = (self.squares / self.scored as f64 - mean * mean).max(0.0);
        self.perplexity() * (variance / self.scored.saturating_sub(1).max(1) as f64).sqrt()
    }
}

/// Loads the model that `options` name (its prompt, tokens and sampler have no meaning here) and scores the text. `told` may stop it
/// between passes, with [`GenerateError::Cancelled`].
pub fn perplexity(
    options: &Options,
    what: &PerplexityOptions,
    told: &mut dyn FnMut(PerplexityTold) -> ControlFlow<()>,
) -> Result<PerplexityReport, GenerateError> {
    naming_weights(&options.model, || score_all(options, what, told))
}

fn score_all(
    options: &Options,
    what: &PerplexityOptions,
    told: &mut dyn FnMut(PerplexityTold) -> ControlFlow<()>,
) -> Result<PerplexityReport, GenerateError> {
    let file = ModelFile::open(&options.model)?;
    let gguf = file.source().gguf();
    let config = ModelConfig::from_gguf(gguf)?;
    let tokeniser = Tokeniser::from_metadata(&gguf.metadata)?;
    let tokens = tokeniser.encode(what.text.strip_suffix('\n').unwrap_or(&what.text), EncodeOptions::PROMPT);
    check(&config, &tokens, what)?;
    let activation = config.activation;
    let alone = options.predictor.is_some();
    let lines = match alone {
        true => 1,
        false => (MOST_LOGITS / config.vocabulary).clamp(1, what.window / 2),
    };
    let together = if alone { 1 } else { what.window / 2 };
    let mut loaded = Loaded::load(&file, config, options, what.window, (together, lines))?;
    tell(told, PerplexityTold::Loaded)?;
    let windows = (tokens.len() / what.window).min(what.windows.unwrap_or(usize::MAX));
    let before = loaded.meter.now();
    let mut surprise = Surprise::default();
    let mut losses = Vec::with_capacity(windows);
    let mut window = Vec::with_capacity(what.window);
    for (done, some) in tokens.chunks_exact(what.window).take(windows).enumerate() {
        window.clear();
        window.extend_from_slice(some);
        if let Some(begin) = tokeniser.added_begin() {
            window[0] = begin;
        }
        let before = surprise;
        score(&mut loaded, &window, (together, lines), &mut surprise, told)?;
        losses.push((surprise.sum - before.sum) / (surprise.scored - before.scored) as f64);
        let perplexity = surprise.perplexity();
        tell(
            told,
            PerplexityTold::Window {
                done: done + 1,
                of: windows,
                perplexity,
            },
        )?;
    }
    let spent = loaded.meter.now().since(&before);
    let predicted = loaded
        .session
        .ffn()
        .predicted()
        .and_then(|counters| Predicted::of(counters, options.audit));
    Ok(PerplexityReport {
        activation,
        tokens: tokens.len(),
        windows,
        scored: surprise.scored,
        perplexity: surprise.perplexity(),
        standard_error: surprise.standard_error(),
        losses,
        spent,
        predicted,
        flash: loaded.meter.flash_use(),
        facts: loaded.facts,
        peak_resident: resident().map(|(_, peak)| peak),
    })
}

fn check(config: &ModelConfig, tokens: &[u32], what: &PerplexityOptions) -> Result<(), GenerateError> {
    let wrong = |name, what| Err(GenerateError::Input { name, what });
    let (window, context) = (what.window, config.context);
    if window < SHORTEST_WINDOW || window > context {
        return wrong(
            "window",
            format!("should be from {SHORTEST_WINDOW} to the model's context, {context}, got {window}"),
        );
    }
    // The last token of a window is scored and never run, so no pass would refuse it.
    if let Some(&token) = tokens.iter().find(|&&token| token as usize >= config.vocabulary) {
        let vocabulary = config.vocabulary;
        return Err(ModelError::Token { token, vocabulary }.into());
    }
    if what.windows == Some(0) {
        return wrong("windows", "should be at least 1, got 0".to_owned());
    }
    if tokens.len() < window {
        let found = tokens.len();
        return wrong(
            "text",
            format!("has {found} tokens; should have at least one window of {window}"),
        );
    }
    Ok(())
}

fn tell(told: &mut dyn FnMut(PerplexityTold) -> ControlFlow<()>, what: PerplexityTold) -> Result<(), GenerateError> {
    match told(what) {
        ControlFlow::Continue(()) => Ok(()),
        ControlFlow::Break(()) => Err(GenerateError::Cancelled),
    }
}

/// Reads one window from an empty KV cache and scores its second half. `together`: tokens of a pass, and of one with logits.
fn score(
    loaded: &mut Loaded,
    window: &[u32],
    together: (usize, usize),
    surprise: &mut Surprise,
    told: &mut dyn FnMut(PerplexityTold) -> ControlFlow<()>,
) -> Result<(), GenerateError> {
    loaded.clear()?;
    let vocabulary = loaded.vocabulary();
    let half = window.len() / 2;
    for batch in window[..half].chunks(together.0) {
        loaded.session.forward(batch, Want::Nothing)?;
        tell(told, PerplexityTold::Ran)?;
    }
    // The last token has none after it that could be scored, so nobody asks what it leads to.
    let mut next = half + 1;
    for batch in window[half..window.len() - 1].chunks(together.1) {
        let logits = loaded.session.forward(batch, Want::All)?;
        for line in logits.chunks_exact(vocabulary) {
            surprise.add(log_probability(line, window[next] as usize));
            next += 1;
        }
        tell(told, PerplexityTold::Ran)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::Surprise;

    #[test]
    fn perplexity_and_its_error_are_those_worked_out_by_hand() {
        let mut surprise = Surprise::default();
        // 1/2, 1/8, 1/2, 1/8: the geometric mean is 1/4.
        [0.5, 0.125, 0.5, 0.125].iter().for_each(|p: &f64| surprise.add(p.ln()));
        assert!((surprise.perplexity() - 4.0).abs() < 1e-12);
        // -ln p is 2 ln 2 give or take ln 2, so its mean of four is off by ln 2 / sqrt(3).
        let wanted = 4.0 * std::f64::consts::LN_2 / 3f64.sqrt();
        assert!((surprise.standard_error() - wanted).abs() < 1e-12);
    }

    #[test]
    fn one_token_has_no_error_and_no_division_by_zero() {
        let mut surprise = Surprise::default();
        surprise.add(0.25f64.ln());
        assert_eq!((surprise.standard_error(), surprise.scored), (0.0, 1));
    }
}
