//! The sizes of a model's FFNs, and how a batch is told apart by expert.

use neuron::Kernels;

use super::FfnBatch;
use crate::{Activation, ModelConfig, ModelError};

/// What every FFN in memory needs to know.
#[derive(Clone, Copy)]
pub(crate) struct Shape {
    pub(crate) hidden: usize,
    pub(crate) neurons: usize,
    pub(crate) experts: usize,
    pub(crate) layers: usize,
    pub(crate) activation: Activation,
}

impl Shape {
    pub(crate) fn of(config: &ModelConfig) -> Self {
        Self {
            hidden: config.hidden,
            neurons: config.neurons,
            experts: config.experts,
            layers: config.layers,
            activation: config.activation,
        }
    }

    /// `Ok` when a batch fits this model.
    pub(crate) fn check(&self, layer: usize, batch: &FfnBatch<'_>, out: &[f32]) -> Result<(), ModelError> {
        let numbers = batch.tokens * self.hidden;
        let fits = layer < self.layers
            && batch.tokens > 0
            && batch.stream.len() == numbers
            && batch.input.len() == numbers
            && out.len() == numbers
            && batch.activations.tokens() == batch.tokens
            && batch.activations.cols() == self.hidden
            && batch.experts_used > 0
            && batch.routes.len() == batch.tokens * batch.experts_used
            && batch.routes.iter().all(|route| (route.expert as usize) < self.experts);
        if fits {
            return Ok(());
        }
        let what = format!(
            "an ffn batch that does not fit: layer {layer}, {} tokens, {} numbers, {} routes; the model has {} layers, {} experts and width {}",
            batch.tokens,
            out.len(),
            batch.routes.len(),
            self.layers,
            self.experts,
            self.hidden
        );
        Err(ModelError::Misuse { what })
    }
}

/// gate = activation(gate, up).
pub(crate) fn activate(kernels: &Kernels, activation: Activation, gate: &mut [f32], up: &[f32]) -> Result<(), ModelError> {
    match activation {
        Activation::Silu => kernels.silu_mul(gate, up)?,
        Activation::Relu => kernels.relu_mul(gate, up)?,
        Activation::DoubleRelu => kernels.drelu_mul(gate, up)?,
    }
    Ok(())
}

/// The tokens of a batch, expert by expert, and the way back.
#[derive(Default)]
pub(crate) struct Grouping {
    /// Experts that some token uses, ascending.
    pub(crate) experts: Vec<u32>,
    /// For each of these, where its tokens start in `tokens`; one more at the end.
    pub(crate) starts: Vec<usize>,
    /// Tokens, expert by expert, ascending within one.
    pub(crate) tokens: Vec<u32>,
    /// For each route of the batch, where its token stands in `tokens`.
    pub(crate) places: Vec<u32>,
    counts: Vec<usize>,
}

impl Grouping {
    /// Groups a batch whose routes have been checked.
    pub(crate) fn group(&mut self, batch: &FfnBatch<'_>, experts: usize) {
        self.counts.clear();
        self.counts.resize(experts, 0);
        for route in batch.routes {
            self.counts[route.expert as usize] += 1;
        }
        self.experts.clear();
        self.starts.clear();
        let mut start = 0;
        for (expert, count) in self.counts.iter_mut().enumerate() {
            if *count > 0 {
                self.experts.push(expert as u32);
                self.starts.push(start);
                // From here on the place of the expert's next token.
                start += std::mem::replace(count, start);
            }
        }
        self.starts.push(start);
        self.tokens.clear();
        self.tokens.resize(start, 0);
        self.places.clear();
        for (index, route) in batch.routes.iter().enumerate() {
            let place = &mut self.counts[route.expert as usize];
            self.tokens[*place] = (index / batch.experts_used) as u32;
            self.places.push(*place as u32);
            *place += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{FfnBatch, Grouping};
    use crate::Route;
    use neuron::Activations;

    #[test]
    fn every_route_finds_its_token_at_its_place_among_its_experts_tokens() {
        let routes: Vec<Route> = [[1, 3], [0, 3], [1, 2], [1, 3]]
            .into_iter()
            .flatten()
            .map(|expert| Route { expert, weight: 0.5 })
            .collect();
        let batch = FfnBatch {
            tokens: 4,
            stream: &[],
            input: &[],
            activations: &Activations::new(),
            routes: &routes,
            experts_used: 2,
        };
        let mut grouping = Grouping::default();
        grouping.group(&batch, 5);
        assert_eq!(grouping.experts, [0, 1, 2, 3]);
        assert_eq!(grouping.starts, [0, 1, 4, 5, 8]);
        assert_eq!(grouping.tokens, [1, 0, 2, 3, 2, 0, 1, 3]);
        for (index, route) in routes.iter().enumerate() {
            let place = grouping.places[index] as usize;
            assert_eq!(grouping.tokens[place] as usize, index / 2);
            let group = grouping.experts.iter().position(|&expert| expert == route.expert).unwrap();
            assert!((grouping.starts[group]..grouping.starts[group + 1]).contains(&place));
        }
    }
}
