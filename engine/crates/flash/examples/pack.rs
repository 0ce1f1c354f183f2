//! Packs a GGUF file and says what came out, how long it took and the most memory it held.
//!
//! `cargo run --release -p neuronlab-flash --example pack -- MODEL.gguf OUT [--exact | --q4 | --f16] [--matrices] [--padding]`

use std::ops::ControlFlow;
use std::path::Path;
use std::time::Instant;

use flash::{Arrangement, DownChoice, GroupChoice, PackOptions, Phase, pack};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [source, out, flags @ ..] = arguments.as_slice() else {
        return Err("usage: pack MODEL.gguf OUT [--exact | --q4 | --f16] [--matrices] [--padding]".into());
    };
    let has = |flag: &str| flags.iter().any(|given| given == flag);
    let down = match (has("--exact"), has("--q4"), has("--f16")) {
        (true, ..) => DownChoice::Exact,
        (_, true, _) => DownChoice::TransposedQ4,
        (.., true) => DownChoice::TransposedF16,
        _ => DownChoice::Auto,
    };
    let mut options = PackOptions {
        down,
        ..PackOptions::default()
    };
    if has("--matrices") {
        options.arrangement = Arrangement::Matrices;
    }
    if has("--padding") {
        options.group = GroupChoice::Padding(0.1);
    }
    let start = Instant::now();
    let mut phases: Vec<(Phase, f64)> = Vec::new();
    let report = pack(Path::new(source), Path::new(out), &options, &mut |progress| {
        if phases.last().is_none_or(|(phase, _)| *phase != progress.phase) {
            phases.push((progress.phase, start.elapsed().as_secs_f64()));
        }
        ControlFlow::Continue(())
    })?;
    let seconds = start.elapsed().as_secs_f64();
    let status = std::fs::read_to_string("/proc/self/status")?;
    let peak = status
        .lines()
        .find(|line| line.starts_with("VmHWM"))
        .unwrap_or("VmHWM: unknown");
    println!("{report:#?}\nphases began at {phases:?}, all done after {seconds:.1} s; {peak}");
    Ok(())
}
