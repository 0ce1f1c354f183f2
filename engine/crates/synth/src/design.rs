//! The numbers behind a file, worked out from what it is to show: no measuring and correcting is needed.
//!
//! The residual stream has three parts. A CONSTANT block carries the same numbers for every token: what reads it adds a bias.
//! The FAST coordinates are the token's embedding. The SLOW ones are written by the first layer's attention: a mean over the
//! embeddings of the last few tokens ([`Window`]). Later layers change the stream by a few per cent in all, and never the
//! constant block. RMSNorm scales all three alike and so never changes the sign of a gate.
//!
//! A gate is then bias + fast part + slow part, the latter two sums over hundreds of independent numbers: normal, of a
//! variance known from the quantised row itself. Its bias sets how often it fires; how much of its variance is slow sets how
//! often it fires twice in a row. Routers are made the same way, without a bias.

use model::Activation;
use neuron::BLOCK;

use crate::normal::{bisect, both_above, square_above, square_of_silu, threshold};
use crate::random::{Part, Stream};
use crate::skew::GREATEST_RATE;
use crate::window::Window;
use crate::{SynthError, SynthSpec};

/// The base of the rotary embedding.
pub(crate) const ROPE_BASE: f64 = 10_000.0;

/// The epsilon of all norms.
pub(crate) const NORM_EPSILON: f32 = 1e-5;

/// What all FFNs together add to the variance of the stream, and all attention at most as much again: enough that the
/// output depends on every layer, too little to move the statistics of the last.
const UPDATES: f64 = 0.02;

/// How one rank of neurons (0 is the hottest) is made.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Rank {
    /// What the gate must exceed, in standard deviations of its changing part.
    pub(crate) gate: f64,
    /// The same for up; `None` where up has no bias.
    pub(crate) up: Option<f64>,
    /// Share of the changing part's variance that is slow.
    pub(crate) slow: f64,
}

/// Everything that rows are made from.
#[derive(Clone, Debug)]
pub(crate) struct Design {
    /// Numbers of the slow part; they follow the constant block.
    pub(crate) slow: usize,
    /// Numbers of the fast part; they come last.
    pub(crate) fast: usize,
    /// Each number of the constant block.
    pub(crate) constant: f64,
    /// How the slow part follows the fast one.
    pub(crate) window: Window,
    /// Rates by rank; empty for a model that is not sparse.
    pub(crate) rates: Vec<f64>,
    /// Neurons by rank.
    pub(crate) ranks: Vec<Rank>,
    /// Share of the variance of router logits that is slow.
    pub(crate) router_slow: f64,
    /// Standard deviation of down's weights.
    pub(crate) down: f64,
    /// Standard deviation of what a layer's FFN or attention adds to a coordinate.
    pub(crate) update: f64,
    hidden: usize,
    layers: usize,
}

impl Design {
    pub(crate) fn new(spec: &SynthSpec) -> Result<Self, SynthError> {
        spec.check()?;
        let shape = &spec.shape;
        let changing = shape.hidden - BLOCK;
        let slow = spec.kv_width().min(changing / 2) / BLOCK * BLOCK;
        if slow == 0 {
            let wanted = format!("at least {BLOCK}");
            return Err(SynthError::spec(
                "the numbers of all key-value heads",
                spec.kv_width(),
                wanted,
            ));
        }
        let statistics = &spec.statistics;
        let sparse = spec.activation.is_sparse();
        let rates = if sparse {
            statistics.skew.rates(shape.neurons, statistics.share)
        } else {
            Vec::new()
        };
        let mut ranks: Vec<Rank> = rates.iter().map(|&rate| rank(spec, rate)).collect();
        let router = match statistics.repeat {
            Some(repeat) if shape.experts > shape.experts_used => router_correlation(spec, repeat),
            _ => 0.0,
        };
        // Rows are easiest to make right when they are not slow alone.
        let wanted = ranks.iter().fold(router, |wanted, rank| wanted.max(rank.slow)) / 0.9;
        let window = Window::new(shape.head_dim / 2, ROPE_BASE, wanted)?;
        // From correlations of what the gate is to show to shares of the window's.
        ranks
            .iter_mut()
            .for_each(|rank| rank.slow = (rank.slow / window.correlation).min(1.0));
        check_overlap(spec, &window, &rates, &ranks)?;
        if router > window.correlation {
            let wanted = format!(
                "less: the router's logits would have to correlate by {router:.3}, {:.3} is the most",
                window.correlation
            );
            return Err(SynthError::spec(
                "the repetition of experts",
                statistics.repeat.unwrap_or(1.0),
                wanted,
            ));
        }
        let router_slow = router / window.correlation;
        // The second moments of the neurons' activations, gates and ups having variance 1.
        let moment = |rank: &Rank| square_above(rank.gate) * rank.up.map_or(1.0, square_above);
        let activity = if sparse {
            ranks.iter().map(moment).sum::<f64>()
        } else {
            square_of_silu() * shape.neurons as f64
        };
        let update = (UPDATES / shape.layers as f64).sqrt();
        Ok(Self {
            slow,
            fast: changing - slow,
            constant: (changing as f64 / BLOCK as f64).sqrt(),
            window,
            rates,
            ranks,
            router_slow,
            down: update / activity.sqrt(),
            update,
            hidden: shape.hidden,
            layers: shape.layers,
        })
    }

    /// What RMSNorm divides by where the first layer's attention reads.
    pub(crate) fn scale_before_attention(&self) -> f64 {
        self.scale(self.fast as f64)
    }

    /// The same behind it, where `layer` layers have added to the stream.
    pub(crate) fn scale_after(&self, layer: usize) -> f64 {
        self.scale((self.slow + self.fast) as f64 * self.variance_after(layer))
    }

    /// Variance of a changing coordinate of the stream behind `layer` layers.
    pub(crate) fn variance_after(&self, layer: usize) -> f64 {
        // Attention adds less than its bound: it averages over positions.
        1.0 + 1.3 * UPDATES * layer as f64 / self.layers as f64
    }

    fn scale(&self, changing: f64) -> f64 {
        ((self.constant * self.constant * BLOCK as f64 + changing) / self.hidden as f64).sqrt()
    }
}

/// How a neuron of that rate is made; `slow` is how much its gate is to correlate from token to token.
fn rank(spec: &SynthSpec, rate: f64) -> Rank {
    let (gate_rate, up_rate) = match spec.activation {
        Activation::DoubleRelu => {
            let gate = (rate / spec.statistics.up_share).min(GREATEST_RATE);
            (gate, Some((rate / gate).min(GREATEST_RATE)))
        }
        Activation::Relu | Activation::Silu => (rate, None),
    };
    let overlap = spec.statistics.overlap;
    let wanted = rate * (overlap + (1.0 - overlap) * rate);
    let mut rank = Rank {
        gate: threshold(gate_rate),
        up: up_rate.map(threshold),
        slow: 0.0,
    };
    rank.slow = bisect(0.0, 1.0, |correlation| rank.again(correlation) < wanted);
    rank
}

impl Rank {
    /// P(active for two tokens in a row), where gates (and ups) correlate so much.
    fn again(&self, correlation: f64) -> f64 {
        both_above(self.gate, correlation) * self.up.map_or(1.0, |up| both_above(up, correlation))
    }
}

/// Refuses an overlap that the window cannot give to all neurons together. (Single cold ones may fall short.)
fn check_overlap(spec: &SynthSpec, window: &Window, rates: &[f64], ranks: &[Rank]) -> Result<(), SynthError> {
    let again = |(rate, rank): (&f64, &Rank)| rank.again(rank.slow * window.correlation) - rate * rate;
    let (again, free) = (
        rates.iter().zip(ranks).map(again).sum::<f64>(),
        rates.iter().map(|rate| rate * (1.0 - rate)).sum::<f64>(),
    );
    let (overlap, reached) = (spec.statistics.overlap, again / free);
    if !rates.is_empty() && reached < overlap - 0.01 {
        return Err(SynthError::spec(
            "the overlap",
            overlap,
            format!("at most {reached:.2} at this activity"),
        ));
    }
    Ok(())
}

/// The correlation of router logits with which as many experts repeat as wanted, found by drawing logits.
fn router_correlation(spec: &SynthSpec, repeat: f64) -> f64 {
    let (experts, used) = (spec.shape.experts, spec.shape.experts_used);
    let draws = (400_000 / experts).max(2_000);
    let mut stream = Stream::new(spec.seed, Part::Routes, 0, 0);
    let normals: Vec<f64> = (0..2 * draws * experts).map(|_| stream.normal()).collect();
    let chosen = |logits: &[f64]| {
        let mut order: Vec<usize> = (0..experts).collect();
        order.sort_unstable_by(|&a, &b| logits[b].total_cmp(&logits[a]));
        order.truncate(used);
        order
    };
    let first: Vec<Vec<usize>> = normals
        .chunks_exact(2 * experts)
        .map(|draw| chosen(&draw[..experts]))
        .collect();
    let repeats = |correlation: f64| {
        let rest = (1.0 - correlation * correlation).sqrt();
        let mut again = 0;
        let mut logits = vec![0.0; experts];
        for (draw, before) in normals.chunks_exact(2 * experts).zip(&first) {
            for (i, logit) in logits.iter_mut().enumerate() {
                *logit = correlation * draw[i] + rest * draw[experts + i];
            }
            again += chosen(&logits).iter().filter(|expert| before.contains(expert)).count();
        }
        again as f64 / (draws * used) as f64
    };
    let (mut low, mut high) = (0.0, 1.0);
    for _ in 0..12 {
        let middle = (low + high) / 2.0;
        if repeats(middle) < repeat {
            low = middle;
        } else {
            high = middle;
        }
    }
    (low + high) / 2.0
}
