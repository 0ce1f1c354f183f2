//! Norm, softmax and the elementwise operations.

use super::exponential::exp;
use crate::half::{f16_to_f32, f32_to_f16};
use crate::order::{CHAINS, fold};

/// The sum of `term(x)` in the order of `order.rs`.
#[inline(always)]
fn sum_of_squares(x: &[f32]) -> f32 {
    let mut chains = [0.0f32; CHAINS];
    let (whole, rest) = x.as_chunks::<CHAINS>();
    for part in whole {
        for j in 0..CHAINS {
            chains[j] = part[j].mul_add(part[j], chains[j]);
        }
    }
    for (chain, value) in chains.iter_mut().zip(rest) {
        *chain = value.mul_add(*value, *chain);
    }
    fold(chains)
}

/// out = x / sqrt(mean(x²) + epsilon) * weight.
#[inline(always)]
pub(crate) fn rms_norm(x: &[f32], weight: &[f32], epsilon: f32, out: &mut [f32]) {
    if x.is_empty() {
        return;
    }
    let inverse = 1.0 / (sum_of_squares(x) / x.len() as f32 + epsilon).sqrt();
    for ((out, x), weight) in out.iter_mut().zip(x).zip(weight) {
        *out = x * inverse * weight;
    }
}

#[inline(always)]
fn greatest(x: &[f32]) -> f32 {
    let mut chains = [f32::NEG_INFINITY; CHAINS];
    let (whole, rest) = x.as_chunks::<CHAINS>();
    for part in whole {
        for j in 0..CHAINS {
            chains[j] = if part[j] > chains[j] { part[j] } else { chains[j] };
        }
    }
    for (chain, &value) in chains.iter_mut().zip(rest) {
        *chain = if value > *chain { value } else { *chain };
    }
    chains.into_iter().fold(
        f32::NEG_INFINITY,
        |greatest, value| if value > greatest { value } else { greatest },
    )
}

/// Replaces every x by e^(x - greatest) and returns the sum of these.
#[inline(always)]
pub(crate) fn exponentials(x: &mut [f32]) -> f32 {
    let greatest = greatest(x);
    let mut chains = [0.0f32; CHAINS];
    let (whole, rest) = x.as_chunks_mut::<CHAINS>();
    for part in whole {
        for j in 0..CHAINS {
            part[j] = exp(part[j] - greatest);
            chains[j] += part[j];
        }
    }
    for (chain, value) in chains.iter_mut().zip(rest) {
        *value = exp(*value - greatest);
        *chain += *value;
    }
    fold(chains)
}

/// Replaces x by its softmax.
#[inline(always)]
pub(crate) fn softmax(x: &mut [f32]) {
    if x.is_empty() {
        return;
    }
    let inverse = 1.0 / exponentials(x);
    scale(x, inverse);
}

/// x = x * factor.
#[inline(always)]
pub(crate) fn scale(x: &mut [f32], factor: f32) {
    for x in x {
        *x *= factor;
    }
}

/// out = out + x.
#[inline(always)]
pub(crate) fn add(x: &[f32], out: &mut [f32]) {
    for (out, x) in out.iter_mut().zip(x) {
        *out += x;
    }
}

/// gate = silu(gate) * up, where silu(x) = x / (1 + e^-x).
#[inline(always)]
pub(crate) fn silu_mul(gate: &mut [f32], up: &[f32]) {
    for (gate, up) in gate.iter_mut().zip(up) {
        *gate = *gate / (1.0 + exp(-*gate)) * up;
    }
}

#[inline(always)]
fn relu(x: f32) -> f32 {
    if x > 0.0 { x } else { 0.0 }
}

/// gate = relu(gate) * up.
#[inline(always)]
pub(crate) fn relu_mul(gate: &mut [f32], up: &[f32]) {
    for (gate, up) in gate.iter_mut().zip(up) {
        *gate = relu(*gate) * up;
    }
}

/// gate = relu(gate) * relu(up).
#[inline(always)]
pub(crate) fn drelu_mul(gate: &mut [f32], up: &[f32]) {
    for (gate, up) in gate.iter_mut().zip(up) {
        *gate = relu(*gate) * relu(*up);
    }
}

/// binary16 to f32.
#[inline(always)]
pub(crate) fn widen(halves: &[u16], out: &mut [f32]) {
    for (out, &half) in out.iter_mut().zip(halves) {
        *out = f16_to_f32(half);
    }
}

/// f32 to binary16.
#[inline(always)]
pub(crate) fn narrow(values: &[f32], out: &mut [u16]) {
    for (out, &value) in out.iter_mut().zip(values) {
        *out = f32_to_f16(value);
    }
}
