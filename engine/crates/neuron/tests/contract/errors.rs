//! What a caller gets wrong comes back as a value that says what would be right.

use neuron::{
    Activations, Attention, Bundles, ClusterScratch, Format, Gating, KernelError, Kernels, KvView, Matrix, Output, Rope,
    RopeStyle, Scratch,
};

use crate::data::quantised;

#[test]
fn matrices_are_checked_when_they_are_made() {
    let data = [0u8; 72];
    assert!(Matrix::new(Format::Q4_0, 2, 64, &data).is_ok());
    let short = Matrix::new(Format::Q4_0, 3, 64, &data).unwrap_err();
    assert_eq!(short.to_string(), "the matrix data is too short: 72; needs at least 108");
    let ragged = Matrix::new(Format::Q8_0, 1, 40, &data).unwrap_err();
    assert_eq!(
        ragged.to_string(),
        "row length does not fit Q8_0: 40; must be a multiple of 32"
    );
    let narrow = Matrix::strided(Format::Q4_0, 2, 64, 35, &data).unwrap_err();
    assert_eq!(narrow.to_string(), "the row stride is too short: 35; needs at least 36");
    assert!(matches!(
        Matrix::strided(Format::F32, usize::MAX, 1, usize::MAX, &data),
        Err(KernelError::TooLarge { .. })
    ));
    assert!(Matrix::strided(Format::F32, 0, 1, 4, &[]).is_ok());
    let matrix = Matrix::new(Format::Q4_0, 2, 64, &data).unwrap();
    assert_eq!(
        matrix.slice(1..3).unwrap_err().to_string(),
        "no such row: 3; the matrix has 2"
    );
    assert!(matrix.slice(2..2).unwrap().rows() == 0);
}

#[test]
fn products_are_checked() {
    let data = [0u8; 72];
    let matrix = Matrix::new(Format::Q4_0, 2, 64, &data).unwrap();
    for kernels in Kernels::available() {
        let (x, long) = (quantised(kernels, &[1.0; 64]), quantised(kernels, &[1.0; 96]));
        let mut two = Activations::new();
        kernels.quantise_batch(&[1.0; 128], 2, &mut two).unwrap();
        assert!(kernels.quantise_batch(&[1.0; 127], 2, &mut Activations::new()).is_err());
        assert!(kernels.quantise_batch(&[1.0; 127], 0, &mut Activations::new()).is_err());
        assert_eq!(
            kernels.gemv(&matrix, &x, &mut [0.0; 3]).unwrap_err().to_string(),
            "wrong length of the output: 3; must be 2"
        );
        assert!(kernels.gemv(&matrix, &long, &mut [0.0; 2]).is_err());
        assert!(kernels.gemv(&matrix, &two, &mut [0.0; 2]).is_err());
        let far = kernels.gemv_rows(&matrix, &[0, 2], &x, &mut [0.0; 2]).unwrap_err();
        assert_eq!(far, KernelError::NoSuchRow { row: 2, rows: 2 });
        assert!(kernels.gemv_rows(&matrix, &[0], &x, &mut [0.0; 2]).is_err());
        let mut out = [0.0; 8];
        let mut gemm =
            |x, tokens, width| kernels.gemm(&matrix, x, &mut Scratch::new(), Output::new(&mut out, tokens, width).unwrap());
        assert!(gemm(&two, 2, 2).is_ok());
        assert!(gemm(&two, 1, 2).is_err());
        assert!(gemm(&two, 2, 3).is_err());
        assert!(gemm(&long, 1, 2).is_err());
        assert!(Output::new(&mut out, 3, 3).is_err());
        assert!(kernels.axpy(Format::Q4_0, &data, 1.0, &mut [0.0; 64]).is_err());
        assert!(kernels.axpy_rows(&matrix, &[2], &[1.0], &mut [0.0; 64]).is_err());
        assert!(kernels.axpy_rows(&matrix, &[0], &[1.0; 2], &mut [0.0; 64]).is_err());

        let (row, cut) = (&data[..36], &data[..35]);
        let gemv = |cols, rows: &[&[u8]], x, outputs: usize| {
            kernels.gemv_scattered(Format::Q4_0, cols, rows, x, &mut vec![0.0; outputs])
        };
        assert!(gemv(64, &[row, row], &x, 2).is_ok());
        assert_eq!(
            gemv(64, &[row, cut], &x, 2).unwrap_err().to_string(),
            "wrong length of a row that lies anywhere: 35; must be 36"
        );
        assert!(gemv(64, &[row], &x, 2).is_err());
        assert!(gemv(96, &[&data[..54]], &x, 1).is_err(), "activations of another length");
        assert!(gemv(64, &[row], &two, 1).is_err());
        assert!(matches!(gemv(65, &[row], &x, 1), Err(KernelError::Ragged { .. })));
        let axpy = |rows: &[&[u8]], coefficients: &[f32], outputs: usize| {
            kernels.axpy_scattered(Format::Q4_0, rows, coefficients, &mut vec![0.0; outputs])
        };
        assert!(axpy(&[row, row], &[1.0; 2], 64).is_ok());
        assert!(axpy(&[row, &data[..37]], &[1.0; 2], 64).is_err());
        assert!(axpy(&[row], &[1.0; 2], 64).is_err());
        assert!(axpy(&[row], &[1.0], 96).is_err());

        let bundles = Bundles {
            gate: matrix,
            up: matrix,
            down: matrix,
        };
        let mut scratch = ClusterScratch::new();
        assert!(
            kernels
                .cluster(&bundles, Gating::Relu, &[0, 5], &x, &mut scratch, &mut [0.0; 64])
                .is_err()
        );
        assert!(
            kernels
                .cluster(&bundles, Gating::Relu, &[0, 1], &x, &mut scratch, &mut [0.0; 63])
                .is_err()
        );
        assert!(
            kernels
                .cluster_up_down(&bundles, Gating::Relu, &[2], &[1.0], &x, &mut scratch, &mut [0.0; 64])
                .is_err()
        );
        assert!(
            kernels
                .cluster_up_down(&bundles, Gating::Relu, &[1], &[], &x, &mut scratch, &mut [0.0; 64])
                .is_err()
        );
    }
}

#[test]
fn attention_and_the_rest_are_checked() {
    let shape = Attention {
        heads: 4,
        kv_heads: 2,
        head_dim: 8,
        scale: 1.0,
        window: None,
    };
    let cache = [0u16; 48];
    let kv = KvView {
        keys: &cache,
        values: &cache,
        positions: 3,
        position_stride: 16,
        head_stride: 8,
    };
    for kernels in Kernels::available() {
        let run = |shape: Attention, queries: usize, first, kv: KvView<'_>, heads, width| {
            let mut out = vec![0.0; width];
            let table = Output::new(&mut out, 1, width).unwrap();
            kernels.attention(&shape, &vec![0.0; queries], first, &kv, heads, &mut Scratch::new(), table)
        };
        assert!(run(shape, 32, 2, kv, 0..2, 32).is_ok());
        assert!(run(shape, 32, 3, kv, 0..2, 32).is_err(), "position not filled");
        assert!(run(shape, 32, usize::MAX, kv, 0..2, 32).is_err(), "position overflows");
        assert!(run(shape, 31, 2, kv, 0..2, 32).is_err());
        assert!(run(shape, 32, 2, kv, 0..2, 31).is_err());
        assert!(run(shape, 32, 2, kv, 1..3, 32).is_err());
        assert!(
            run(shape, 32, 2, KvView { positions: 4, ..kv }, 0..2, 32).is_err(),
            "cache too short"
        );
        assert!(
            run(
                shape,
                32,
                2,
                KvView {
                    position_stride: usize::MAX,
                    ..kv
                },
                0..2,
                32
            )
            .is_err()
        );
        assert!(run(Attention { heads: 3, ..shape }, 24, 2, kv, 0..2, 24).is_err());
        assert!(run(Attention { kv_heads: 0, ..shape }, 32, 2, kv, 0..0, 0).is_err());
        assert!(kernels.rms_norm(&[1.0], &[1.0; 2], 0.0, &mut [0.0]).is_err());
        assert!(kernels.silu_mul(&mut [1.0], &[1.0; 2]).is_err());
        let rope = Rope::new(RopeStyle::Neox, 8, 1e4, 1.0, None).unwrap();
        assert!(
            kernels.rope(&rope, &[0.0; 8], 4, &mut [0.0; 8]).is_err(),
            "a head smaller than its rotated part"
        );
        assert!(kernels.rope(&rope, &[0.0; 6], 8, &mut [0.0; 8]).is_err());
        assert!(kernels.rope(&rope, &[0.0; 8], 8, &mut [0.0; 12]).is_err());
    }
    assert!(Rope::new(RopeStyle::Neox, 7, 1e4, 1.0, None).is_err());
    assert!(Rope::new(RopeStyle::Neox, 8, 1e4, 1.0, Some(&[1.0; 3])).is_err());
}
