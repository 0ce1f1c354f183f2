//! The flash curve: reads of the scratch file through the engine's own reader, as its decoding drives it.

use std::sync::Arc;
use std::time::Instant;

use flash::{
    BackendChoice, BackendUsed, BufferPool, FileDisk, FlashFile, FlashReader, PAGE, PageDone, PageRead, PooledBuffer, Reader,
    ReaderOptions,
};

use crate::error::MeasureError;
use crate::kernels::pool_on;
use crate::options::Depth;
use crate::results::{ReadCell, ReadRow};
use crate::samples::{Effort, Spread, sample, time};
use crate::scratch::{Numbers, Scratch};
use crate::sys;
use crate::topology::Topology;

/// Reads in flight of the engine where a plan says nothing else.
const ENGINE_DEPTH: u32 = 64;

/// Bytes of the range that every core is tried on.
pub(crate) const EACH_CORE_OVER: u64 = 128 << 20;

/// Blocks of the curve, in bytes: bundles are 4 to 16 KiB, layers stream in larger pieces.
fn blocks(depth: Depth) -> &'static [u64] {
    match depth {
        Depth::Full => &[
            4 << 10,
            8 << 10,
            12 << 10,
            16 << 10,
            32 << 10,
            64 << 10,
            128 << 10,
            512 << 10,
            1 << 20,
        ],
        Depth::Quick => &[4 << 10, 8 << 10, 16 << 10, 64 << 10, 256 << 10, 1 << 20],
        Depth::Trial => &[4 << 10, 64 << 10],
    }
}

/// Ranges of addresses that reads are spread over: an expert's region, a layer's, the whole file.
fn ranges(depth: Depth, bytes: u64) -> Vec<u64> {
    let wanted: &[u64] = match depth {
        Depth::Full => &[128 << 20, 512 << 20, 2 << 30],
        Depth::Quick => &[128 << 20],
        Depth::Trial => &[],
    };
    let mut ranges: Vec<u64> = wanted.iter().copied().filter(|range| *range < bytes).collect();
    ranges.push(bytes);
    ranges
}

/// What the engine's reads would be served by here.
#[derive(Clone, Debug)]
pub(crate) struct Served {
    pub uring: bool,
    pub in_flight: u32,
    pub direct: bool,
    /// Why that is not what the engine wants; for notes.
    pub fallbacks: Vec<String>,
}

impl Served {
    /// As the engine wants it.
    pub fn wanted() -> Self {
        Self {
            uring: true,
            in_flight: ENGINE_DEPTH,
            direct: true,
            fallbacks: Vec::new(),
        }
    }

    /// As it is with this file, found by opening it.
    pub fn here(scratch: &Scratch) -> Result<Self, MeasureError> {
        let load = Load::new(scratch, &Self::wanted().cell(scratch.bytes, 0))?;
        let used = load.used();
        let (BackendChoice::Uring(in_flight) | BackendChoice::Lanes(in_flight)) = used.backend;
        let mut fallbacks = used.fallbacks.clone();
        if !used.direct {
            fallbacks.push("reads go through the page cache: the flash curve is memory's, and much too fast".to_owned());
        }
        Ok(Self {
            uring: matches!(used.backend, BackendChoice::Uring(_)),
            in_flight,
            direct: used.direct,
            fallbacks,
        })
    }

    /// Small reads anywhere in so many bytes.
    pub fn cell(&self, range: u64, core: usize) -> ReadCell {
        ReadCell {
            uring: self.uring,
            in_flight: self.in_flight,
            direct: self.direct,
            random: true,
            block: PAGE,
            range,
            core,
        }
    }
}

/// The cells of the curve, for a scratch file of so many bytes.
pub(crate) fn cells(depth: Depth, topology: &Topology, bytes: u64, served: &Served) -> Vec<ReadCell> {
    let best = topology.clusters[0].cores[0];
    let is_full = depth == Depth::Full;
    let usual = served.cell(bytes, best);
    let mut cells = Vec::new();
    let mut add = |cell: ReadCell| {
        if !cells.contains(&cell) {
            cells.push(cell);
        }
    };
    // What a profile's curve is made of: every block over every range, and in a row.
    for &range in &ranges(depth, bytes) {
        for &block in blocks(depth) {
            add(ReadCell {
                block,
                range,
                ..usual.clone()
            });
        }
    }
    for &block in blocks(depth) {
        add(ReadCell {
            block,
            random: false,
            ..usual.clone()
        });
    }
    // Depths and lanes: how the rate comes about.
    let (depths, lanes): (&[u32], &[u32]) = match depth {
        Depth::Full => (&[1, 2, 4, 8, 16, 32, 128], &[1, 2, 4, 8, 16]),
        Depth::Quick => (&[1, 4, 16], &[1, 4, 8]),
        Depth::Trial => (&[1], &[1]),
    };
    let some: &[u64] = if is_full {
        &[4 << 10, 8 << 10, 16 << 10, 128 << 10, 512 << 10]
    } else {
        &[4 << 10]
    };
    let backends = [(true, depths), (false, lanes)];
    for (uring, counts) in backends.into_iter().filter(|(uring, _)| !uring || served.uring) {
        for &in_flight in counts {
            for &block in some {
                add(ReadCell {
                    uring,
                    in_flight,
                    block,
                    ..usual.clone()
                });
            }
        }
    }
    if is_full {
        for in_flight in [1, 4, 16] {
            for block in [128 << 10, 512 << 10] {
                add(ReadCell {
                    in_flight,
                    block,
                    random: false,
                    ..usual.clone()
                });
            }
        }
    }
    // Through the page cache, which is cold at first and has read-ahead.
    let buffered: &[u64] = if is_full {
        &[4 << 10, 16 << 10, 128 << 10, 1 << 20]
    } else {
        &[128 << 10]
    };
    for &block in buffered.iter().filter(|_| served.direct) {
        for random in [true, false] {
            add(ReadCell {
                uring: false,
                in_flight: 4,
                direct: false,
                random,
                block,
                ..usual.clone()
            });
        }
    }
    // Every core issues small reads; one of each cluster the sizes of bundles.
    for core in topology.cores() {
        add(ReadCell {
            core,
            range: bytes.min(EACH_CORE_OVER),
            ..usual.clone()
        });
    }
    for cluster in &topology.clusters {
        for &block in &blocks(depth)[..blocks(depth).len().min(if is_full { 4 } else { 2 })] {
            add(ReadCell {
                core: cluster.cores[0],
                block,
                ..usual.clone()
            });
        }
    }
    cells
}

/// A reader of the scratch file with memory for what is in flight.
pub(crate) struct Load {
    reader: Reader,
    buffer: PooledBuffer,
    places: u32,
    block: u64,
    done: Vec<PageDone>,
}

impl Load {
    /// `in_flight` reads at a time, and as many waiting behind them, as a layer's misses do.
    pub fn new(scratch: &Scratch, cell: &ReadCell) -> Result<Self, MeasureError> {
        let backend = if cell.uring {
            BackendChoice::Uring(cell.in_flight)
        } else {
            BackendChoice::Lanes(cell.in_flight)
        };
        let file = Arc::new(FlashFile::blank(
            &scratch.path,
            scratch.bytes,
            scratch.page_sums.sums().to_vec(),
        ));
        let disk = FileDisk::open(&scratch.path, cell.direct)?;
        let options = ReaderOptions {
            backend,
            direct: cell.direct,
            pin: if cell.uring {
                Vec::new()
            } else {
                vec![cell.core; cell.in_flight as usize]
            },
            ..ReaderOptions::default()
        };
        let places = if cell.in_flight == 1 { 1 } else { 2 * cell.in_flight };
        Ok(Self {
            reader: Reader::with_file_disk(&file, disk, options)?,
            buffer: BufferPool::new(0).take(places as usize * cell.block as usize),
            places,
            block: cell.block,
            done: Vec::new(),
        })
    }

    /// What serves the reads.
    fn used(&self) -> &BackendUsed {
        self.reader.backend_used()
    }

    /// Reads at these offsets, all of them, keeping as many in flight as there are places. `second` says that pages before them were
    /// just read. Adds each read's nanoseconds to `latencies`.
    pub fn read(
        &mut self,
        mut offsets: impl Iterator<Item = u64>,
        second: bool,
        latencies: &mut Vec<f64>,
    ) -> Result<(), MeasureError> {
        let mut free: Vec<u32> = (0..self.places).collect();
        let mut reads = Vec::with_capacity(free.len());
        let first = self.buffer.as_mut_ptr();
        loop {
            while let Some(place) = free.pop() {
                let Some(offset) = offsets.next() else {
                    free.push(place);
                    break;
                };
                reads.push(PageRead {
                    tag: place,
                    bytes: self.block as u32,
                    offset,
                    // SAFETY: the buffer is as long as all places together.
                    into: unsafe { first.add(place as usize * self.block as usize) },
                    second_phase: second,
                });
            }
            if reads.is_empty() && free.len() == self.places as usize {
                return Ok(());
            }
            if !reads.is_empty() {
                // SAFETY: every place is lent to one read at a time, the buffer is this value's own and nobody looks into it, and the
                // reader, declared before it, is dropped before it.
                unsafe { self.reader.read_pages(&reads) }?;
                reads.clear();
            }
            self.reader.wait_pages(&mut self.done, None);
            for done in self.done.drain(..) {
                done.outcome?;
                latencies.push((done.finished - done.started).as_nanos() as f64);
                free.push(done.tag);
            }
        }
    }
}

/// Offsets of `count` blocks in a range: anywhere, or one after the other from `next` on.
fn offsets(cell: &ReadCell, count: u64, numbers: &mut Numbers, next: &mut u64) -> Vec<u64> {
    let blocks = (cell.range / cell.block).max(1);
    (0..count)
        .map(|_| {
            if cell.random {
                numbers.below(blocks) * cell.block
            } else {
                *next = (*next + 1) % blocks;
                *next * cell.block
            }
        })
        .collect()
}

/// Times one cell. A turn is a stretch of reads under full load, as long as the cell's time allows for so many turns.
pub(crate) fn measure(effort: Effort, scratch: &Scratch, cell: ReadCell) -> Result<ReadRow, MeasureError> {
    let pool = pool_on(&[cell.core])?;
    if !cell.direct {
        scratch.drop_cached();
    }
    let mut load = Load::new(scratch, &cell)?;
    let (mut numbers, mut next) = (Numbers::new(cell.block ^ cell.range), 0);
    let mut latencies = Vec::new();
    // How many reads make a turn: found by doubling, which also warms up.
    let least = u64::from(cell.in_flight) * 2;
    let turn_ns = effort.cell.as_nanos() as f64 / f64::from(effort.turns);
    let mut count = least;
    loop {
        let begun = Instant::now();
        load.read(
            offsets(&cell, count, &mut numbers, &mut next).into_iter(),
            false,
            &mut latencies,
        )?;
        let took = begun.elapsed().as_nanos() as f64;
        if took >= turn_ns / 2.0 || count >= 1 << 16 {
            count = (count as f64 * turn_ns / took).clamp(least as f64, f64::from(1 << 17)) as u64;
            break;
        }
        count *= 2;
    }
    latencies.clear();
    let mut cpu = Vec::new();
    // The page cache fills up while it is read: what was read once is not the device's any more.
    let whole = scratch.bytes / cell.block;
    let rate = sample(effort, || {
        if !cell.direct {
            scratch.drop_cached();
        }
        let count = if cell.direct { count } else { count.min(whole) };
        let places = offsets(&cell, count, &mut numbers, &mut next);
        let before = sys::process_cpu_ns();
        let mut fault = Ok(());
        let took = time(|| fault = load.read(places.into_iter(), false, &mut latencies));
        cpu.push((sys::process_cpu_ns() - before) / count as f64);
        fault.map(|()| took / count as f64)
    })?
    .rates(cell.block as f64);
    drop(pool);
    Ok(ReadRow {
        cell,
        rate,
        cpu: Spread::of(cpu),
        latency: Spread::of(latencies),
    })
}

/// 4 KiB reads of all these cores at once, each with a queue of its own, as a ratio of one core's rate; turn by turn.
pub(crate) fn together(effort: Effort, scratch: &Scratch, cores: &[usize], cell: &ReadCell) -> Result<Spread, MeasureError> {
    let alone = measure(effort, scratch, cell.clone())?.rate;
    let share = std::time::Duration::from_secs_f64(effort.cell.as_secs_f64());
    let one = |core: usize| -> Result<f64, MeasureError> {
        let cell = ReadCell { core, ..cell.clone() };
        let pool = pool_on(&[core])?;
        let mut load = Load::new(scratch, &cell)?;
        let (mut numbers, mut next, mut count) = (Numbers::new(core as u64 + 2), 0, 0u64);
        let mut latencies = Vec::new();
        let begun = Instant::now();
        while begun.elapsed() < share / 4 {
            load.read(
                offsets(&cell, 256, &mut numbers, &mut next).into_iter(),
                false,
                &mut latencies,
            )?;
            latencies.clear();
            count += 256;
        }
        drop(pool);
        Ok(count as f64 * cell.block as f64 / begun.elapsed().as_nanos() as f64)
    };
    let mut ratios = Vec::new();
    for _ in 0..effort.turns.min(5) {
        let rates: Result<Vec<f64>, MeasureError> = std::thread::scope(|scope| {
            let threads: Vec<_> = cores.iter().map(|&core| scope.spawn(move || one(core))).collect();
            threads
                .into_iter()
                .map(|thread| {
                    thread
                        .join()
                        .unwrap_or_else(|_| Err(MeasureError::System("a reading thread panicked".into())))
                })
                .collect()
        });
        ratios.push(rates?.iter().sum::<f64>() / alone.median);
    }
    Ok(Spread::of(ratios))
}

/// Reads of 8 KiB that lie right behind 4 KiB that were just read, as a ratio of such reads anywhere: what two-phase loading asks for.
pub(crate) fn second_phase(effort: Effort, scratch: &Scratch, small: &ReadCell) -> Result<Spread, MeasureError> {
    let pool = pool_on(&[small.core])?;
    let cell = |block| ReadCell { block, ..small.clone() };
    let (mut gates, mut rest) = (Load::new(scratch, &cell(PAGE))?, Load::new(scratch, &cell(2 * PAGE))?);
    let bundles = scratch.bytes / (3 * PAGE);
    let mut numbers = Numbers::new(23);
    let mut unused = Vec::new();
    let spread = sample(effort, || {
        let count = 256.min(bundles);
        let mut some = || (0..count).map(|_| numbers.below(bundles) * 3 * PAGE).collect::<Vec<u64>>();
        let (known, others) = (some(), some());
        gates.read(known.iter().copied(), false, &mut unused)?;
        let mut fault = Ok(());
        let behind = time(|| fault = rest.read(known.iter().map(|at| at + PAGE), true, &mut unused));
        fault?;
        let mut fault = Ok(());
        let anywhere = time(|| fault = rest.read(others.iter().map(|at| at + PAGE), true, &mut unused));
        fault?;
        unused.clear();
        Ok::<_, MeasureError>(behind / anywhere)
    })?;
    drop(pool);
    Ok(spread)
}
