//! Dense products and attention.

use neuron::{Activations, Attention, Format, Kernels, KvView, Matrix, Output, Scratch, f32_to_f16};
use pool::Pool;

use crate::data::{check, pool, thread_counts, values, weights};
use crate::timing::{best_of_pair, read_all, seconds};

const TURNS: usize = 25;

/// Dense products of matrices larger than the last-level cache, beside a read of the same bytes.
pub fn gemv(kernels: Kernels) {
    println!("\ndense matrix-vector product\nformat   rows   cols   MiB  threads  read GB/s  gemv GB/s  ratio");
    for (format, rows, cols) in [
        (Format::Q4_0, 65536, 4096),
        (Format::Q4_0, 16384, 14336),
        (Format::Q4_0, 90112, 2560),
        (Format::Q8_0, 32768, 4096),
        (Format::Q6_K, 32768, 4096),
        (Format::F16, 16384, 4096),
        (Format::F32, 8192, 4096),
    ] {
        let data = weights(format, rows, cols);
        let matrix = Matrix::new(format, rows, cols, data.bytes()).expect("the sizes agree");
        let x_values = values(cols, 99);
        let mut x = Activations::new();
        kernels.quantise(&x_values, &mut x);
        let mut out = vec![f32::NAN; rows];
        for threads in thread_counts() {
            let (mut pool, mut reader) = (pool(threads), pool(threads));
            let product = |pool: &mut Pool, out: &mut [f32]| {
                pool.run_split(out, 16, |first, out| {
                    let part = matrix.slice(first..first + out.len()).expect("rows that exist");
                    kernels.gemv(&part, &x, out).expect("shapes that agree");
                });
            };
            out.fill(f32::NAN);
            product(&mut pool, &mut out);
            check(&matrix, &x_values, &out);
            let bytes = data.bytes().len() as f64;
            let (read, took) = best_of_pair(
                TURNS,
                || _ = read_all(&mut reader, data.words()),
                || product(&mut pool, &mut out),
            );
            println!(
                "{:6} {rows:6} {cols:6} {:5.0}  {threads:7}  {:9.1}  {:9.1}  {:5.2}",
                format.name(),
                bytes / 1048576.0,
                bytes / read / 1e9,
                bytes / took / 1e9,
                read / took
            );
        }
    }
}

/// Matrix-matrix products. One weight times one activation counts as two operations.
pub fn gemm(kernels: Kernels) {
    println!("\nmatrix-matrix product\nformat   rows   cols  tokens  threads      ms   GOP/s");
    for (format, rows, cols) in [
        (Format::Q4_0, 4096, 4096),
        (Format::Q4_0, 4096, 14336),
        (Format::Q8_0, 4096, 4096),
        (Format::F16, 1024, 4096),
    ] {
        let data = weights(format, rows, cols);
        let matrix = Matrix::new(format, rows, cols, data.bytes()).expect("the sizes agree");
        for tokens in [2, 4, 8, 32, 128, 512] {
            let x_values = values(cols * tokens, 5);
            let mut x = Activations::new();
            kernels.quantise_batch(&x_values, tokens, &mut x).expect("whole tokens");
            let mut out = vec![f32::NAN; rows * tokens];
            for threads in thread_counts() {
                let mut pool = pool(threads);
                let mut scratch: Vec<Scratch> = (0..threads).map(|_| Scratch::new()).collect();
                let mut product = |out: &mut [f32]| {
                    let mut rest = Output::new(out, tokens, rows).expect("room for all");
                    let mut parts = Vec::new();
                    for (thread, scratch) in scratch.iter_mut().enumerate() {
                        let part = pool::share(rows, 32, thread, threads);
                        let (mine, others) = rest.split_at(part.len());
                        rest = others;
                        parts.push((matrix.slice(part).expect("rows that exist"), mine, scratch));
                    }
                    pool.run_each(&mut parts, |_, (part, out, scratch)| {
                        kernels.gemm(part, &x, scratch, out.reborrow()).expect("shapes that agree");
                    });
                };
                product(&mut out);
                for token in [0, tokens - 1] {
                    check(&matrix, &x_values[token * cols..][..cols], &out[token * rows..][..rows]);
                }
                let turns = if tokens > 100 { 5 } else { TURNS };
                let took = (0..turns)
                    .map(|_| seconds(|| product(&mut out)))
                    .fold(f64::INFINITY, f64::min);
                let rate = 2.0 * (rows * cols * tokens) as f64 / took / 1e9;
                println!(
                    "{:6} {rows:6} {cols:6}  {tokens:6}  {threads:7}  {:6.1}  {rate:6.0}",
                    format.name(),
                    took * 1e3
                );
            }
        }
    }
}

/// Attention of one token over a long context (bandwidth) and of a prompt (arithmetic).
pub fn attention(kernels: Kernels) {
    println!("\nattention, 32 query heads on 8, 128 numbers each, one thread\ntokens  positions      us   GB/s  GFLOP/s");
    let shape = Attention {
        heads: 32,
        kv_heads: 8,
        head_dim: 128,
        scale: 0.088,
        window: None,
    };
    for (tokens, first) in [(1, 1023), (1, 8191), (512, 0)] {
        let positions = first + tokens;
        let halves = |seed| {
            values(positions * 1024, seed)
                .iter()
                .map(|&x| f32_to_f16(x))
                .collect::<Vec<_>>()
        };
        let (keys, cached) = (halves(1), halves(2));
        let kv = KvView {
            keys: &keys,
            values: &cached,
            positions,
            position_stride: 128,
            head_stride: positions * 128,
        };
        let queries = values(tokens * 4096, 3);
        let mut out = vec![f32::NAN; tokens * 4096];
        let mut scratch = Scratch::new();
        let mut run = || {
            let table = Output::new(&mut out, tokens, 4096).expect("room for all");
            kernels
                .attention(&shape, &queries, first, &kv, 0..8, &mut scratch, table)
                .expect("shapes that agree");
        };
        let took = (0..TURNS).map(|_| seconds(&mut run)).fold(f64::INFINITY, f64::min);
        assert!(out.iter().all(|value| value.abs() < 0.51), "means of numbers below a half");
        let pairs: usize = (first + 1..=positions).sum();
        let (bytes, operations) = ((positions * 1024 * 4) as f64, (pairs * 32 * 128 * 4) as f64);
        println!(
            "{tokens:6}  {positions:9}  {:6.0}  {:5.1}  {:7.1}",
            took * 1e6,
            bytes / took / 1e9,
            operations / took / 1e9
        );
    }
}
