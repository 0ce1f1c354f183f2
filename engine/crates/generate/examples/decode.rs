//! `decode FILE [memory MB | all] [tokens] [uring N | lanes N] [depth] [cluster] [policy]`: tokens a second over a run's second half,
//! when the cache is as full as it gets, and the time that a token took in parts.

use std::ops::ControlFlow;
use std::time::Instant;

use cache::PolicyKind;
use flash::BackendChoice;
use generate::{Options, Told, run};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let get = |place: usize, absent: &str| arguments.get(place).cloned().unwrap_or_else(|| absent.to_owned());
    let mut options = Options::new(get(0, ""), "Once upon a time");
    options.memory = match get(1, "all").as_str() {
        "all" => None,
        megabytes => Some(megabytes.parse::<u64>()? * 1_000_000),
    };
    options.tokens = get(2, "64").parse()?;
    let reads = get(4, "64").parse()?;
    options.backend = if get(3, "uring") == "lanes" {
        BackendChoice::Lanes(reads)
    } else {
        BackendChoice::Uring(reads)
    };
    options.depth = get(5, "64").parse()?;
    options.cluster_neurons = get(6, "256").parse()?;
    options.policy = PolicyKind::ALL
        .into_iter()
        .find(|kind| kind.name() == get(7, "lru"))
        .ok_or("no such policy")?;
    options.stop_at_end = false;
    let mut at = vec![Instant::now()];
    let report = run(&options, &mut |told| {
        if matches!(told, Told::Text(_)) {
            at.push(Instant::now());
        }
        ControlFlow::Continue(())
    })?;
    let half = at.len() / 2;
    let rate = (at.len() - 1 - half) as f64 / (at[at.len() - 1] - at[half]).as_secs_f64();
    let decode = &report.decode;
    let tokens = (options.tokens - 1) as f64;
    let counters = &decode.counters;
    println!(
        "{:.2} tok/s in the second half, {:.2} in all of it; a token: {:.1} ms, FFN {:.1}, disk busy {:.1}, {:.1} MB, hits {:.1} %, misses {:.0} ({} of {} in all), gate misses {:.0}, {:.0} of them announced; {}; peak {:?} MB; {}",
        rate,
        tokens / decode.took.as_secs_f64(),
        decode.took.as_secs_f64() * 1e3 / tokens,
        decode.ffn.as_secs_f64() * 1e3 / tokens,
        decode.disk_busy.as_secs_f64() * 1e3 / tokens,
        decode.disk_bytes as f64 / 1e6 / tokens,
        100.0 * (1.0 - counters.misses as f64 / counters.look_ups.max(1) as f64),
        counters.misses as f64 / tokens,
        counters.misses,
        counters.look_ups,
        counters.gate_misses as f64 / tokens,
        counters.gates_announced as f64 / tokens,
        report.flash.as_ref().map_or(String::new(), |flash| flash.backend.clone()),
        report.peak_resident.map(|bytes| bytes / 1_000_000),
        report.text.chars().take(30).collect::<String>(),
    );
    Ok(())
}
