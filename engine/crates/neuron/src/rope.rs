//! The angles of rotary position embedding.

use crate::error::{KernelError, same_length};

/// Which two numbers of a head make a pair.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RopeStyle {
    /// Numbers 2i and 2i + 1 (llama in GGUF).
    Adjacent,
    /// Numbers i and i + pairs (NEOX: qwen2, smallthinker).
    Neox,
}

/// The frequencies of a model's rotary embedding. Angles are worked out in f64 and rounded once.
#[derive(Clone, Debug)]
pub struct Rope {
    style: RopeStyle,
    frequencies: Vec<f64>,
}

impl Rope {
    /// Frequencies base^(-2i / dims) * position_scale / `factors[i]` for the dims / 2 pairs of a head. `dims` (an even number,
    /// the count of numbers that turn) may be less than the head has; `position_scale` is 1 unless the model stretches its
    /// context linearly; `factors` is the model's `rope_freqs` tensor, if it has one (dims / 2 numbers).
    pub fn new(
        style: RopeStyle,
        dims: usize,
        base: f64,
        position_scale: f64,
        factors: Option<&[f32]>,
    ) -> Result<Self, KernelError> {
        if !dims.is_multiple_of(2) {
            return Err(KernelError::Length {
                what: "the rotated part of a head",
                got: dims,
                want: dims + 1,
            });
        }
        if let Some(factors) = factors {
            same_length("the rope factors", factors.len(), dims / 2)?;
        }
        let frequency = |i: usize| {
            let factor = factors.map_or(1.0, |factors| f64::from(factors[i]));
            base.powf(-2.0 * i as f64 / dims as f64) * position_scale / factor
        };
        Ok(Self {
            style,
            frequencies: (0..dims / 2).map(frequency).collect(),
        })
    }

    /// Which pairs turn.
    pub fn style(&self) -> RopeStyle {
        self.style
    }

    /// How many numbers of a head turn; also the length of the angles of one position.
    pub fn dims(&self) -> usize {
        self.frequencies.len() * 2
    }

    /// Writes cosine and sine of every pair at `position`: `out` has `dims()` numbers.
    pub fn angles(&self, position: usize, out: &mut [f32]) -> Result<(), KernelError> {
        same_length("the rope angles", out.len(), self.dims())?;
        for (out, frequency) in out.as_chunks_mut::<2>().0.iter_mut().zip(&self.frequencies) {
            let (sin, cos) = (position as f64 * frequency).sin_cos();
            *out = [cos as f32, sin as f32];
        }
        Ok(())
    }
}
