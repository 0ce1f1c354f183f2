//! Which cells of kernels are timed.

use neuron::Format;

use crate::options::Depth;
use crate::results::{Kernel, KernelCell};
use crate::topology::Topology;

/// Weights of a row: the hidden size of the 7B and 47B models.
const COLS: usize = 4096;
/// Rows of a dense matrix: a projection of such a model.
const ROWS: usize = 4096;
/// Neurons of a layer.
const NEURONS: usize = 14336;

fn cell(kernel: Kernel, format: Format, cores: &[usize]) -> KernelCell {
    KernelCell {
        kernel,
        format,
        cores: cores.to_vec(),
        rows: ROWS,
        cols: COLS,
        batch: 1,
        share: 1.0,
    }
}

/// The cells of one set of cores. Cells of one format and width follow each other, since weights are made anew for another.
fn of_set(depth: Depth, cores: &[usize]) -> Vec<KernelCell> {
    let is_full = depth == Depth::Full;
    let of = |kernel, format| cell(kernel, format, cores);
    let mut cells = vec![
        of(Kernel::Read, Format::F32),
        KernelCell {
            rows: 1,
            cols: 2048,
            ..of(Kernel::Copy, Format::F32)
        },
        of(Kernel::Dense, Format::Q4_0),
    ];
    let sizes: &[(usize, usize)] = if is_full {
        &[
            (256, 4096),
            (1024, 4096),
            (14336, 4096),
            (32000, 4096),
            (2048, 2048),
            (8192, 2048),
            (4096, 14336),
        ]
    } else {
        &[(512, 4096)]
    };
    cells.extend(sizes.iter().map(|&(rows, cols)| KernelCell {
        rows,
        cols,
        ..of(Kernel::Dense, Format::Q4_0)
    }));
    let batches: &[usize] = if is_full {
        &[2, 4, 8, 16, 32, 64, 128, 256, 512]
    } else {
        &[8, 64]
    };
    cells.extend(batches.iter().map(|&batch| KernelCell {
        batch,
        ..of(Kernel::Product, Format::Q4_0)
    }));
    cells.push(of(Kernel::Dense, Format::Q8_0));
    if is_full {
        cells.push(of(Kernel::Dense, Format::F16));
        cells.push(of(Kernel::Dense, Format::F32));
        cells.push(KernelCell {
            batch: 64,
            ..of(Kernel::Product, Format::Q8_0)
        });
    }
    let widths: &[usize] = if is_full { &[2048, COLS] } else { &[COLS] };
    let shares: &[f64] = if is_full {
        &[0.02, 0.05, 0.1, 0.2, 0.3, 0.5, 0.7, 1.0]
    } else {
        &[0.05, 0.1, 0.3, 1.0]
    };
    for kernel in [Kernel::Gather, Kernel::UpDown] {
        for &cols in widths {
            cells.extend(shares.iter().map(|&share| KernelCell {
                rows: NEURONS,
                cols,
                share,
                ..of(kernel, Format::Q4_0)
            }));
        }
    }
    let contexts: &[usize] = if is_full { &[128, 512, 1024, 4096] } else { &[512] };
    cells.extend(contexts.iter().map(|&rows| KernelCell {
        rows,
        cols: 128,
        ..of(Kernel::Attention, Format::F16)
    }));
    cells.push(KernelCell {
        rows: 1,
        ..of(Kernel::Norm, Format::F32)
    });
    cells
}

/// All cells: every set of cores, and the dense kernel and plain reads on every single core.
pub(crate) fn cells(depth: Depth, topology: &Topology) -> Vec<KernelCell> {
    let sets = topology.sets();
    let mut cells: Vec<KernelCell> = match depth {
        Depth::Trial => {
            let all = topology.cores();
            let few = |cores: &[usize]| {
                let wanted = [Kernel::Read, Kernel::Dense, Kernel::UpDown, Kernel::Product];
                let mut cells = of_set(depth, cores);
                let mut seen = Vec::new();
                cells.retain(|cell| {
                    let is_first = !seen.contains(&cell.kernel) || (cell.kernel == Kernel::UpDown && cell.share == 0.1);
                    seen.push(cell.kernel);
                    is_first && wanted.contains(&cell.kernel)
                });
                cells
            };
            sets.iter()
                .filter(|set| set.len() == 1 || **set == all)
                .flat_map(|set| few(set))
                .collect()
        }
        _ => sets.iter().flat_map(|set| of_set(depth, set)).collect(),
    };
    let singles = topology.cores().into_iter().filter(|core| !sets.contains(&vec![*core]));
    cells.extend(singles.flat_map(|core| {
        [
            cell(Kernel::Read, Format::F32, &[core]),
            cell(Kernel::Dense, Format::Q4_0, &[core]),
        ]
    }));
    cells
}
