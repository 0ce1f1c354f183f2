//! `bench FILE [threads] [dense|sparse] [repeats]`: tokens a second in memory, prompt of 512 and 64 tokens one by one, as
//! llama-bench's pp512 and tg64 (which start from an empty context too). The best and the median of the repeats.

use std::sync::Arc;
use std::time::Instant;

use model::{DenseFfn, FeedForward, GgufSource, KvFormat, Model, ModelError, Session, SparseFfn, TensorSource, Want};
use neuron::Kernels;
use pool::{Options, Pool};

/// Time that all threads of this process spent on a core: what can be compared on a machine that others use too.
fn core_seconds() -> f64 {
    unsafe extern "C" {
        safe fn clock() -> std::ffi::c_long;
    }
    clock() as f64 / 1e6
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let Some(file) = arguments.first() else {
        eprintln!("usage: bench FILE [threads] [dense|sparse] [repeats] [prompt] [tokens]");
        std::process::exit(2);
    };
    let number = |place: usize, absent: usize| match arguments.get(place) {
        Some(text) => text.parse::<usize>(),
        None => Ok(absent),
    };
    let (threads, repeats) = (number(1, 2)?, number(3, 5)?);
    let (prompt, generated) = (number(4, 512)?, number(5, 64)?);
    let source = GgufSource::open(file)?;
    let started = Instant::now();
    let model = Arc::new(Model::load(&source, Kernels::best())?);
    let sparse = match arguments.get(2).map(String::as_str) {
        None => model.config().activation.is_sparse(),
        Some("sparse") => true,
        Some("dense") => false,
        Some(other) => return Err(format!("unknown ffn: {other}; must be dense or sparse").into()),
    };
    let ffn = ffn(&source, &model, sparse)?;
    let labels = ffn.labels().join(" ");
    let pool = Pool::new(&Options::new(threads))?;
    let mut session = Session::new(Arc::clone(&model), ffn, pool, KvFormat::F16, (prompt + 1).max(generated + 4))?;
    println!(
        "{file}: {} threads, {} kernels, {} ffn {labels}, loaded in {:.1} s",
        threads,
        model.kernels().name(),
        if sparse { "sparse" } else { "dense" },
        started.elapsed().as_secs_f64()
    );
    let vocabulary = model.config().vocabulary as u32;
    let token = |i: usize| (i as u32).wrapping_mul(2_654_435_761) % vocabulary;
    let tokens: Vec<u32> = (0..prompt).map(token).collect();
    // One pass to settle memory, as llama-bench does.
    session.forward(&[1; 4], Want::Last)?;
    let mut rates = [Vec::new(), Vec::new()];
    let mut least_core = [f64::INFINITY; 2];
    for _ in 0..repeats {
        session.truncate(0)?;
        if prompt > 0 {
            let (begun, core) = (Instant::now(), core_seconds());
            session.forward(&tokens, Want::Last)?;
            least_core[0] = least_core[0].min((core_seconds() - core) / prompt as f64);
            rates[0].push(prompt as f64 / begun.elapsed().as_secs_f64());
        }
        session.truncate(0)?;
        let (begun, core) = (Instant::now(), core_seconds());
        for i in 0..generated {
            session.forward(&[token(i)], Want::Last)?;
        }
        least_core[1] = least_core[1].min((core_seconds() - core) / generated as f64);
        rates[1].push(generated as f64 / begun.elapsed().as_secs_f64());
    }
    let names = [format!("pp{prompt}"), format!("tg{generated}")];
    for ((name, mut rates), least) in names.iter().zip(rates).zip(least_core) {
        rates.sort_by(f64::total_cmp);
        if let (Some(best), Some(median)) = (rates.last(), rates.get(rates.len() / 2)) {
            println!(
                "{name}: best {best:.2} median {median:.2} tokens/s; least core time {:.3} ms a token",
                least * 1e3
            );
        }
    }
    if let Some(share) = session.ffn().counters().and_then(|counters| counters.share_fired()) {
        println!("neurons that fired: {:.1} %", share * 100.0);
    }
    Ok(())
}

fn ffn(source: &dyn TensorSource, model: &Model, sparse: bool) -> Result<Box<dyn FeedForward>, ModelError> {
    let (config, kernels) = (model.config(), *model.kernels());
    Ok(match sparse {
        true => Box::new(SparseFfn::load(source, config, kernels)?),
        false => Box::new(DenseFfn::load(source, config, kernels)?),
    })
}
