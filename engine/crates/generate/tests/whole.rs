//! FFNs that are wanted in memory whole: what a run says of itself is what brings the same run about again.

use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

use flash::{FlashFile, PackOptions};
use generate::{Blame, FfnChoice, GenerateError, Options, Part, Report, run};
use model::Activation;
use synth::Shape;

mod common;
use common::{Folder, report, tokens};

/// Several experts, so that one of them is not all.
const SMALL: Shape = Shape {
    hidden: 256,
    neurons: 512,
    layers: 2,
    heads: 4,
    kv_heads: 2,
    head_dim: 64,
    experts: 4,
    experts_used: 2,
    vocabulary: 512,
    context: 256,
};

/// A file, and the same packed.
fn model(folder: &Folder, activation: Activation, shape: Shape) -> (PathBuf, PathBuf) {
    let source = folder.planted(activation, shape);
    let packed = folder.packed(&source, &PackOptions::default());
    (source, packed)
}

fn asking(model: &Path) -> Options {
    Options {
        tokens: 8,
        threads: 2,
        stop_at_end: false,
        ..Options::new(model, "one two three")
    }
}

#[test]
fn a_hot_segment_with_room_for_up_and_down_too_is_all_in_memory() {
    let folder = Folder::new();
    let (_, packed) = model(&folder, Activation::Relu, SMALL);
    let free = report(&asking(&packed));
    // Gate and up of 18 bytes in 32 weights, down of 34 in rows.
    let weights = 2 * 4 * 512 * (256 / 32 * (18 + 18 + 34));
    assert_eq!((free.ffn, free.budget.ffn), ("sparse in memory", weights));
    assert_eq!(FlashFile::open(&packed).unwrap().ffn_weight_bytes(), weights);
    let with = |hot: u64| {
        report(&Options {
            memory: Some(1 << 30),
            segments: Some((hot, 0)),
            ..asking(&packed)
        })
    };
    let again = with(free.budget.ffn);
    assert_eq!(
        (again.ffn, again.budget.ffn, tokens(&again)),
        (free.ffn, weights, tokens(&free))
    );
    // What the process held before is another matter: tests share one.
    let counted = |report: &Report| -> Vec<Part> {
        let parts = report.budget.fixed.iter();
        parts.filter(|part| !part.name.starts_with("the process")).cloned().collect()
    };
    assert_eq!(counted(&again), counted(&free));
    assert_eq!(again.decode.disk_bytes, 0);
    let less = with(free.budget.ffn - 1);
    assert_eq!(
        (less.ffn, less.budget.decode.cold, tokens(&less)),
        ("from flash", 0, tokens(&free))
    );
}

#[test]
fn what_leaves_no_neuron_inactive_has_no_form_in_memory_and_both_segments_hold_everything() {
    let folder = Folder::new();
    let one = Shape {
        experts: 1,
        experts_used: 1,
        ..SMALL
    };
    let (_, silu) = model(&folder, Activation::Silu, one);
    let all = report(&Options {
        memory: Some(1 << 30),
        segments: Some((1 << 30, 0)),
        ..asking(&silu)
    });
    let free = report(&asking(&silu));
    assert_eq!(all.budget.decode, free.budget.decode);
    assert_eq!((tokens(&all), all.decode.disk_bytes), (tokens(&free), 0));
}

#[test]
fn the_least_that_a_file_of_matrices_takes_is_counted_and_not_guessed() {
    let folder = Folder::new();
    let (source, _) = model(&folder, Activation::Relu, SMALL);
    let quarter = 2 * 4 * 512 * 256 / 32;
    for (ffn, bytes) in [
        (FfnChoice::Auto, quarter * (18 + 18 + 34)),
        (FfnChoice::Dense, quarter * 3 * 18),
    ] {
        let asked = Options { ffn, ..asking(&source) };
        let free = report(&asked);
        assert_eq!(free.budget.ffn, bytes);
        let error = run(
            &Options {
                memory: Some(1 << 20),
                ..asked.clone()
            },
            &mut |_| ControlFlow::Continue(()),
        )
        .unwrap_err();
        assert_eq!(error.blame(), Blame::DoesNotFit);
        let GenerateError::DoesNotFit { needed, .. } = error else {
            panic!("{error}")
        };
        // Tests share a process, whose own size is part of what is needed.
        let limited = report(&Options {
            memory: Some(needed + (64 << 20)),
            ..asked
        });
        assert_eq!((limited.budget.ffn, tokens(&limited)), (bytes, tokens(&free)));
    }
}
