//! A predictor set beside what really fired: where its threshold has to be, and how good it then is.

use std::ops::AddAssign;

use model::LowRank;
use neuron::{Activations, Kernels};
use pool::Pool;

use crate::PredictorError;
use crate::records::Records;

/// Neurons counted by what was predicted and what happened.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// All of them, token by token.
    pub neurons: u64,
    /// Those that fired.
    pub fired: u64,
    /// Those that were predicted to.
    pub predicted: u64,
    /// Those of which both is true.
    pub caught: u64,
}

fn share(part: u64, of: u64) -> Option<f64> {
    (of > 0).then(|| part as f64 / of as f64)
}

impl Tally {
    /// Share of the firing neurons that were predicted; `None` where none fired.
    pub fn recall(&self) -> Option<f64> {
        share(self.caught, self.fired)
    }

    /// Share of the silent neurons that were predicted all the same; `None` where all fired.
    pub fn false_positives(&self) -> Option<f64> {
        share(self.predicted - self.caught, self.neurons - self.fired)
    }

    /// Share of all neurons that were predicted.
    pub fn share_predicted(&self) -> Option<f64> {
        share(self.predicted, self.neurons)
    }

    /// Share of all neurons that fired.
    pub fn share_fired(&self) -> Option<f64> {
        share(self.fired, self.neurons)
    }
}

impl AddAssign for Tally {
    fn add_assign(&mut self, other: Self) {
        self.neurons += other.neurons;
        self.fired += other.fired;
        self.predicted += other.predicted;
        self.caught += other.caught;
    }
}

/// Scores tokens as the engine does: through the kernels, from the weights as they are stored.
struct Scorer {
    input: Vec<f32>,
    bytes: Vec<u8>,
    fired: Vec<u8>,
    hidden: Vec<f32>,
    scores: Vec<f32>,
    x: Activations,
}

impl Scorer {
    fn new(predictor: &LowRank<'_>, records: &Records) -> Self {
        Self {
            input: vec![0.0; predictor.first.cols()],
            bytes: Vec::new(),
            fired: vec![0; records.shape().bit_bytes()],
            hidden: vec![0.0; predictor.first.rows()],
            scores: vec![0.0; predictor.second.rows()],
            x: Activations::new(),
        }
    }

    /// The score of every neuron, and whether it fired.
    fn score(
        &mut self,
        kernels: &Kernels,
        predictor: &LowRank<'_>,
        records: &Records,
        layer: usize,
        token: (u32, u32),
    ) -> Result<impl Iterator<Item = (f32, bool)>, PredictorError> {
        records.read(layer, token, &mut self.bytes, &mut self.input, &mut self.fired)?;
        kernels.quantise(&self.input, &mut self.x);
        kernels.gemv(&predictor.first, &self.x, &mut self.hidden)?;
        if predictor.rectified {
            self.hidden.iter_mut().for_each(|value| *value = value.max(0.0));
        }
        kernels.quantise(&self.hidden, &mut self.x);
        kernels.gemv(&predictor.second, &self.x, &mut self.scores)?;
        let fired = |neuron: usize| self.fired[neuron / 8] >> (neuron % 8) & 1 == 1;
        Ok(self
            .scores
            .iter()
            .enumerate()
            .map(move |(neuron, &score)| (score, fired(neuron))))
    }
}

/// Runs `note` over the scores of all tokens, on all threads; one `T` for each of these, in order.
fn each<T: Default + Send>(
    pool: &mut Pool,
    kernels: &Kernels,
    predictor: &LowRank<'_>,
    records: &Records,
    layer: usize,
    tokens: &[(u32, u32)],
    note: impl Fn(&mut T, f32, bool) + Sync,
) -> Result<Vec<T>, PredictorError> {
    let threads = pool.threads();
    let own = |part: std::ops::Range<usize>| -> Result<T, PredictorError> {
        let (mut scorer, mut noted) = (Scorer::new(predictor, records), T::default());
        for &token in &tokens[part] {
            for (score, fired) in scorer.score(kernels, predictor, records, layer, token)? {
                note(&mut noted, score, fired);
            }
        }
        Ok(noted)
    };
    let mut parts: Vec<Result<T, PredictorError>> = (0..threads).map(|_| Ok(T::default())).collect();
    pool.run_each(&mut parts, |index, part| {
        *part = own(pool::share(tokens.len(), 1, index, threads))
    });
    parts.into_iter().collect()
}

/// The greatest threshold at which at least `recall` of the firing neurons of these tokens are predicted; `None` when none
/// fired.
pub(crate) fn threshold(
    pool: &mut Pool,
    kernels: &Kernels,
    predictor: &LowRank<'_>,
    records: &Records,
    layer: usize,
    tokens: &[(u32, u32)],
    recall: f64,
) -> Result<Option<f32>, PredictorError> {
    let keep = |all: &mut Vec<f32>, score: f32, fired: bool| {
        if fired {
            all.push(score);
        }
    };
    let mut scores = each(pool, kernels, predictor, records, layer, tokens, keep)?.concat();
    if scores.is_empty() {
        return Ok(None);
    }
    let below = ((1.0 - recall) * scores.len() as f64).floor() as usize;
    let place = below.min(scores.len() - 1);
    let (_, &mut threshold, _) = scores.select_nth_unstable_by(place, f32::total_cmp);
    Ok(Some(threshold))
}

/// Counts these tokens by what the predictor says at its threshold and what happened.
pub(crate) fn tally(
    pool: &mut Pool,
    kernels: &Kernels,
    predictor: &LowRank<'_>,
    records: &Records,
    layer: usize,
    tokens: &[(u32, u32)],
) -> Result<Tally, PredictorError> {
    let count = |tally: &mut Tally, score: f32, fired: bool| {
        // As the engine asks it.
        let below = score < predictor.threshold;
        *tally += Tally {
            neurons: 1,
            fired: u64::from(fired),
            predicted: u64::from(!below),
            caught: u64::from(fired && !below),
        };
    };
    let parts: Vec<Tally> = each(pool, kernels, predictor, records, layer, tokens, count)?;
    Ok(parts.into_iter().fold(Tally::default(), |mut all, part| {
        all += part;
        all
    }))
}
