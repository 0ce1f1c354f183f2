//! The safe top: checks shapes once, then runs the chosen backend.

use std::ops::Range;

#[cfg(target_arch = "aarch64")]
use crate::arch::neon::{Neon, NeonDot, NeonMatrix};
use crate::arch::reference::Reference;
#[cfg(target_arch = "x86_64")]
use crate::arch::{avx2::Avx2, avx512::Avx512};
use crate::attention::{Attention, AttentionTask, KvView};
use crate::backend::Backend;
use crate::error::{KernelError, long_enough, same_length};
use crate::rope::Rope;
use crate::rows::{Rows, check_listed, check_scattered};
use crate::{Activations, Format, Matrix, Output, Scratch};

/// A backend that this CPU can run: each variant holds the proof of detection. Cheap to copy.
#[derive(Clone, Copy, Debug)]
pub struct Kernels(Which);

#[derive(Clone, Copy, Debug)]
enum Which {
    #[cfg(target_arch = "x86_64")]
    Avx512(Avx512),
    #[cfg(target_arch = "x86_64")]
    Avx2(Avx2),
    #[cfg(target_arch = "aarch64")]
    NeonMatrix(NeonMatrix),
    #[cfg(target_arch = "aarch64")]
    NeonDot(NeonDot),
    #[cfg(target_arch = "aarch64")]
    Neon(Neon),
    Reference(Reference),
}

/// Runs `$call` on whichever backend it is.
macro_rules! on {
    ($kernels:expr, $backend:ident => $call:expr) => {
        match $kernels.0 {
            #[cfg(target_arch = "x86_64")]
            Which::Avx512($backend) => $call,
            #[cfg(target_arch = "x86_64")]
            Which::Avx2($backend) => $call,
            #[cfg(target_arch = "aarch64")]
            Which::NeonMatrix($backend) => $call,
            #[cfg(target_arch = "aarch64")]
            Which::NeonDot($backend) => $call,
            #[cfg(target_arch = "aarch64")]
            Which::Neon($backend) => $call,
            Which::Reference($backend) => $call,
        }
    };
}

impl Kernels {
    /// The fastest backend that this CPU can run.
    pub fn best() -> Self {
        Self::available()[0]
    }

    /// Every backend that this CPU can run, the fastest first; the last is the reference.
    pub fn available() -> Vec<Self> {
        let found = [
            #[cfg(target_arch = "x86_64")]
            Avx512::detect().map(Which::Avx512),
            #[cfg(target_arch = "x86_64")]
            Avx2::detect().map(Which::Avx2),
            #[cfg(target_arch = "aarch64")]
            NeonMatrix::detect().map(Which::NeonMatrix),
            #[cfg(target_arch = "aarch64")]
            NeonDot::detect().map(Which::NeonDot),
            #[cfg(target_arch = "aarch64")]
            Neon::detect().map(Which::Neon),
            Some(Which::Reference(Reference::detect())),
        ];
        found.into_iter().flatten().map(Self).collect()
    }

    /// The backend of this name, if this CPU can run it.
    pub fn named(name: &str) -> Option<Self> {
        Self::available().into_iter().find(|kernels| kernels.name() == name)
    }

    /// What the backend is called in results.
    pub fn name(&self) -> &'static str {
        match self.0 {
            #[cfg(target_arch = "x86_64")]
            Which::Avx512(_) => "avx512",
            #[cfg(target_arch = "x86_64")]
            Which::Avx2(_) => "avx2",
            #[cfg(target_arch = "aarch64")]
            Which::NeonMatrix(_) => "neon-i8mm",
            #[cfg(target_arch = "aarch64")]
            Which::NeonDot(_) => "neon-dotprod",
            #[cfg(target_arch = "aarch64")]
            Which::Neon(_) => "neon",
            Which::Reference(_) => "reference",
        }
    }

    /// Fills `out` with one activation vector.
    pub fn quantise(&self, values: &[f32], out: &mut Activations) {
        out.reshape(values.len(), 1);
        on!(self, backend => backend.quantise(values, out.token_mut(0)));
    }

    /// Fills `out` with `tokens` activation vectors of equal length that follow each other in `values`.
    pub fn quantise_batch(&self, values: &[f32], tokens: usize, out: &mut Activations) -> Result<(), KernelError> {
        let cols = values.len().checked_div(tokens).unwrap_or(0);
        same_length("the activations of all tokens", values.len(), cols * tokens)?;
        out.reshape(cols, tokens);
        for token in 0..tokens {
            on!(self, backend => backend.quantise(&values[token * cols..][..cols], out.token_mut(token)));
        }
        Ok(())
    }

    /// `out[i] = dot(row i, x)`. `x` holds one token.
    pub fn gemv(&self, matrix: &Matrix<'_>, x: &Activations, out: &mut [f32]) -> Result<(), KernelError> {
        same_length("the output", out.len(), matrix.rows())?;
        check_token(matrix.cols(), x)?;
        on!(self, backend => backend.dot_rows(matrix.format(), Rows::All(matrix), x.token(0), out));
        Ok(())
    }

    /// `out[i] = dot(row rows[i], x)`. `x` holds one token; rows may come in any order and more than once.
    pub fn gemv_rows(&self, matrix: &Matrix<'_>, rows: &[u32], x: &Activations, out: &mut [f32]) -> Result<(), KernelError> {
        same_length("the output", out.len(), rows.len())?;
        check_listed(rows, matrix.rows())?;
        check_token(matrix.cols(), x)?;
        on!(self, backend => backend.dot_rows(matrix.format(), Rows::Listed(matrix, rows), x.token(0), out));
        Ok(())
    }

    /// `out[i] = dot(rows[i], x)` for rows of `cols` weights that lie anywhere (slots of a cache, say), the same bits as of
    /// `gemv_rows`. `x` holds one token. Fails when a row is not exactly as long as `cols` weights of this format.
    pub fn gemv_scattered(
        &self,
        format: Format,
        cols: usize,
        rows: &[&[u8]],
        x: &Activations,
        out: &mut [f32],
    ) -> Result<(), KernelError> {
        same_length("the output", out.len(), rows.len())?;
        check_scattered(format, cols, rows)?;
        check_token(cols, x)?;
        on!(self, backend => backend.dot_rows(format, Rows::Scattered(rows), x.token(0), out));
        Ok(())
    }

    /// `out.line(t)[i] = dot(row i, token t)`, the same bits as `gemv` of that token. `out` is as wide as the matrix has rows.
    pub fn gemm(&self, matrix: &Matrix<'_>, x: &Activations, scratch: &mut Scratch, out: Output<'_>) -> Result<(), KernelError> {
        same_length("the output lines", out.tokens(), x.tokens())?;
        same_length("the output width", out.width(), matrix.rows())?;
        if x.tokens() > 0 {
            same_length("the activations", x.cols(), matrix.cols())?;
        }
        if x.tokens() > 0 && matrix.rows() > 0 {
            on!(self, backend => backend.gemm(matrix, x, scratch, out));
        }
        Ok(())
    }

    /// out += coefficient * row, for one row of this format.
    pub fn axpy(&self, format: Format, row: &[u8], coefficient: f32, out: &mut [f32]) -> Result<(), KernelError> {
        self.axpy_scattered(format, &[row], &[coefficient], out)
    }

    /// `out += coefficients[i] * row rows[i]`, one i after the other (each element sees them in that order).
    pub fn axpy_rows(&self, matrix: &Matrix<'_>, rows: &[u32], coefficients: &[f32], out: &mut [f32]) -> Result<(), KernelError> {
        same_length("the output", out.len(), matrix.cols())?;
        same_length("the coefficients", coefficients.len(), rows.len())?;
        check_listed(rows, matrix.rows())?;
        on!(self, backend => backend.axpy_rows(matrix.format(), Rows::Listed(matrix, rows), coefficients, out));
        Ok(())
    }

    /// Asks for rows that will soon be added, so that they are on their way when `axpy_rows` starts with them. Rows that do not
    /// exist are left out; nothing else happens.
    pub fn expect_rows(&self, matrix: &Matrix<'_>, rows: &[u32]) {
        for &row in rows.iter().filter(|&&row| (row as usize) < matrix.rows()) {
            on!(self, backend => backend.expect(matrix.row(row as usize)));
        }
    }

    /// `out += coefficients[i] * rows[i]`, one i after the other, for rows that lie anywhere: the same bits as of `axpy_rows`.
    /// Fails when a row is not exactly as long as `out.len()` weights of this format.
    pub fn axpy_scattered(
        &self,
        format: Format,
        rows: &[&[u8]],
        coefficients: &[f32],
        out: &mut [f32],
    ) -> Result<(), KernelError> {
        same_length("the coefficients", coefficients.len(), rows.len())?;
        check_scattered(format, out.len(), rows)?;
        on!(self, backend => backend.axpy_rows(format, Rows::Scattered(rows), coefficients, out));
        Ok(())
    }

    /// Causal attention of one or several consecutive tokens for the key-value heads in `kv_heads`.
    ///
    /// `queries` is tokens by heads by head_dim; token t stands at position `first_position + t`, and its key and value are
    /// already in `kv`. `out` has a line per token with the outputs of the query heads of `kv_heads` next to each other. A
    /// caller splits heads over threads with `Output::split_at`.
    #[expect(
        clippy::too_many_arguments,
        reason = "one argument per operand; a struct would only rename them"
    )]
    pub fn attention(
        &self,
        shape: &Attention,
        queries: &[f32],
        first_position: usize,
        kv: &KvView<'_>,
        kv_heads: Range<usize>,
        scratch: &mut Scratch,
        out: Output<'_>,
    ) -> Result<(), KernelError> {
        if shape.kv_heads == 0 || shape.head_dim == 0 {
            return Err(KernelError::Zero {
                what: "the number or size of the key-value heads",
            });
        }
        let group = shape.heads / shape.kv_heads;
        same_length("the query heads", shape.heads, group * shape.kv_heads)?;
        if kv_heads.end > shape.kv_heads || kv_heads.start > kv_heads.end {
            return Err(KernelError::NoSuchRow {
                row: kv_heads.end.max(kv_heads.start),
                rows: shape.kv_heads,
            });
        }
        let tokens = out.tokens();
        same_length("the queries", queries.len(), tokens * shape.heads * shape.head_dim)?;
        same_length("the output width", out.width(), kv_heads.len() * group * shape.head_dim)?;
        kv.check(shape)?;
        long_enough(
            "the KV cache's filled part",
            kv.positions,
            first_position.saturating_add(tokens),
        )?;
        let task = AttentionTask {
            shape: *shape,
            queries,
            tokens,
            first_position,
            kv: *kv,
            kv_heads,
        };
        if out.width() > 0 && tokens > 0 {
            on!(self, backend => backend.attention(&task, scratch, out));
        }
        Ok(())
    }

    /// Rotates every head in `vectors` (heads of `head_dim`, one after the other) by the angles of one position, which
    /// `Rope::angles` gives. Numbers of a head past `rope.dims()` stay.
    pub fn rope(&self, rope: &Rope, angles: &[f32], head_dim: usize, vectors: &mut [f32]) -> Result<(), KernelError> {
        same_length("the rope angles", angles.len(), rope.dims())?;
        long_enough("a head", head_dim, rope.dims())?;
        if head_dim == 0 {
            return Err(KernelError::Zero {
                what: "the size of a head",
            });
        }
        same_length("the vectors", vectors.len(), vectors.len() / head_dim * head_dim)?;
        on!(self, backend => backend.rope(rope.style(), angles, head_dim, vectors));
        Ok(())
    }

    /// out = x / sqrt(mean(x²) + epsilon) * weight.
    pub fn rms_norm(&self, x: &[f32], weight: &[f32], epsilon: f32, out: &mut [f32]) -> Result<(), KernelError> {
        same_length("the norm's weights", weight.len(), x.len())?;
        same_length("the output", out.len(), x.len())?;
        on!(self, backend => backend.rms_norm(x, weight, epsilon, out));
        Ok(())
    }

    /// x = e^(x - greatest), divided by the sum of these.
    pub fn softmax(&self, x: &mut [f32]) {
        on!(self, backend => backend.softmax(x));
    }

    /// gate = silu(gate) * up.
    pub fn silu_mul(&self, gate: &mut [f32], up: &[f32]) -> Result<(), KernelError> {
        same_length("up", up.len(), gate.len())?;
        on!(self, backend => backend.silu_mul(gate, up));
        Ok(())
    }

    /// gate = relu(gate) * up.
    pub fn relu_mul(&self, gate: &mut [f32], up: &[f32]) -> Result<(), KernelError> {
        same_length("up", up.len(), gate.len())?;
        on!(self, backend => backend.relu_mul(gate, up));
        Ok(())
    }

    /// gate = relu(gate) * relu(up).
    pub fn drelu_mul(&self, gate: &mut [f32], up: &[f32]) -> Result<(), KernelError> {
        same_length("up", up.len(), gate.len())?;
        on!(self, backend => backend.drelu_mul(gate, up));
        Ok(())
    }

    /// out = out + x.
    pub fn add(&self, x: &[f32], out: &mut [f32]) -> Result<(), KernelError> {
        same_length("the output", out.len(), x.len())?;
        on!(self, backend => backend.add(x, out));
        Ok(())
    }

    /// x = x * factor.
    pub fn scale(&self, x: &mut [f32], factor: f32) {
        on!(self, backend => backend.scale(x, factor));
    }

    /// binary16 to f32.
    pub fn widen(&self, halves: &[u16], out: &mut [f32]) -> Result<(), KernelError> {
        same_length("the output", out.len(), halves.len())?;
        on!(self, backend => backend.widen(halves, out));
        Ok(())
    }

    /// f32 to binary16, nearest, ties to even.
    pub fn narrow(&self, values: &[f32], out: &mut [u16]) -> Result<(), KernelError> {
        same_length("the output", out.len(), values.len())?;
        on!(self, backend => backend.narrow(values, out));
        Ok(())
    }

    /// The `k` greatest of `values`, greatest first; see [`crate::top_k`].
    pub fn top_k(&self, values: &[f32], k: usize, out: &mut Vec<(u32, f32)>) {
        crate::top::top_k(values, k, out);
    }
}

/// `Ok` when `x` is one token as long as a row.
fn check_token(cols: usize, x: &Activations) -> Result<(), KernelError> {
    same_length("the tokens of a matrix-vector product", x.tokens(), 1)?;
    same_length("the activations", x.cols(), cols)
}
