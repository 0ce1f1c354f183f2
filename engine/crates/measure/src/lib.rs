//! What this device can do, measured: the engine's kernels by core, memory, flash, page faults, threads. The result is a
//! `DeviceProfile` (`sim/domain/device.ts`), as JSON.
//!
//! What is timed is what the engine runs: kernels of the crate `neuron` handed out over `pool` as `model` and `offload` hand them
//! out, reads through the readers of `flash`, neurons in a segment of `cache`. Every figure is the median of several turns with its
//! quartiles; what disturbed them is noted. docs/probe.md says what each number feeds.
//!
//! May import: std, crates `neuron`, `pool`, `flash`, `cache`. The program `neuronlab-measure` is this library without Node.
//! Files: `options`, `topology`, `host` (what is there), `kernels/`, `costs`, `reads`, `scratch` (what is timed), `samples`,
//! `disturbance` (how), `results` (rows), `profile/` (rows to a profile), `sys` (calls of the system).
#![warn(missing_docs)]

#[cfg(not(any(target_os = "linux", target_os = "android")))]
compile_error!("devices are measured through calls of Linux and Android; other systems need theirs in sys.rs");

mod costs;
mod disturbance;
mod error;
mod host;
mod kernels;
mod options;
mod profile;
mod reads;
mod results;
mod samples;
mod scratch;
mod slab;
mod sys;
mod ticker;
mod topology;

use neuron::Kernels;

pub use error::MeasureError;
pub use host::Host;
pub use options::{Depth, Options, Part};
pub use profile::{Json, profile};
pub use results::{Cost, CostRow, FlashFacts, Kernel, KernelCell, KernelRow, Measured, ReadCell, ReadRow};
pub use samples::{Effort, Spread};
pub use scratch::Device;
pub use sys::thread_cpu_ns;
pub use ticker::{Step, Tell};
pub use topology::{Cluster, CoreKind, Topology};

use disturbance::Watch;
use reads::Served;
use scratch::Scratch;
use ticker::Ticker;

/// Bytes that a scratch file is a whole number of.
const SCRATCH_STEP: u64 = 2 << 20;

/// Seconds that a gigabyte of scratch file probably takes to write, for the estimate.
const SECONDS_A_GIGABYTE: f64 = 2.0;

/// A read-ahead to reckon with where the system does not say.
const READ_AHEAD: u64 = 128 << 10;

fn scratch_bytes(options: &Options) -> Result<u64, MeasureError> {
    let bytes = options.scratch_bytes.unwrap_or(options.depth.scratch_bytes());
    if bytes == 0 || !bytes.is_multiple_of(SCRATCH_STEP) {
        return Err(MeasureError::Input {
            option: "scratch",
            what: format!("{bytes} bytes; a multiple of {SCRATCH_STEP}, above 0"),
        });
    }
    Ok(bytes)
}

/// Measures this device. `tell` hears of progress, and may end it between two cells; the scratch file is then gone too.
pub fn measure(options: &Options, tell: Tell<'_>) -> Result<Measured, MeasureError> {
    let bytes = scratch_bytes(options)?;
    let topology = Topology::here();
    let host = Host::here();
    let (effort, reading) = (options.depth.effort(), options.depth.reading());
    let kernel_cells = if options.has(Part::Kernels) {
        kernels::cells(options.depth, &topology)
    } else {
        Vec::new()
    };
    let thread_cells: Vec<_> = (options.has(Part::Threads).then_some(costs::OF_THREADS).into_iter().flatten())
        .flat_map(|cost| costs::sets(&topology, cost).into_iter().map(move |set| (cost, set)))
        .collect();
    let memory_cells: &[Cost] = if options.has(Part::Memory) { &costs::OF_MEMORY } else { &[] };
    // Which cells there are is only known once the file is there; about as many.
    let read_cells = if options.has(Part::Flash) {
        reads::cells(options.depth, &topology, bytes, &Served::wanted())
    } else {
        Vec::new()
    };
    let has_file = !read_cells.is_empty() || !memory_cells.is_empty();
    let writing = if has_file {
        bytes as f64 / 1e9 * SECONDS_A_GIGABYTE
    } else {
        0.0
    };
    // Beside a cell's own time: a warm turn, a new pool, weights made anew now and then.
    let (cell, read) = (1.15 * effort.cell.as_secs_f64(), 1.6 * reading.cell.as_secs_f64());
    let computed = kernel_cells.len() + thread_cells.len() + memory_cells.len();
    let more_reads = if read_cells.is_empty() { 0 } else { 4 };
    let total = writing + cell * computed as f64 + read * (read_cells.len() + more_reads) as f64;
    let mut ticker = Ticker::new(tell, total);

    let mut measured = Measured {
        source: format!("{}, {}, {} ({})", options.command, host::now(), host.name, host.system),
        backend: Kernels::best().name(),
        clocks: Vec::new(),
        kernels: Vec::new(),
        reads: Vec::new(),
        costs: Vec::new(),
        flash: None,
        notes: topology.remarks.clone(),
        host,
        topology,
    };
    let cores = measured.topology.cores();
    if let Some(load) = disturbance::load().filter(|load| *load > 0.5) {
        measured
            .notes
            .push(format!("others were at work when this began: a load of {load:.1}"));
    }
    let clocks = |topology: &Topology| -> Result<Vec<f64>, MeasureError> {
        let of = |cluster: &Cluster| {
            let _pool = kernels::pool_on(&cluster.cores[..1])?;
            Ok(disturbance::clock())
        };
        topology.clusters.iter().map(of).collect()
    };
    let before = clocks(&measured.topology)?;

    if !kernel_cells.is_empty() {
        let watch = Watch::new();
        let mut bench = kernels::Bench::new(effort, weights_bytes(options.depth, &measured))?;
        for one in kernel_cells {
            measured.kernels.push(bench.measure(one)?);
            ticker.tick(Part::Kernels, cell)?;
        }
        watch.tell("kernels", cores.len(), &mut measured.notes);
    }
    if !thread_cells.is_empty() {
        let watch = Watch::new();
        for (cost, set) in thread_cells {
            measured.costs.push(costs::of_threads(effort, cost, &set)?);
            ticker.tick(Part::Threads, cell)?;
        }
        watch.tell("threads", cores.len(), &mut measured.notes);
    }
    if has_file {
        let part = if read_cells.is_empty() { Part::Memory } else { Part::Flash };
        let mut told = 0;
        let scratch = Scratch::new(&options.folder, bytes, |at| {
            let done = (at - told) as f64 / 1e9 * SECONDS_A_GIGABYTE;
            told = at;
            ticker.tick(part, done)
        })?;
        measured.notes.extend(scratch.fallbacks.iter().cloned());
        let first = cores[0];
        if !memory_cells.is_empty() {
            let watch = Watch::new();
            let window = scratch.device().read_ahead.unwrap_or(READ_AHEAD) as usize;
            for &cost in memory_cells {
                measured.costs.push(costs::of_memory(effort, cost, first, &scratch, window)?);
                ticker.tick(Part::Memory, cell)?;
            }
            watch.tell("memory", cores.len(), &mut measured.notes);
        }
        if !read_cells.is_empty() {
            let watch = Watch::new();
            let served = Served::here(&scratch)?;
            measured.notes.extend(served.fallbacks.iter().cloned());
            for one in reads::cells(options.depth, &measured.topology, bytes, &served) {
                measured.reads.push(reads::measure(reading, &scratch, one)?);
                ticker.tick(Part::Flash, read)?;
            }
            let flash = flash_facts(reading, &scratch, &cores, &served)?;
            measured.flash = Some(flash);
            ticker.tick(Part::Flash, read * more_reads as f64)?;
            watch.tell("flash", cores.len(), &mut measured.notes);
        }
    }
    let after = clocks(&measured.topology)?;
    measured.clocks = before.into_iter().zip(after).collect();
    for (cluster, (before, after)) in measured.topology.clusters.iter().zip(&measured.clocks) {
        if (after / before - 1.0).abs() > 0.05 {
            measured.notes.push(format!(
                "the clock of the {} cores went from {before:.2} to {after:.2} GHz",
                cluster.kind.name()
            ));
        }
    }
    Ok(measured)
}

/// Weights that no cache holds, and that this machine has memory for.
fn weights_bytes(depth: Depth, measured: &Measured) -> usize {
    const LEAST: u64 = 32 << 20;
    let most = if depth == Depth::Full { 512 << 20 } else { 256 << 20 };
    let uncached = 4 * measured.topology.cache_bytes.unwrap_or(16 << 20);
    let wanted = uncached
        .clamp(128 << 20, most)
        .min(measured.host.available_bytes / 4)
        .max(LEAST);
    wanted as usize
}

fn flash_facts(reading: Effort, scratch: &Scratch, cores: &[usize], served: &Served) -> Result<FlashFacts, MeasureError> {
    let small = served.cell(scratch.bytes, cores[0]);
    let together = match cores.len() {
        1 => None,
        _ => Some(reads::together(reading, scratch, cores, &small)?),
    };
    Ok(FlashFacts {
        device: scratch.device(),
        direct: served.direct,
        uring: served.uring,
        in_flight: served.in_flight,
        bytes: scratch.bytes,
        together,
        submitters: cores.len(),
        second_phase: reads::second_phase(reading, scratch, &small)?,
    })
}
