//! `fit MODEL OUT [NAME VALUE]…`: fits a predictor and prints what it came to.

use std::ops::ControlFlow;

use predictor::{Hidden, TrainOptions, train};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [model, out, rest @ ..] = &arguments[..] else {
        return Err("usage: fit MODEL OUT [--text FILE] [--tokens N] [--rank R] [--recall X] [--hidden relu|identity] [--passes N] [--rate X] [--threads N]".into());
    };
    let mut options = TrainOptions::new(model, out);
    for pair in rest.chunks(2) {
        let [name, value] = pair else {
            return Err(format!("{}: must have a value", pair[0]).into());
        };
        match name.as_str() {
            "--text" => options.text = Some(value.into()),
            "--tokens" => options.tokens = value.parse()?,
            "--rank" => options.rank = Some(value.parse()?),
            "--recall" => options.recall = value.parse()?,
            "--hidden" if value == "relu" => options.hidden = Hidden::Relu,
            "--hidden" => options.hidden = Hidden::Identity,
            "--passes" => options.passes = value.parse()?,
            "--rate" => options.rate = value.parse()?,
            "--threads" => options.threads = value.parse()?,
            _ => return Err(format!("unknown option: {name}").into()),
        }
    }
    let report = train(&options, &mut |_| ControlFlow::Continue(()))?;
    for layer in &report.layers {
        let tally = &layer.tally;
        println!(
            "layer {:2}: fired {:6.2} %, predicted {:6.2} %, recall {:6.2} %, false positives {:6.2} %, {} blind",
            layer.layer,
            100.0 * tally.share_fired().unwrap_or(f64::NAN),
            100.0 * tally.share_predicted().unwrap_or(f64::NAN),
            100.0 * tally.recall().unwrap_or(f64::NAN),
            100.0 * tally.false_positives().unwrap_or(f64::NAN),
            layer.blind_experts
        );
    }
    println!(
        "{:?} rank {} {} {:?} {:?}",
        report.perplexity, report.rank, report.format, report.recording, report.fitting
    );
    Ok(())
}
