//! Matrix products: truth, reference, and the determinism law.

use neuron::{Activations, Format, Kernels, Matrix, Output, Scratch};

use crate::data::{
    KINDS, Kind, ROUNDING, Source, assert_near, assert_same, exact, lengths, numbers, quantised, seen_by, true_dot, weights,
    whole,
};

const ROWS: [usize; 9] = [0, 1, 2, 3, 4, 5, 7, 17, 33];

fn gemv(kernels: Kernels, matrix: &Matrix<'_>, x: &Activations) -> Vec<f32> {
    let mut out = vec![f32::NAN; matrix.rows()];
    kernels.gemv(matrix, x, &mut out).unwrap();
    out
}

/// A copy of the row in memory of its own, after a few bytes of something else.
fn shifted(row: &[u8], source: &mut Source) -> Vec<u8> {
    let mut copy: Vec<u8> = (0..source.below(70)).map(|_| source.next() as u8).collect();
    copy.extend_from_slice(row);
    copy
}

#[test]
fn the_backends_that_must_be_here_are_here() {
    let names: Vec<_> = Kernels::available().iter().map(Kernels::name).collect();
    assert_eq!(names.last(), Some(&"reference"));
    assert_eq!(Kernels::best().name(), names[0]);
    #[cfg(target_arch = "x86_64")]
    {
        let has = |flag: &str| std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default().contains(flag);
        assert_eq!(names.contains(&"avx2"), has(" avx2") && has(" fma") && has(" f16c"));
        assert_eq!(
            names.contains(&"avx512"),
            has(" avx512bw") && has(" avx512vl") && has(" avx512_vnni")
        );
    }
    #[cfg(target_arch = "aarch64")]
    assert!(names.contains(&"neon"));
    // Where the processor is emulated, the caller knows what it has.
    if let Ok(expected) = std::env::var("NEURONLAB_EXPECTED_BACKENDS") {
        assert_eq!(names.join(" "), expected);
    }
    for name in names {
        assert_eq!(Kernels::named(name).map(|kernels| kernels.name()), Some(name));
    }
    assert!(Kernels::named("abacus").is_none());
}

/// The truth takes the activations as the kernel sees them. A chain rounds once per group of sixteen, a quantised term once
/// more before (code sum times scale), and the fold four times; sums of magnitudes bound every partial sum. Twice that, because
/// the roundings compound, and an absolute part for products below the normal range.
#[test]
fn a_dot_product_is_near_the_truth_and_equals_the_reference() {
    let mut source = Source::new(1);
    let reference = Kernels::named("reference").unwrap();
    for format in Format::ALL {
        for kind in KINDS {
            for &cols in lengths(format) {
                let (rows, data) = (5, weights(format, kind, 5, cols, &mut source));
                let matrix = Matrix::new(format, rows, cols, &data).unwrap();
                let values = numbers(kind, cols, &mut source);
                let want = gemv(reference, &matrix, &quantised(reference, &values));
                let groups = (cols / format.block_weights()).div_ceil(16);
                for kernels in Kernels::available() {
                    let what = format!("{} {format} {kind:?} {cols} columns", kernels.name());
                    let got = gemv(kernels, &matrix, &quantised(kernels, &values));
                    assert_same(&got, &want, &what);
                    let seen = seen_by(format, &values);
                    for (row, &got) in got.iter().enumerate() {
                        let (truth, magnitude) = true_dot(&exact(format, matrix.row(row), cols), &seen);
                        let bound = 2.0 * (groups + 5) as f64 * (ROUNDING * magnitude + f64::from(f32::from_bits(1)));
                        assert_near(got, truth, bound, &what);
                    }
                }
            }
        }
    }
}

/// The product with the activations as they were given: what 8-bit activations cost. A code is off by half a step and a
/// little (three roundings of numbers up to 127), and its scale by half a unit in the last of eleven bits, or by 2^-25 where it is small.
#[test]
fn quantised_activations_are_off_by_half_a_step() {
    let mut source = Source::new(2);
    for kernels in Kernels::available() {
        for (cols, size) in [32, 96, 256, 512, 768, 1280, 1504]
            .into_iter()
            .flat_map(|cols| [1.0, 1e-3, 1e-4, 1e-6].map(|size| (cols, size)))
        {
            let values: Vec<f32> = source.values(cols).iter().map(|value| value * size).collect();
            let data = weights(Format::Q4_0, Kind::Normal, 3, cols, &mut source);
            let matrix = Matrix::new(Format::Q4_0, 3, cols, &data).unwrap();
            let got = gemv(kernels, &matrix, &quantised(kernels, &values));
            for (row, &got) in got.iter().enumerate() {
                let row = exact(Format::Q4_0, matrix.row(row), cols);
                let (truth, magnitude) = true_dot(&row, &values.iter().map(|&x| f64::from(x)).collect::<Vec<_>>());
                let step = |block: &[f32]| f64::from(block.iter().fold(0f32, |most, x| most.max(x.abs()))) / 127.0;
                let lost: f64 = (row.chunks(32).zip(values.chunks(32)))
                    .map(|(row, block)| {
                        // Where halves are subnormal their last place is 2^-24, whatever the scale.
                        let of_scale = 127.0 * (step(block) * 2f64.powi(-11)).max(2f64.powi(-25));
                        row.iter().map(|w| w.abs()).sum::<f64>() * (step(block) * (0.5 + 127.0 * 8.0 * ROUNDING) + of_scale)
                    })
                    .sum();
                assert_near(got, truth, lost + 100.0 * ROUNDING * magnitude, kernels.name());
            }
        }
    }
}

/// The law: a row alone, in a block, in any list and any split gives the same bits, and so does a matrix-matrix product.
#[test]
fn a_row_gives_the_same_bits_however_it_is_computed() {
    let mut source = Source::new(3);
    for kernels in Kernels::available() {
        for format in Format::ALL {
            for &cols in lengths(format) {
                for rows in ROWS {
                    let what = format!("{} {format} {rows} x {cols}", kernels.name());
                    let data = weights(format, Kind::Normal, rows, cols, &mut source);
                    let matrix = Matrix::new(format, rows, cols, &data).unwrap();
                    let x = quantised(kernels, &source.values(cols));
                    let whole = gemv(kernels, &matrix, &x);
                    for row in 0..rows {
                        let alone = gemv(kernels, &matrix.slice(row..row + 1).unwrap(), &x);
                        assert_same(&alone, &whole[row..row + 1], &what);
                    }
                    for _ in 0..3 {
                        let at = source.below(rows + 1);
                        let mut parts = gemv(kernels, &matrix.slice(0..at).unwrap(), &x);
                        parts.extend(gemv(kernels, &matrix.slice(at..rows).unwrap(), &x));
                        assert_same(&parts, &whole, &what);
                    }
                    if rows > 0 {
                        let list: Vec<u32> = (0..source.below(2 * rows)).map(|_| source.below(rows) as u32).collect();
                        let mut listed = vec![f32::NAN; list.len()];
                        kernels.gemv_rows(&matrix, &list, &x, &mut listed).unwrap();
                        let want: Vec<f32> = list.iter().map(|&row| whole[row as usize]).collect();
                        assert_same(&listed, &want, &what);
                        // Each row in memory of its own, at any address.
                        let owned: Vec<Vec<u8>> = list
                            .iter()
                            .map(|&row| shifted(matrix.row(row as usize), &mut source))
                            .collect();
                        let scattered: Vec<&[u8]> = owned.iter().map(|copy| &copy[copy.len() - matrix.row_bytes()..]).collect();
                        let mut found = vec![f32::NAN; list.len()];
                        kernels.gemv_scattered(format, cols, &scattered, &x, &mut found).unwrap();
                        assert_same(&found, &want, &what);
                    }
                }
            }
        }
    }
}

#[test]
fn a_matrix_product_is_the_vector_products_of_its_tokens() {
    let mut source = Source::new(4);
    let mut scratch = Scratch::new();
    for kernels in Kernels::available() {
        for format in Format::ALL {
            for (rows, cols, tokens) in [
                (0, 64, 3),
                (1, 32, 1),
                (3, 96, 2),
                (16, 512, 3),
                (17, 544, 4),
                (33, 480, 5),
                (64, 1024, 6),
                (31, 128, 7),
                (18, 256, 9),
                (21, 768, 5),
                (34, 1280, 12),
                (65, 1504, 13),
                (100, 2048, 33),
                (35, 3104, 11),
                (7, 3072, 16),
                (6, 3104, 43),
                (5, 8224, 13),
            ] {
                let cols = whole(format, cols);
                let what = format!("{} {format} {rows} x {cols}, {tokens} tokens", kernels.name());
                let kind = [Kind::Normal, Kind::Sparse, Kind::Extreme][source.below(3)];
                let data = weights(format, kind, rows, cols, &mut source);
                let matrix = Matrix::new(format, rows, cols, &data).unwrap();
                let values = source.values(cols * tokens);
                let mut batch = Activations::new();
                kernels.quantise_batch(&values, tokens, &mut batch).unwrap();
                let mut got = vec![f32::NAN; tokens * rows];
                kernels
                    .gemm(&matrix, &batch, &mut scratch, Output::new(&mut got, tokens, rows).unwrap())
                    .unwrap();
                for token in 0..tokens {
                    let want = gemv(kernels, &matrix, &quantised(kernels, &values[token * cols..][..cols]));
                    assert_same(&got[token * rows..][..rows], &want, &format!("{what}, token {token}"));
                }
                // Two column ranges filled one after the other are the same table.
                let mut split = vec![f32::NAN; tokens * rows];
                let at = source.below(rows + 1);
                let (left, right) = Output::new(&mut split, tokens, rows).unwrap().split_at(at);
                kernels
                    .gemm(&matrix.slice(0..at).unwrap(), &batch, &mut scratch, left)
                    .unwrap();
                kernels
                    .gemm(&matrix.slice(at..rows).unwrap(), &batch, &mut scratch, right)
                    .unwrap();
                assert_same(&split, &got, &what);
                // Tokens taken out of a batch are the tokens.
                if tokens > 0 {
                    let list: Vec<u32> = (0..3).map(|_| source.below(tokens) as u32).collect();
                    let mut gathered = Activations::new();
                    batch.gather(&list, &mut gathered);
                    let mut out = vec![f32::NAN; 3 * rows];
                    kernels
                        .gemm(&matrix, &gathered, &mut scratch, Output::new(&mut out, 3, rows).unwrap())
                        .unwrap();
                    for (place, &token) in list.iter().enumerate() {
                        assert_same(&out[place * rows..][..rows], &got[token as usize * rows..][..rows], &what);
                    }
                }
            }
        }
    }
}

#[test]
fn a_product_with_no_tokens_writes_nothing() {
    for kernels in Kernels::available() {
        let data = [0u8; 128];
        let matrix = Matrix::new(Format::F32, 4, 8, &data).unwrap();
        let mut none = Activations::new();
        kernels.quantise_batch(&[], 0, &mut none).unwrap();
        let mut out = [7.0; 4];
        // Without tokens the vectors have no length that could be wrong.
        kernels
            .gemm(&matrix, &none, &mut Scratch::new(), Output::new(&mut out, 0, 4).unwrap())
            .unwrap();
        assert_eq!(out, [7.0; 4]);
    }
}

#[test]
fn rows_may_lie_apart_and_anywhere() {
    let mut source = Source::new(5);
    for kernels in Kernels::available() {
        for format in Format::ALL {
            let (rows, cols) = (7, whole(format, 544));
            let data = weights(format, Kind::Normal, rows, cols, &mut source);
            let row_bytes = format.row_bytes(cols).unwrap();
            let dense = Matrix::new(format, rows, cols, &data).unwrap();
            let x = quantised(kernels, &source.values(cols));
            for (offset, gap) in [(1, 0), (3, 1), (64, 4096)] {
                let stride = row_bytes + gap;
                let mut slab: Vec<u8> = (0..offset + rows * stride).map(|_| source.next() as u8).collect();
                for row in 0..rows {
                    slab[offset + row * stride..][..row_bytes].copy_from_slice(dense.row(row));
                }
                let apart = Matrix::strided(format, rows, cols, stride, &slab[offset..]).unwrap();
                assert_same(&gemv(kernels, &apart, &x), &gemv(kernels, &dense, &x), kernels.name());
            }
        }
    }
}

/// Each element takes one rounding for the factor (quantised only) and one per row.
#[test]
fn axpy_adds_rows_one_after_the_other() {
    let mut source = Source::new(6);
    let reference = Kernels::named("reference").unwrap();
    for format in Format::ALL {
        for kind in [Kind::Normal, Kind::Sparse, Kind::Extreme, Kind::Tiny] {
            for &cols in lengths(format) {
                for count in [0, 1, 2, 3, 4, 5, 8, 11] {
                    let data = weights(format, kind, 9, cols, &mut source);
                    let matrix = Matrix::new(format, 9, cols, &data).unwrap();
                    let rows: Vec<u32> = (0..count).map(|_| source.below(9) as u32).collect();
                    let coefficients = source.values(count);
                    let before = source.values(cols);
                    let mut want = before.clone();
                    reference.axpy_rows(&matrix, &rows, &coefficients, &mut want).unwrap();
                    for kernels in Kernels::available() {
                        let what = format!("{} {format} {kind:?} {count} rows of {cols}", kernels.name());
                        let mut got = before.clone();
                        kernels.axpy_rows(&matrix, &rows, &coefficients, &mut got).unwrap();
                        assert_same(&got, &want, &what);
                        let owned: Vec<Vec<u8>> = rows
                            .iter()
                            .map(|&row| shifted(matrix.row(row as usize), &mut source))
                            .collect();
                        let scattered: Vec<&[u8]> = owned.iter().map(|copy| &copy[copy.len() - matrix.row_bytes()..]).collect();
                        let mut anywhere = before.clone();
                        kernels
                            .axpy_scattered(format, &scattered, &coefficients, &mut anywhere)
                            .unwrap();
                        assert_same(&anywhere, &want, &what);
                        let mut singly = before.clone();
                        for (&row, &coefficient) in rows.iter().zip(&coefficients) {
                            kernels
                                .axpy(format, matrix.row(row as usize), coefficient, &mut singly)
                                .unwrap();
                        }
                        assert_same(&singly, &want, &what);
                    }
                    let exact: Vec<Vec<f64>> = rows
                        .iter()
                        .map(|&row| exact(format, matrix.row(row as usize), cols))
                        .collect();
                    for i in 0..cols {
                        let terms = || exact.iter().zip(&coefficients).map(|(row, &c)| row[i] * f64::from(c));
                        let magnitude = f64::from(before[i].abs()) + terms().map(f64::abs).sum::<f64>();
                        let bound = (count + 2) as f64 * (ROUNDING * magnitude + 16.0 * f64::from(f32::from_bits(1)));
                        assert_near(want[i], f64::from(before[i]) + terms().sum::<f64>(), bound, "axpy");
                    }
                }
            }
        }
    }
}
