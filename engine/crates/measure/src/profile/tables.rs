//! The tables behind a profile: every row with its quartiles, under one source.

use super::facts::{Unit, bytes, quantity};
use super::json::Json;
use crate::results::{CostRow, Kernel, KernelRow, Measured, ReadRow};
use crate::samples::Spread;

fn cores(list: &[usize]) -> Json {
    Json::List(list.iter().map(|&core| Json::Number(core as f64)).collect())
}

fn count(value: usize) -> Json {
    Json::Number(value as f64)
}

/// The middle, the quartiles and how many turns.
fn spread(name: &'static str, unit: Unit, spread: Spread) -> [(&'static str, Json); 4] {
    [
        (name, quantity(unit, spread.median)),
        ("low", quantity(unit, spread.low)),
        ("high", quantity(unit, spread.high)),
        ("turns", count(spread.turns as usize)),
    ]
}

fn kernel(row: &KernelRow) -> Json {
    let cell = &row.cell;
    let is_product = cell.kernel == Kernel::Product;
    let mut fields = vec![
        ("kernel", Json::text(cell.kernel.name())),
        ("format", Json::text(cell.format.name().to_lowercase())),
        ("cores", cores(&cell.cores)),
        ("rows", count(cell.rows)),
        ("cols", count(cell.cols)),
    ];
    if is_product {
        fields.push(("batch", count(cell.batch)));
    } else {
        fields.push(("share", Json::Number(cell.share)));
    }
    let unit = if is_product { Unit::Operations } else { Unit::Bandwidth };
    fields.extend(spread("rate", unit, row.rate));
    Json::Object(fields)
}

fn read(row: &ReadRow) -> Json {
    let cell = &row.cell;
    let mut fields = vec![
        ("backend", Json::text(if cell.uring { "io_uring" } else { "pread" })),
        ("inFlight", count(cell.in_flight as usize)),
        ("direct", Json::Flag(cell.direct)),
        ("pattern", Json::text(if cell.random { "random" } else { "sequential" })),
        ("block", Json::Text(bytes(cell.block))),
        ("range", Json::Text(bytes(cell.range))),
        ("core", count(cell.core)),
    ];
    fields.extend(spread("rate", Unit::Bandwidth, row.rate));
    fields.push(("cpu", quantity(Unit::Time, row.cpu.median)));
    fields.push(("latency", quantity(Unit::Time, row.latency.median)));
    Json::Object(fields)
}

fn cost(row: &CostRow) -> Json {
    let mut fields = vec![("cost", Json::text(row.cost.name())), ("cores", cores(&row.cores))];
    fields.extend(spread("time", Unit::Time, row.time));
    Json::Object(fields)
}

/// All rows, as `measurements` of a profile.
pub(super) fn tables(measured: &Measured) -> Json {
    let is_product = |row: &&KernelRow| row.cell.kernel == Kernel::Product;
    let rows = |products: bool| {
        measured
            .kernels
            .iter()
            .filter(move |row| is_product(row) == products)
            .map(kernel)
            .collect()
    };
    let clusters = measured.topology.clusters.iter().map(|cluster| {
        Json::Object(vec![
            ("kind", Json::text(cluster.kind.name())),
            ("cores", cores(&cluster.cores)),
        ])
    });
    Json::Object(vec![
        ("kind", Json::text("measured")),
        ("source", Json::text(&measured.source)),
        ("backend", Json::text(measured.backend)),
        ("clusters", Json::List(clusters.collect())),
        ("notes", Json::List(measured.notes.iter().map(Json::text).collect())),
        ("kernels", Json::List(rows(false))),
        ("products", Json::List(rows(true))),
        ("reads", Json::List(measured.reads.iter().map(read).collect())),
        ("costs", Json::List(measured.costs.iter().map(cost).collect())),
    ])
}
