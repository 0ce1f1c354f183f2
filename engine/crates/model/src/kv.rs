//! Keys and values of the positions so far.

use neuron::{Attention, Kernels, KvView, Output};

use crate::attend::attend_f32;
use crate::share::{Shared, Workplace};
use crate::{ModelConfig, ModelError};

/// How keys and values are kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum KvFormat {
    /// Half precision: what is meant to be used, and llama.cpp's default.
    #[default]
    F16,
    /// Single precision, without vector kernels: for comparisons, where only the order of sums may differ.
    F32,
}

impl KvFormat {
    /// All of them.
    pub const ALL: [Self; 2] = [Self::F16, Self::F32];

    /// `f16` or `f32`.
    pub fn name(self) -> &'static str {
        match self {
            Self::F16 => "f16",
            Self::F32 => "f32",
        }
    }

    /// Bytes of a number.
    pub fn bytes(self) -> usize {
        match self {
            Self::F16 => 2,
            Self::F32 => 4,
        }
    }
}

enum Store {
    F16 { keys: Vec<u16>, values: Vec<u16> },
    F32 { keys: Vec<f32>, values: Vec<f32> },
}

/// The KV cache of a whole model. In memory, of a layer: head by head, position by position.
pub struct KvCache {
    layers: Vec<Store>,
    capacity: usize,
    kv_heads: usize,
    head_dim: usize,
    format: KvFormat,
}

/// One layer's part, to be written by the threads of a dispatch, each its own heads and positions.
pub(crate) enum LayerKv<'a> {
    F16 {
        keys: Shared<'a, u16>,
        values: Shared<'a, u16>,
        capacity: usize,
    },
    F32 {
        keys: Shared<'a, f32>,
        values: Shared<'a, f32>,
        capacity: usize,
    },
}

fn zeros<T: Clone + Default>(count: usize) -> Result<Vec<T>, ModelError> {
    let mut all = Vec::new();
    all.try_reserve_exact(count).map_err(|_| ModelError::OutOfMemory {
        what: "the KV cache".to_owned(),
        bytes: (count as u64).saturating_mul(size_of::<T>() as u64),
    })?;
    all.resize(count, T::default());
    Ok(all)
}

impl KvCache {
    /// Room for `capacity` positions.
    pub fn new(config: &ModelConfig, format: KvFormat, capacity: usize) -> Result<Self, ModelError> {
        if capacity == 0 {
            let what = "a context of 0 positions; must be at least 1".to_owned();
            return Err(ModelError::Misuse { what });
        }
        let count = config
            .kv_width()
            .checked_mul(capacity)
            .filter(|&count| count < usize::MAX / 8);
        let count = count.ok_or_else(|| ModelError::OutOfMemory {
            what: "the KV cache".to_owned(),
            bytes: u64::MAX,
        })?;
        let store = || -> Result<Store, ModelError> {
            Ok(match format {
                KvFormat::F16 => Store::F16 {
                    keys: zeros(count)?,
                    values: zeros(count)?,
                },
                KvFormat::F32 => Store::F32 {
                    keys: zeros(count)?,
                    values: zeros(count)?,
                },
            })
        };
        Ok(Self {
            layers: (0..config.layers).map(|_| store()).collect::<Result<_, _>>()?,
            capacity,
            kv_heads: config.kv_heads,
            head_dim: config.head_dim,
            format,
        })
    }

    /// Positions that there is room for.
    pub fn capacity(&self) -> usize {
        self.capacity
    }

    /// How keys and values are kept.
    pub fn format(&self) -> KvFormat {
        self.format
    }

    /// Its size (bytes).
    pub fn bytes(&self) -> u64 {
        (self.layers.len() * 2 * self.kv_heads * self.head_dim * self.capacity * self.format.bytes()) as u64
    }

    pub(crate) fn layer(&mut self, layer: usize) -> LayerKv<'_> {
        let capacity = self.capacity;
        match &mut self.layers[layer] {
            Store::F16 { keys, values } => LayerKv::F16 {
                keys: Shared::new(keys),
                values: Shared::new(values),
                capacity,
            },
            Store::F32 { keys, values } => LayerKv::F32 {
                keys: Shared::new(keys),
                values: Shared::new(values),
                capacity,
            },
        }
    }
}

impl LayerKv<'_> {
    /// Keeps the key and value of one head at one position.
    ///
    /// # Safety
    /// No other thread writes this head at this position, or reads it, meanwhile.
    pub(crate) unsafe fn store(
        &self,
        kernels: &Kernels,
        head: usize,
        position: usize,
        key: &[f32],
        value: &[f32],
    ) -> Result<(), ModelError> {
        let (Self::F16 { capacity, .. } | Self::F32 { capacity, .. }) = self;
        let start = (head * capacity + position) * key.len();
        let place = start..start + key.len();
        match self {
            Self::F16 { keys, values, .. } => {
                // SAFETY: this head and position belong to this thread, by the contract.
                let (key_place, value_place) = unsafe { (keys.part(place.clone()), values.part(place)) };
                kernels.narrow(key, key_place)?;
                kernels.narrow(value, value_place)?;
            }
            Self::F32 { keys, values, .. } => {
                // SAFETY: as above.
                let (key_place, value_place) = unsafe { (keys.part(place.clone()), values.part(place)) };
                key_place.copy_from_slice(key);
                value_place.copy_from_slice(value);
            }
        }
        Ok(())
    }

    /// Attention of some consecutive tokens, the first at `first_position`, for one key-value head.
    ///
    /// # Safety
    /// No other thread writes this head meanwhile.
    #[expect(clippy::too_many_arguments, reason = "the operands of an attention")]
    pub(crate) unsafe fn attend(
        &self,
        kernels: &Kernels,
        shape: &Attention,
        queries: &[f32],
        first_position: usize,
        head: KvHead,
        place: &mut Workplace,
        out: Output<'_>,
    ) -> Result<(), ModelError> {
        let positions = first_position + out.tokens();
        let (Self::F16 { capacity, .. } | Self::F32 { capacity, .. }) = self;
        let start = head.cached * capacity * shape.head_dim;
        let range = start..start + positions * shape.head_dim;
        match self {
            Self::F16 { keys, values, .. } => {
                let view = KvView {
                    // SAFETY: nobody else writes this head, by the contract.
                    keys: unsafe { keys.part(range.clone()) },
                    // SAFETY: as above.
                    values: unsafe { values.part(range) },
                    positions,
                    position_stride: shape.head_dim,
                    // The view is of one head, whichever it is among those asking.
                    head_stride: 0,
                };
                let heads = head.asking..head.asking + 1;
                kernels.attention(shape, queries, first_position, &view, heads, &mut place.scratch, out)?;
            }
            Self::F32 { keys, values, .. } => {
                // SAFETY: as above.
                let (keys, values) = unsafe { (&*keys.part(range.clone()), &*values.part(range)) };
                attend_f32(
                    shape,
                    queries,
                    first_position,
                    head.asking,
                    keys,
                    values,
                    &mut place.floats,
                    out,
                );
            }
        }
        Ok(())
    }
}

/// A key-value head: its number in the cache, and among the heads whose queries are handed over.
#[derive(Clone, Copy)]
pub(crate) struct KvHead {
    pub(crate) cached: usize,
    pub(crate) asking: usize,
}
