//! What the rank and the number format of a predictor cost and spare.

mod common;

use common::*;
use model::{Activation, Architecture, NeuronPredictor};
use neuron::Format;
use predictor::{TrainOptions, TrainReport};
use synth::write;

#[test]
fn a_predictor_of_the_rank_of_the_gates_predicts_little_more_than_what_fires() {
    let folder = Folder::new("ranked");
    let predicted = |gate_rank| {
        let mut spec = spec(Architecture::SmallThinker, Activation::Relu, 1, 1);
        spec.statistics.gate_rank = gate_rank;
        write(&spec, folder.file("model.gguf"), 1).unwrap();
        let all = fitted(&TrainOptions {
            rank: Some(32),
            ..options(&folder, 1024)
        })
        .tally();
        assert!(all.recall().unwrap() > 0.9, "{gate_rank:?}: {:?}", all.recall());
        all.share_predicted().unwrap() / all.share_fired().unwrap()
    };
    let (ranked, random) = (predicted(Some(32)), predicted(None));
    assert!(ranked < 1.5 && random > 2.0, "ranked {ranked}, random {random}");
}

#[test]
fn four_bits_take_half_the_bytes_and_predict_some_more() {
    let folder = Folder::new("four-bits");
    let mut spec = spec(Architecture::SmallThinker, Activation::Relu, 1, 1);
    spec.statistics.gate_rank = Some(64);
    write(&spec, folder.file("model.gguf"), 1).unwrap();
    let with = |format| {
        fitted(&TrainOptions {
            format: Some(format),
            ..options(&folder, 1024)
        })
    };
    let formats = || {
        let read = load(&folder, "out.gguf").unwrap();
        let of = read.low_rank(0, 0).unwrap();
        [of.first.format(), of.second.format()]
    };
    let four = with(Format::Q4_0);
    assert_eq!(formats(), [Format::Q4_0; 2]);
    let eight = with(Format::Q8_0);
    assert_eq!(formats(), [Format::Q8_0; 2]);
    assert!(
        (four.bytes as f64) < 0.6 * eight.bytes as f64,
        "{} {}",
        four.bytes,
        eight.bytes
    );
    let share = |report: &TrainReport| report.tally().share_predicted().unwrap();
    assert!(four.tally().recall().unwrap() > 0.9);
    assert!(share(&four) < 1.7 * share(&eight), "{} {}", share(&four), share(&eight));
}
