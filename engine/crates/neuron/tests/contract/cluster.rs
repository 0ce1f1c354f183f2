//! The sparse FFN over a neuron cluster.

use neuron::{Bundles, ClusterScratch, Format, Gating, Kernels, Matrix, SUM_BLOCK};

use crate::data::{Kind, ROUNDING, Source, assert_near, assert_same, exact, quantised, seen_by, true_dot, weights, whole};

struct Ffn {
    format: Format,
    hidden: usize,
    neurons: usize,
    parts: [Vec<u8>; 3],
}

impl Ffn {
    fn new(format: Format, hidden: usize, neurons: usize, source: &mut Source) -> Self {
        Self {
            format,
            hidden,
            neurons,
            parts: std::array::from_fn(|_| weights(format, Kind::Normal, neurons, hidden, source)),
        }
    }

    fn bundles(&self) -> Bundles<'_> {
        let [gate, up, down] = [0, 1, 2].map(|i| Matrix::new(self.format, self.neurons, self.hidden, &self.parts[i]).unwrap());
        Bundles { gate, up, down }
    }
}

/// The dense way: everything computed, nothing skipped, in the order that the sum law demands.
fn densely(kernels: Kernels, ffn: &Ffn, gating: Gating, x: &[f32]) -> Vec<f32> {
    let bundles = ffn.bundles();
    let x = quantised(kernels, x);
    let (mut gate, mut up) = (vec![f32::NAN; ffn.neurons], vec![f32::NAN; ffn.neurons]);
    kernels.gemv(&bundles.gate, &x, &mut gate).unwrap();
    kernels.gemv(&bundles.up, &x, &mut up).unwrap();
    match gating {
        Gating::Relu => kernels.relu_mul(&mut gate, &up).unwrap(),
        Gating::DoubleRelu => kernels.drelu_mul(&mut gate, &up).unwrap(),
        Gating::Silu => kernels.silu_mul(&mut gate, &up).unwrap(),
    }
    let mut out = vec![0.0; ffn.hidden];
    for first in (0..ffn.neurons).step_by(SUM_BLOCK) {
        let mut partial = vec![0.0; ffn.hidden];
        for neuron in (first..ffn.neurons.min(first + SUM_BLOCK)).filter(|&neuron| gate[neuron] != 0.0) {
            kernels
                .axpy(ffn.format, bundles.down.row(neuron), gate[neuron], &mut partial)
                .unwrap();
        }
        kernels.add(&partial, &mut out).unwrap();
    }
    out
}

fn sparsely(kernels: Kernels, ffn: &Ffn, gating: Gating, x: &[f32]) -> (Vec<f32>, usize) {
    let (bundles, x) = (ffn.bundles(), quantised(kernels, x));
    let mut scratch = ClusterScratch::new();
    let (mut out, mut total) = (vec![0.0; ffn.hidden], 0);
    for first in (0..ffn.neurons).step_by(SUM_BLOCK) {
        let slots: Vec<u32> = (first as u32..ffn.neurons.min(first + SUM_BLOCK) as u32).collect();
        let mut partial = vec![f32::NAN; ffn.hidden];
        let fired = kernels
            .cluster(&bundles, gating, &slots, &x, &mut scratch, &mut partial)
            .unwrap();
        assert_eq!(scratch.fired().0.len(), fired);
        if fired > 0 {
            kernels.add(&partial, &mut out).unwrap();
        }
        total += fired;
    }
    (out, total)
}

#[test]
fn the_sparse_kernel_equals_the_dense_computation() {
    let mut source = Source::new(20);
    for format in Format::ALL {
        for gating in [Gating::Relu, Gating::DoubleRelu, Gating::Silu] {
            for (hidden, neurons) in [(32, 1), (64, 255), (544, 300), (96, 513), (256, 40), (1280, 77)] {
                let hidden = whole(format, hidden);
                let ffn = Ffn::new(format, hidden, neurons, &mut source);
                let x = source.values(hidden);
                let mut all = Vec::new();
                for kernels in Kernels::available() {
                    let (sparse, fired) = sparsely(kernels, &ffn, gating, &x);
                    assert_same(
                        &sparse,
                        &densely(kernels, &ffn, gating, &x),
                        &format!("{} {format} {gating:?}", kernels.name()),
                    );
                    if neurons > 200 {
                        let expected = match gating {
                            Gating::Relu => neurons / 2,
                            Gating::DoubleRelu => neurons / 4,
                            Gating::Silu => neurons,
                        };
                        assert!(fired.abs_diff(expected) < neurons / 8, "{fired} of {neurons} fired");
                    }
                    all.push(sparse);
                }
                all.windows(2)
                    .for_each(|pair| assert_same(&pair[0], &pair[1], "two backends"));
            }
        }
    }
}

/// Against f64 truth: gate and up carry the error of a dot product each, the activation their products, down one rounding per
/// neuron on top.
#[test]
fn the_sparse_kernel_is_near_the_truth() {
    let mut source = Source::new(21);
    for format in Format::ALL {
        let hidden = whole(format, 544);
        let ffn = Ffn::new(format, hidden, 300, &mut source);
        let x = source.values(hidden);
        let (bundles, seen) = (ffn.bundles(), seen_by(format, &x));
        for kernels in Kernels::available() {
            let got = sparsely(kernels, &ffn, Gating::Relu, &x).0;
            let (mut truth, mut bound) = (vec![0f64; hidden], vec![0f64; hidden]);
            for neuron in 0..300 {
                let row = |matrix: &Matrix<'_>| exact(format, matrix.row(neuron), hidden);
                let (gate, gate_magnitude) = true_dot(&row(&bundles.gate), &seen);
                let (up, up_magnitude) = true_dot(&row(&bundles.up), &seen);
                let dot_error = 2.0 * 40.0 * ROUNDING;
                let h = gate.max(0.0) * up;
                let h_error = dot_error * (gate_magnitude * up.abs() + up_magnitude * gate.abs()) + ROUNDING * h.abs();
                for (i, w) in row(&bundles.down).into_iter().enumerate() {
                    truth[i] += h * w;
                    bound[i] += w.abs() * (h_error + 302.0 * ROUNDING * h.abs());
                }
            }
            for i in 0..hidden {
                assert_near(
                    got[i],
                    truth[i],
                    bound[i],
                    &format!("{} {format} element {i}", kernels.name()),
                );
            }
        }
    }
}

/// Blocks that go through gate and up together, lossless or predicted, end with the sums that each has alone.
#[test]
fn blocks_taken_together_give_what_each_gives_alone() {
    let mut source = Source::new(23);
    let neurons = 3 * SUM_BLOCK + 77;
    for format in Format::ALL {
        let hidden = whole(format, 544);
        let ffn = Ffn::new(format, hidden, neurons, &mut source);
        let bundles = ffn.bundles();
        let all: Vec<u32> = (0..neurons as u32).collect();
        let named: Vec<u32> = all.iter().copied().filter(|_| source.below(3) == 0).collect();
        for (kernels, gating) in Kernels::available()
            .into_iter()
            .flat_map(|kernels| [(kernels, Gating::Relu), (kernels, Gating::DoubleRelu)])
        {
            let x = quantised(kernels, &source.values(hidden));
            for (slots, lossless) in [(&all, true), (&named, false)] {
                let mut together = ClusterScratch::new();
                if lossless {
                    for first in (0..neurons).step_by(SUM_BLOCK) {
                        let rows = first..neurons.min(first + SUM_BLOCK);
                        kernels.cluster_gate(&bundles.gate, rows, &x, &mut together).unwrap();
                    }
                } else {
                    kernels.cluster_gate_rows(&bundles.gate, slots, &x, &mut together).unwrap();
                }
                let fired = kernels.cluster_up(&bundles.up, gating, &x, &mut together).unwrap();
                let (mut rows, mut values) = together.fired();
                assert_eq!(rows.len(), fired);
                for first in (0..neurons as u32).step_by(SUM_BLOCK) {
                    let ends = |list: &[u32]| list.partition_point(|&row| row < first + SUM_BLOCK as u32);
                    let of_block = &slots[slots.partition_point(|&row| row < first)..ends(slots)];
                    let (mut want, mut got) = (vec![f32::NAN; hidden], vec![0.0; hidden]);
                    let mut alone = ClusterScratch::new();
                    let count = kernels
                        .cluster(&bundles, gating, of_block, &x, &mut alone, &mut want)
                        .unwrap();
                    assert_eq!(ends(rows), count, "{} {format} {gating:?}", kernels.name());
                    assert!(count > 0 && count < SUM_BLOCK, "{count} fired");
                    // Rows that do not exist may be expected as well.
                    kernels.expect_rows(&bundles.down, &[rows[0], u32::MAX]);
                    kernels
                        .axpy_rows(&bundles.down, &rows[..count], &values[..count], &mut got)
                        .unwrap();
                    assert_same(&got, &want, kernels.name());
                    (rows, values) = (&rows[count..], &values[count..]);
                }
                assert!(rows.is_empty());
                together.clear();
                assert!(together.fired().0.is_empty());
                assert!(
                    kernels
                        .cluster_gate(&bundles.gate, 0..neurons + 1, &x, &mut together)
                        .is_err()
                );
            }
        }
    }
}

#[test]
fn predicted_slots_in_a_slab_of_bundles_give_what_their_neurons_give() {
    let mut source = Source::new(22);
    let (hidden, neurons, format) = (544, 120, Format::Q4_0);
    let ffn = Ffn::new(format, hidden, neurons, &mut source);
    let row = format.row_bytes(hidden).unwrap();
    let bundle = 4096;
    // Neuron n lives in slot 7 n mod 127: no order at all.
    let slot = |neuron: usize| neuron * 7 % 127;
    let mut slab: Vec<u8> = (0..127 * bundle).map(|_| source.next() as u8).collect();
    for neuron in 0..neurons {
        for (part, data) in ffn.parts.iter().enumerate() {
            slab[slot(neuron) * bundle + part * row..][..row].copy_from_slice(&data[neuron * row..][..row]);
        }
    }
    let [gate, up, down] = [0, 1, 2].map(|i| Matrix::strided(format, 127, hidden, bundle, &slab[i * row..]).unwrap());
    let in_slab = Bundles { gate, up, down };
    let predicted: Vec<usize> = (0..neurons).filter(|_| source.below(3) == 0).collect();
    let slots: Vec<u32> = predicted.iter().map(|&neuron| slot(neuron) as u32).collect();
    let rows: Vec<u32> = predicted.iter().map(|&neuron| neuron as u32).collect();
    for kernels in Kernels::available() {
        let x = quantised(kernels, &source.values(hidden));
        let mut scratch = ClusterScratch::new();
        let (mut packed, mut plain, mut two_phase) = (vec![f32::NAN; hidden], vec![f32::NAN; hidden], vec![f32::NAN; hidden]);
        let fired = kernels
            .cluster(&in_slab, Gating::Relu, &slots, &x, &mut scratch, &mut packed)
            .unwrap();
        assert!(fired > 5 && fired < slots.len());
        assert_eq!(
            kernels
                .cluster(&ffn.bundles(), Gating::Relu, &rows, &x, &mut scratch, &mut plain)
                .unwrap(),
            fired
        );
        assert_same(&packed, &plain, kernels.name());

        // The same in two stages, as the pipeline does it.
        let mut gates = vec![f32::NAN; slots.len()];
        kernels.gemv_rows(&in_slab.gate, &slots, &x, &mut gates).unwrap();
        let (mut fired_slots, mut firing) = (vec![9; 3], vec![9.0; 2]);
        kernels.fire(&slots, &gates, &mut fired_slots, &mut firing).unwrap();
        assert_eq!(fired_slots.len(), fired);
        kernels
            .cluster_up_down(
                &in_slab,
                Gating::Relu,
                &fired_slots,
                &firing,
                &x,
                &mut scratch,
                &mut two_phase,
            )
            .unwrap();
        assert_same(&two_phase, &plain, kernels.name());

        // Nothing predicted: zero, whatever the buffer held.
        assert_eq!(
            kernels
                .cluster(&in_slab, Gating::Relu, &[], &x, &mut scratch, &mut packed)
                .unwrap(),
            0
        );
        assert_same(&packed, &vec![0.0; hidden], kernels.name());
    }
}
