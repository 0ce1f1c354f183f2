//! Read rates of this disk through the crate's readers, by block size, lanes and backend; with fio's beside them where fio
//! is installed. Each number is the median of the rounds, which go through all cases in turn.
//!
//! `cargo run --release -p neuronlab-flash --example bench -- [--file PATH] [--gigabytes 1] [--milliseconds 250] [--rounds 3] [--fio]`
//!
//! The file is a packed file made here (and removed at the end) unless one is given.

use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::time::{Duration, Instant};

use flash::{
    BackendChoice, DownChoice, FlashError, FlashFile, FlashReader, PAGE, PackOptions, Reader, ReaderOptions, Request, Section,
    Span, Target, pack,
};
use gguf::{TensorType, Writer};

const BLOCKS: [u64; 5] = [4 << 10, 12 << 10, 24 << 10, 128 << 10, 512 << 10];

fn make(folder: &Path, bytes: u64) -> Result<PathBuf, Box<dyn std::error::Error>> {
    let (width, neurons) = (2048u64, 8192u64);
    let layers = (bytes / (width * neurons * 18 / 32 * 3)).max(1);
    let source = folder.join("bench.gguf");
    let mut writer = Writer::new(&source);
    writer.metadata("general.architecture", "llama")?;
    for layer in 0..layers {
        for part in ["gate", "up", "down"] {
            let shape = if part == "down" { [neurons, width] } else { [width, neurons] };
            writer.tensor(&format!("blk.{layer}.ffn_{part}.weight"), &shape, TensorType::Q4_0)?;
        }
    }
    let mut data = writer.start()?;
    let mut state = 1u64;
    while let Some(tensor) = data.current() {
        let name = tensor.name.clone();
        // Not compressible, not sparse: 18-byte blocks with a sane scale.
        let mut block = Vec::with_capacity(tensor.bytes as usize);
        while block.len() < tensor.bytes as usize {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            block.extend([0x00, 0x24]);
            block.extend(state.to_le_bytes());
            block.extend(state.rotate_left(29).to_le_bytes());
        }
        data.write(&name, &block)?;
    }
    data.finish()?;
    let out = folder.join("bench.packed");
    let start = Instant::now();
    let options = PackOptions {
        down: DownChoice::TransposedQ8,
        ..PackOptions::default()
    };
    let report = pack(&source, &out, &options, &mut |_| ControlFlow::Continue(()))?;
    let (source_bytes, seconds) = (std::fs::metadata(&source)?.len(), start.elapsed().as_secs_f64());
    println!(
        "packed {:.2} GB into {:.2} GB in {seconds:.1} s ({:.0} MB/s of source), group {}, padding {:.1} %, down {:?}",
        source_bytes as f64 / 1e9,
        report.bytes as f64 / 1e9,
        source_bytes as f64 / 1e6 / seconds,
        report.group,
        100.0 * report.padding,
        report.requantisation
    );
    std::fs::remove_file(&source)?;
    Ok(out)
}

struct Case {
    backend: BackendChoice,
    block: u64,
    sequential: bool,
    rates: Vec<f64>,
    p99_us: f64,
}

/// Keeps a queue of requests full for `time`; returns bytes per second.
fn measure(file: &Arc<FlashFile>, case: &mut Case, time: Duration, seed: u64) -> Result<f64, FlashError> {
    let options = ReaderOptions {
        backend: case.backend,
        largest_read: case.block,
        ..ReaderOptions::default()
    };
    let reader = Reader::open(file, options)?;
    let (BackendChoice::Lanes(width) | BackendChoice::Uring(width)) = case.backend;
    assert!(reader.backend_used().fallbacks.is_empty(), "{}", reader.backend_used());
    let span = file.section(Section::FfnData);
    let slots = span.bytes / case.block;
    let mut state = seed | 1;
    let mut next = 0;
    let mut submit = |count: u64| {
        let requests: Vec<Request> = (0..count)
            .map(|_| {
                state ^= state << 13;
                state ^= state >> 7;
                state ^= state << 17;
                next += 1;
                let slot = if case.sequential { next % slots } else { state % slots };
                let pages = Span {
                    offset: span.offset + slot * case.block / PAGE * PAGE,
                    bytes: case.block,
                };
                Request {
                    tag: 0,
                    target: Target::Pages(pages),
                }
            })
            .collect();
        requests
            .iter()
            .try_for_each(|request| reader.submit(std::slice::from_ref(request)))
    };
    let start = Instant::now();
    submit(2 * u64::from(width))?;
    let mut bytes = 0;
    while let Some(completion) = reader.wait() {
        bytes += completion.outcome?.bytes();
        if start.elapsed() < time {
            submit(1)?;
        }
    }
    let rate = bytes as f64 / start.elapsed().as_secs_f64();
    case.p99_us = reader.statistics().latency.quantile_ns(0.99) as f64 / 1e3;
    Ok(rate)
}

/// What comparing a page with its checksum costs, in nanoseconds: of pages in the processor's cache, and of pages that are not. The best
/// of some turns.
fn checks(file: &FlashFile) -> Result<(f64, f64), Box<dyn std::error::Error>> {
    const TURNS: u32 = 9;
    let section = file.section(Section::FfnData);
    let mut bytes = vec![0u8; section.bytes.min(256 << 20) as usize];
    let disk = std::fs::File::open(file.path())?;
    std::os::unix::fs::FileExt::read_exact_at(&disk, &mut bytes, section.offset)?;
    let mut best = [f64::MAX; 2];
    let few = 16 * PAGE as usize;
    for _ in 0..TURNS {
        for (part, least) in [&bytes[..few.min(bytes.len())], &bytes].into_iter().zip(&mut best) {
            let times = bytes.len() / part.len();
            let begun = Instant::now();
            let mut pages = 0;
            for _ in 0..times {
                pages += file.verify_pages(section.offset, part)?;
            }
            *least = least.min(begun.elapsed().as_secs_f64() * 1e9 / pages as f64);
        }
    }
    Ok((best[0], best[1]))
}

/// fio's rate for the same pattern on the same file, bytes per second.
fn fio(path: &Path, block: u64, backend: BackendChoice, sequential: bool, time: Duration) -> Option<f64> {
    let (engine, jobs, depth) = match backend {
        BackendChoice::Lanes(lanes) => ("psync", lanes, 1),
        BackendChoice::Uring(depth) => ("io_uring", 1, depth),
    };
    let pattern = if sequential { "read" } else { "randread" };
    let output = Command::new("fio")
        .args([
            "--name=x",
            "--readonly",
            "--direct=1",
            "--time_based",
            "--group_reporting",
            "--output-format=terse",
            "--thread",
        ])
        .args([
            format!("--filename={}", path.display()),
            format!("--bs={block}"),
            format!("--rw={pattern}"),
        ])
        .args([
            format!("--ioengine={engine}"),
            format!("--numjobs={jobs}"),
            format!("--iodepth={depth}"),
        ])
        .arg(format!("--runtime={}ms", time.as_millis().max(300)))
        .output()
        .ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    // Field 7 of the terse format is the read rate in KiB/s.
    text.lines()
        .find(|line| line.starts_with('3'))?
        .split(';')
        .nth(6)?
        .parse::<f64>()
        .ok()
        .map(|rate| rate * 1024.0)
}

fn text(name: &str) -> Option<String> {
    let arguments: Vec<String> = std::env::args().collect();
    arguments
        .iter()
        .position(|argument| argument == name)
        .and_then(|index| arguments.get(index + 1).cloned())
}

fn number(name: &str, default: u64) -> u64 {
    text(name).map_or(default, |value| {
        value.parse().unwrap_or_else(|_| panic!("{name} {value}: not a whole number"))
    })
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let time = Duration::from_millis(number("--milliseconds", 250));
    let rounds = number("--rounds", 3);
    let with_fio = std::env::args().any(|argument| argument == "--fio");
    let folder = std::env::temp_dir().join(format!("neuronlab-flash-bench-{}", std::process::id()));
    std::fs::create_dir_all(&folder)?;
    let path = match text("--file") {
        Some(path) => PathBuf::from(path),
        None => make(&folder, number("--gigabytes", 1) * 1_000_000_000)?,
    };
    let file = Arc::new(FlashFile::open(&path)?);
    let (near, far) = checks(&file)?;
    println!("the checksum of a page: {near:.0} ns in the processor's cache, {far:.0} ns outside it");
    let mut cases = Vec::new();
    for block in BLOCKS {
        for backend in [1, 2, 4, 8]
            .map(BackendChoice::Lanes)
            .into_iter()
            .chain([1, 8, 32].map(BackendChoice::Uring))
        {
            cases.push(Case {
                backend,
                block,
                sequential: false,
                rates: Vec::new(),
                p99_us: 0.0,
            });
        }
    }
    for backend in [BackendChoice::Lanes(2), BackendChoice::Uring(4)] {
        cases.push(Case {
            backend,
            block: 512 << 10,
            sequential: true,
            rates: Vec::new(),
            p99_us: 0.0,
        });
    }
    for round in 0..rounds {
        for (index, case) in cases.iter_mut().enumerate() {
            let rate = measure(&file, case, time, round * 1000 + index as u64)?;
            case.rates.push(rate);
        }
    }
    println!(
        "{:>8}  {:>10}  {:<16}{:>9}{:>9}{:>9}{:>10}{:>9}",
        "block", "pattern", "backend", "MB/s", "low", "high", "p99 us", "fio"
    );
    for case in &mut cases {
        case.rates.sort_by(f64::total_cmp);
        let backend = match case.backend {
            BackendChoice::Lanes(lanes) => format!("pread x{lanes}"),
            BackendChoice::Uring(depth) => format!("io_uring d{depth}"),
        };
        let beside = if with_fio {
            fio(&path, case.block, case.backend, case.sequential, time)
        } else {
            None
        };
        println!(
            "{:>6} K  {:>10}  {backend:<16}{:>9.0}{:>9.0}{:>9.0}{:>10.0}{:>9}",
            case.block >> 10,
            if case.sequential { "sequential" } else { "random" },
            case.rates[case.rates.len() / 2] / 1e6,
            case.rates[0] / 1e6,
            case.rates[case.rates.len() - 1] / 1e6,
            case.p99_us,
            beside.map_or("-".to_string(), |rate| format!("{:.0}", rate / 1e6))
        );
    }
    std::fs::remove_dir_all(&folder)?;
    Ok(())
}
