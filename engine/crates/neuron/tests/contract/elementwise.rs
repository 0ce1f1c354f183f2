//! Norm, softmax, activations, rotary embedding, conversions, top-k.

use neuron::{Kernels, Rope, RopeStyle, f16_to_f32, f32_to_f16, top_k};

use crate::data::{ROUNDING, Source, assert_near, assert_same};

const AWKWARD: [usize; 14] = [0, 1, 2, 3, 7, 8, 9, 15, 16, 17, 31, 33, 255, 1023];

/// Runs `operation` on every backend and checks that all give the reference's bits, which it returns.
fn all_agree(what: &str, operation: impl Fn(Kernels) -> Vec<f32>) -> Vec<f32> {
    let want = operation(Kernels::named("reference").unwrap());
    for kernels in Kernels::available() {
        assert_same(&operation(kernels), &want, &format!("{} {what}", kernels.name()));
    }
    want
}

/// Mean of squares: one rounding per group of sixteen and four of the fold, halved by the root; then four more.
#[test]
fn rms_norm() {
    let mut source = Source::new(40);
    for len in AWKWARD {
        for size in [1.0, 1e-12, 1e12] {
            let x: Vec<f32> = source.values(len).iter().map(|x| x * size).collect();
            let (weight, epsilon) = (source.values(len), 1e-5f32);
            let got = all_agree("rms_norm", |kernels| {
                let mut out = vec![f32::NAN; len];
                kernels.rms_norm(&x, &weight, epsilon, &mut out).unwrap();
                out
            });
            let squares: f64 = x.iter().map(|&x| f64::from(x) * f64::from(x)).sum();
            let inverse = 1.0 / (squares / len as f64 + f64::from(epsilon)).sqrt();
            for i in 0..len {
                let truth = f64::from(x[i]) * inverse * f64::from(weight[i]);
                assert_near(
                    got[i],
                    truth,
                    truth.abs() * (len / 16 + 12) as f64 * ROUNDING + 1e-44,
                    &format!("{len} numbers"),
                );
            }
        }
    }
}

/// e^x within 2 units (4 roundings), its argument within one, the sum one per group and four, the quotient two.
#[test]
fn softmax() {
    let mut source = Source::new(41);
    for len in AWKWARD {
        for spread in [0.0, 1.0, 30.0, 1000.0] {
            let x: Vec<f32> = source.values(len).iter().map(|x| x * spread).collect();
            let got = all_agree("softmax", |kernels| {
                let mut out = x.clone();
                kernels.softmax(&mut out);
                out
            });
            let greatest = x.iter().fold(f64::NEG_INFINITY, |a, &b| a.max(f64::from(b)));
            let sum: f64 = x.iter().map(|&x| (f64::from(x) - greatest).exp()).sum();
            for i in 0..len {
                let below = f64::from(x[i]) - greatest;
                let truth = below.exp() / sum;
                let relative = (len / 16 + 14) as f64 * ROUNDING + below.abs() * ROUNDING + 100.0 * ROUNDING;
                assert_near(got[i], truth, truth * relative + 2e-38, &format!("spread {spread}"));
            }
        }
    }
}

/// silu: e^-x within 2 units, whose effect on the quotient is no larger, then four roundings.
#[test]
fn gated_products() {
    let mut source = Source::new(42);
    for len in AWKWARD {
        for size in [1.0, 20.0, 200.0] {
            let gate: Vec<f32> = source.values(len).iter().map(|x| x * size).collect();
            let up = source.values(len);
            let run = |what: &str, operation: fn(&Kernels, &mut [f32], &[f32])| {
                all_agree(what, |kernels| {
                    let mut out = gate.clone();
                    operation(&kernels, &mut out, &up);
                    out
                })
            };
            let silu = run("silu_mul", |kernels, gate, up| kernels.silu_mul(gate, up).unwrap());
            let relu = run("relu_mul", |kernels, gate, up| kernels.relu_mul(gate, up).unwrap());
            let drelu = run("drelu_mul", |kernels, gate, up| kernels.drelu_mul(gate, up).unwrap());
            for i in 0..len {
                let (g, u) = (f64::from(gate[i]), f64::from(up[i]));
                let truth = g / (1.0 + (-g).exp()) * u;
                assert_near(
                    silu[i],
                    truth,
                    truth.abs() * 12.0 * ROUNDING + 1e-35 * g.abs(),
                    &format!("silu({g}) * {u}"),
                );
                assert_near(relu[i], g.max(0.0) * u, (g * u).abs() * ROUNDING, "relu");
                assert_near(drelu[i], g.max(0.0) * u.max(0.0), (g * u).abs() * ROUNDING, "drelu");
            }
        }
    }
}

#[test]
fn add_and_scale() {
    let mut source = Source::new(43);
    for len in AWKWARD {
        let (x, y) = (source.values(len), source.values(len));
        let got = all_agree("add and scale", |kernels| {
            let mut out = y.clone();
            kernels.add(&x, &mut out).unwrap();
            kernels.scale(&mut out, 0.3);
            out
        });
        let want: Vec<f32> = x.iter().zip(&y).map(|(x, y)| (y + x) * 0.3).collect();
        assert_same(&got, &want, "add and scale");
    }
}

/// Two products of numbers off by half a unit (the rounded angle's cosine), rounded, and a sum, rounded.
#[test]
fn rope_turns_the_right_pairs() {
    let mut source = Source::new(44);
    for style in [RopeStyle::Adjacent, RopeStyle::Neox] {
        for (head_dim, dims) in [(2, 2), (8, 4), (64, 64), (80, 20), (128, 128), (6, 0)] {
            let factors: Vec<f32> = (0..dims / 2).map(|i| 1.0 + i as f32 / 8.0).collect();
            for factors in [None, Some(&factors[..])] {
                let rope = Rope::new(style, dims, 10000.0, 0.5, factors).unwrap();
                let position = 1234;
                let mut angles = vec![f32::NAN; dims];
                rope.angles(position, &mut angles).unwrap();
                let before = source.values(3 * head_dim);
                let got = all_agree("rope", |kernels| {
                    let mut out = before.clone();
                    kernels.rope(&rope, &angles, head_dim, &mut out).unwrap();
                    out
                });
                for head in 0..3 {
                    let (old, new) = (&before[head * head_dim..][..head_dim], &got[head * head_dim..][..head_dim]);
                    for pair in 0..dims / 2 {
                        let factor = factors.map_or(1.0, |factors| f64::from(factors[pair]));
                        let angle = position as f64 * 0.5 / factor / 10000f64.powf(2.0 * pair as f64 / dims as f64);
                        let (i, j) = if style == RopeStyle::Adjacent {
                            (2 * pair, 2 * pair + 1)
                        } else {
                            (pair, pair + dims / 2)
                        };
                        let (a, b) = (f64::from(old[i]), f64::from(old[j]));
                        let bound = (a.abs() + b.abs()) * 4.0 * ROUNDING + 1e-9;
                        assert_near(new[i], a * angle.cos() - b * angle.sin(), bound, "first of a pair");
                        assert_near(new[j], a * angle.sin() + b * angle.cos(), bound, "second of a pair");
                    }
                    assert_same(&new[dims..], &old[dims..], "past the rotated part");
                }
            }
        }
    }
}

#[test]
fn every_half_precision_number_converts_exactly_and_back() {
    let halves: Vec<u16> = (0..=u16::MAX).collect();
    for kernels in Kernels::available() {
        let (mut floats, mut back) = (vec![f32::NAN; halves.len()], vec![1; halves.len()]);
        kernels.widen(&halves, &mut floats).unwrap();
        kernels.narrow(&floats, &mut back).unwrap();
        for &half in &halves {
            let (float, portable) = (floats[usize::from(half)], f16_to_f32(half));
            let (exponent, fraction) = (i32::from(half >> 10 & 31), f64::from(half & 1023));
            if exponent == 31 && fraction > 0.0 {
                assert!(float.is_nan() && portable.is_nan() && f16_to_f32(back[usize::from(half)]).is_nan());
                continue;
            }
            let magnitude = match exponent {
                31 => f64::INFINITY,
                0 => fraction * 2f64.powi(-24),
                _ => (1024.0 + fraction) * 2f64.powi(exponent - 25),
            };
            let truth = if half >> 15 == 1 { -magnitude } else { magnitude };
            assert_eq!(f64::from(float).to_bits(), truth.to_bits(), "{} {half:04x}", kernels.name());
            assert_eq!(portable.to_bits(), float.to_bits());
            assert_eq!(back[usize::from(half)], half, "{}", kernels.name());
        }
    }
}

#[test]
fn rounding_to_half_precision_is_to_the_nearest_even() {
    let mut source = Source::new(45);
    // Between every two neighbours: the middle, and the numbers next to it; and anything at all.
    let mut values: Vec<f32> = (0..0x7bffu16)
        .flat_map(|half| {
            let middle = (f16_to_f32(half) + f16_to_f32(half + 1)) / 2.0;
            [middle, middle.next_up(), middle.next_down(), -middle]
        })
        .collect();
    values.extend([
        65504.0,
        65519.9,
        65520.0,
        1e30,
        -1e30,
        f32::INFINITY,
        1e-30,
        -1e-45,
        0.0,
        -0.0,
    ]);
    values.extend(
        (0..10000)
            .map(|_| f32::from_bits(source.next() as u32))
            .filter(|value| !value.is_nan()),
    );
    for kernels in Kernels::available() {
        let mut got = vec![1; values.len()];
        kernels.narrow(&values, &mut got).unwrap();
        for (&value, &got) in values.iter().zip(&got) {
            assert_eq!(f32_to_f16(value), got, "{} {value:e}", kernels.name());
            let error = (f64::from(f16_to_f32(got)) - f64::from(value)).abs();
            if f16_to_f32(got).is_infinite() {
                assert!(value.abs() >= 65520.0, "{value}");
                continue;
            }
            for neighbour in [got.wrapping_sub(1), got.wrapping_add(1)] {
                let other = (f64::from(f16_to_f32(neighbour)) - f64::from(value)).abs();
                let nearer = error < other || (error == other && got % 2 == 0);
                assert!(
                    nearer || other.is_nan() || got & 0x7fff == 0,
                    "{value:e} to {got:04x}, not {neighbour:04x}"
                );
            }
        }
    }
}

#[test]
fn top_k_is_the_head_of_the_sorted_list() {
    let mut source = Source::new(46);
    let mut out = vec![(7, 7.0); 5];
    for len in AWKWARD {
        for k in [0, 1, 2, 8, 40, 2000] {
            // Few different values, so that there are ties.
            let mut values: Vec<f32> = (0..len).map(|_| source.below(20) as f32 - 10.0).collect();
            if len > 3 {
                values[len / 2] = f32::NAN;
                values[len / 3] = f32::NEG_INFINITY;
            }
            let mut want: Vec<(u32, f32)> = values.iter().enumerate().map(|(i, &value)| (i as u32, value)).collect();
            want.sort_by(|a, b| match (a.1.is_nan(), b.1.is_nan()) {
                (false, false) => b.1.total_cmp(&a.1),
                (a, b) => a.cmp(&b),
            });
            want.truncate(k);
            top_k(&values, k, &mut out);
            assert_eq!(format!("{out:?}"), format!("{want:?}"));
        }
    }
}
