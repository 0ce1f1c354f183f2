//! `misses FILE TOKENS SHARE[,SHARE…]`: which neurons of a model fire over random tokens, and how often a cache that holds so large a
//! share of all neurons would have missed, by policy.

use std::sync::{Arc, Mutex, PoisonError};

use cache::{PolicyKind, Setting, replay_kind};
use model::{FeedForward, GgufSource, KvFormat, Model, Route, Session, SparseFfn, Want};
use neuron::Kernels;
use pool::{Options, Pool};
use synth::{FiringSink, Recorder};

struct Trace {
    experts: u32,
    neurons: u32,
    /// By layer: keys in order, and where each token ends.
    keys: Vec<Vec<u32>>,
    ends: Vec<Vec<usize>>,
}

impl FiringSink for Trace {
    fn token(&mut self, layer: usize, routes: &[Route], fired: &[&[u32]]) {
        for (route, fired) in routes.iter().zip(fired) {
            let first = (layer as u32 * self.experts + route.expert) * self.neurons;
            self.keys[layer].extend(fired.iter().map(|neuron| first + neuron));
        }
        self.ends[layer].push(self.keys[layer].len());
    }
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let tokens: usize = arguments[1].parse()?;
    let source = GgufSource::open(&arguments[0])?;
    let kernels = Kernels::best();
    let model = Arc::new(Model::load(&source, kernels)?);
    let config = model.config().clone();
    let inner: Box<dyn FeedForward> = Box::new(SparseFfn::load(&source, &config, kernels)?);
    let trace = Arc::new(Mutex::new(Trace {
        experts: config.experts as u32,
        neurons: config.neurons as u32,
        keys: vec![Vec::new(); config.layers],
        ends: vec![Vec::new(); config.layers],
    }));
    let recorder = Recorder::new(inner, &source, &config, kernels, Arc::clone(&trace))?;
    let mut session = Session::new(model, Box::new(recorder), Pool::new(&Options::new(2))?, KvFormat::F16, tokens)?;
    let vocabulary = config.vocabulary as u32 - 300;
    let text: Vec<u32> = (0..tokens as u32)
        .map(|i| 300 + i.wrapping_mul(2_654_435_761) % vocabulary)
        .collect();
    session.forward(&text, Want::Nothing)?;
    let trace = trace.lock().unwrap_or_else(PoisonError::into_inner);
    // Token by token, as decoding asks.
    let mut order = Vec::new();
    for token in 0..tokens {
        for (keys, ends) in trace.keys.iter().zip(&trace.ends) {
            order.extend_from_slice(&keys[if token == 0 { 0 } else { ends[token - 1] }..ends[token]]);
        }
    }
    let all = (config.layers * config.experts * config.neurons) as u32;
    let half = order.len() / 2;
    for share in arguments[2].split(',') {
        let slots = (f64::from(all) * share.parse::<f64>()?) as u32;
        for kind in PolicyKind::ALL {
            let setting = Setting {
                keys: all,
                slots,
                future: &order,
                window_tokens: 5,
                heat: &vec![0.0; all as usize],
            };
            // The first half warms up.
            let [first, both] = [&order[..half], &order[..]].map(|trace| {
                replay_kind(
                    kind,
                    &Setting {
                        future: trace,
                        ..setting
                    },
                    trace,
                )
            });
            match (first, both) {
                (Ok(first), Ok(both)) => {
                    let (hits, misses) = (both.hits - first.hits, both.misses - first.misses);
                    println!(
                        "{share} {:12} misses {:.1} %",
                        kind.name(),
                        100.0 * misses as f64 / (hits + misses) as f64
                    );
                }
                (first, both) => println!("{share} {:12} {:?}", kind.name(), first.err().or(both.err())),
            }
        }
    }
    Ok(())
}
