//! Formats of weight rows that the kernels read, with GGUF's type numbers and block layouts.

// Beside the kernels' `Format`: this crate lays bytes out and computes nothing with them, so it knows no kernels and they know no files. What the
// two must agree in, numbers and sizes of the formats, a test of crate model compares (`model/src/ffn/load_packed.rs`); formats that are computed
// with and never packed, such as Q6_K, are no formats here.

/// Format of one row of weights (GGUF block layouts; rows of the block formats are multiples of 32 weights).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum WeightFormat {
    /// 4 bytes a weight.
    F32,
    /// 2 bytes a weight, IEEE half precision.
    F16,
    /// 34 bytes for 32 weights: f16 scale and 32 signed bytes.
    Q8_0,
    /// 18 bytes for 32 weights: f16 scale and 16 bytes of nibbles.
    Q4_0,
}

impl WeightFormat {
    /// All formats, in the order of their GGUF type numbers.
    pub const ALL: [Self; 4] = [Self::F32, Self::F16, Self::Q4_0, Self::Q8_0];

    /// GGUF's number of the type.
    pub fn code(self) -> u32 {
        match self {
            Self::F32 => 0,
            Self::F16 => 1,
            Self::Q4_0 => 2,
            Self::Q8_0 => 8,
        }
    }

    /// The format with that GGUF number, if the kernels read it.
    pub fn from_code(code: u32) -> Option<Self> {
        Self::ALL.into_iter().find(|format| format.code() == code)
    }

    /// Weights that share a scale; 1 where each stands alone.
    pub fn block_weights(self) -> u32 {
        match self {
            Self::F32 | Self::F16 => 1,
            Self::Q8_0 | Self::Q4_0 => 32,
        }
    }

    /// Bytes of one block.
    pub fn block_bytes(self) -> u32 {
        match self {
            Self::F32 => 4,
            Self::F16 => 2,
            Self::Q8_0 => 34,
            Self::Q4_0 => 18,
        }
    }

    /// Bytes of a row of `weights`; `None` if that is not a whole number of blocks.
    pub fn row_bytes(self, weights: u32) -> Option<u64> {
        weights
            .is_multiple_of(self.block_weights())
            .then(|| u64::from(weights / self.block_weights()) * u64::from(self.block_bytes()))
    }

    /// Lower-case name, as in options and reports.
    pub fn name(self) -> &'static str {
        match self {
            Self::F32 => "f32",
            Self::F16 => "f16",
            Self::Q8_0 => "q8_0",
            Self::Q4_0 => "q4_0",
        }
    }
}
