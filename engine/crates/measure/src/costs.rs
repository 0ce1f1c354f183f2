//! Costs beside the kernels: threads, page faults, and taking neurons into the cache.

use std::time::Duration;

use cache::{Lookup, PolicyKind, Reserve, SegmentShape, SegmentedCache, Setting, Shape};

use crate::error::MeasureError;
use crate::kernels::pool_on;
use crate::results::{Cost, CostRow};
use crate::samples::{Effort, Spread, sample, time};
use crate::scratch::{Numbers, Scratch};
use crate::sys::{Advice, Map};
use crate::topology::Topology;

const PAGE: usize = 4096;

/// Costs of threads that are timed on every set of cores, and of memory on one core.
pub(crate) const OF_THREADS: [Cost; 4] = [Cost::ThreadStart, Cost::Dispatch, Cost::DispatchParked, Cost::Barrier];
pub(crate) const OF_MEMORY: [Cost; 6] = [
    Cost::Insert,
    Cost::Hit,
    Cost::FaultMinor,
    Cost::FaultHuge,
    Cost::FaultMapped,
    Cost::FaultMajor,
];

/// The sets of cores that threads are timed on: one core each and all, and clusters as a whole.
pub(crate) fn sets(topology: &Topology, cost: Cost) -> Vec<Vec<usize>> {
    let alone = matches!(cost, Cost::ThreadStart);
    let mut sets = topology.sets();
    sets.retain(|set| (set.len() == 1) == alone);
    if sets.is_empty() {
        // A single core: what its threads cost each other is what it costs to call oneself.
        sets.push(topology.cores());
    }
    sets
}

/// One cost of threads.
pub(crate) fn of_threads(effort: Effort, cost: Cost, cores: &[usize]) -> Result<CostRow, MeasureError> {
    let mut pool = pool_on(cores)?;
    /// A dispatch is shorter than the clock is exact.
    const AT_ONCE: usize = 32;
    let each = 1.0 / AT_ONCE as f64;
    let time = match cost {
        Cost::ThreadStart => sample(effort, || {
            Ok::<_, MeasureError>(time(|| {
                // A thread that does not start has no cost; the pool above has shown that they do.
                drop(std::thread::Builder::new().spawn(|| {}).map(std::thread::JoinHandle::join));
            }))
        }),
        Cost::DispatchParked => sample(effort, || {
            // Far longer than threads spin before they sleep.
            std::thread::sleep(Duration::from_millis(1));
            Ok(time(|| pool.run(|_| {})))
        }),
        Cost::Barrier => sample(effort, || {
            Ok(time(|| {
                pool.run(|worker| (0..AT_ONCE).for_each(|_| worker.barrier()));
            }))
        })
        .map(|spread| spread.times(each)),
        _ => sample(effort, || Ok(time(|| (0..AT_ONCE).for_each(|_| pool.run(|_| {}))))).map(|spread| spread.times(each)),
    }?;
    Ok(CostRow {
        cost,
        cores: cores.to_vec(),
        time,
    })
}

/// One cost of memory, on this core. `scratch` is a file to map; `window` its device's read-ahead in bytes.
pub(crate) fn of_memory(
    effort: Effort,
    cost: Cost,
    core: usize,
    scratch: &Scratch,
    window: usize,
) -> Result<CostRow, MeasureError> {
    let pool = pool_on(&[core])?;
    let time = match cost {
        Cost::Insert => neurons(effort, false),
        Cost::Hit => neurons(effort, true),
        Cost::FaultMinor => touches(effort, Advice::SmallPages, PAGE),
        Cost::FaultHuge => touches(effort, Advice::HugePages, 2 << 20),
        Cost::FaultMapped => mapped(effort, scratch, window),
        _ => missing(effort, scratch),
    }?;
    drop(pool);
    Ok(CostRow {
        cost,
        cores: vec![core],
        time,
    })
}

/// First touches of fresh memory, a page at a time. Nanoseconds a page.
fn touches(effort: Effort, advice: Advice, page: usize) -> Result<Spread, MeasureError> {
    let pages = (4 << 20) / page.min(1 << 20);
    sample(effort, || {
        let mut map = Map::memory((pages + 1) * page).map_err(MeasureError::system)?;
        map.advise(advice);
        // The mapping may begin inside a huge page; the last one is left out for that.
        Ok(time(|| (0..pages).for_each(|at| map.dirty(at * page))) / pages as f64)
    })
}

/// Pages of a mapped file that the page cache holds. Nanoseconds a window of read-ahead.
fn mapped(effort: Effort, scratch: &Scratch, window: usize) -> Result<Spread, MeasureError> {
    let bytes = (scratch.bytes as usize).min(16 << 20) / window.max(PAGE) * window.max(PAGE);
    let bytes = bytes.max(PAGE);
    {
        let warm = Map::file(scratch.file(), bytes).map_err(MeasureError::system)?;
        (0..bytes).step_by(PAGE).for_each(|at| _ = warm.touch(at));
    }
    sample(effort, || {
        let map = Map::file(scratch.file(), bytes).map_err(MeasureError::system)?;
        let took = time(|| (0..bytes).step_by(PAGE).for_each(|at| _ = map.touch(at)));
        Ok(took * window as f64 / bytes as f64)
    })
}

/// Pages of a mapped file that nobody holds, anywhere in it. Nanoseconds a page, the device's time included.
fn missing(effort: Effort, scratch: &Scratch) -> Result<Spread, MeasureError> {
    const TOUCHES: usize = 16;
    let pages = (scratch.bytes as usize / PAGE).min(1 << 18);
    let mut numbers = Numbers::new(11);
    sample(effort, || {
        scratch.drop_cached();
        let map = Map::file(scratch.file(), pages * PAGE).map_err(MeasureError::system)?;
        map.advise(Advice::Random);
        let places: Vec<usize> = (0..TOUCHES).map(|_| numbers.below(pages as u64) as usize * PAGE).collect();
        Ok(time(|| places.iter().for_each(|at| _ = map.touch(*at))) / TOUCHES as f64)
    })
}

/// Up (Q4_0) and down (Q8_0) of a neuron of hidden size 4096.
const NEURON_BYTES: usize = 4096 / 32 * (18 + 34);

/// Neurons asked of a cache by LRU that holds a quarter of them; those that miss are copied out of pages into their slots. Or, with
/// `present`, neurons that are all there. Nanoseconds a neuron.
fn neurons(effort: Effort, present: bool) -> Result<Spread, MeasureError> {
    const SLOTS: u32 = 4096;
    const AT_ONCE: usize = 256;
    let keys = if present { SLOTS } else { 4 * SLOTS };
    let mut cache = SegmentedCache::new(&Shape {
        budget_bytes: SLOTS as usize * NEURON_BYTES + 64 * keys as usize + (2 << 20),
        fixed_bytes: 0,
        huge_pages: true,
        segments: vec![SegmentShape {
            name: "cold",
            entry_bytes: NEURON_BYTES,
            align_bytes: 64,
            policy: PolicyKind::Lru,
            setting: Setting {
                keys,
                slots: SLOTS,
                ..Setting::default()
            },
        }],
    })?;
    let segment = &mut cache.segments_mut()[0];
    let pages = vec![1u8; 64 * NEURON_BYTES.next_multiple_of(PAGE)];
    let mut ask = |key: u32| -> Result<(), MeasureError> {
        if let Lookup::Hit(_) = segment.lookup(key)? {
            segment.pin(key)?;
            return Ok(segment.unpin(key)?);
        }
        if let Reserve::Slot { slot, .. } = segment.reserve(key)? {
            let from = &pages[key as usize % 64 * NEURON_BYTES.next_multiple_of(PAGE)..][..NEURON_BYTES];
            // SAFETY: the slot is reserved for this key and not yet committed, so this thread alone writes to it; it is as long as an
            // entry, and the pages are other memory.
            unsafe { std::ptr::copy_nonoverlapping(from.as_ptr(), segment.address(slot), NEURON_BYTES) };
            segment.commit(key)?;
        }
        Ok(())
    };
    for key in 0..SLOTS {
        ask(key)?;
    }
    // Neither order nor distance foretells the next; of the larger set, nothing that comes was asked for lately.
    let order = Numbers::new(17).order(keys as usize);
    let mut at = SLOTS as usize % order.len();
    sample(effort, || {
        let mut fault = Ok(());
        let took = time(|| {
            for _ in 0..AT_ONCE {
                let key = order[at] as u32;
                at = (at + 1) % order.len();
                if fault.is_ok() {
                    fault = ask(key);
                }
            }
        });
        fault.map(|()| took / AT_ONCE as f64)
    })
}
