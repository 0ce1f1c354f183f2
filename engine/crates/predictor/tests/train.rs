//! Fitting a predictor to a model: what recall it reaches at what cost, from what it is fitted, and what is refused.

mod common;

use std::fs;
use std::ops::ControlFlow;

use common::*;
use model::{Activation, Architecture};
use neuron::Format;
use predictor::{PredictorError, Stage, TrainOptions, train};

#[test]
fn the_wanted_recall_is_reached_on_tokens_never_seen_at_less_than_all_neurons() {
    for (activation, experts) in [(Activation::Relu, 1), (Activation::DoubleRelu, 1), (Activation::Relu, 3)] {
        let folder = Folder::new(&format!("recall-{}-{experts}", activation.name()));
        synthetic(&folder.file("model.gguf"), Architecture::Llama, activation, experts, 1);
        let report = fitted(&options(&folder, 2048));
        let all = report.tally();
        let (recall, predicted, fired) = (
            all.recall().unwrap(),
            all.share_predicted().unwrap(),
            all.share_fired().unwrap(),
        );
        assert!((recall - 0.95).abs() < 0.02, "{activation:?} {experts}: {recall}");
        assert!(fired < predicted && predicted < 0.5, "{activation:?} {experts}: {predicted}");
        assert!((0.08..0.12).contains(&fired), "{fired}");
        let false_positives = all.false_positives().unwrap();
        assert!((false_positives - (predicted - recall * fired) / (1.0 - fired)).abs() < 1e-9);
        assert!(report.layers.iter().all(|layer| layer.blind_experts == 0));
        assert_eq!(report.learnt + report.calibrated + report.held_out, 2048);
        // Run in all layers at once it is about as good, and the model about as sure of the text.
        assert!((report.perplexity.recall.unwrap() - recall).abs() < 0.02);
        let change = report.perplexity.predicted / report.perplexity.lossless;
        assert!(report.perplexity.scored > 60 && (0.9..1.1).contains(&change), "{change}");
        assert_eq!(folder.names(), ["model.gguf", "out.gguf"]);
    }
}

#[test]
fn a_higher_recall_costs_more_neurons() {
    let folder = Folder::new("trade");
    synthetic(&folder.file("model.gguf"), Architecture::SmallThinker, Activation::Relu, 1, 1);
    let at = |recall| {
        let report = fitted(&TrainOptions {
            recall,
            ..options(&folder, 1024)
        });
        report.tally()
    };
    let (low, high) = (at(0.8), at(0.99));
    assert!(low.recall() < high.recall() && low.share_predicted() < high.share_predicted());
}

#[test]
fn the_file_is_the_same_bytes_for_any_number_of_threads_and_another_for_another_seed() {
    let folder = Folder::new("threads");
    synthetic(&folder.file("model.gguf"), Architecture::SmallThinker, Activation::Relu, 2, 1);
    let bytes = |threads, seed| {
        fitted(&TrainOptions {
            threads,
            seed,
            ..options(&folder, 512)
        });
        fs::read(folder.file("out.gguf")).unwrap()
    };
    let one = bytes(1, 7);
    assert!(one == bytes(3, 7));
    assert!(one != bytes(1, 8));
}

#[test]
fn stopped_at_any_stage_nothing_is_left() {
    let folder = Folder::new("stopped");
    synthetic(&folder.file("model.gguf"), Architecture::SmallThinker, Activation::Relu, 1, 1);
    for stage in [Stage::Speak, Stage::Record, Stage::Fit, Stage::Judge] {
        let stopped = train(&options(&folder, 256), &mut |step| {
            if step.stage == stage {
                ControlFlow::Break(())
            } else {
                ControlFlow::Continue(())
            }
        });
        assert!(matches!(stopped, Err(PredictorError::Cancelled)), "{stage:?}");
        assert_eq!(folder.names(), ["model.gguf"], "{stage:?}");
    }
}

#[test]
fn a_text_is_learnt_from_and_what_is_none_is_refused() {
    let folder = Folder::new("text");
    synthetic(&folder.file("model.gguf"), Architecture::SmallThinker, Activation::Relu, 1, 1);
    let with = |text: &[u8]| {
        fs::write(folder.file("text"), text).unwrap();
        let options = TrainOptions {
            text: Some(folder.file("text")),
            ..options(&folder, 512)
        };
        train(&options, &mut |step| {
            assert_ne!(step.stage, Stage::Speak);
            ControlFlow::Continue(())
        })
    };
    let report = with(
        "one of the many things that were said, and not the least. "
            .repeat(99)
            .as_bytes(),
    )
    .unwrap();
    assert_eq!(report.learnt + report.calibrated + report.held_out, 512);
    let short = with(b"too short").err().unwrap().to_string();
    assert!(short.contains("must have at least 256"), "{short}");
    let binary = with(&[b'a', 0xff, b'b']).err().unwrap().to_string();
    assert!(binary.contains("byte 1 is not UTF-8"), "{binary}");
}

#[test]
fn what_cannot_be_fitted_is_refused_with_what_would_be_right() {
    let folder = Folder::new("refused");
    synthetic(&folder.file("model.gguf"), Architecture::SmallThinker, Activation::Relu, 1, 1);
    let said = |change: &dyn Fn(&mut TrainOptions)| {
        let mut options = options(&folder, 512);
        change(&mut options);
        train(&options, &mut |_| ControlFlow::Continue(())).err().unwrap().to_string()
    };
    assert_eq!(said(&|o| o.tokens = 10), "tokens: should be at least 256, got 10");
    assert_eq!(said(&|o| o.recall = 1.5), "recall: should be above 0 and at most 1, got 1.5");
    assert_eq!(
        said(&|o| o.rank = Some(129)),
        "rank: should be from 1 to 128, the model's width, got 129"
    );
    let odd = said(&|o| (o.rank, o.format) = (Some(20), Some(Format::Q8_0)));
    assert_eq!(odd, "rank: should be a multiple of 32 for q8_0 weights, got 20");
    synthetic(&folder.file("model.gguf"), Architecture::Llama, Activation::Silu, 1, 1);
    assert!(said(&|_| ()).contains("nothing to predict"));
}
