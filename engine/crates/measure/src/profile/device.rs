//! Rows to a device profile.

use super::facts::{Facts, Unit, bytes, quantity};
use super::json::Json;
use super::tables::tables;
use crate::results::{Cost, FlashFacts, Kernel, KernelRow, Measured, ReadCell, ReadRow};
use crate::samples::Spread;
use crate::topology::Cluster;

/// Share of active neurons whose rate stands for the sparse kernel: about what ReLU models have.
const TYPICAL_SHARE: f64 = 0.1;
/// Rows and weights of a row of the matrix whose rate stands for the dense kernel.
const TYPICAL_SIDE: usize = 4096;
/// A read that the flash's behaviour under several cores is told by.
const SMALL: u64 = 4096;

/// All that a profile needs is there.
struct Complete<'a> {
    measured: &'a Measured,
    facts: Facts<'a>,
    flash: &'a FlashFacts,
}

/// A profile (`sim/domain/device.ts`) with this name; or, where not every part was measured, the tables alone.
pub fn profile(measured: &Measured, name: &str) -> Json {
    let facts = Facts {
        source: &measured.source,
    };
    match &measured.flash {
        Some(flash) if !measured.kernels.is_empty() && measured.costs.iter().any(|row| row.cost == Cost::Insert) => {
            Complete { measured, facts, flash }
                .profile(name)
                .unwrap_or_else(|| tables(measured))
        }
        _ => tables(measured),
    }
}

impl Complete<'_> {
    fn kernel(&self, kernel: Kernel, cores: &[usize], fits: impl Fn(&KernelRow) -> bool) -> Option<&KernelRow> {
        let mut rows = self.measured.kernels.iter();
        rows.find(|row| row.cell.kernel == kernel && row.cell.cores == cores && fits(row))
    }

    fn dense(&self, cores: &[usize]) -> Option<Spread> {
        let fits = |row: &KernelRow| row.cell.rows == TYPICAL_SIDE && row.cell.cols == TYPICAL_SIDE;
        Some(self.kernel(Kernel::Dense, cores, fits)?.rate)
    }

    fn reading(&self, cores: &[usize]) -> Option<Spread> {
        Some(self.kernel(Kernel::Read, cores, |_| true)?.rate)
    }

    fn cost(&self, cost: Cost) -> Option<Spread> {
        // The last is of the most cores.
        let mut rows = self.measured.costs.iter().rev();
        Some(rows.find(|row| row.cost == cost)?.time)
    }

    /// What a core gets of small reads over the range that all cores were tried on.
    fn small_reads(&self, core: usize) -> Option<&ReadRow> {
        let over = self.flash.bytes.min(crate::reads::EACH_CORE_OVER);
        let is_wanted =
            |cell: &ReadCell| self.is_usual(cell) && cell.random && (cell.block, cell.core, cell.range) == (SMALL, core, over);
        self.measured.reads.iter().find(|row| is_wanted(&row.cell))
    }

    /// Whether a cell was read as the engine reads where a plan says nothing else.
    fn is_usual(&self, cell: &ReadCell) -> bool {
        let flash = self.flash;
        (cell.uring, cell.in_flight, cell.direct) == (flash.uring, flash.in_flight, flash.direct)
    }

    fn cluster(&self, cluster: &Cluster, clock: f64, roof: f64) -> Option<Json> {
        let facts = &self.facts;
        let one = &cluster.cores[..1];
        let best = |cores: &[usize]| self.dense(cores).map(|rate| rate.median);
        let each: Vec<f64> = cluster.cores.iter().filter_map(|core| best(&[*core])).collect();
        let (slowest, fastest) = (each.iter().copied().reduce(f64::min)?, each.iter().copied().reduce(f64::max)?);
        let mut dense = self.dense(one)?;
        // Noise must not give one core more than all have together.
        dense.median = dense.median.min(roof);
        let sparse = self.kernel(Kernel::UpDown, one, |row| {
            row.cell.share == TYPICAL_SHARE && row.cell.cols == TYPICAL_SIDE
        })?;
        let products = self.measured.kernels.iter();
        let products = products.filter(|row| row.cell.kernel == Kernel::Product && row.cell.cores == one);
        let product = products.max_by(|a, b| a.rate.median.total_cmp(&b.rate.median))?;
        let small = self.small_reads(one[0])?;
        let clocked = match cluster.clock {
            Some(printed) => format!(
                "dependent additions on core {}; the system says {printed:.2} GHz at most",
                one[0]
            ),
            None => format!("dependent additions on core {}; the system does not say", one[0]),
        };
        Some(Json::Object(vec![
            ("kind", Json::text(cluster.kind.name())),
            ("core", Json::text(&cluster.core)),
            (
                "count",
                facts.told(Json::Number(cluster.cores.len() as f64), "cores that this process may use, from /sys and /proc"),
            ),
            ("clock", facts.measured(Unit::Clock, clock, &clocked)),
            (
                "denseBandwidth",
                facts.spread(
                    Unit::Bandwidth,
                    dense,
                    &format!(
                        "Q4_0 matrix of {TYPICAL_SIDE} x {TYPICAL_SIDE} times a vector from memory, core {} alone, dispatch included; \
                         the cluster's cores reach {slowest:.2} to {fastest:.2} GB/s one by one",
                        one[0]
                    ),
                ),
            ),
            (
                "sparseBandwidth",
                facts.spread(
                    Unit::Bandwidth,
                    sparse.rate,
                    "bytes touched by up (Q4_0) and down (Q8_0) of the neurons that fire, 10% of a layer of 14336 x 4096, slots that lie \
                     anywhere, one core; other shares in measurements",
                ),
            ),
            (
                "gemmRate",
                facts.spread(
                    Unit::Operations,
                    product.rate,
                    &format!("Q4_0 matrix of 4096 x 4096 times {} vectors, one core", product.cell.batch),
                ),
            ),
            (
                "flashRandom4k",
                facts.spread(
                    Unit::Bandwidth,
                    small.rate,
                    &format!("4 KiB random reads over {} issued by core {}, {} in flight", bytes(small.cell.range), one[0], small.cell.in_flight),
                ),
            ),
            (
                "activePower",
                Facts::estimated(Json::text("1W"), "no meter here: a round figure, so energy in results is not this machine's"),
            ),
        ]))
    }

    fn profile(&self, name: &str) -> Option<Json> {
        let (measured, facts) = (self.measured, &self.facts);
        let host = &measured.host;
        let cores = measured.topology.cores();
        let dense = |cores: &[usize]| self.dense(cores).map(|rate| rate.median);
        let singles = cores.iter().filter_map(|core| dense(&[*core]));
        let (reading, together) = (self.reading(&cores)?, self.dense(&cores)?);
        // What all cores read plainly is the roof of their kernels; on a noisy machine a kernel may still measure more.
        let fastest = singles.fold(together.median.max(reading.median), f64::max);
        let clusters = measured.topology.clusters.iter().zip(&measured.clocks);
        let clusters: Option<Vec<Json>> = clusters
            .map(|(cluster, clock)| self.cluster(cluster, clock.0.max(clock.1), fastest))
            .collect();
        let barrier = self.cost(Cost::Dispatch)?;
        let usable = host.available_bytes.clamp(1, host.memory_bytes.max(1));
        let roof = format!(
            "plain reads of memory by all {} cores: {:.2} GB/s at the median (quartiles {:.2} to {:.2}); the dense kernel reaches {:.2} there",
            cores.len(),
            reading.median,
            reading.low,
            reading.high,
            together.median
        );
        Some(Json::Object(vec![
            ("schema", Json::text("neuronlab/device@1")),
            ("name", Json::text(name)),
            ("title", Json::text(&host.title)),
            ("soc", Json::text(&host.soc)),
            ("note", Json::text(self.note())),
            (
                "cpu",
                Json::Object(vec![
                    ("isa", Json::List(host.isa.iter().map(|name| Json::text(*name)).collect())),
                    ("clusters", Json::List(clusters?)),
                    ("bandwidth", facts.measured(Unit::Bandwidth, fastest, &roof)),
                    (
                        "barrier",
                        facts.spread(
                            Unit::Time,
                            barrier,
                            &format!(
                                "an empty dispatch over {} threads that spin; asleep they take longer, see measurements",
                                cores.len()
                            ),
                        ),
                    ),
                    (
                        "cacheInsert",
                        facts.spread(
                            Unit::Time,
                            self.cost(Cost::Insert)?,
                            "look-up, eviction, copy of 6.5 KiB out of pages and bookkeeping in a full LRU segment",
                        ),
                    ),
                ]),
            ),
            ("npu", Json::Null),
            ("gpu", Json::Null),
            (
                "dram",
                Json::Object(vec![
                    (
                        "total",
                        facts.told(Json::Text(bytes(host.memory_bytes.max(1))), "MemTotal of /proc/meminfo"),
                    ),
                    (
                        "usable",
                        facts.told(
                            Json::Text(bytes(usable)),
                            "MemAvailable of /proc/meminfo when this was measured",
                        ),
                    ),
                    (
                        "theory",
                        Facts::estimated(
                            quantity(Unit::Bandwidth, fastest),
                            "the memory's own limit cannot be measured: what the cores reach; nothing is computed with it",
                        ),
                    ),
                    ("sustained", facts.measured(Unit::Bandwidth, fastest, &roof)),
                    (
                        "energy",
                        Facts::estimated(
                            Json::text("0.1nJ/B"),
                            "no meter here: a round figure between LPDDR5X and DDR5",
                        ),
                    ),
                ]),
            ),
            ("flash", self.flash()?),
            ("pageCache", self.page_cache()?),
            ("thermal", thermal()),
            (
                "power",
                Json::Object(vec![(
                    "idle",
                    Facts::estimated(Json::text("1W"), "no meter here: a round figure"),
                )]),
            ),
            ("measurements", tables(measured)),
        ]))
    }

    fn note(&self) -> String {
        let mut parts = vec![format!("Measured by {}; energy and heat are estimates", self.measured.source)];
        parts.extend(self.measured.notes.iter().cloned());
        parts.join("; ")
    }

    /// The rows of the curve: what the engine's own depth gives on the best core.
    fn curve(&self, random: bool) -> Vec<&ReadRow> {
        let best = self.measured.topology.clusters[0].cores[0];
        let is_curve = |row: &&ReadRow| self.is_usual(&row.cell) && (row.cell.random, row.cell.core) == (random, best);
        let mut rows: Vec<&ReadRow> = self.measured.reads.iter().filter(is_curve).collect();
        rows.sort_by_key(|row| (row.cell.block, row.cell.range));
        rows.dedup_by_key(|row| (row.cell.block, row.cell.range));
        rows
    }

    fn flash(&self) -> Option<Json> {
        let (facts, flash) = (&self.facts, self.flash);
        let point = |row: &ReadRow| {
            let backend = if flash.uring { "io_uring" } else { "pread" };
            let how = format!("{} in flight by {backend}", row.cell.in_flight);
            let pattern = if row.cell.random { "random" } else { "sequential" };
            (
                facts.told(Json::Text(bytes(row.cell.block)), "chosen"),
                facts.told(Json::Text(bytes(row.cell.range)), "chosen"),
                facts.spread(Unit::Bandwidth, row.rate, &format!("{pattern} reads, {how}")),
            )
        };
        let sequential = self.curve(false).into_iter().map(|row| {
            let (block, _, rate) = point(row);
            Json::Object(vec![("block", block), ("rate", rate)])
        });
        let random = self.curve(true);
        // Rows of other tables may add a block to one range alone; the curve has every block over every range.
        let ranges = {
            let mut all: Vec<u64> = random.iter().map(|row| row.cell.range).collect();
            all.sort_unstable();
            all.dedup();
            all.len()
        };
        let is_whole = |block: u64| random.iter().filter(|row| row.cell.block == block).count() == ranges;
        let random = random.iter().filter(|row| is_whole(row.cell.block)).map(|row| {
            let (block, range, rate) = point(row);
            Json::Object(vec![("block", block), ("range", range), ("rate", rate)])
        });
        let best = self.measured.topology.clusters[0].cores[0];
        let is_alone = |cell: &ReadCell| (cell.uring, cell.direct, cell.in_flight) == (flash.uring, flash.direct, 1);
        let mut reads = self.measured.reads.iter();
        let alone =
            reads.find(|row| is_alone(&row.cell) && row.cell.random && (row.cell.block, row.cell.core) == (SMALL, best))?;
        let device = &flash.device;
        let told = |value: Option<u64>, otherwise: u64, what: &str| match value {
            Some(value) => facts.told(Json::Number(value.min(65536) as f64), what),
            None => Facts::estimated(Json::Number(otherwise as f64), "the system does not say"),
        };
        // More than one core's rate is no contention.
        let contention = match flash.together {
            Some(ratio) => facts.measured(
                Unit::Plain,
                ratio.median.clamp(0.05, 1.0),
                &format!(
                    "4 KiB random reads of {} cores with a queue each, {:.2} times one core's (quartiles {:.2} to {:.2}); 1 at most",
                    flash.submitters, ratio.median, ratio.low, ratio.high
                ),
            ),
            None => Facts::estimated(Json::Number(1.0), "a single core"),
        };
        let second = Spread {
            median: flash.second_phase.median.clamp(0.01, 1.5),
            ..flash.second_phase
        };
        Some(Json::Object(vec![
            ("name", Json::text(device.name.as_deref().unwrap_or("storage"))),
            (
                "queues",
                told(device.queues.map(|queues| queues.min(64)), 1, "hardware queues, from /sys"),
            ),
            ("depth", told(device.requests, 64, "requests of a queue, from /sys")),
            ("sequential", Json::List(sequential.collect())),
            ("random", Json::List(random.collect())),
            (
                "latency",
                facts.spread(
                    Unit::Time,
                    alone.latency,
                    "one 4 KiB random read at a time, submission to completion",
                ),
            ),
            ("contentionFloor", contention),
            (
                "contentionSubmitters",
                facts.told(
                    Json::Number(flash.submitters.clamp(2, 64) as f64),
                    "the cores that read at once",
                ),
            ),
            (
                "secondPhaseRatio",
                facts.spread(
                    Unit::Plain,
                    second,
                    "8 KiB right behind 4 KiB just read, beside 8 KiB anywhere",
                ),
            ),
            ("hotRatio", Facts::estimated(Json::Number(1.0), "not driven to heat here")),
            (
                "hotAt",
                Facts::estimated(Json::text("85C"), "not driven to heat here; a common limit of storage"),
            ),
            (
                "energy",
                Facts::estimated(
                    Json::text("0.42nJ/B"),
                    "no meter here: that of a UFS 4.0 device (devices/oneplus-12.json)",
                ),
            ),
        ]))
    }

    fn page_cache(&self) -> Option<Json> {
        let window = match self.flash.device.read_ahead {
            Some(window) => self
                .facts
                .told(Json::Text(bytes(window)), "read_ahead_kb of the device, from /sys"),
            None => Facts::estimated(
                Json::Text(bytes(crate::READ_AHEAD)),
                "the system does not say: Linux's default",
            ),
        };
        let cost = self.cost(Cost::FaultMapped)?;
        Some(Json::Object(vec![
            ("readAhead", window),
            (
                "faultCost",
                self.facts.spread(
                    Unit::Time,
                    cost,
                    "touching every page of a window of a mapped file that the page cache holds",
                ),
            ),
        ]))
    }
}

/// No machine is heated up for a profile, and few tell their limits.
fn thermal() -> Json {
    let estimate = |value: Json| Facts::estimated(value, "not measured: no run is throttled with these");
    Json::Object(vec![
        ("ambient", estimate(Json::text("25C"))),
        ("resistance", estimate(Json::text("0.5K/W"))),
        ("timeConstant", estimate(Json::text("300s"))),
        ("throttleStart", estimate(Json::text("95C"))),
        ("throttleFull", estimate(Json::text("105C"))),
        ("floor", estimate(Json::Number(0.5))),
    ])
}
