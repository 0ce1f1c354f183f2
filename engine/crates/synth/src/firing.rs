//! Adding up which neurons fired.

use model::Route;

use crate::record::FiringSink;

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
    /// Tokens that used each expert.
    uses: Vec<u64>,
    active: Vec<u32>,
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
            uses: vec![0; experts],
            active: vec![0; table],
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
        self.layers[layer].active.iter().map(|&count| u64::from(count)).sum()
    }

    /// Share of the neurons of a token's experts that were active; `None` before any token.
    pub fn share(&self, layer: usize) -> Option<f64> {
        let uses: u64 = self.layers[layer].uses.iter().sum();
        (uses > 0).then(|| self.fired(layer) as f64 / (uses as f64 * self.neurons as f64))
    }

    /// How often each neuron was active where its expert was used; experts by neurons.
    pub fn rates(&self, layer: usize) -> Vec<f64> {
        let layer = &self.layers[layer];
        let rate = |(place, &count): (usize, &u32)| f64::from(count) / layer.uses[place / self.neurons].max(1) as f64;
        layer.active.iter().enumerate().map(rate).collect()
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
        let spare = std::mem::take(&mut layer.last);
        layer.last = std::mem::replace(&mut layer.now, spare);
        layer.now.resize_with(routes.len(), Default::default);
        for ((route, fired), (expert, places)) in routes.iter().zip(fired).zip(&mut layer.now) {
            *expert = route.expert.min(experts as u32 - 1);
            let base = *expert * neurons as u32;
            places.clear();
            places.extend(fired.iter().map(|neuron| base + neuron));
            layer.uses[*expert as usize] += 1;
            places.iter().for_each(|&place| layer.active[place as usize] += 1);
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
