//! Rows of reads to a profile's flash and page cache.

use super::device::{Complete, SMALL};
use super::facts::{Facts, Unit, bytes};
use super::json::Json;
use crate::results::{Cost, ReadCell, ReadRow};
use crate::samples::Spread;

impl Complete<'_> {
    /// The rows of the curve: what the engine's own depth gives on the best core.
    fn curve(&self, random: bool) -> Vec<&ReadRow> {
        let best = self.measured.topology.clusters[0].cores[0];
        let is_curve = |row: &&ReadRow| self.is_usual(&row.cell) && (row.cell.random, row.cell.core) == (random, best);
        let mut rows: Vec<&ReadRow> = self.measured.reads.iter().filter(is_curve).collect();
        rows.sort_by_key(|row| (row.cell.block, row.cell.range));
        rows.dedup_by_key(|row| (row.cell.block, row.cell.range));
        rows
    }

    pub(super) fn flash(&self) -> Option<Json> {
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

    pub(super) fn page_cache(&self) -> Option<Json> {
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
