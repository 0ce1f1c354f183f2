//! What every backend can do. The arguments have been checked by `Kernels`: lengths agree and listed rows exist.

use crate::activations::{Activations, Token, TokenMut};
use crate::attention::AttentionTask;
use crate::output::Output;
use crate::rope::RopeStyle;
use crate::rows::Rows;
use crate::scratch::Scratch;
use crate::{Format, Matrix};

/// The operations, in the order of a forward pass. A value of a type that implements this is proof that the CPU can run it.
pub(crate) trait Backend: Copy {
    fn quantise(self, values: &[f32], out: TokenMut<'_>);
    /// out[i] = dot(row at place i, x). Rows have the length of x.
    fn dot_rows(self, format: Format, rows: Rows<'_>, x: Token<'_>, out: &mut [f32]);
    /// out.line(t)[i] = dot(row i, token t).
    fn gemm(self, matrix: &Matrix<'_>, x: &Activations, scratch: &mut Scratch, out: Output<'_>);
    /// out += coefficients[i] * row at place i, one i after the other. Rows have the length of `out`.
    fn axpy_rows(self, format: Format, rows: Rows<'_>, coefficients: &[f32], out: &mut [f32]);
    /// Asks for the cache lines of these bytes; a hint.
    fn expect(self, bytes: &[u8]);
    fn attention(self, task: &AttentionTask<'_>, scratch: &mut Scratch, out: Output<'_>);
    fn rope(self, style: RopeStyle, angles: &[f32], head_dim: usize, vectors: &mut [f32]);
    fn rms_norm(self, x: &[f32], weight: &[f32], epsilon: f32, out: &mut [f32]);
    fn softmax(self, x: &mut [f32]);
    fn silu_mul(self, gate: &mut [f32], up: &[f32]);
    fn relu_mul(self, gate: &mut [f32], up: &[f32]);
    fn drelu_mul(self, gate: &mut [f32], up: &[f32]);
    fn add(self, x: &[f32], out: &mut [f32]);
    fn scale(self, x: &mut [f32], factor: f32);
    fn widen(self, halves: &[u16], out: &mut [f32]);
    fn narrow(self, values: &[f32], out: &mut [u16]);
}
