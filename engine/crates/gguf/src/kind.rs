//! The tensor types of ggml: code in the file, weights in a block, bytes of a block.

use std::fmt;

macro_rules! tensor_types {
    ($($(#[$doc:meta])* $name:ident = $code:literal, $weights:literal, $bytes:literal;)*) => {
        /// How a tensor's weights are stored. The names are ggml's.
        #[allow(non_camel_case_types, missing_docs)]
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        #[repr(u32)]
        pub enum TensorType { $($(#[$doc])* $name = $code,)* }

        impl TensorType {
            /// Every type, in the order of their codes.
            pub const ALL: &[TensorType] = &[$(TensorType::$name),*];

            /// The type that a file's code stands for; `None` for codes never given out or withdrawn.
            pub const fn from_code(code: u32) -> Option<Self> {
                match code { $($code => Some(TensorType::$name),)* _ => None }
            }

            /// The name that ggml's tools use.
            pub const fn name(self) -> &'static str {
                match self { $(TensorType::$name => stringify!($name),)* }
            }

            /// Weights in one block; rows are whole blocks.
            pub const fn block_weights(self) -> u64 {
                match self { $(TensorType::$name => $weights,)* }
            }

            /// Bytes of one block.
            pub const fn block_bytes(self) -> u64 {
                match self { $(TensorType::$name => $bytes,)* }
            }
        }
    };
}

// Block sizes: the static assertions beside the block structures in ggml-common.h (ggml 0.25.1).
tensor_types! {
    F32 = 0, 1, 4;
    F16 = 1, 1, 2;
    Q4_0 = 2, 32, 18;
    Q4_1 = 3, 32, 20;
    Q5_0 = 6, 32, 22;
    Q5_1 = 7, 32, 24;
    Q8_0 = 8, 32, 34;
    Q8_1 = 9, 32, 36;
    Q2_K = 10, 256, 84;
    Q3_K = 11, 256, 110;
    Q4_K = 12, 256, 144;
    Q5_K = 13, 256, 176;
    Q6_K = 14, 256, 210;
    Q8_K = 15, 256, 292;
    IQ2_XXS = 16, 256, 66;
    IQ2_XS = 17, 256, 74;
    IQ3_XXS = 18, 256, 98;
    IQ1_S = 19, 256, 50;
    IQ4_NL = 20, 32, 18;
    IQ3_S = 21, 256, 110;
    IQ2_S = 22, 256, 82;
    IQ4_XS = 23, 256, 136;
    I8 = 24, 1, 1;
    I16 = 25, 1, 2;
    I32 = 26, 1, 4;
    I64 = 27, 1, 8;
    F64 = 28, 1, 8;
    IQ1_M = 29, 256, 56;
    BF16 = 30, 1, 2;
    TQ1_0 = 34, 256, 54;
    TQ2_0 = 35, 256, 66;
    MXFP4 = 39, 32, 17;
    NVFP4 = 40, 64, 36;
    Q1_0 = 41, 128, 18;
    Q2_0 = 42, 64, 18;
}

impl TensorType {
    /// The largest code given out.
    pub const LAST_CODE: u32 = 42;

    /// The code in the file.
    pub const fn code(self) -> u32 {
        self as u32
    }

    /// Bytes of a row of `weights`; `None` when that is no whole number of blocks, or overflows.
    pub const fn row_bytes(self, weights: u64) -> Option<u64> {
        if !weights.is_multiple_of(self.block_weights()) {
            return None;
        }
        (weights / self.block_weights()).checked_mul(self.block_bytes())
    }

    /// Whether the kernels compute with it. The others are known only so that a file holding them can be described.
    pub const fn is_computable(self) -> bool {
        use TensorType::*;
        matches!(self, F32 | F16 | Q8_0 | Q6_K | Q4_0)
    }

    /// What to convert a tensor of this type to, for an error message.
    pub const fn convert_to(self) -> &'static str {
        use TensorType::*;
        match self {
            F32 | F16 | Q8_0 | Q6_K | Q4_0 => "usable as it is",
            F64 | I8 | I16 | I32 | I64 => "convert it to F32",
            BF16 => "convert the model to F16 or Q8_0 (llama-quantize IN OUT F16)",
            Q5_0 | Q5_1 | Q8_1 | Q5_K | Q8_K => {
                "convert the model to Q8_0 (llama-quantize --allow-requantize IN OUT Q8_0), best from its F16 file"
            }
            _ => "convert the model to Q4_0 (llama-quantize --allow-requantize --pure IN OUT Q4_0), best from its F16 file",
        }
    }
}

impl fmt::Display for TensorType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
