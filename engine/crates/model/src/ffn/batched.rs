//! The FFN of many tokens at once: matrix-matrix products, expert by expert.

use std::sync::atomic::{AtomicU64, Ordering};

use neuron::{Activations, Kernels, Matrix, SUM_BLOCK, Scratch};
use pool::{Pool, Worker};

use super::shape::{Grouping, Shape, activate};
use super::{FfnBatch, SumExperts, add_partial};
use crate::share::{Faults, GRAIN, Shared, Table, Work, product};
use crate::{ModelError, Tensor};

/// Working memory for prefill; grows to the largest batch. The steps are `gate_up`, `down` (or another way to fill
/// `outputs`), `combine`.
#[derive(Default)]
pub(crate) struct Batched {
    pub(crate) grouping: Grouping,
    /// Activations of the neurons: routes (in the order of the grouping) by neurons.
    pub(crate) values: Vec<f32>,
    up: Vec<f32>,
    /// What the experts make of their tokens: routes (in that order) by hidden.
    pub(crate) outputs: Vec<f32>,
    /// For each group, its tokens' inputs and then their activations.
    inputs: Vec<Activations>,
    scratches: Vec<Scratch>,
    sparse: Vec<SparsePlace>,
}

/// One thread's lists for sparse down products.
#[derive(Default)]
struct SparsePlace {
    rows: Vec<u32>,
    values: Vec<f32>,
    partial: Vec<f32>,
}

impl SparsePlace {
    /// Adds one block's sum to `output`: neurons with activations `values`, whose down rows are `row..`.
    fn add_block(
        &mut self,
        kernels: &Kernels,
        down: &Matrix<'_>,
        row: usize,
        values: &[f32],
        output: &mut [f32],
    ) -> Result<usize, ModelError> {
        self.rows.clear();
        self.values.clear();
        for (neuron, &value) in values.iter().enumerate() {
            if value != 0.0 {
                self.rows.push((row + neuron) as u32);
                self.values.push(value);
            }
        }
        if !self.rows.is_empty() {
            self.partial.clear();
            self.partial.resize(output.len(), 0.0);
            kernels.axpy_rows(down, &self.rows, &self.values, &mut self.partial)?;
            add_partial(&self.partial, output);
        }
        Ok(self.rows.len())
    }
}

/// One table for each group, cut from a buffer of lines.
fn tables<'a>(buffer: &'a mut [f32], grouping: &Grouping, width: usize) -> Result<Vec<Table<'a>>, ModelError> {
    let mut rest = buffer;
    let mut tables = Vec::with_capacity(grouping.experts.len());
    for ends in grouping.starts.windows(2) {
        let (lines, after) = rest.split_at_mut((ends[1] - ends[0]) * width);
        tables.push(Table::new(lines, ends[1] - ends[0], width)?);
        rest = after;
    }
    Ok(tables)
}

impl Batched {
    /// Fills `values`: activation(gate, up) of every neuron of every route.
    pub(crate) fn gate_up(
        &mut self,
        kernels: &Kernels,
        pool: &mut Pool,
        shape: &Shape,
        gate: &Tensor,
        up: &Tensor,
        batch: &FfnBatch<'_>,
    ) -> Result<(), ModelError> {
        self.grouping.group(batch, shape.experts);
        self.scratches.resize_with(pool.threads(), Scratch::new);
        let (groups, numbers) = (self.grouping.experts.len(), batch.routes.len() * shape.neurons);
        self.values.resize(numbers.max(self.values.len()), 0.0);
        self.up.resize(numbers.max(self.up.len()), 0.0);
        self.inputs.resize_with(groups.max(self.inputs.len()), Activations::new);
        let grouping = &self.grouping;
        if shape.experts > 1 {
            pool.run_each(&mut self.inputs[..groups], |group, input| {
                let tokens = &grouping.tokens[grouping.starts[group]..grouping.starts[group + 1]];
                batch.activations.gather(tokens, input);
            });
        }
        let values = tables(&mut self.values[..numbers], grouping, shape.neurons)?;
        let ups = tables(&mut self.up[..numbers], grouping, shape.neurons)?;
        let (gate, up) = (gate.matrix()?, up.matrix()?);
        let (inputs, faults) = (&self.inputs, Faults::default());
        let work = chunks(groups, shape.neurons, pool.threads());
        pool.run_each(&mut self.scratches, |_, scratch| {
            for chunk in &work.work {
                let (group, rows) = work.split(chunk.start);
                let input = if shape.experts > 1 {
                    &inputs[group]
                } else {
                    batch.activations
                };
                let first = grouping.experts[group] as usize * shape.neurons;
                let of_matrix = first + rows.start..first + rows.end;
                let mut one = || -> Result<(), ModelError> {
                    // SAFETY: every chunk of columns of a group is handed out once.
                    let columns = || unsafe { (values[group].columns(rows.clone()), ups[group].columns(rows.clone())) };
                    let (gates, upper) = columns();
                    product(kernels, &gate, of_matrix.clone(), input, scratch, gates)?;
                    product(kernels, &up, of_matrix.clone(), input, scratch, upper)?;
                    let (mut gates, mut upper) = columns();
                    for token in 0..gates.tokens() {
                        activate(kernels, shape.activation, gates.line(token), upper.line(token))?;
                    }
                    Ok(())
                };
                faults.note(one());
            }
        });
        faults.result()
    }

    /// Fills `outputs` by the source's down matrix.
    pub(crate) fn down(&mut self, kernels: &Kernels, pool: &mut Pool, shape: &Shape, down: &Tensor) -> Result<(), ModelError> {
        let grouping = &self.grouping;
        let (groups, routes) = (grouping.experts.len(), grouping.tokens.len());
        let (values, faults) = (&self.values, Faults::default());
        pool.run_each(&mut self.inputs[..groups], |group, input| {
            let (start, end) = (grouping.starts[group], grouping.starts[group + 1]);
            let values = &values[start * shape.neurons..end * shape.neurons];
            faults.note(kernels.quantise_batch(values, end - start, input).map_err(ModelError::from));
        });
        self.outputs.resize((routes * shape.hidden).max(self.outputs.len()), 0.0);
        let outputs = tables(&mut self.outputs[..routes * shape.hidden], grouping, shape.hidden)?;
        let (matrix, inputs) = (down.matrix()?, &self.inputs);
        let work = chunks(groups, shape.hidden, pool.threads());
        pool.run_each(&mut self.scratches, |_, scratch| {
            for chunk in &work.work {
                let (group, rows) = work.split(chunk.start);
                let first = grouping.experts[group] as usize * shape.hidden;
                // SAFETY: every chunk of columns of a group is handed out once.
                let columns = unsafe { outputs[group].columns(rows.clone()) };
                let rows = first + rows.start..first + rows.end;
                faults.note(product(kernels, &matrix, rows, &inputs[group], scratch, columns));
            }
        });
        faults.result()
    }

    /// Fills `outputs` by down with a row for each neuron (transposed), from the neurons that fired only, in the order of sums
    /// that a single token has. Returns how many fired.
    pub(crate) fn down_rows(
        &mut self,
        kernels: &Kernels,
        pool: &mut Pool,
        shape: &Shape,
        down: &Tensor,
    ) -> Result<u64, ModelError> {
        let (grouping, values, hidden) = (&self.grouping, &self.values, shape.hidden);
        let (routes, matrix) = (grouping.tokens.len(), down.matrix()?);
        self.outputs.resize((routes * hidden).max(self.outputs.len()), 0.0);
        self.sparse.resize_with(pool.threads(), SparsePlace::default);
        let (outputs, places) = (
            Shared::new(&mut self.outputs[..routes * hidden]),
            Shared::new(&mut self.sparse),
        );
        let (faults, total) = (Faults::default(), AtomicU64::new(0));
        pool.run(|worker: Worker<'_>| {
            // SAFETY: each thread has its own place.
            let place = &mut unsafe { places.part(worker.index()..worker.index() + 1) }[0];
            let lines = worker.share(routes, 1);
            // SAFETY: the threads' shares do not overlap.
            let outputs = unsafe { outputs.part(lines.start * hidden..lines.end * hidden) };
            outputs.fill(0.0);
            for (group, &expert) in grouping.experts.iter().enumerate() {
                let of_group = lines.start.max(grouping.starts[group])..lines.end.min(grouping.starts[group + 1]);
                if of_group.is_empty() {
                    continue;
                }
                // Block by block, so that its rows stay in the cache for all tokens of this thread.
                for first in (0..shape.neurons).step_by(SUM_BLOCK) {
                    let block = first..shape.neurons.min(first + SUM_BLOCK);
                    for line in of_group.clone() {
                        let values = &values[line * shape.neurons..][block.clone()];
                        let row = expert as usize * shape.neurons + first;
                        let output = &mut outputs[(line - lines.start) * hidden..][..hidden];
                        match place.add_block(kernels, &matrix, row, values, output) {
                            Ok(fired) => drop(total.fetch_add(fired as u64, Ordering::Relaxed)),
                            Err(error) => faults.note(Err(error)),
                        }
                    }
                }
            }
        });
        faults.result()?;
        Ok(total.into_inner())
    }

    /// out = for every token, the sum of its experts' outputs times their weights.
    pub(crate) fn combine(
        &self,
        pool: &mut Pool,
        shape: &Shape,
        batch: &FfnBatch<'_>,
        out: &mut [f32],
    ) -> Result<(), ModelError> {
        let (hidden, used) = (shape.hidden, batch.experts_used);
        let work = Work::new(batch.tokens, 1, pool.threads());
        let out = Shared::new(out);
        pool.run(|_| {
            for token in (&work).into_iter().flatten() {
                // SAFETY: every token is handed out once.
                let mut sum = SumExperts::new(unsafe { out.part(token * hidden..(token + 1) * hidden) });
                for slot in token * used..(token + 1) * used {
                    let place = self.grouping.places[slot] as usize;
                    sum.add(batch.routes[slot].weight, &self.outputs[place * hidden..][..hidden]);
                }
                sum.finish();
            }
        });
        Ok(())
    }
}

/// The rows of every group in chunks that do not cross from one group to the next.
struct Chunks {
    work: Work,
    rows: usize,
    chunk: usize,
    per_group: usize,
}

fn chunks(groups: usize, rows: usize, threads: usize) -> Chunks {
    // Many groups are work enough for all threads by themselves.
    let chunk = (rows * groups)
        .div_ceil(threads * 8)
        .next_multiple_of(4 * GRAIN)
        .min(rows.max(1));
    let per_group = rows.div_ceil(chunk);
    Chunks {
        work: Work::tasks(groups * per_group),
        rows,
        chunk,
        per_group,
    }
}

impl Chunks {
    /// Group and rows of chunk number `index`.
    fn split(&self, index: usize) -> (usize, std::ops::Range<usize>) {
        let start = index % self.per_group * self.chunk;
        (index / self.per_group, start..(start + self.chunk).min(self.rows))
    }
}
