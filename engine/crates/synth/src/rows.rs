//! The weights of every row.

use model::{Activation, Architecture, RouterInput};
use neuron::{BLOCK, Format};

use crate::basis::Basis;
use crate::design::{Design, Rank};
use crate::random::{Part, Stream};
use crate::spec::SPECIAL_TOKENS;
use crate::tensors::{Role, Tensor};
use crate::{SynthError, SynthSpec};

/// Standard deviation of the logits: the likeliest of some ten thousand tokens then has a probability as in real text.
const LOGITS: f64 = 5.0;
/// Share of the logits' variance that comes from the slow part: the next token depends on the last few more than on the last,
/// so that greedy text does not run in a circle when a token comes again.
const LOGITS_SLOW: f64 = 0.25;
/// The logit of tokens that no text holds.
const NEVER: f64 = -40.0;
/// Standard deviation of router logits.
const ROUTES: f64 = 1.5;

/// What one thread works with.
#[derive(Default)]
pub(crate) struct Work {
    row: Vec<f32>,
    other: Vec<f32>,
    coefficients: Vec<f32>,
}

/// Makes the rows of one tensor.
pub(crate) struct Rows<'a> {
    spec: &'a SynthSpec,
    design: &'a Design,
    tensor: &'a Tensor,
    /// By expert and neuron: its rank. Of gate and up only.
    order: Vec<Vec<u32>>,
    /// By expert, where gates are planted with a rank. Of gate, and of dReLU's up, only.
    bases: Vec<Basis>,
}

impl<'a> Rows<'a> {
    pub(crate) fn new(spec: &'a SynthSpec, design: &'a Design, tensor: &'a Tensor) -> Self {
        let ranked = matches!(tensor.role, Role::Gate | Role::Up) && !design.ranks.is_empty();
        let order = |expert| Stream::new(spec.seed, Part::Order, tensor.layer, expert).order(spec.shape.neurons);
        let experts = if ranked { spec.shape.experts } else { 0 };
        // Up of ReLU says nothing of which neurons fire.
        let decides = tensor.role == Role::Gate || tensor.role == Role::Up && spec.activation == Activation::DoubleRelu;
        let bases = match spec.statistics.gate_rank.filter(|_| decides) {
            Some(rank) => (0..spec.shape.experts)
                .map(|expert| Basis::new(spec, design, tensor.layer, expert, rank))
                .collect(),
            None => Vec::new(),
        };
        Self {
            spec,
            design,
            tensor,
            order: (0..experts).map(order).collect(),
            bases,
        }
    }

    /// Writes row `row` to `out`, in the tensor's format.
    pub(crate) fn write(&self, row: usize, work: &mut Work, out: &mut [u8]) -> Result<(), SynthError> {
        let Work {
            row: weights,
            other,
            coefficients,
        } = work;
        weights.clear();
        weights.resize(self.tensor.cols(), 0.0);
        let first = self.tensor.layer == 0;
        match self.tensor.role {
            Role::Norm => weights.fill(1.0),
            Role::Embedding => return self.rounded_embedding(row, weights, other, out),
            Role::Head => self.head(row, weights),
            Role::Query | Role::Key if first => self.recent_query_or_key(row, weights),
            Role::Value if first => self.recent_value(row, weights),
            Role::Output if first => self.recent_output(row, weights),
            Role::Query => self.projection(Part::Query, row, weights),
            Role::Key => self.projection(Part::Key, row, weights),
            Role::Value => {
                // No constant goes into values: a sum of it over all layers would be a bias that nobody planned.
                self.projection(Part::Value, row, weights);
                weights[..BLOCK].fill(0.0);
            }
            Role::Output => self.addition(Part::Output, self.design.update / (weights.len() as f64).sqrt(), row, weights),
            Role::Down => self.addition(Part::Down, self.design.down, row, weights),
            Role::Router => self.router(row, weights),
            Role::Gate | Role::Up => return self.gate_or_up(row, weights, other, coefficients, out),
        }
        Ok(self.tensor.format.quantise_row(weights, out)?)
    }

    fn stream(&self, part: Part, row: usize) -> Stream {
        Stream::new(self.spec.seed, part, self.tensor.layer, row)
    }

    fn embedding(&self, token: usize, weights: &mut [f32]) {
        weights[..BLOCK].fill(self.design.constant as f32);
        let fast = &mut weights[BLOCK + self.design.slow..];
        Stream::new(self.spec.seed, Part::Embedding, 0, token).fill(1.0, fast);
        to_unit_variance(fast, None);
    }

    /// An embedding whose fast part has variance 1 exactly, also after rounding: the norm then scales all tokens alike, and
    /// the scores that make the window, which grow with that scale, are the same for all.
    fn rounded_embedding(
        &self,
        token: usize,
        weights: &mut [f32],
        rounded: &mut Vec<f32>,
        out: &mut [u8],
    ) -> Result<(), SynthError> {
        let format = self.tensor.format;
        self.embedding(token, weights);
        format.quantise_row(weights, out)?;
        rounded.clear();
        rounded.resize(weights.len(), 0.0);
        format.dequantise_row(out, rounded)?;
        let fast = BLOCK + self.design.slow;
        to_unit_variance(&mut weights[fast..], Some(&rounded[fast..]));
        Ok(format.quantise_row(weights, out)?)
    }

    /// Random, and independent of the embeddings, so that tokens chosen by these logits are like random ones: what generated
    /// text fires has the statistics that random text has.
    fn head(&self, token: usize, weights: &mut [f32]) {
        let design = self.design;
        let scale = design.scale_after(self.spec.shape.layers);
        if token < SPECIAL_TOKENS {
            let constant = design.constant / scale * BLOCK as f64;
            weights[..BLOCK].fill((NEVER / constant) as f32);
        } else {
            self.parts(LOGITS * scale, LOGITS_SLOW, &mut self.stream(Part::Head, token), weights);
        }
    }

    /// Queries and keys of the first layer: the same for every token, in the first number of every rotary pair in use.
    fn recent_query_or_key(&self, row: usize, weights: &mut [f32]) {
        let (design, head_dim) = (self.design, self.spec.shape.head_dim);
        let (pairs, place) = (head_dim / 2, row % head_dim);
        let pair = match self.spec.architecture {
            // The numbers of a pair stand next to each other, or half a head apart.
            Architecture::Llama => place.is_multiple_of(2).then_some(place / 2),
            _ => (place < pairs).then_some(place),
        };
        if pair.is_some_and(|pair| pair >= design.window.first_pair) {
            let used = (pairs - design.window.first_pair) as f64;
            let wanted = (design.window.strength * (head_dim as f64).sqrt() / used).sqrt();
            let constant = design.constant / design.scale_before_attention() * BLOCK as f64;
            weights[..BLOCK].fill((wanted / constant) as f32);
        }
    }

    /// Value `row` of the first layer is one number of the fast part.
    fn recent_value(&self, row: usize, weights: &mut [f32]) {
        if row < self.design.slow {
            weights[BLOCK + self.design.slow + row] = 1.0;
        }
    }

    /// A slow coordinate is one value, in the first of the query heads that share it, scaled to variance 1.
    fn recent_output(&self, row: usize, weights: &mut [f32]) {
        let (design, shape) = (self.design, &self.spec.shape);
        let Some(value) = row.checked_sub(BLOCK).filter(|&value| value < design.slow) else {
            return;
        };
        let (kv_head, place) = (value / shape.head_dim, value % shape.head_dim);
        let head = kv_head * (shape.heads / shape.kv_heads);
        let gain = design.scale_before_attention() / design.window.square.sqrt();
        weights[head * shape.head_dim + place] = gain as f32;
    }

    /// A projection of the normed stream to numbers of variance 1.
    fn projection(&self, part: Part, row: usize, weights: &mut [f32]) {
        let deviation = 1.0 / (weights.len() as f64).sqrt();
        self.stream(part, row).fill(deviation, weights);
    }

    /// What is added to coordinate `row` of the stream; nothing to the constant block.
    fn addition(&self, part: Part, deviation: f64, row: usize, weights: &mut [f32]) {
        if row % self.spec.shape.hidden >= BLOCK {
            self.stream(part, row).fill(deviation, weights);
        }
    }

    fn router(&self, expert: usize, weights: &mut [f32]) {
        let design = self.design;
        // Routers of smallthinker read the stream as it is; those of llama after the norm.
        let input = match self.spec.architecture {
            Architecture::SmallThinker => RouterInput::LayerInput,
            _ => RouterInput::FfnNorm,
        };
        let scale = match input {
            RouterInput::LayerInput => 1.0,
            RouterInput::FfnNorm => design.scale_after(self.tensor.layer),
        };
        self.parts(
            ROUTES * scale,
            design.router_slow,
            &mut self.stream(Part::Router, expert),
            weights,
        );
    }

    /// Random weights whose product with the stream has this deviation, of whose variance the share `slow` is slow.
    fn parts(&self, deviation: f64, slow: f64, stream: &mut Stream, weights: &mut [f32]) {
        let (slow_part, fast_part) = weights[BLOCK..].split_at_mut(self.design.slow);
        stream.fill(deviation * (slow / slow_part.len() as f64).sqrt(), slow_part);
        stream.fill(deviation * ((1.0 - slow) / fast_part.len() as f64).sqrt(), fast_part);
    }

    fn gate_or_up(
        &self,
        row: usize,
        weights: &mut [f32],
        rounded: &mut Vec<f32>,
        coefficients: &mut Vec<f32>,
        out: &mut [u8],
    ) -> Result<(), SynthError> {
        let (design, format, neurons) = (self.design, self.tensor.format, self.spec.shape.neurons);
        let part = if self.tensor.role == Role::Gate {
            Part::Gate
        } else {
            Part::Up
        };
        let rank = self
            .order
            .get(row / neurons)
            .map(|order| design.ranks[order[row % neurons] as usize]);
        let threshold = rank.and_then(|rank: Rank| if part == Part::Gate { Some(rank.gate) } else { rank.up });
        let slow = rank.map_or(0.5, |rank| rank.slow);
        let deviation = design.scale_after(self.tensor.layer);
        let mut stream = self.stream(part, row);
        match self.bases.get(row / neurons) {
            Some(basis) => {
                let (slow_part, fast_part) = weights[BLOCK..].split_at_mut(design.slow);
                let lengths = [slow, 1.0 - slow].map(|share| deviation * share.sqrt());
                basis.fill(&mut stream, [slow_part, fast_part], lengths, coefficients);
            }
            None => self.parts(deviation, slow, &mut stream, weights),
        }
        let (constant_bytes, rest) = out.split_at_mut(format.row_bytes(BLOCK)?);
        format.quantise_row(&weights[BLOCK..], rest)?;
        if let Some(threshold) = threshold {
            rounded.clear();
            rounded.resize(weights.len() - BLOCK, 0.0);
            format.dequantise_row(rest, rounded)?;
            let spread = self.deviation(rounded);
            weights[..BLOCK].fill((-threshold * spread / (design.constant * BLOCK as f64)) as f32);
        }
        Ok(format.quantise_row(&weights[..BLOCK], constant_bytes)?)
    }

    /// Standard deviation, over tokens, of the product of these weights with the changing part of the stream.
    fn deviation(&self, weights: &[f32]) -> f64 {
        let design = self.design;
        let (slow, fast) = weights.split_at(design.slow);
        let square = |part: &[f32]| part.iter().map(|&weight| f64::from(weight * weight)).sum::<f64>();
        // A slow number holds something of the fast one that it follows.
        let cross: f64 = slow.iter().zip(fast).map(|(&slow, &fast)| f64::from(slow * fast)).sum();
        let variance = square(slow) + square(fast) + 2.0 * design.window.share_of(0) * cross;
        (variance.max(0.0) * design.variance_after(self.tensor.layer)).sqrt()
    }
}

/// Scales `numbers` so that their mean square, or that of what they were `rounded` to, becomes 1.
fn to_unit_variance(numbers: &mut [f32], rounded: Option<&[f32]>) {
    let square: f64 = rounded
        .unwrap_or(numbers)
        .iter()
        .map(|&number| f64::from(number * number))
        .sum();
    if square > 0.0 {
        let scale = (numbers.len() as f64 / square).sqrt() as f32;
        numbers.iter_mut().for_each(|number| *number *= scale);
    }
}

/// Bytes of a row of a tensor.
pub(crate) fn row_bytes(format: Format, cols: usize) -> Result<usize, SynthError> {
    Ok(format.row_bytes(cols)?)
}
