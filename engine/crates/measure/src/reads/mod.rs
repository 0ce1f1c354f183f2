//! The flash curve: reads of the scratch file through the engine's own reader, as its decoding drives it.

use std::time::Instant;

use flash::PAGE;

use crate::error::MeasureError;
use crate::kernels::pool_on;
use crate::results::{ReadCell, ReadRow};
use crate::samples::{Effort, Spread, sample, time};
use crate::scratch::{Numbers, Scratch};
use crate::sys;

mod cells;
mod load;

pub(crate) use cells::{EACH_CORE_OVER, Served, cells};
use load::{Load, offsets};

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
