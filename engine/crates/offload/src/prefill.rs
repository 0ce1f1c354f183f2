//! Many tokens through one layer: the layer's experts are streamed in order, each block computed while the next ones are read.

use flash::{LayerLayout, Part, Stream, Target};
use model::Route;
use neuron::{Activations, Bundles, ClusterScratch, Gating, Kernels, Matrix, Output, SUM_BLOCK};
use pool::Pool;
use spans::Activity;

use crate::Offload;
use crate::counters::LayerCounters;
use crate::error::OffloadError;
use crate::keep::StreamedBlock;
use crate::phase::Phase;
use crate::units::{Rows, Units, copy_rows};

/// Neurons of a streamed block: whole sum blocks, a few megabytes.
const BLOCK_NEURONS: u32 = 1024;
/// Tags of streams, apart from those of decode.
const FIRST_TAG: u64 = 1 << 40;

/// Buffers that grow once.
#[derive(Default)]
pub(crate) struct PrefillScratch {
    gate: Vec<u8>,
    up: Vec<u8>,
    down: Vec<u8>,
    /// Tokens by neurons of the block.
    gates: Vec<f32>,
    /// How often each neuron of the block fired.
    pub(crate) counts: Vec<u32>,
    /// Tokens of the expert by width.
    input: Vec<f32>,
    sums: Vec<f32>,
    threads: Vec<ThreadScratch>,
}

#[derive(Default)]
struct ThreadScratch {
    kernels: neuron::Scratch,
    partial: Vec<f32>,
    activations: Activations,
    token: Activations,
    ups: Vec<f32>,
    slots: Vec<u32>,
    fired: Vec<u32>,
    firing: Vec<f32>,
    cluster: ClusterScratch,
    counts: Vec<u32>,
    count: u64,
    error: Option<neuron::KernelError>,
}

impl Offload {
    /// The FFN of one layer for `tokens` tokens, dense in what is read and sparse in what is computed. `input` is tokens by width
    /// (normed), `routes` has `experts_used` entries a token, ascending. `out` (tokens by width) is overwritten. The same bits as
    /// `decode` of each token.
    pub fn prefill(
        &mut self,
        pool: &mut Pool,
        layer: usize,
        routes: &[Route],
        experts_used: usize,
        input: &[f32],
        out: &mut [f32],
    ) -> Result<LayerCounters, OffloadError> {
        let width = self.ground.units.width as usize;
        let tokens = routes.len() / experts_used.max(1);
        self.check(layer, routes, out.len(), tokens)?;
        self.check(layer, routes, input.len(), tokens)?;
        self.enter(Phase::Prefill)?;
        self.settle();
        let mut counters = LayerCounters::default();
        let step = BLOCK_NEURONS.max(self.ground.units.group);
        let used: Vec<u32> = (0..self.ground.units.experts)
            .filter(|expert| routes.iter().any(|route| route.expert == *expert))
            .collect();
        let mut targets: Vec<Target> = Vec::new();
        for &expert in &used {
            for start in (0..self.ground.units.neurons).step_by(step as usize) {
                let end = (start + step).min(self.ground.units.neurons);
                targets.push(self.ground.units.target(layer as u32, expert, Part::Whole, start..end));
            }
        }
        let reader = std::sync::Arc::clone(&self.ground.reader);
        let mut stream = Stream::new(&*reader, targets, self.ground.options.prefill_ahead.max(1), FIRST_TAG)?;
        for &expert in &used {
            let mine: Vec<(usize, Route)> = routes
                .iter()
                .enumerate()
                .filter(|(_, route)| route.expert == expert)
                .map(|(place, route)| (place, *route))
                .collect();
            let scratch = &mut self.prefill;
            scratch.input.clear();
            for &(place, _) in &mine {
                scratch
                    .input
                    .extend_from_slice(&input[place / experts_used * width..][..width]);
            }
            scratch.sums.clear();
            scratch.sums.resize(mine.len() * width, 0.0);
            scratch
                .threads
                .resize_with(pool.threads().max(scratch.threads.len()), ThreadScratch::default);
            for start in (0..self.ground.units.neurons).step_by(step as usize) {
                let positions = start..(start + step).min(self.ground.units.neurons);
                let begun = self.ground.tracer.begin();
                let Some(block) = stream.next() else { break };
                self.ground.tracer.together(begun, Activity::Wait, Some(layer));
                if let Some((started, finished)) = stream.last_read() {
                    self.ground.tracer.read(Activity::Stream, layer, started, finished);
                }
                let (_, data) = block?;
                let begun = self.ground.tracer.begin();
                counters.bytes += data.bytes();
                let layout: &LayerLayout = &self.ground.file.layers()[layer];
                let rows = positions.len();
                for (which, bytes, slab) in [
                    (Rows::Gate, self.ground.units.gate_row, &mut scratch.gate),
                    (Rows::Up, self.ground.units.up_row, &mut scratch.up),
                    (Rows::Down, self.ground.units.down_row, &mut scratch.down),
                ] {
                    slab.resize((rows * bytes).max(slab.len()), 0);
                    copy_rows(layout, &data, which, expert, positions.clone(), slab)?;
                }
                drop(data);
                compute_block(
                    self.ground.kernels,
                    self.ground.gating,
                    &self.ground.units,
                    pool,
                    scratch,
                    rows,
                )?;
                let block = StreamedBlock {
                    layer: layer as u32,
                    expert,
                    positions,
                    gates: &scratch.gate,
                    ups: &scratch.up,
                    downs: &scratch.down,
                    fired: &scratch.counts,
                };
                self.ground.tracer.together(begun, Activity::DenseFfn, Some(layer));
                let begun = self.ground.tracer.begin();
                block.keep(&self.ground.units, &mut self.cache)?;
                self.ground.tracer.together(begun, Activity::Cache, Some(layer));
            }
            for (sum, &(place, route)) in scratch.sums.chunks_exact(width).zip(&mine) {
                let out = &mut out[place / experts_used * width..][..width];
                // Experts come in ascending order, as a token's routes do: the first one begins the sum. (`SumExperts`)
                if place % experts_used == 0 {
                    out.iter_mut().zip(sum).for_each(|(out, sum)| *out = route.weight * sum);
                } else {
                    out.iter_mut().zip(sum).for_each(|(out, sum)| *out += route.weight * sum);
                }
            }
        }
        drop(stream);
        counters.fired = self
            .prefill
            .threads
            .iter_mut()
            .map(|thread| std::mem::take(&mut thread.count))
            .sum();
        self.totals += counters;
        Ok(counters)
    }
}

/// One streamed block for all tokens of its expert: the gate as a matrix product, up and down only where it fired.
fn compute_block(
    kernels: Kernels,
    gating: Gating,
    units: &Units,
    pool: &mut Pool,
    scratch: &mut PrefillScratch,
    rows: usize,
) -> Result<(), OffloadError> {
    let width = units.width as usize;
    let tokens = scratch.input.len() / width;
    scratch.gates.resize((tokens * rows).max(scratch.gates.len()), 0.0);
    let bundles = Bundles {
        gate: Matrix::new(units.gate, rows, width, &scratch.gate)?,
        up: Matrix::new(units.up, rows, width, &scratch.up)?,
        down: Matrix::new(units.down, rows, width, &scratch.down)?,
    };
    // Each thread takes a share of the tokens from gate to down: no barrier, and a token's sums are made by one thread in order.
    let share = tokens.div_ceil(pool.threads().max(1)).max(1);
    let mut parts: Vec<Share<'_>> = scratch
        .gates
        .chunks_mut(share * rows)
        .zip(scratch.sums.chunks_mut(share * width))
        .zip(scratch.threads.iter_mut())
        .enumerate()
        .take(tokens.div_ceil(share))
        .map(|(index, ((gates, sums), thread))| Share {
            first: index * share,
            count: share.min(tokens - index * share),
            gates,
            sums,
            thread,
        })
        .collect();
    let input = &scratch.input;
    let at_work = parts.len();
    pool.run_each(&mut parts, |_, part| {
        let outcome = part.run(kernels, gating, &bundles, input, width);
        part.thread.error = outcome.err();
    });
    for part in parts {
        if let Some(error) = part.thread.error.take() {
            return Err(error.into());
        }
    }
    scratch.counts.clear();
    scratch.counts.resize(rows, 0);
    for thread in &scratch.threads[..at_work] {
        for (sum, count) in scratch.counts.iter_mut().zip(&thread.counts) {
            *sum += count;
        }
    }
    Ok(())
}

/// A thread's tokens.
struct Share<'a> {
    first: usize,
    count: usize,
    gates: &'a mut [f32],
    sums: &'a mut [f32],
    thread: &'a mut ThreadScratch,
}

impl Share<'_> {
    fn run(
        &mut self,
        kernels: Kernels,
        gating: Gating,
        bundles: &Bundles<'_>,
        input: &[f32],
        width: usize,
    ) -> Result<(), neuron::KernelError> {
        let gate = &bundles.gate;
        let rows = gate.rows();
        let scratch = &mut *self.thread;
        let mine = &input[self.first * width..][..self.count * width];
        kernels.quantise_batch(mine, self.count, &mut scratch.activations)?;
        let gates = &mut self.gates[..self.count * rows];
        kernels.gemm(
            gate,
            &scratch.activations,
            &mut scratch.kernels,
            Output::new(gates, self.count, rows)?,
        )?;
        scratch.partial.resize(width, 0.0);
        scratch.counts.clear();
        scratch.counts.resize(rows, 0);
        if gating == Gating::Silu {
            return self.run_all(kernels, bundles, width);
        }
        for token in 0..self.count {
            kernels.quantise(&mine[token * width..][..width], &mut scratch.token);
            let x = &scratch.token;
            let sum = &mut self.sums[token * width..][..width];
            let gates = &gates[token * rows..][..rows];
            for block in (0..rows).step_by(SUM_BLOCK) {
                let slots = block..(block + SUM_BLOCK).min(rows);
                scratch.slots.clear();
                scratch.slots.extend(slots.clone().map(|row| row as u32));
                kernels.fire(&scratch.slots, &gates[slots], &mut scratch.fired, &mut scratch.firing)?;
                let (fired, firing) = (&scratch.fired, &scratch.firing);
                fired.iter().for_each(|&row| scratch.counts[row as usize] += 1);
                let counted =
                    kernels.cluster_up_down(bundles, gating, fired, firing, x, &mut scratch.cluster, &mut scratch.partial)?;
                if counted > 0 {
                    kernels.add(&scratch.partial, sum)?;
                    scratch.count += counted as u64;
                }
            }
        }
        Ok(())
    }

    /// What follows the gates where every neuron counts: up as a matrix product too, down row by row in the order of decoding.
    fn run_all(&mut self, kernels: Kernels, bundles: &Bundles<'_>, width: usize) -> Result<(), neuron::KernelError> {
        let rows = bundles.gate.rows();
        let scratch = &mut *self.thread;
        scratch.ups.resize((self.count * rows).max(scratch.ups.len()), 0.0);
        let ups = &mut scratch.ups[..self.count * rows];
        let out = Output::new(ups, self.count, rows)?;
        kernels.gemm(&bundles.up, &scratch.activations, &mut scratch.kernels, out)?;
        for token in 0..self.count {
            let firing = &mut self.gates[token * rows..][..rows];
            kernels.silu_mul(firing, &scratch.ups[token * rows..][..rows])?;
            let sum = &mut self.sums[token * width..][..width];
            for block in (0..rows).step_by(SUM_BLOCK) {
                let slots = block..(block + SUM_BLOCK).min(rows);
                scratch.slots.clear();
                scratch.slots.extend(slots.clone().map(|row| row as u32));
                scratch.partial.fill(0.0);
                kernels.axpy_rows(&bundles.down, &scratch.slots, &firing[slots], &mut scratch.partial)?;
                kernels.add(&scratch.partial, sum)?;
            }
            scratch.count += rows as u64;
        }
        scratch.counts.fill(self.count as u32);
        Ok(())
    }
}
