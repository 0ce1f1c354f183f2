//! The sparse cluster kernel beside the dense FFN.

use neuron::{Activations, Bundles, ClusterScratch, Format, Gating, Kernels, Matrix, SUM_BLOCK};
use pool::Pool;

use crate::data::{patterns, pool, thread_counts, values, weights};
use crate::memory::Slab;
use crate::timing::seconds;

const TURNS: usize = 25;
const FORMAT: Format = Format::Q4_0;

/// One FFN layer twice: as a sparse engine keeps it (bundles of gate, up and transposed down, neuron by neuron) and as a dense
/// one does (three matrices, down as rows of outputs).
struct Layer {
    hidden: usize,
    neurons: usize,
    bundles: Slab,
    gate: Slab,
    up: Slab,
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
        let mut bundles = Slab::new(neurons * 3 * row);
        let (mut gate, mut up) = (Slab::new(neurons * row), Slab::new(neurons * row));
        for (neuron, bundle) in bundles.bytes_mut().chunks_exact_mut(3 * row).enumerate() {
            for (part, to) in bundle.chunks_exact_mut(row).enumerate() {
                to.copy_from_slice(&rows[part][(neuron * (part + 1)) % 64]);
            }
            if (signs[neuron % 64] > 0.0) != fires(neuron) {
                // The sign of every scale turns the sign of the row.
                bundle[..row]
                    .chunks_exact_mut(FORMAT.block_bytes())
                    .for_each(|block| block[1] ^= 0x80);
            }
            gate.bytes_mut()[neuron * row..][..row].copy_from_slice(&bundle[..row]);
            up.bytes_mut()[neuron * row..][..row].copy_from_slice(&bundle[row..2 * row]);
        }
        // The dense down only has the right size: what it multiplies does not change its speed.
        Self {
            hidden,
            neurons,
            bundles,
            gate,
            up,
            down: weights(FORMAT, hidden, neurons),
        }
    }

    fn bundled(&self) -> Bundles<'_> {
        let row = FORMAT.row_bytes(self.hidden).expect("whole blocks");
        let part = |part: usize| {
            let data = &self.bundles.bytes()[part * row..];
            Matrix::strided(FORMAT, self.neurons, self.hidden, 3 * row, data).expect("the sizes agree")
        };
        Bundles {
            gate: part(0),
            up: part(1),
            down: part(2),
        }
    }
}

/// Buffers of one FFN.
struct Buffers {
    gate: Vec<f32>,
    up: Vec<f32>,
    h: Activations,
    slots: Vec<u32>,
    fired: Vec<u32>,
    firing: Vec<f32>,
    partials: Vec<Vec<f32>>,
}

impl Buffers {
    fn new(layer: &Layer) -> Self {
        Self {
            gate: vec![0.0; layer.neurons],
            up: vec![0.0; layer.neurons],
            h: Activations::new(),
            slots: Vec::with_capacity(layer.neurons),
            fired: Vec::with_capacity(layer.neurons),
            firing: Vec::with_capacity(layer.neurons),
            partials: (0..layer.neurons.div_ceil(SUM_BLOCK))
                .map(|_| vec![0.0; layer.hidden])
                .collect(),
        }
    }

    /// The sparse kernel: gates of the neurons named, ups of those that fire, downs summed per block, blocks added in order.
    fn sparsely(
        &mut self,
        pool: &mut Pool,
        kernels: Kernels,
        layer: &Layer,
        x: &Activations,
        named: impl Fn(usize) -> bool,
        out: &mut [f32],
    ) {
        let Bundles { gate, up, down } = layer.bundled();
        self.slots.clear();
        self.slots
            .extend((0..layer.neurons).filter(|&neuron| named(neuron)).map(|neuron| neuron as u32));
        let listed = |pool: &mut Pool, matrix: &Matrix<'_>, list: &[u32], out: &mut [f32]| {
            pool.run_split(out, 4, |first, out| {
                kernels
                    .gemv_rows(matrix, &list[first..first + out.len()], x, out)
                    .expect("shapes that agree");
            });
        };
        let gates = &mut self.gate[..self.slots.len()];
        listed(pool, &gate, &self.slots, gates);
        kernels
            .fire(&self.slots, gates, &mut self.fired, &mut self.firing)
            .expect("shapes that agree");
        let ups = &mut self.up[..self.fired.len()];
        listed(pool, &up, &self.fired, ups);
        kernels.relu_mul(&mut self.firing, ups).expect("the same length");
        let (fired, firing) = (&self.fired, &self.firing);
        let block_of = |block: usize| {
            let end = |block: usize| fired.partition_point(|&neuron| (neuron as usize) < block * SUM_BLOCK);
            end(block)..end(block + 1)
        };
        pool.run_each(&mut self.partials, |block, partial| {
            let part = block_of(block);
            partial.fill(0.0);
            kernels
                .axpy_rows(&down, &fired[part.clone()], &firing[part], partial)
                .expect("shapes that agree");
        });
        out.fill(0.0);
        for (block, partial) in self.partials.iter().enumerate() {
            if !block_of(block).is_empty() {
                kernels.add(partial, out).expect("the same length");
            }
        }
    }

    /// The same by the cluster kernel, block by block on one thread: what the above must equal to the bit.
    fn by_clusters(kernels: Kernels, layer: &Layer, x: &Activations, out: &mut [f32]) -> usize {
        let (bundles, mut scratch, mut partial) = (layer.bundled(), ClusterScratch::new(), vec![0.0; layer.hidden]);
        let mut fired = 0;
        out.fill(0.0);
        for first in (0..layer.neurons).step_by(SUM_BLOCK) {
            let slots: Vec<u32> = (first..layer.neurons.min(first + SUM_BLOCK))
                .map(|neuron| neuron as u32)
                .collect();
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

/// Shares of active neurons from few to all: lossless (the gate of every neuron is computed) and predicted (only neurons that a
/// perfect predictor names).
pub fn cluster(kernels: Kernels) {
    for (hidden, neurons) in [(4096, 14336), (2560, 16384)] {
        println!("\nsparse FFN beside dense, {FORMAT}, {neurons} neurons of {hidden}");
        println!("active  threads  dense us  lossless us  predicted us  dense/lossless  dense/predicted");
        let mut x = Activations::new();
        kernels.quantise(&values(hidden, 7), &mut x);
        for percent in [2, 5, 10, 20, 30, 40, 50, 70, 100] {
            let fires = |neuron: usize| (neuron * 61 + neuron / 100 * 17) % 100 < percent;
            let layer = Layer::new(kernels, hidden, neurons, &x, fires);
            for threads in thread_counts() {
                let (mut pool, mut buffers) = (pool(threads), Buffers::new(&layer));
                let (mut lossless, mut predicted, mut dense) = (vec![0f32; hidden], vec![0f32; hidden], vec![0f32; hidden]);
                let mut best = [f64::INFINITY; 3];
                for _ in 0..TURNS {
                    // A dense turn before each sparse one drives the sparse one's rows out of the caches.
                    best[0] = best[0].min(seconds(|| buffers.densely(&mut pool, kernels, &layer, &x, &mut dense)));
                    best[1] = best[1].min(seconds(|| {
                        buffers.sparsely(&mut pool, kernels, &layer, &x, |_| true, &mut lossless)
                    }));
                    best[0] = best[0].min(seconds(|| buffers.densely(&mut pool, kernels, &layer, &x, &mut dense)));
                    best[2] = best[2].min(seconds(|| {
                        buffers.sparsely(&mut pool, kernels, &layer, &x, fires, &mut predicted)
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
