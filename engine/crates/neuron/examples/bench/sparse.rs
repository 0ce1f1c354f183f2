//! The sparse cluster kernel beside the dense FFN.

use std::ops::Range;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use neuron::{Activations, Bundles, ClusterScratch, Format, Gating, Kernels, Matrix, SUM_BLOCK};
use pool::Pool;

use crate::data::{patterns, pool, thread_counts, values, weights};
use crate::memory::Slab;
use crate::timing::seconds;

const TURNS: usize = 25;
const FORMAT: Format = Format::Q4_0;

/// One FFN layer twice: as a sparse engine keeps it in memory (gate, up and transposed down, a row for each neuron) and as a
/// dense one does (the same gate and up, down as rows of outputs).
struct Layer {
    hidden: usize,
    neurons: usize,
    gate: Slab,
    up: Slab,
    down_rows: Slab,
    down: Slab,
}

impl Layer {
    /// Neurons for which `fires` is true get a positive gate for `x`, the others a negative one.
    fn new(kernels: Kernels, hidden: usize, neurons: usize, x: &Activations, fires: impl Fn(usize) -> bool) -> Self {
        let row = FORMAT.row_bytes(hidden).expect("whole blocks");
        let rows: [Vec<Vec<u8>>; 3] = std::array::from_fn(|part| patterns(FORMAT, hidden, 1 + part as u64));
        let mut signs = [0f32; 64];
        for (sign, pattern) in signs.iter_mut().zip(&rows[0]) {
            let matrix = Matrix::new(FORMAT, 1, hidden, pattern).expect("the sizes agree");
            kernels
                .gemv(&matrix, x, std::slice::from_mut(sign))
                .expect("shapes that agree");
        }
        let slabs = [0, 1, 2].map(|part| {
            let mut slab = Slab::new(neurons * row);
            for (neuron, to) in slab.bytes_mut().chunks_exact_mut(row).enumerate() {
                to.copy_from_slice(&rows[part][(neuron * (part + 1)) % 64]);
                if part == 0 && (signs[neuron % 64] > 0.0) != fires(neuron) {
                    // The sign of every scale turns the sign of the row.
                    to.chunks_exact_mut(FORMAT.block_bytes()).for_each(|block| block[1] ^= 0x80);
                }
            }
            slab
        });
        let [gate, up, down_rows] = slabs;
        // The dense down only has the right size: what it multiplies does not change its speed.
        Self {
            hidden,
            neurons,
            gate,
            up,
            down_rows,
            down: weights(FORMAT, hidden, neurons),
        }
    }

    fn bundles(&self) -> Bundles<'_> {
        let part = |slab| Matrix::new(FORMAT, self.neurons, self.hidden, Slab::bytes(slab)).expect("the sizes agree");
        Bundles {
            gate: part(&self.gate),
            up: part(&self.up),
            down: part(&self.down_rows),
        }
    }

    fn blocks(&self) -> usize {
        self.neurons.div_ceil(SUM_BLOCK)
    }

    fn block(&self, block: usize) -> Range<usize> {
        block * SUM_BLOCK..self.neurons.min((block + 1) * SUM_BLOCK)
    }
}

/// Which gates are computed.
#[derive(Clone, Copy)]
enum Gates<'a> {
    /// All: lossless.
    All,
    /// Those of these neurons, ascending: a predictor's.
    Named(&'a [u32]),
}

/// A run of blocks, which one thread takes through all steps: what `SparseFfn` of the model crate does.
struct Run<'a> {
    first: usize,
    partials: &'a mut [f32],
    fired: &'a mut [usize],
}

/// Buffers of one FFN.
struct Buffers {
    gate: Vec<f32>,
    up: Vec<f32>,
    h: Activations,
    scratches: Vec<Mutex<ClusterScratch>>,
    partials: Vec<f32>,
    fired: Vec<usize>,
}

impl Buffers {
    fn new(layer: &Layer, threads: usize) -> Self {
        Self {
            gate: vec![0.0; layer.neurons],
            up: vec![0.0; layer.neurons],
            h: Activations::new(),
            scratches: (0..threads).map(|_| Mutex::default()).collect(),
            partials: vec![0.0; layer.blocks() * layer.hidden],
            fired: vec![0; layer.blocks()],
        }
    }

    /// The sparse kernel: gates of a run of blocks, ups of those that fire, downs summed per block, blocks added in order.
    fn sparsely(&mut self, pool: &mut Pool, kernels: Kernels, layer: &Layer, x: &Activations, gates: Gates<'_>, out: &mut [f32]) {
        let (threads, hidden) = (pool.threads(), layer.hidden);
        let mut runs = Vec::new();
        let (mut partials, mut fired) = (&mut self.partials[..], &mut self.fired[..]);
        while !fired.is_empty() {
            // Long runs first, single blocks at the end, so that the threads end together.
            let blocks = (fired.len() / (2 * threads)).max(1);
            let first = layer.blocks() - fired.len();
            let (of_run, others) = partials.split_at_mut(blocks * hidden);
            let (counts, left) = fired.split_at_mut(blocks);
            runs.push(Mutex::new(Run {
                first,
                partials: of_run,
                fired: counts,
            }));
            (partials, fired) = (others, left);
        }
        let (next, scratches) = (AtomicUsize::new(0), &self.scratches);
        pool.run(|worker| {
            let mut scratch = scratches[worker.index()].lock().expect("no thread panicked");
            while let Some(run) = runs.get(next.fetch_add(1, Ordering::Relaxed)) {
                run.lock()
                    .expect("no thread panicked")
                    .compute(kernels, layer, x, gates, &mut scratch);
            }
        });
        drop(runs);
        let (partials, fired) = (&self.partials, &self.fired);
        pool.run_split(out, 16, |first, out| {
            out.fill(0.0);
            for (partial, _) in partials.chunks_exact(hidden).zip(fired).filter(|(_, fired)| **fired > 0) {
                kernels.add(&partial[first..first + out.len()], out).expect("the same length");
            }
        });
    }

    /// The same by the cluster kernel, block by block on one thread: what the above must equal to the bit.
    fn by_clusters(kernels: Kernels, layer: &Layer, x: &Activations, out: &mut [f32]) -> usize {
        let (bundles, mut scratch, mut partial) = (layer.bundles(), ClusterScratch::new(), vec![0.0; layer.hidden]);
        let mut fired = 0;
        out.fill(0.0);
        for block in 0..layer.blocks() {
            let slots: Vec<u32> = layer.block(block).map(|neuron| neuron as u32).collect();
            let here = kernels
                .cluster(&bundles, Gating::Relu, &slots, x, &mut scratch, &mut partial)
                .expect("shapes that agree");
            if here > 0 {
                kernels.add(&partial, out).expect("the same length");
            }
            fired += here;
        }
        fired
    }

    /// Three dense products.
    fn densely(&mut self, pool: &mut Pool, kernels: Kernels, layer: &Layer, x: &Activations, out: &mut [f32]) {
        let product = |pool: &mut Pool, data: &Slab, rows, cols, x: &Activations, out: &mut [f32]| {
            let matrix = Matrix::new(FORMAT, rows, cols, data.bytes()).expect("the sizes agree");
            pool.run_split(out, 16, |first, out| {
                let part = matrix.slice(first..first + out.len()).expect("rows that exist");
                kernels.gemv(&part, x, out).expect("shapes that agree");
            });
        };
        product(pool, &layer.gate, layer.neurons, layer.hidden, x, &mut self.gate);
        product(pool, &layer.up, layer.neurons, layer.hidden, x, &mut self.up);
        kernels.relu_mul(&mut self.gate, &self.up).expect("the same length");
        kernels.quantise(&self.gate, &mut self.h);
        product(pool, &layer.down, layer.hidden, layer.neurons, &self.h, out);
    }
}

impl Run<'_> {
    fn compute(&mut self, kernels: Kernels, layer: &Layer, x: &Activations, gates: Gates<'_>, scratch: &mut ClusterScratch) {
        let Bundles { gate, up, down } = layer.bundles();
        scratch.clear();
        let of_run = layer.block(self.first).start..layer.block(self.first + self.fired.len() - 1).end;
        let done = match gates {
            Gates::All => kernels.cluster_gate(&gate, of_run, x, scratch),
            Gates::Named(neurons) => {
                let place = |end: usize| neurons.partition_point(|&neuron| (neuron as usize) < end);
                kernels.cluster_gate_rows(&gate, &neurons[place(of_run.start)..place(of_run.end)], x, scratch)
            }
        };
        done.and_then(|()| kernels.cluster_up(&up, Gating::Relu, x, scratch))
            .expect("shapes that agree");
        let (mut rows, mut values) = scratch.fired();
        for (i, partial) in self.partials.chunks_exact_mut(layer.hidden).enumerate() {
            let end = layer.block(self.first + i).end;
            let count = rows.partition_point(|&row| (row as usize) < end);
            kernels.expect_rows(&down, &rows[count..][..4.min(rows.len() - count)]);
            partial.fill(0.0);
            kernels
                .axpy_rows(&down, &rows[..count], &values[..count], partial)
                .expect("shapes that agree");
            self.fired[i] = count;
            (rows, values) = (&rows[count..], &values[count..]);
        }
    }
}

/// Shares of active neurons from few to all: lossless (the gate of every neuron is computed) and predicted (only neurons that a
/// perfect predictor names). `percentages` are those wanted; of none, all.
pub fn cluster(kernels: Kernels, percentages: &[usize]) {
    let shares: &[usize] = match percentages {
        [] => &[2, 5, 10, 20, 30, 40, 50, 70, 100],
        some => some,
    };
    for (hidden, neurons) in [(4096, 14336), (2560, 16384)] {
        println!("\nsparse FFN beside dense, {FORMAT}, {neurons} neurons of {hidden}");
        println!("active  threads  dense us  lossless us  predicted us  dense/lossless  dense/predicted");
        let mut x = Activations::new();
        kernels.quantise(&values(hidden, 7), &mut x);
        for &percent in shares {
            let fires = |neuron: usize| (neuron * 61 + neuron / 100 * 17) % 100 < percent;
            let layer = Layer::new(kernels, hidden, neurons, &x, fires);
            let named: Vec<u32> = (0..neurons as u32).filter(|&neuron| fires(neuron as usize)).collect();
            for threads in thread_counts() {
                let (mut pool, mut buffers) = (pool(threads), Buffers::new(&layer, threads));
                let (mut lossless, mut predicted, mut dense) = (vec![0f32; hidden], vec![0f32; hidden], vec![0f32; hidden]);
                let mut best = [f64::INFINITY; 3];
                for _ in 0..TURNS {
                    // A dense turn before each sparse one drives the sparse one's rows out of the caches.
                    best[0] = best[0].min(seconds(|| buffers.densely(&mut pool, kernels, &layer, &x, &mut dense)));
                    best[1] = best[1].min(seconds(|| {
                        buffers.sparsely(&mut pool, kernels, &layer, &x, Gates::All, &mut lossless)
                    }));
                    best[0] = best[0].min(seconds(|| buffers.densely(&mut pool, kernels, &layer, &x, &mut dense)));
                    best[2] = best[2].min(seconds(|| {
                        buffers.sparsely(&mut pool, kernels, &layer, &x, Gates::Named(&named), &mut predicted)
                    }));
                }
                let mut clusters = vec![0f32; hidden];
                let fired = Buffers::by_clusters(kernels, &layer, &x, &mut clusters);
                assert!(
                    (fired * 100).abs_diff(percent * neurons) <= neurons,
                    "{fired} of {neurons} fired"
                );
                assert!(
                    lossless == clusters && predicted == clusters,
                    "the same sums, however they are computed"
                );
                println!(
                    "{percent:5}%  {threads:7}  {:8.0}  {:11.0}  {:12.0}  {:14.2}  {:15.2}",
                    best[0] * 1e6,
                    best[1] * 1e6,
                    best[2] * 1e6,
                    best[0] / best[1],
                    best[0] / best[2]
                );
            }
        }
    }
}
