//! What the process holds stays within its limit through prompts and generating in turn, as the system counts it. The only test of this
//! file: the most that a process ever held is one number for all of its threads.

use std::ops::ControlFlow;
use std::path::PathBuf;

use flash::{PackOptions, pack};
use generate::{BenchOptions, BenchTest, BenchTold, GenerateError, Options, bench, resident};
use model::{Activation, Architecture};
use neuron::Format;
use synth::{Shape, Skew, Statistics, SynthSpec};

struct Folder(PathBuf);

impl Drop for Folder {
    fn drop(&mut self) {
        drop(std::fs::remove_dir_all(&self.0));
    }
}

/// Some 100 MB of neurons, of which a prompt of 512 tokens wants as much again in buffers.
fn packed(folder: &Folder) -> PathBuf {
    let spec = SynthSpec {
        name: "peak".to_owned(),
        architecture: Architecture::SmallThinker,
        activation: Activation::Relu,
        format: Format::Q4_0,
        shape: Shape {
            hidden: 2048,
            neurons: 4096,
            layers: 5,
            heads: 16,
            kv_heads: 4,
            head_dim: 128,
            experts: 1,
            experts_used: 1,
            vocabulary: 2048,
            context: 1024,
        },
        statistics: Statistics {
            share: 0.1,
            skew: Skew::bamboo(),
            overlap: 0.3,
            repeat: None,
            up_share: 0.8,
        },
        seed: 5,
    };
    let (source, out) = (folder.0.join("m.gguf"), folder.0.join("m.flash"));
    synth::write(&spec, &source, 2).unwrap();
    pack(&source, &out, &PackOptions::default(), &mut |_| ControlFlow::Continue(())).unwrap();
    std::fs::remove_file(source).unwrap();
    out
}

/// From now on the most that was ever held is what is held now.
fn forget_peak() {
    std::fs::write("/proc/self/clear_refs", "5").unwrap();
}

#[test]
fn a_prompt_after_generating_finds_room_for_its_buffers_and_gives_it_back() {
    let folder = Folder(std::env::temp_dir().join(format!("neuronlab-peak-{}", std::process::id())));
    std::fs::create_dir_all(&folder.0).unwrap();
    let options = Options {
        memory: Some(1),
        threads: 2,
        ..Options::new(packed(&folder), "")
    };
    let turns = BenchOptions {
        tests: [BenchTest::Prompt(512), BenchTest::Generation(48)].repeat(2),
        repetitions: 1,
        warm_up: false,
        seed: 1,
    };
    let Err(GenerateError::DoesNotFit { needed, .. }) = bench(&options, &turns, &mut |_| ControlFlow::Continue(())) else {
        panic!("one byte is not enough");
    };
    // Room for a part of the neurons beside a prompt, for most of them beside a token.
    let limit = needed + (20 << 20);
    let options = Options {
        memory: Some(limit),
        ..options
    };
    let mut peaks = Vec::new();
    forget_peak();
    let report = bench(&options, &turns, &mut |told| {
        if matches!(told, BenchTold::Measured { .. }) {
            peaks.push(resident().unwrap().1);
            forget_peak();
        }
        ControlFlow::Continue(())
    })
    .unwrap();
    let budget = &report.facts.budget;
    let megabytes: Vec<u64> = peaks.iter().map(|peak| peak >> 20).collect();
    let what = format!("{megabytes:?} of {} MiB; {budget:?}", limit >> 20);
    let gained = (budget.decode.hot + budget.decode.cold) as i64 - (budget.prefill.hot + budget.prefill.cold) as i64;
    assert!(gained > 30 << 20, "generating has what a prompt's buffers took: {what}");
    let &[first, generating, second, again] = peaks.as_slice() else {
        panic!("a peak for each turn: {what}");
    };
    assert!(peaks.iter().all(|&peak| peak <= limit), "{what}");
    // Had the segments stayed as they were, the second prompt would have come on top of them.
    let slack = 12 << 20;
    assert!(second <= first.max(generating) + slack, "{what}");
    assert!(again <= second.max(generating) + slack, "{what}");
}
