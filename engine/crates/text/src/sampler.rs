//! The choice of the next token from the logits.

use std::cmp::Ordering;
use std::collections::VecDeque;

use crate::error::TextError;
use crate::random::Random;

/// How tokens are chosen. The steps come in this order, which is llama.cpp's: repetition penalty, top-k, top-p, min-p,
/// temperature, draw. With a temperature of 0 the likeliest token after the penalty is taken and the rest is of no effect.
#[derive(Clone, Debug, PartialEq)]
pub struct SamplerOptions {
    /// 0 is greedy; else logits are divided by it.
    pub temperature: f32,
    /// Only the `top_k` likeliest stay; 0 keeps all.
    pub top_k: usize,
    /// Only the likeliest that together reach this probability stay, at least one; 1 keeps all.
    pub top_p: f32,
    /// Only those at least this fraction as likely as the likeliest stay; 0 keeps all.
    pub min_p: f32,
    /// Positive logits of recent tokens are divided by it, negative ones multiplied; 1 changes nothing. (CTRL, Keskar et al.
    /// 2019, section 4.1.)
    pub repetition_penalty: f32,
    /// How many of the last tokens are recent.
    pub repetition_window: usize,
    /// Decides all draws.
    pub seed: u64,
}

impl Default for SamplerOptions {
    /// Greedy.
    fn default() -> Self {
        Self {
            temperature: 0.0,
            top_k: 0,
            top_p: 1.0,
            min_p: 0.0,
            repetition_penalty: 1.0,
            repetition_window: 64,
            seed: 0,
        }
    }
}

/// Chooses tokens. The same options, logits and accepted tokens give the same choices; equals are settled by the lowest id.
#[derive(Clone, Debug)]
pub struct Sampler {
    options: SamplerOptions,
    random: Random,
    recent: VecDeque<u32>,
    // Kept between calls, so that a token costs no allocation.
    candidates: Vec<Candidate>,
    adjusted: Vec<f32>,
}

#[derive(Clone, Copy, Debug)]
struct Candidate {
    id: u32,
    logit: f32,
    /// Relative to that of the likeliest token.
    weight: f64,
}

/// The likelier first; equals by id, 0 and -0 among them. Logits are no NaN here.
fn likelier(a: &Candidate, b: &Candidate) -> Ordering {
    b.logit.partial_cmp(&a.logit).unwrap_or(Ordering::Equal).then(a.id.cmp(&b.id))
}

impl Sampler {
    /// A sampler at the start of its random stream; an error names the option that is out of range.
    pub fn new(options: SamplerOptions) -> Result<Self, TextError> {
        let check = |name, found: f32, good: bool, wanted| match good {
            true => Ok(()),
            false => Err(TextError::BadOption { name, found, wanted }),
        };
        let SamplerOptions {
            temperature,
            top_p,
            min_p,
            repetition_penalty,
            ..
        } = options;
        check(
            "temperature",
            temperature,
            temperature.is_finite() && temperature >= 0.0,
            "0 (greedy) or more",
        )?;
        check("top-p", top_p, top_p > 0.0 && top_p <= 1.0, "more than 0, at most 1")?;
        check("min-p", min_p, (0.0..=1.0).contains(&min_p), "0 to 1")?;
        let good = repetition_penalty.is_finite() && repetition_penalty > 0.0;
        check(
            "repetition penalty",
            repetition_penalty,
            good,
            "more than 0 (1 changes nothing)",
        )?;
        let random = Random::new(options.seed);
        Ok(Self {
            options,
            random,
            recent: VecDeque::new(),
            candidates: Vec::new(),
            adjusted: Vec::new(),
        })
    }

    /// Takes note of a token of the text, prompt or generated: what the repetition penalty looks back on.
    pub fn accept(&mut self, token: u32) {
        if self.options.repetition_penalty == 1.0 || self.options.repetition_window == 0 {
            return;
        }
        if self.recent.len() == self.options.repetition_window {
            self.recent.pop_front();
        }
        self.recent.push_back(token);
    }

    /// The next token, given a logit for each; `-inf` forbids a token. Does not accept it.
    pub fn sample(&mut self, logits: &[f32]) -> Result<u32, TextError> {
        if self.recent.is_empty() {
            return self.choose(logits);
        }
        let mut adjusted = std::mem::take(&mut self.adjusted);
        adjusted.clear();
        adjusted.extend_from_slice(logits);
        self.penalise(&mut adjusted);
        let chosen = self.choose(&adjusted);
        self.adjusted = adjusted;
        chosen
    }

    fn penalise(&self, logits: &mut [f32]) {
        let penalty = self.options.repetition_penalty;
        for (index, &token) in self.recent.iter().enumerate() {
            // Once for each token, however often it came.
            let again = self.recent.iter().take(index).any(|&earlier| earlier == token);
            // A finite logit stays finite: -inf would forbid the token, and one that is no number is to be told below.
            if let (false, Some(logit)) = (again, logits.get_mut(token as usize).filter(|logit| logit.is_finite())) {
                let changed = if *logit > 0.0 { *logit / penalty } else { *logit * penalty };
                *logit = changed.clamp(f32::MIN, f32::MAX);
            }
        }
    }

    fn choose(&mut self, logits: &[f32]) -> Result<u32, TextError> {
        let best = likeliest(logits)?;
        let SamplerOptions {
            temperature,
            top_k,
            top_p,
            min_p,
            ..
        } = self.options;
        if temperature == 0.0 || top_k == 1 {
            return Ok(best.id);
        }
        let limited = top_k > 0 && top_k < logits.len();
        if limited {
            self.take_top_k(logits, top_k);
        } else {
            self.take_all(logits);
        }
        if top_p < 1.0 || min_p > 0.0 {
            self.weigh(best.logit, 1.0);
        }
        if top_p < 1.0 {
            self.keep_top_p(top_p, limited);
        }
        if min_p > 0.0 {
            self.candidates.retain(|candidate| candidate.weight >= f64::from(min_p));
        }
        self.weigh(best.logit, temperature);
        Ok(self.draw().unwrap_or(best.id))
    }

    /// Every possible token, by id.
    fn take_all(&mut self, logits: &[f32]) {
        self.candidates.clear();
        let possible = (0..).zip(logits).filter(|(_, logit)| **logit > f32::NEG_INFINITY);
        self.candidates
            .extend(possible.map(|(id, &logit)| Candidate { id, logit, weight: 0.0 }));
    }

    /// The k likeliest, sorted, in one pass: what cannot be among them is never stored.
    fn take_top_k(&mut self, logits: &[f32], k: usize) {
        self.candidates.clear();
        // The k-th best so far. An equal logit that comes later has a higher id, and loses.
        let mut bar = f32::NEG_INFINITY;
        let full = k.saturating_mul(2).max(k.saturating_add(64));
        for (id, &logit) in (0..).zip(logits) {
            if logit > bar {
                self.candidates.push(Candidate { id, logit, weight: 0.0 });
                if self.candidates.len() == full {
                    bar = self.cut_to(k);
                }
            }
        }
        self.cut_to(k);
        self.candidates.sort_unstable_by(likelier);
    }

    /// Cuts to the k likeliest, in any order; returns the least of their logits, or `-inf` when there are fewer.
    fn cut_to(&mut self, k: usize) -> f32 {
        if self.candidates.len() < k {
            return f32::NEG_INFINITY;
        }
        let (_, &mut last, _) = self.candidates.select_nth_unstable_by(k - 1, likelier);
        self.candidates.truncate(k);
        last.logit
    }

    /// Weights at a temperature, relative to the likeliest token's 1.
    fn weigh(&mut self, best: f32, temperature: f32) {
        let (best, temperature) = (f64::from(best), f64::from(temperature));
        for candidate in &mut self.candidates {
            candidate.weight = ((f64::from(candidate.logit) - best) / temperature).exp();
        }
    }

    /// Cuts after the candidate with which the sum of weights, the likeliest first, reaches the share. Sorts no more than it
    /// must: a few hundred tokens mostly hold nearly all the weight.
    fn keep_top_p(&mut self, share: f32, sorted: bool) {
        let wanted = f64::from(share) * self.candidates.iter().map(|candidate| candidate.weight).sum::<f64>();
        let mut done = 0;
        let mut sum = 0.0;
        while done < self.candidates.len() {
            let more = if sorted { usize::MAX } else { (4 * done).max(256) };
            let next = done.saturating_add(more).min(self.candidates.len());
            if !sorted {
                if next < self.candidates.len() {
                    self.candidates[done..].select_nth_unstable_by(next - done - 1, likelier);
                }
                self.candidates[done..next].sort_unstable_by(likelier);
            }
            for (index, candidate) in self.candidates.iter().enumerate().take(next).skip(done) {
                sum += candidate.weight;
                if sum >= wanted {
                    self.candidates.truncate(index + 1);
                    return;
                }
            }
            done = next;
        }
    }

    fn draw(&mut self) -> Option<u32> {
        let total: f64 = self.candidates.iter().map(|candidate| candidate.weight).sum();
        let mut left = self.random.unit() * total;
        for candidate in &self.candidates {
            left -= candidate.weight;
            if left < 0.0 {
                return Some(candidate.id);
            }
        }
        // Rounding may leave a crumb past the last one.
        self.candidates.last().map(|candidate| candidate.id)
    }
}

/// The greatest logit, of equals the lowest id; an error when a logit is no number or none is possible.
fn likeliest(logits: &[f32]) -> Result<Candidate, TextError> {
    if logits.is_empty() || logits.len() > u32::MAX as usize {
        return Err(TextError::BadLogits {
            what: format!("{} logits; expected one for each token", logits.len()),
        });
    }
    let mut best = Candidate {
        id: 0,
        logit: f32::NEG_INFINITY,
        weight: 0.0,
    };
    for (id, &logit) in (0..).zip(logits) {
        if logit.is_nan() || logit == f32::INFINITY {
            return Err(TextError::BadLogits {
                what: format!("logit of token {id} is {logit}; expected a number or -inf"),
            });
        }
        if logit > best.logit {
            best = Candidate { id, logit, weight: 1.0 };
        }
    }
    match best.logit == f32::NEG_INFINITY {
        true => Err(TextError::BadLogits {
            what: format!("no token is possible: all {} logits are -inf", logits.len()),
        }),
        false => Ok(best),
    }
}
