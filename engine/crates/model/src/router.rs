//! Which experts a token uses.

use neuron::{Activations, Kernels};
use pool::Pool;

use crate::share::{Faults, Table, Work, Workplace, product};
use crate::{ModelError, Route, RouterGate, Tensor};

/// The least that the weights of the chosen are divided by, as in llama.cpp (v0.5.0, build_moe_ffn): the smallest normal
/// number of half precision.
const LEAST_SUM: f32 = 6.103_515_6e-5;

/// Router weights below which one thread is faster than waking others: some ten microseconds of work.
const WORTH_SHARING: usize = 1 << 18;

/// Working memory of the routers.
#[derive(Default)]
pub(crate) struct Router {
    logits: Vec<f32>,
    top: Vec<(u32, f32)>,
}

/// What there is to choose.
pub(crate) struct Choice {
    pub(crate) gate: RouterGate,
    pub(crate) experts_used: usize,
}

impl Router {
    /// Fills `routes` (tokens by experts used, ascending by expert) from the tokens in `x`.
    #[expect(clippy::too_many_arguments, reason = "one argument per operand")]
    pub(crate) fn route(
        &mut self,
        kernels: &Kernels,
        pool: &mut Pool,
        places: &mut [Workplace],
        weights: &Tensor,
        choice: &Choice,
        x: &Activations,
        routes: &mut Vec<Route>,
    ) -> Result<(), ModelError> {
        let (tokens, experts) = (x.tokens(), weights.rows());
        let matrix = weights.matrix()?;
        self.logits.resize(tokens * experts, 0.0);
        if experts * weights.cols() * tokens < WORTH_SHARING {
            let out = neuron::Output::new(&mut self.logits, tokens, experts)?;
            product(kernels, &matrix, 0..experts, x, &mut places[0].scratch, out)?;
        } else {
            let (work, faults) = (Work::new(experts, GRAIN_EXPERTS, pool.threads()), Faults::default());
            let out = Table::new(&mut self.logits, tokens, experts)?;
            pool.run_each(places, |_, place| {
                for rows in &work {
                    // SAFETY: every chunk of rows is handed out once.
                    let columns = unsafe { out.columns(rows.clone()) };
                    faults.note(product(kernels, &matrix, rows, x, &mut place.scratch, columns));
                }
            });
            faults.result()?;
        }
        routes.clear();
        for logits in self.logits.chunks_exact_mut(experts) {
            choose(kernels, logits, choice, &mut self.top, routes);
        }
        Ok(())
    }
}

/// Chunks of experts: small, since there are few and each is a long row.
const GRAIN_EXPERTS: usize = 4;

/// Appends the routes of one token.
fn choose(kernels: &Kernels, logits: &mut [f32], choice: &Choice, top: &mut Vec<(u32, f32)>, routes: &mut Vec<Route>) {
    match choice.gate {
        RouterGate::Softmax => kernels.softmax(logits),
        RouterGate::Sigmoid => {
            for logit in logits.iter_mut() {
                *logit = 1.0 / (1.0 + (-*logit).exp());
            }
        }
    }
    kernels.top_k(logits, choice.experts_used, top);
    let sum: f32 = top.iter().map(|&(_, weight)| weight).sum();
    let sum = sum.max(LEAST_SUM);
    top.sort_unstable_by_key(|&(expert, _)| expert);
    routes.extend(top.iter().map(|&(expert, weight)| Route {
        expert,
        weight: weight / sum,
    }));
}

#[cfg(test)]
mod tests {
    use super::{Choice, choose};
    use crate::RouterGate;
    use neuron::Kernels;

    fn routes(logits: &[f32], gate: RouterGate, experts_used: usize) -> Vec<(u32, f32)> {
        let mut routes = Vec::new();
        let choice = Choice { gate, experts_used };
        choose(&Kernels::best(), &mut logits.to_vec(), &choice, &mut Vec::new(), &mut routes);
        routes.iter().map(|route| (route.expert, route.weight)).collect()
    }

    #[test]
    fn the_chosen_come_in_ascending_order_and_their_weights_sum_to_one() {
        for gate in [RouterGate::Softmax, RouterGate::Sigmoid] {
            let chosen = routes(&[0.5, 3.0, -1.0, 2.0], gate, 2);
            assert_eq!(chosen.iter().map(|route| route.0).collect::<Vec<_>>(), [1, 3]);
            assert!((chosen[0].1 + chosen[1].1 - 1.0).abs() < 1e-6);
            assert!(chosen[0].1 > chosen[1].1);
        }
    }

    #[test]
    fn softmax_weights_are_those_of_a_softmax_over_the_chosen() {
        let chosen = routes(&[1.0, 0.0, -5.0], RouterGate::Softmax, 2);
        let wanted = 1.0 / (1.0 + (-1.0f32).exp());
        assert!((chosen[0].1 - wanted).abs() < 1e-6, "{chosen:?}");
    }

    #[test]
    fn vanishing_sigmoids_are_divided_by_the_least_sum_and_not_by_nothing() {
        let chosen = routes(&[-30.0], RouterGate::Sigmoid, 1);
        assert!(chosen[0].1 < 1e-6, "{chosen:?}");
    }
}
