//! A prompt to tokens to text, with what each token cost.

use std::ops::ControlFlow;
use std::time::{Duration, Instant};

use text::{Detokeniser, Sampler, Tokeniser};

use crate::{BATCH, FfnCounters, ModelError, Session, Want};

/// What generation tells while it runs.
#[derive(Debug)]
pub enum Event<'a> {
    /// Some of the prompt has been read.
    Prompt {
        /// Tokens read.
        done: usize,
        /// Tokens of the prompt.
        of: usize,
    },
    /// A token was chosen.
    Token {
        /// What it cost.
        row: &'a TokenRow,
        /// The text that is complete with it: often that of the token, nothing inside a character, and what was held back.
        text: &'a str,
    },
}

/// One generated token.
#[derive(Clone, Debug, PartialEq)]
pub struct TokenRow {
    /// The token.
    pub token: u32,
    /// The forward pass whose logits it was chosen from, and the choice.
    pub took: Duration,
    /// Share of the neurons of that pass that fired, where the FFNs count them.
    pub fired: Option<f64>,
}

/// Why generation ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stop {
    /// As many tokens as asked for.
    Length,
    /// A token that ends a text; it is not among the rows.
    End,
    /// The KV cache is full.
    ContextFull,
    /// The callback said so.
    Cancelled,
}

/// What was generated.
#[derive(Clone, Debug)]
pub struct Generation {
    /// The tokens in order. The first is chosen from the prompt's last logits, so its time is that of the choice alone.
    pub rows: Vec<TokenRow>,
    /// Reading the prompt, and taking the memory in which tokens are generated then.
    pub prompt_took: Duration,
    /// Why it ended.
    pub stop: Stop,
    /// Neurons seen and fired in generated tokens, by layer, where the FFNs count them.
    pub counters: Option<FfnCounters>,
    /// What results must be labelled with; see `FeedForward::labels`.
    pub labels: Vec<&'static str>,
}

/// What is to be generated.
#[derive(Clone, Copy, Debug)]
pub struct GenerateOptions {
    /// At most so many tokens.
    pub tokens: usize,
    /// Whether a token that ends a text ends generation.
    pub stop_at_end: bool,
}

fn text_error(error: text::TextError) -> ModelError {
    ModelError::other(error)
}

/// Neurons seen and fired so far, all layers together.
fn totals(session: &Session) -> Option<(u64, u64)> {
    let counters = session.ffn().counters()?;
    Some((counters.seen.iter().sum(), counters.fired.iter().sum()))
}

/// What `after` counted more than `before`.
fn difference(after: &FfnCounters, before: &FfnCounters) -> FfnCounters {
    let minus = |after: &[u64], before: &[u64]| after.iter().zip(before).map(|(a, b)| a.saturating_sub(*b)).collect();
    FfnCounters {
        seen: minus(&after.seen, &before.seen),
        fired: minus(&after.fired, &before.fired),
    }
}

/// Reads `prompt` after what the session already holds and generates tokens. `on_event` hears of every token as soon as it is
/// chosen and may cancel, also between batches of the prompt. The last token chosen is not yet in the session.
pub fn generate(
    session: &mut Session,
    tokeniser: &Tokeniser,
    sampler: &mut Sampler,
    prompt: &[u32],
    options: GenerateOptions,
    on_event: &mut dyn FnMut(Event<'_>) -> ControlFlow<()>,
) -> Result<Generation, ModelError> {
    let begun = Instant::now();
    let mut generation = Generation {
        rows: Vec::new(),
        prompt_took: Duration::ZERO,
        stop: Stop::Length,
        counters: None,
        labels: session.ffn().labels().to_vec(),
    };
    for (index, batch) in prompt.chunks(BATCH).enumerate() {
        let done = index * BATCH + batch.len();
        let want = if done == prompt.len() { Want::Last } else { Want::Nothing };
        session.forward(batch, want)?;
        if done == prompt.len() {
            session.prepare_to_decode()?;
        }
        let told = Event::Prompt { done, of: prompt.len() };
        if on_event(told).is_break() {
            generation.stop = Stop::Cancelled;
            return Ok(generation);
        }
    }
    generation.prompt_took = begun.elapsed();
    let before = session.ffn().counters().cloned();
    generation.stop = continue_from(session, tokeniser, sampler, options, &mut generation.rows, on_event)?;
    let after = session.ffn().counters();
    generation.counters = before.zip(after).map(|(before, after)| difference(after, &before));
    Ok(generation)
}

fn continue_from(
    session: &mut Session,
    tokeniser: &Tokeniser,
    sampler: &mut Sampler,
    options: GenerateOptions,
    rows: &mut Vec<TokenRow>,
    on_event: &mut dyn FnMut(Event<'_>) -> ControlFlow<()>,
) -> Result<Stop, ModelError> {
    let mut detokeniser = Detokeniser::new(tokeniser);
    let mut text = String::new();
    while rows.len() < options.tokens {
        let (begun, counted) = (Instant::now(), totals(session));
        let logits = match rows.last() {
            None => session.last_logits()?,
            Some(_) if session.position() == session.kv().capacity() => return Ok(Stop::ContextFull),
            Some(row) => session.forward(&[row.token], Want::Last)?,
        };
        let token = sampler.sample(logits).map_err(text_error)?;
        sampler.accept(token);
        if options.stop_at_end && tokeniser.ends_generation(token) {
            return Ok(Stop::End);
        }
        let fired = counted.zip(totals(session)).and_then(|(before, after)| {
            let seen = after.0 - before.0;
            (seen > 0).then(|| (after.1 - before.1) as f64 / seen as f64)
        });
        text.clear();
        detokeniser.push(token, &mut text).map_err(text_error)?;
        if rows.len() + 1 == options.tokens {
            detokeniser.finish(&mut text);
        }
        let row = TokenRow {
            token,
            took: begun.elapsed(),
            fired,
        };
        let told = on_event(Event::Token { row: &row, text: &text });
        rows.push(row);
        if told.is_break() {
            return Ok(Stop::Cancelled);
        }
    }
    Ok(Stop::Length)
}

/// How well the model predicts a text.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Perplexity {
    /// e to the mean of -ln p over the tokens scored.
    pub perplexity: f64,
    /// Tokens scored.
    pub scored: usize,
}

/// The perplexity of `tokens`, as llama-perplexity computes it: windows of `window` tokens, each from an empty KV cache, of
/// which the second half is scored. What remains behind the last whole window is left out. The session is empty afterwards.
pub fn perplexity(session: &mut Session, tokens: &[u32], window: usize) -> Result<Perplexity, ModelError> {
    if window < 4 || tokens.len() < window {
        let what = format!(
            "perplexity of {} tokens in windows of {window}; a window must be at least 4 tokens, and there must be one",
            tokens.len()
        );
        return Err(ModelError::Misuse { what });
    }
    let vocabulary = session.model().config().vocabulary;
    let (mut sum, mut scored) = (0.0, 0);
    for window in tokens.chunks_exact(window) {
        session.truncate(0)?;
        for (index, batch) in window.chunks(BATCH).enumerate() {
            let start = index * BATCH;
            let logits = session.forward(batch, Want::All)?;
            for (place, logits) in logits.chunks_exact(vocabulary).enumerate() {
                let next = start + place + 1;
                if next > window.len() / 2 && next < window.len() {
                    sum -= log_probability(logits, window[next] as usize);
                    scored += 1;
                }
            }
        }
    }
    session.truncate(0)?;
    Ok(Perplexity {
        perplexity: (sum / scored as f64).exp(),
        scored,
    })
}

/// ln p of one token, which must be among the logits.
pub fn log_probability(logits: &[f32], token: usize) -> f64 {
    let greatest = f64::from(logits.iter().fold(f32::NEG_INFINITY, |greatest, &logit| greatest.max(logit)));
    let sum: f64 = logits.iter().map(|&logit| (f64::from(logit) - greatest).exp()).sum();
    f64::from(logits[token]) - greatest - sum.ln()
}

#[cfg(test)]
mod tests {
    use super::log_probability;

    #[test]
    fn probabilities_of_all_tokens_sum_to_one_even_of_large_logits() {
        let logits = [1000.0, 999.0, -1000.0, 1001.5];
        let sum: f64 = (0..4).map(|token| log_probability(&logits, token).exp()).sum();
        assert!((sum - 1.0).abs() < 1e-12, "{sum}");
        assert!((log_probability(&logits, 0) - log_probability(&logits, 1) - 1.0).abs() < 1e-9);
    }
}
