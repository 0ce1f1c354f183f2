//! What attention is asked to do.

use crate::error::{KernelError, long_enough};

/// The shape of an attention layer: `heads` query heads in groups that share one of `kv_heads` key-value heads.
#[derive(Clone, Copy, Debug)]
pub struct Attention {
    /// Query heads.
    pub heads: usize,
    /// Key-value heads; divides `heads`.
    pub kv_heads: usize,
    /// Numbers per head, of keys and of values.
    pub head_dim: usize,
    /// What scores are multiplied by, usually 1 / sqrt(head_dim).
    pub scale: f32,
    /// When set, a token sees only itself and the `window - 1` positions before it.
    pub window: Option<usize>,
}

impl Attention {
    /// The positions that the token at `position` sees.
    #[inline(always)]
    pub fn sees(&self, position: usize) -> std::ops::Range<usize> {
        let first = match self.window {
            Some(window) => (position + 1).saturating_sub(window.max(1)),
            None => 0,
        };
        first..position + 1
    }
}

/// Keys and values of the positions so far, in binary16. The key of position p and head h starts at number
/// `p * position_stride + h * head_stride`, and so does the value.
#[derive(Clone, Copy, Debug)]
pub struct KvView<'a> {
    /// The keys.
    pub keys: &'a [u16],
    /// The values.
    pub values: &'a [u16],
    /// How many positions are filled.
    pub positions: usize,
    /// Numbers from one position to the next.
    pub position_stride: usize,
    /// Numbers from one head to the next.
    pub head_stride: usize,
}

impl KvView<'_> {
    /// `Ok` when every head of every position lies inside both slices.
    pub(crate) fn check(&self, shape: &Attention) -> Result<(), KernelError> {
        if self.positions == 0 || shape.kv_heads == 0 {
            return Ok(());
        }
        let last = (self.positions - 1).checked_mul(self.position_stride);
        let head = (shape.kv_heads - 1).checked_mul(self.head_stride);
        let wanted = last
            .zip(head)
            .and_then(|(a, b)| a.checked_add(b))
            .and_then(|start| start.checked_add(shape.head_dim));
        let wanted = wanted.ok_or(KernelError::TooLarge { what: "the KV cache" })?;
        long_enough("the key cache", self.keys.len(), wanted)?;
        long_enough("the value cache", self.values.len(), wanted)
    }

    /// Where the key and value of this head at this position start.
    #[inline(always)]
    pub(crate) fn at(&self, position: usize, kv_head: usize) -> usize {
        position * self.position_stride + kv_head * self.head_stride
    }
}

/// An attention whose parts have been checked against each other.
pub(crate) struct AttentionTask<'a> {
    pub(crate) shape: Attention,
    /// Tokens by heads by head_dim.
    pub(crate) queries: &'a [f32],
    pub(crate) tokens: usize,
    /// The position of the first token.
    pub(crate) first_position: usize,
    pub(crate) kv: KvView<'a>,
    /// The key-value heads to compute.
    pub(crate) kv_heads: std::ops::Range<usize>,
}

impl AttentionTask<'_> {
    /// Query heads per key-value head.
    #[inline(always)]
    pub(crate) fn group(&self) -> usize {
        self.shape.heads / self.shape.kv_heads
    }

    /// The query of `token` for query head `head`.
    #[inline(always)]
    pub(crate) fn query(&self, token: usize, head: usize) -> &[f32] {
        &self.queries[(token * self.shape.heads + head) * self.shape.head_dim..][..self.shape.head_dim]
    }
}
