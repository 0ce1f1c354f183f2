//! Makes a backend of a proof type and its lanes: every operation is one function compiled for the backend's CPU features,
//! into which the algorithm that all backends share is inlined.

/// `vector_backend!(Proof, Lanes, "features", gemm)`: implements `Backend` for `Proof`. `gemm` is the path of a function with
/// the arguments of `Backend::gemm` after `self`, itself compiled for the features.
macro_rules! vector_backend {
    ($proof:ty, $lanes:ty, $features:literal, $gemm:path) => {
        vector_backend! { @operations $proof, $features,
            fn quantise(values: &[f32], out: $crate::activations::TokenMut<'_>) { $crate::portable::quantise(values, out) }
            fn dot_rows(
                format: $crate::Format,
                rows: $crate::rows::Rows<'_>,
                x: $crate::activations::Token<'_>,
                out: &mut [f32],
            ) { $crate::product::dot_rows::<$lanes>(format, rows, x, out) }
            fn gemm(matrix: &$crate::Matrix<'_>, x: &$crate::Activations, scratch: &mut $crate::Scratch, out: $crate::Output<'_>) {
                $gemm(matrix, x, scratch, out)
            }
            fn axpy_rows(format: $crate::Format, rows: $crate::rows::Rows<'_>, coefficients: &[f32], out: &mut [f32]) {
                $crate::product::axpy_rows::<$lanes>(format, rows, coefficients, out)
            }
            fn expect(bytes: &[u8]) { $crate::product::prefetch::<$lanes>(bytes.as_ptr(), bytes.len()) }
            fn attention(task: &$crate::attention::AttentionTask<'_>, scratch: &mut $crate::Scratch, out: $crate::Output<'_>) {
                $crate::attend::attention::<$lanes>(task, scratch, out)
            }
            fn rope(style: $crate::RopeStyle, angles: &[f32], head_dim: usize, vectors: &mut [f32]) {
                $crate::portable::rope(style, angles, head_dim, vectors)
            }
            fn rms_norm(x: &[f32], weight: &[f32], epsilon: f32, out: &mut [f32]) {
                $crate::portable::rms_norm(x, weight, epsilon, out)
            }
            fn softmax(x: &mut [f32]) { $crate::portable::softmax(x) }
            fn silu_mul(gate: &mut [f32], up: &[f32]) { $crate::portable::silu_mul(gate, up) }
            fn relu_mul(gate: &mut [f32], up: &[f32]) { $crate::portable::relu_mul(gate, up) }
            fn drelu_mul(gate: &mut [f32], up: &[f32]) { $crate::portable::drelu_mul(gate, up) }
            fn add(x: &[f32], out: &mut [f32]) { $crate::portable::add(x, out) }
            fn scale(x: &mut [f32], factor: f32) { $crate::portable::scale(x, factor) }
            fn widen(halves: &[u16], out: &mut [f32]) { $crate::lanes::widen::<$lanes>(halves, out) }
            fn narrow(values: &[f32], out: &mut [u16]) { $crate::lanes::narrow::<$lanes>(values, out) }
        }
    };
    (@operations $proof:ty, $features:literal, $(fn $name:ident($($argument:ident: $type:ty),* $(,)?) $body:block)*) => {
        impl $crate::backend::Backend for $proof {
            $(
                fn $name(self, $($argument: $type),*) {
                    /// # Safety
                    /// The CPU has the features.
                    #[target_feature(enable = $features)]
                    #[allow(unused_unsafe, reason = "some operations are safe")]
                    unsafe fn run($($argument: $type),*) {
                        // SAFETY: the shared algorithms ask for code compiled for the features, which this is, and for
                        // arguments that fit each other, which `Kernels` has checked.
                        unsafe { $body }
                    }
                    // SAFETY: only detection makes a value of this type, so `self` proves that the CPU has the features.
                    unsafe { run($($argument),*) }
                }
            )*
        }
    };
}

pub(crate) use vector_backend;
