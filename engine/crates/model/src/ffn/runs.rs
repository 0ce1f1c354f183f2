//! Several sum blocks of one token at a time: long lists of rows hide the memory's latency better than short ones.

use std::ops::Range;

use neuron::{Bundles, ClusterScratch, Gating, Kernels, SUM_BLOCK};

use super::Route;
use crate::ModelError;

/// Rows of the next block that are asked for before a block is added: as many as the kernels add at a time.
const ROWS_AHEAD: usize = 4;

/// The blocks of a token's experts, counted through from the first expert's first.
#[derive(Clone, Copy)]
pub(super) struct Blocks<'a> {
    /// Neurons of an expert.
    pub(super) neurons: usize,
    /// The token's.
    pub(super) routes: &'a [Route],
}

impl Blocks<'_> {
    /// The slot of a block's expert among the routes, and its neurons within that expert.
    pub(super) fn of(&self, block: usize) -> (usize, Range<usize>) {
        let per_expert = self.neurons.div_ceil(SUM_BLOCK);
        let (slot, first) = (block / per_expert, block % per_expert * SUM_BLOCK);
        (slot, first..self.neurons.min(first + SUM_BLOCK))
    }

    /// The rows of a block's neurons in matrices where all experts follow each other.
    pub(super) fn rows(&self, block: usize) -> Range<usize> {
        let (slot, neurons) = self.of(block);
        let base = self.routes[slot].expert as usize * self.neurons;
        base + neurons.start..base + neurons.end
    }

    /// The second half of some blocks: ups of the neurons whose gates `scratch` lists, then a sum for each block. `partials` holds
    /// a line of `hidden` for each of them, `fired` gets how many neurons each sum has.
    pub(super) fn up_down(
        &self,
        blocks: Range<usize>,
        (kernels, gating, bundles): (&Kernels, Gating, &Bundles<'_>),
        x: &neuron::Activations,
        scratch: &mut ClusterScratch,
        partials: &mut [f32],
        fired: &mut [usize],
    ) -> Result<(), ModelError> {
        let down = &bundles.down;
        kernels.cluster_up(&bundles.up, gating, x, scratch)?;
        let (mut rows, mut values) = scratch.fired();
        for ((block, partial), fired) in blocks.zip(partials.chunks_exact_mut(down.cols())).zip(fired) {
            let of_block = self.rows(block);
            let count = rows.iter().take_while(|&&row| of_block.contains(&(row as usize))).count();
            let (of_block, later) = rows.split_at(count);
            let (coefficients, other) = values.split_at(count);
            kernels.expect_rows(down, &later[..later.len().min(ROWS_AHEAD)]);
            partial.fill(0.0);
            kernels.axpy_rows(down, of_block, coefficients, partial)?;
            *fired = count;
            (rows, values) = (later, other);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use neuron::{Activations, ClusterScratch, Format, Gating, Kernels, RopeStyle, SUM_BLOCK};
    use pool::{Options, Pool};

    use super::Blocks;
    use crate::ffn::sparse::{SparseFfn, SparseLayer};
    use crate::{
        Activation, Architecture, Batches, FeedForward, FfnBatch, FfnCounters, LowRank, ModelConfig, ModelError, NeuronPredictor,
        PredictedCounters, PredictedFfn, PredictorInput, RopeConfig, Route, SumExperts, Tensor, add_partial,
    };

    const HIDDEN: usize = 64;
    /// Eight whole blocks and a ragged one: 18 blocks for a token of two experts, nine of which are one thread's first run.
    const NEURONS: usize = 8 * SUM_BLOCK + 77;
    const EXPERTS: usize = 3;
    const ROUTES: [Route; 2] = [
        Route {
            expert: 0,
            weight: 0.625,
        },
        Route {
            expert: 2,
            weight: 0.375,
        },
    ];

    fn config(activation: Activation) -> ModelConfig {
        ModelConfig {
            architecture: Architecture::Llama,
            vocabulary: 1,
            context: 1,
            hidden: HIDDEN,
            layers: 1,
            heads: 1,
            kv_heads: 1,
            head_dim: HIDDEN,
            norm_epsilon: 0.0,
            rope: RopeConfig {
                style: RopeStyle::Adjacent,
                dims: HIDDEN,
                base: 10_000.0,
                position_scale: 1.0,
            },
            neurons: NEURONS,
            experts: EXPERTS,
            experts_used: ROUTES.len(),
            router: None,
            activation,
            window: None,
        }
    }

    /// Numbers from -1 to 1 without an order.
    fn numbers(seed: u64, count: usize) -> Vec<f32> {
        let mut random = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
        let mut next = || {
            random ^= random << 13;
            random ^= random >> 7;
            random ^= random << 17;
            (random >> 40) as f32 / (1 << 23) as f32 - 1.0
        };
        (0..count).map(|_| next()).collect()
    }

    fn tensor(format: Format, seed: u64, rows: usize, cols: usize) -> Tensor {
        let mut tensor = Tensor::zeroed(format, rows, cols, "a test").unwrap();
        tensor.set_rows(0, &numbers(seed, rows * cols)).unwrap();
        tensor
    }

    fn sparse(activation: Activation) -> SparseFfn {
        let part = |seed| tensor(Format::Q8_0, seed, EXPERTS * NEURONS, HIDDEN);
        let layer = SparseLayer {
            gate: part(1),
            up: part(2),
            down: part(3),
        };
        let gating = if activation == Activation::Relu {
            Gating::Relu
        } else {
            Gating::DoubleRelu
        };
        SparseFfn::new(&config(activation), Kernels::best(), gating, vec![layer], false)
    }

    /// Of another rank and with another threshold for each expert.
    struct Scores([(Tensor, Tensor); EXPERTS]);

    impl Scores {
        fn new() -> Self {
            Self(std::array::from_fn(|expert| {
                let (seed, rank) = (10 + 2 * expert as u64, 12 + 4 * expert);
                (
                    tensor(Format::F32, seed, rank, HIDDEN),
                    tensor(Format::F32, seed + 1, NEURONS, rank),
                )
            }))
        }
    }

    impl NeuronPredictor for Scores {
        fn input(&self) -> PredictorInput {
            PredictorInput::Normed
        }

        fn low_rank(&self, _: usize, expert: usize) -> Result<LowRank<'_>, ModelError> {
            let (first, second) = &self.0[expert];
            Ok(LowRank {
                first: first.matrix()?,
                second: second.matrix()?,
                threshold: expert as f32 * 0.5,
                rectified: false,
            })
        }

        fn bytes(&self) -> u64 {
            0
        }
    }

    /// Neurons of an expert whose score reaches the threshold.
    fn chosen(scores: &Scores, kernels: Kernels, expert: usize, x: &Activations) -> Vec<usize> {
        let predictor = scores.low_rank(0, expert).unwrap();
        let (mut hidden, mut activations) = (vec![0.0; predictor.first.rows()], Activations::new());
        kernels.gemv(&predictor.first, x, &mut hidden).unwrap();
        kernels.quantise(&hidden, &mut activations);
        let mut all = vec![0.0; NEURONS];
        kernels.gemv(&predictor.second, &activations, &mut all).unwrap();
        (0..NEURONS).filter(|&neuron| all[neuron] >= predictor.threshold).collect()
    }

    /// The output of the neurons listed for each route, block by block, and how many fired.
    fn plainly(ffn: &SparseFfn, neurons: &[Vec<usize>], x: &Activations) -> (Vec<f32>, u64) {
        let (kernels, bundles) = (ffn.kernels(), ffn.bundles(0).unwrap());
        let (mut out, mut fired, mut scratch) = (vec![f32::NAN; HIDDEN], 0, ClusterScratch::new());
        let mut sum = SumExperts::new(&mut out);
        for (route, neurons) in ROUTES.iter().zip(neurons) {
            let mut expert = vec![0.0; HIDDEN];
            for first in (0..NEURONS).step_by(SUM_BLOCK) {
                let of_block = neurons.iter().filter(|&&neuron| neuron / SUM_BLOCK == first / SUM_BLOCK);
                let rows: Vec<u32> = of_block
                    .map(|neuron| (route.expert as usize * NEURONS + neuron) as u32)
                    .collect();
                let mut partial = vec![f32::NAN; HIDDEN];
                let count = kernels
                    .cluster(&bundles, ffn.gating(), &rows, x, &mut scratch, &mut partial)
                    .unwrap();
                if count > 0 {
                    add_partial(&partial, &mut expert);
                }
                fired += count as u64;
            }
            sum.add(route.weight, &expert);
        }
        sum.finish();
        (out, fired)
    }

    /// What an FFN makes of one token.
    fn forward(ffn: &mut dyn FeedForward, threads: usize, input: &[f32], x: &Activations) -> Vec<u32> {
        let mut pool = Pool::new(&Options::new(threads)).unwrap();
        let batch = FfnBatch {
            tokens: 1,
            stream: input,
            input,
            activations: x,
            routes: &ROUTES,
            experts_used: ROUTES.len(),
        };
        let mut out = vec![f32::NAN; HIDDEN];
        ffn.forward(&mut pool, 0, &batch, &mut out).unwrap();
        bits(&out)
    }

    fn bits(numbers: &[f32]) -> Vec<u32> {
        numbers.iter().map(|number| number.to_bits()).collect()
    }

    #[test]
    fn blocks_are_counted_through_all_experts_and_the_last_of_each_is_ragged() {
        let of = Blocks {
            neurons: NEURONS,
            routes: &ROUTES,
        };
        assert_eq!(of.of(8), (0, 8 * SUM_BLOCK..NEURONS));
        assert_eq!(of.of(9), (1, 0..SUM_BLOCK));
        assert_eq!(of.rows(17), 2 * NEURONS + 8 * SUM_BLOCK..3 * NEURONS);
    }

    /// The more threads, the shorter their runs: nine blocks, four, three and one at first.
    #[test]
    fn runs_of_blocks_give_the_bits_and_counts_of_blocks_one_by_one() {
        let input = numbers(99, HIDDEN);
        for activation in [Activation::Relu, Activation::DoubleRelu] {
            let ffn = sparse(activation);
            let mut x = Activations::new();
            ffn.kernels().quantise(&input, &mut x);
            let all = vec![(0..NEURONS).collect::<Vec<_>>(); ROUTES.len()];
            let scores = Arc::new(Scores::new());
            let named: Vec<Vec<usize>> = ROUTES
                .iter()
                .map(|route| chosen(&scores, ffn.kernels(), route.expert as usize, &x))
                .collect();
            let predicted: usize = named.iter().map(Vec::len).sum();
            let ((whole, would_fire), (part, fired)) = (plainly(&ffn, &all, &x), plainly(&ffn, &named, &x));
            let seen = (ROUTES.len() * NEURONS) as u64;
            assert!(0 < fired && fired < would_fire && would_fire < seen && predicted as u64 > fired);
            for threads in [1, 2, 3, 5] {
                let what = format!("{activation:?}, {threads} threads");
                let mut exact = sparse(activation);
                assert_eq!(forward(&mut exact, threads, &input, &x), bits(&whole), "{what}");
                let mut counted = FfnCounters::new(1);
                counted.add(0, seen, would_fire);
                assert_eq!(exact.counters(), Some(&counted), "{what}");
                let predictor = Arc::clone(&scores) as Arc<dyn NeuronPredictor>;
                let mut guided = PredictedFfn::new(exact, &config(activation), predictor, Batches::Predicted).unwrap();
                guided.audit();
                assert_eq!(forward(&mut guided, threads, &input, &x), bits(&part), "{what}");
                let wanted = PredictedCounters {
                    scored: vec![seen],
                    predicted: vec![predicted as u64],
                    fired: vec![fired],
                    missed: vec![would_fire - fired],
                };
                assert_eq!(guided.predicted(), Some(&wanted), "{what}");
            }
        }
    }
}
