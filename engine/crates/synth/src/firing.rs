//! Adding up which neurons fired.

use model::Route;

use crate::record::FiringSink;
use crate::skew::Skew;

/// The halves of a text take turns after so many tokens: few enough that both are alike, enough that they share nothing but
/// the overlap at their ends.
const HALF_BLOCK: u64 = 32;

/// How often neurons and experts were active, and how often twice in a row. Tokens come in order, from one text.
#[derive(Clone, Debug)]
pub struct Firing {
    experts: usize,
    neurons: usize,
    layers: Vec<Layer>,
}

/// One layer; tables are experts by neurons.
#[derive(Clone, Debug)]
struct Layer {
    tokens: u64,
    /// Tokens that used each expert and neurons active for them, in two halves of the text.
    uses: [Vec<u64>; 2],
    active: [Vec<u32>; 2],
    /// Active for a token whose next one used the expert too.
    before: Vec<u32>,
    /// Active for two tokens in a row.
    again: Vec<u32>,
    /// Experts used by two tokens in a row.
    repeats: u64,
    /// Experts used by a token that has one before it.
    repeatable: u64,
    /// Experts of the last token and its active neurons, as places in the tables.
    last: Vec<(u32, Vec<u32>)>,
    /// The same of the token at hand.
    now: Vec<(u32, Vec<u32>)>,
    marks: Vec<bool>,
}

impl Firing {
    /// Nothing yet, of a model of that size.
    pub fn new(layers: usize, experts: usize, neurons: usize) -> Self {
        let table = experts * neurons;
        let layer = Layer {
            tokens: 0,
            uses: [vec![0; experts], vec![0; experts]],
            active: [vec![0; table], vec![0; table]],
            before: vec![0; table],
            again: vec![0; table],
            repeats: 0,
            repeatable: 0,
            last: Vec::new(),
            now: Vec::new(),
            marks: vec![false; table],
        };
        Self {
            experts,
            neurons,
            layers: vec![layer; layers],
        }
    }

    /// Layers.
    pub fn layers(&self) -> usize {
        self.layers.len()
    }

    /// Neurons that fired in a layer, all tokens together.
    pub fn fired(&self, layer: usize) -> u64 {
        self.layers[layer]
            .active
            .iter()
            .flatten()
            .map(|&count| u64::from(count))
            .sum()
    }

    /// Share of the neurons of a token's experts that were active; `None` before any token.
    pub fn share(&self, layer: usize) -> Option<f64> {
        let uses: u64 = self.layers[layer].uses.iter().flatten().sum();
        (uses > 0).then(|| self.fired(layer) as f64 / (uses as f64 * self.neurons as f64))
    }

    /// How often each neuron was active where its expert was used; experts by neurons.
    pub fn rates(&self, layer: usize) -> Vec<f64> {
        let layer = &self.layers[layer];
        let both = layer.active[0].iter().zip(&layer.active[1]).map(|(one, other)| one + other);
        let rate = |(place, count): (usize, u32)| {
            let expert = place / self.neurons;
            f64::from(count) / (layer.uses[0][expert] + layer.uses[1][expert]).max(1) as f64
        };
        both.enumerate().map(rate).collect()
    }

    /// The share of all activations that the hottest `neurons` (a share of the layer's) have. Which these are is found in one
    /// half of the text and counted in the other, and the other way round: in the same half, neurons that were active more
    /// often by chance would count as hotter than they are, and the fewer the tokens the more uneven all would seem.
    pub fn activations_of_hottest(&self, layer: usize, neurons: &[f64]) -> Vec<f64> {
        let layer = &self.layers[layer];
        let rates = |half: usize| -> Vec<f64> {
            let uses = |place: usize| layer.uses[half][place / self.neurons].max(1) as f64;
            let counts = layer.active[half].iter().enumerate();
            counts.map(|(place, &count)| f64::from(count) / uses(place)).collect()
        };
        let halves = [rates(0), rates(1)];
        let ranked = |by: usize| -> Vec<f64> {
            let mut order: Vec<usize> = (0..halves[by].len()).collect();
            order.sort_by(|&a, &b| halves[by][b].total_cmp(&halves[by][a]));
            order.iter().map(|&place| halves[1 - by][place]).collect()
        };
        let (one, other) = (ranked(0), ranked(1));
        let point = |&neurons: &f64| (Skew::of_rates(&one, neurons) + Skew::of_rates(&other, neurons)) / 2.0;
        neurons.iter().map(point).collect()
    }

    /// The overlap o of a layer: over pairs of consecutive tokens that used the same expert, P(again) = o + (1 - o) * rate.
    /// `None` where there was no such pair, or every neuron is always active.
    pub fn overlap(&self, layer: usize) -> Option<f64> {
        let (rates, layer) = (self.rates(layer), &self.layers[layer]);
        let (mut again, mut before, mut by_chance) = (0.0, 0.0, 0.0);
        for (place, rate) in rates.iter().enumerate() {
            again += f64::from(layer.again[place]);
            before += f64::from(layer.before[place]);
            by_chance += f64::from(layer.before[place]) * rate;
        }
        (before > by_chance).then(|| (again - by_chance) / (before - by_chance))
    }

    /// How likely an expert used for a token was used for the one before it; `None` before two tokens.
    pub fn repeat(&self, layer: usize) -> Option<f64> {
        let layer = &self.layers[layer];
        (layer.repeatable > 0).then(|| layer.repeats as f64 / layer.repeatable as f64)
    }
}

impl FiringSink for Firing {
    fn token(&mut self, layer: usize, routes: &[Route], fired: &[&[u32]]) {
        let (neurons, experts) = (self.neurons, self.experts);
        let layer = &mut self.layers[layer];
        let half = (layer.tokens / HALF_BLOCK % 2) as usize;
        let spare = std::mem::take(&mut layer.last);
        layer.last = std::mem::replace(&mut layer.now, spare);
        layer.now.resize_with(routes.len(), Default::default);
        for ((route, fired), (expert, places)) in routes.iter().zip(fired).zip(&mut layer.now) {
            *expert = route.expert.min(experts as u32 - 1);
            let base = *expert * neurons as u32;
            places.clear();
            places.extend(fired.iter().map(|neuron| base + neuron));
            layer.uses[half][*expert as usize] += 1;
            places.iter().for_each(|&place| layer.active[half][place as usize] += 1);
            if layer.tokens == 0 {
                continue;
            }
            layer.repeatable += 1;
            let Some((_, last)) = layer.last.iter().find(|(last, _)| last == expert) else {
                continue;
            };
            layer.repeats += 1;
            for &place in last {
                layer.before[place as usize] += 1;
                layer.marks[place as usize] = true;
            }
            for &place in places.iter().filter(|&&place| layer.marks[place as usize]) {
                layer.again[place as usize] += 1;
            }
            last.iter().for_each(|&place| layer.marks[place as usize] = false);
        }
        layer.tokens += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::Firing;
    use crate::FiringSink;
    use model::Route;

    const fn route(expert: u32) -> Route {
        Route { expert, weight: 1.0 }
    }

    #[test]
    fn chance_alone_makes_no_neuron_hot_and_hot_ones_are_found() {
        let mut bits = crate::random::Stream::new(1, crate::random::Part::Tokens, 0, 0);
        let mut firing = Firing::new(2, 1, 1000);
        for _ in 0..256 {
            // In layer 0 all fire in one of 20 tokens, in layer 1 the last hundred in one of 2, too.
            let even: Vec<u32> = (0..1000).filter(|_| bits.up_to(20) == 0).collect();
            let skewed: Vec<u32> = (0..1000).filter(|&i| bits.up_to(if i < 900 { 20 } else { 2 }) == 0).collect();
            firing.token(0, &[route(0)], &[&even]);
            firing.token(1, &[route(0)], &[&skewed]);
        }
        let even = firing.activations_of_hottest(0, &[0.1])[0];
        assert!((even - 0.1).abs() < 0.01, "{even}");
        let skewed = firing.activations_of_hottest(1, &[0.1])[0];
        assert!((skewed - 50.0 / 95.0).abs() < 0.02, "{skewed}");
    }

    #[test]
    fn counts_of_a_text_worked_out_by_hand() {
        let mut firing = Firing::new(1, 2, 4);
        firing.token(0, &[route(0)], &[&[0, 1]]);
        firing.token(0, &[route(0)], &[&[1, 2]]);
        firing.token(0, &[route(1)], &[&[3]]);
        firing.token(0, &[route(0)], &[&[0]]);
        assert_eq!(firing.fired(0), 6);
        assert_eq!(firing.share(0), Some(6.0 / 16.0));
        assert_eq!(firing.repeat(0), Some(1.0 / 3.0));
        assert_eq!(firing.rates(0)[..4], [2.0 / 3.0, 2.0 / 3.0, 1.0 / 3.0, 0.0]);
        // One pair shares an expert: 0 and 1 were active before, 1 again; by chance 4/3.
        let overlap = firing.overlap(0).unwrap();
        assert!((overlap - (1.0 - 4.0 / 3.0) / (2.0 - 4.0 / 3.0)).abs() < 1e-12);
    }
}
