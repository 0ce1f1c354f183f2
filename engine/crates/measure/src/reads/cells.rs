//! Which reads make the curve: blocks, ranges of addresses, depths, backends and cores.

use flash::{BackendChoice, PAGE};

use super::load::Load;
use crate::error::MeasureError;
use crate::options::Depth;
use crate::results::ReadCell;
use crate::scratch::Scratch;
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
