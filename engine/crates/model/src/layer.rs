//! Attention of one layer: from the normed residual stream to its contribution.

use neuron::{Activations, Attention, Kernels, Rope};
use pool::{Pool, Worker};

use crate::kv::{KvHead, LayerKv};
use crate::share::{Faults, GRAIN, Shared, Table, Work, Workplace, product};
use crate::{LayerAttention, LayerWeights, ModelConfig, ModelError, Tensor};

/// Buffers of attention, for the largest batch so far.
#[derive(Default)]
pub(crate) struct AttentionBuffers {
    /// Tokens by query heads.
    queries: Vec<f32>,
    /// Tokens by key-value heads.
    keys: Vec<f32>,
    /// Tokens by key-value heads.
    values: Vec<f32>,
    /// Tokens by query heads: what attention makes of the values.
    mixed: Vec<f32>,
    /// The same, as the kernels want it; used for batches, where one thread quantises for all.
    activations: Activations,
}

/// Attention of one layer for some consecutive tokens.
pub(crate) struct AttentionStep<'a> {
    pub(crate) kernels: &'a Kernels,
    pub(crate) config: &'a ModelConfig,
    pub(crate) weights: &'a LayerWeights,
    pub(crate) kind: LayerAttention,
    pub(crate) rope: &'a Rope,
    /// Rope angles of the tokens: tokens by `rope.dims()`.
    pub(crate) angles: &'a [f32],
    /// The position of the first token.
    pub(crate) first_position: usize,
    /// The normed inputs.
    pub(crate) input: &'a Activations,
}

/// Tokens that one task of a prefill rotates or attends for.
const TOKENS_PER_TASK: usize = 16;

impl AttentionStep<'_> {
    fn shape(&self) -> Attention {
        Attention {
            heads: self.config.heads,
            kv_heads: self.config.kv_heads,
            head_dim: self.config.head_dim,
            scale: 1.0 / (self.config.head_dim as f32).sqrt(),
            window: self.kind.window,
        }
    }

    /// The three projections: matrix, bias, and where their rows begin when counted through.
    fn projections(&self) -> [(&Tensor, Option<&[f32]>, usize); 3] {
        let (weights, biases) = (self.weights, &self.weights.biases);
        let (query, kv) = (self.config.query_width(), self.config.kv_width());
        [
            (&weights.query, biases.query.as_deref(), 0),
            (&weights.key, biases.key.as_deref(), query),
            (&weights.value, biases.value.as_deref(), query + kv),
        ]
    }

    /// Queries, keys and values of the rows in `chunk`, counted through.
    fn project(&self, chunk: std::ops::Range<usize>, tables: &[Table<'_>; 3], place: &mut Workplace) -> Result<(), ModelError> {
        for ((tensor, bias, begin), table) in self.projections().into_iter().zip(tables) {
            let rows = chunk.start.max(begin)..chunk.end.min(begin + tensor.rows());
            if rows.is_empty() {
                continue;
            }
            let rows = rows.start - begin..rows.end - begin;
            // SAFETY: the chunks of a phase are handed out once, so the columns belong to this thread.
            let columns = || unsafe { table.columns(rows.clone()) };
            let scratch = &mut place.scratch;
            product(self.kernels, &tensor.matrix()?, rows.clone(), self.input, scratch, columns())?;
            if let Some(bias) = bias {
                let mut lines = columns();
                for token in 0..lines.tokens() {
                    self.kernels.add(&bias[rows.clone()], lines.line(token))?;
                }
            }
        }
        Ok(())
    }

    /// Rotates the query heads and the key of key-value head `head` for one token, and keeps key and value.
    ///
    /// # Safety
    /// No other thread touches this head of this token, in the tables or in `kv`.
    unsafe fn settle(&self, token: usize, head: usize, tables: &[Table<'_>; 3], kv: &LayerKv<'_>) -> Result<(), ModelError> {
        let (dim, group) = (self.config.head_dim, self.group());
        let own = head * dim..(head + 1) * dim;
        // SAFETY: this head of this token belongs to this thread, by the contract.
        let [mut queries, mut keys, mut values] = unsafe {
            [
                tables[0].columns(head * group..(head + 1) * group),
                tables[1].columns(own.clone()),
                tables[2].columns(own),
            ]
        };
        let key = keys.line(token);
        if self.kind.rope {
            let angles = &self.angles[token * self.rope.dims()..][..self.rope.dims()];
            self.kernels.rope(self.rope, angles, dim, queries.line(token))?;
            self.kernels.rope(self.rope, angles, dim, key)?;
        }
        // SAFETY: as above.
        unsafe { kv.store(self.kernels, head, self.first_position + token, key, values.line(token)) }
    }

    /// Numbers of the query heads that share a key-value head.
    fn group(&self) -> usize {
        self.config.heads / self.config.kv_heads * self.config.head_dim
    }

    /// Rows of the output projection, bias included.
    fn output(
        &self,
        rows: std::ops::Range<usize>,
        x: &Activations,
        place_scratch: &mut neuron::Scratch,
        out: &Table<'_>,
    ) -> Result<(), ModelError> {
        // SAFETY: the chunks of a phase are handed out once.
        let columns = || unsafe { out.columns(rows.clone()) };
        let matrix = self.weights.output.matrix()?;
        product(self.kernels, &matrix, rows.clone(), x, place_scratch, columns())?;
        if let Some(bias) = &self.weights.biases.output {
            let mut lines = columns();
            for token in 0..lines.tokens() {
                self.kernels.add(&bias[rows.clone()], lines.line(token))?;
            }
        }
        Ok(())
    }

    /// Overwrites `out` (tokens by hidden) with the layer's attention.
    pub(crate) fn compute(
        &self,
        pool: &mut Pool,
        places: &mut [Workplace],
        buffers: &mut AttentionBuffers,
        kv: &LayerKv<'_>,
        out: &mut [f32],
    ) -> Result<(), ModelError> {
        let tokens = self.input.tokens();
        let (query, kv_width) = (self.config.query_width(), self.config.kv_width());
        buffers.queries.resize(tokens * query, 0.0);
        buffers.keys.resize(tokens * kv_width, 0.0);
        buffers.values.resize(tokens * kv_width, 0.0);
        buffers.mixed.resize(tokens * query, 0.0);
        if tokens == 1 {
            self.one(pool, places, buffers, kv, out)
        } else {
            self.many(pool, places, buffers, kv, out)
        }
    }

    /// One token: one dispatch with two barriers.
    fn one(
        &self,
        pool: &mut Pool,
        places: &mut [Workplace],
        buffers: &mut AttentionBuffers,
        kv: &LayerKv<'_>,
        out: &mut [f32],
    ) -> Result<(), ModelError> {
        let (config, faults, group) = (self.config, Faults::default(), self.group());
        let (query, kv_width, threads) = (config.query_width(), config.kv_width(), pool.threads());
        let project = Work::new(query + 2 * kv_width, GRAIN, threads);
        let attend = Work::tasks(config.kv_heads);
        let output = Work::new(config.hidden, GRAIN, threads);
        // A key-value head and the queries that share it, as if there were no others: threads then share nothing.
        let shape = Attention {
            heads: config.heads / config.kv_heads,
            kv_heads: 1,
            ..self.shape()
        };
        let tables = [
            Table::new(&mut buffers.queries, 1, query)?,
            Table::new(&mut buffers.keys, 1, kv_width)?,
            Table::new(&mut buffers.values, 1, kv_width)?,
        ];
        let (mixed, places) = (Shared::new(&mut buffers.mixed), Shared::new(places));
        let out = Table::new(out, 1, config.hidden)?;
        let attend_head = |head: usize, place: &mut Workplace| -> Result<(), ModelError> {
            // SAFETY: every head is handed out once, and its projections were written before the barrier.
            let (mut queries, mix) = unsafe {
                self.settle(0, head, &tables, kv)?;
                let columns = head * group..(head + 1) * group;
                (tables[0].columns(columns.clone()), mixed.part(columns))
            };
            let line = neuron::Output::new(mix, 1, group)?;
            let (queries, position) = (queries.line(0), self.first_position);
            let of = KvHead { cached: head, asking: 0 };
            // SAFETY: this thread alone writes this head, and has done so.
            unsafe { kv.attend(self.kernels, &shape, queries, position, of, place, line) }
        };
        pool.run(|worker: Worker<'_>| {
            // SAFETY: each thread has its own place.
            let place = &mut unsafe { places.part(worker.index()..worker.index() + 1) }[0];
            for chunk in &project {
                faults.note(self.project(chunk, &tables, place));
            }
            worker.barrier();
            for head in (&attend).into_iter().flatten() {
                faults.note(attend_head(head, place));
            }
            worker.barrier();
            // SAFETY: all of it was written before the barrier.
            self.kernels.quantise(unsafe { mixed.all() }, &mut place.activations);
            for rows in &output {
                faults.note(self.output(rows, &place.activations, &mut place.scratch, &out));
            }
        });
        faults.result()
    }

    /// Many tokens: a dispatch for each phase.
    fn many(
        &self,
        pool: &mut Pool,
        places: &mut [Workplace],
        buffers: &mut AttentionBuffers,
        kv: &LayerKv<'_>,
        out: &mut [f32],
    ) -> Result<(), ModelError> {
        let (config, shape, tokens) = (self.config, self.shape(), self.input.tokens());
        let (query, kv_width, threads) = (config.query_width(), config.kv_width(), pool.threads());
        let (group, faults) = (self.group(), Faults::default());

        let project = Work::new(query + 2 * kv_width, 4 * GRAIN, threads);
        let settle = Work::new(tokens, 1, threads);
        let tables = [
            Table::new(&mut buffers.queries, tokens, query)?,
            Table::new(&mut buffers.keys, tokens, kv_width)?,
            Table::new(&mut buffers.values, tokens, kv_width)?,
        ];
        pool.run_each(places, |_, place| {
            for chunk in &project {
                faults.note(self.project(chunk, &tables, place));
            }
        });
        pool.run(|_| {
            for token in (&settle).into_iter().flatten() {
                for head in 0..config.kv_heads {
                    // SAFETY: every token is handed out once.
                    faults.note(unsafe { self.settle(token, head, &tables, kv) });
                }
            }
        });

        let parts = tokens.div_ceil(TOKENS_PER_TASK);
        let attend = Work::tasks(parts);
        let queries = &buffers.queries;
        let mixed = Shared::new(&mut buffers.mixed);
        let attend_part = |part: usize, place: &mut Workplace| -> Result<(), ModelError> {
            let (first, end) = (part * TOKENS_PER_TASK, ((part + 1) * TOKENS_PER_TASK).min(tokens));
            // SAFETY: every part is handed out once.
            let lines = unsafe { mixed.part(first * query..end * query) };
            let mut rest = neuron::Output::new(lines, end - first, query)?;
            for head in 0..config.kv_heads {
                let (columns, after) = rest.split_at(group);
                rest = after;
                let (queries, position) = (&queries[first * query..end * query], self.first_position + first);
                let of = KvHead {
                    cached: head,
                    asking: head,
                };
                // SAFETY: keys and values were all kept in the dispatch before.
                unsafe { kv.attend(self.kernels, &shape, queries, position, of, place, columns)? };
            }
            Ok(())
        };
        pool.run_each(places, |_, place| {
            for task in (&attend).into_iter().flatten() {
                // The last tokens see the most: they come first, so that no thread ends with a long task.
                faults.note(attend_part(parts - 1 - task, place));
            }
        });

        self.kernels
            .quantise_batch(&buffers.mixed, tokens, &mut buffers.activations)?;
        let (activations, output) = (&buffers.activations, Work::new(config.hidden, 4 * GRAIN, threads));
        let out = Table::new(out, tokens, config.hidden)?;
        pool.run_each(places, |_, place| {
            for rows in &output {
                faults.note(self.output(rows, activations, &mut place.scratch, &out));
            }
        });
        faults.result()
    }
}
