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
pub(super) const SMALL: u64 = 4096;

/// All that a profile needs is there.
pub(super) struct Complete<'a> {
    pub(super) measured: &'a Measured,
    pub(super) facts: Facts<'a>,
    pub(super) flash: &'a FlashFacts,
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

    pub(super) fn cost(&self, cost: Cost) -> Option<Spread> {
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
    pub(super) fn is_usual(&self, cell: &ReadCell) -> bool {
        let flash = self.flash;
        (cell.uring, cell.in_flight, cell.direct) == (flash.uring, flash.in_flight, flash.direct)
    }

    fn cluster(&self, cluster: &Cluster, clock: f64) -> Option<Json> {
        let facts = &self.facts;
        let one = &cluster.cores[..1];
        let best = |cores: &[usize]| self.dense(cores).map(|rate| rate.median);
        let each: Vec<f64> = cluster.cores.iter().filter_map(|core| best(&[*core])).collect();
        let (slowest, fastest) = (each.iter().copied().reduce(f64::min)?, each.iter().copied().reduce(f64::max)?);
        let dense = self.dense(one)?;
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
        let sets = measured.topology.sets();
        let singles = cores.iter().map(|core| vec![*core]);
        let (reading, together) = (self.reading(&cores)?, self.dense(&cores)?);
        // The best of all sets: little cores beside fast ones may hold these back, and noise one set but not another.
        let weights = sets
            .into_iter()
            .chain(singles)
            .filter_map(|set| dense(&set))
            .fold(0.0, f64::max);
        let sustained = reading.median.max(weights);
        let clusters = measured.topology.clusters.iter().zip(&measured.clocks);
        let clusters: Option<Vec<Json>> = clusters
            .map(|(cluster, clock)| self.cluster(cluster, clock.0.max(clock.1)))
            .collect();
        let barrier = self.cost(Cost::Dispatch)?;
        let usable = host.available_bytes.clamp(1, host.memory_bytes.max(1));
        let streamed = format!(
            "the dense kernel on the set of cores where it is fastest; on all {}: {:.2} GB/s (quartiles {:.2} to {:.2})",
            cores.len(),
            together.median,
            together.low,
            together.high
        );
        let read = format!(
            "plain reads of memory by all {} cores (quartiles {:.2} to {:.2} GB/s), or the dense kernel where that was faster",
            cores.len(),
            reading.low,
            reading.high
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
                    ("bandwidth", facts.measured(Unit::Bandwidth, weights, &streamed)),
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
                            quantity(Unit::Bandwidth, sustained),
                            "the memory's own limit cannot be measured: what the cores reach; nothing is computed with it",
                        ),
                    ),
                    ("sustained", facts.measured(Unit::Bandwidth, sustained, &read)),
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
