//! Attention: truth, reference, and independence of how heads and tokens are cut.

use neuron::{Attention, Kernels, KvView, Output, Scratch, f16_to_f32, f32_to_f16};

use crate::data::{ROUNDING, Source, assert_near, assert_same};

struct Case {
    shape: Attention,
    first: usize,
    tokens: usize,
    queries: Vec<f32>,
    keys: Vec<u16>,
    values: Vec<u16>,
    strides: (usize, usize),
}

impl Case {
    fn new(shape: Attention, first: usize, tokens: usize, head_major: bool, source: &mut Source) -> Self {
        let positions = first + tokens;
        let capacity = positions + 3;
        let strides = if head_major {
            (shape.head_dim, capacity * shape.head_dim)
        } else {
            (shape.kv_heads * shape.head_dim, shape.head_dim)
        };
        let mut halves = || {
            (0..capacity * shape.kv_heads * shape.head_dim)
                .map(|_| f32_to_f16(source.normal()))
                .collect()
        };
        let (mut keys, mut values): (Vec<u16>, Vec<u16>) = (halves(), halves());
        // What lies past the filled positions must not matter: NaN there.
        for head in 0..shape.kv_heads {
            for position in positions..capacity {
                let at = position * strides.0 + head * strides.1;
                keys[at..][..shape.head_dim].fill(0x7e00);
                values[at..][..shape.head_dim].fill(0x7e00);
            }
        }
        let queries = source.values(tokens * shape.heads * shape.head_dim);
        Self {
            shape,
            first,
            tokens,
            queries,
            keys,
            values,
            strides,
        }
    }

    fn kv(&self) -> KvView<'_> {
        KvView {
            keys: &self.keys,
            values: &self.values,
            positions: self.first + self.tokens,
            position_stride: self.strides.0,
            head_stride: self.strides.1,
        }
    }

    fn run(&self, kernels: Kernels) -> Vec<f32> {
        let width = self.shape.heads * self.shape.head_dim;
        let mut out = vec![f32::NAN; self.tokens * width];
        let table = Output::new(&mut out, self.tokens, width).unwrap();
        let all = 0..self.shape.kv_heads;
        kernels
            .attention(
                &self.shape,
                &self.queries,
                self.first,
                &self.kv(),
                all,
                &mut Scratch::new(),
                table,
            )
            .unwrap();
        out
    }

    /// The truth, and a bound for each number. A score is off by the roundings of a dot product and of its scale, which e^x
    /// turns into a relative error of each weight; e^x itself is off by 2 units; the sums round once per position.
    fn truth(&self) -> Vec<(f64, f64)> {
        let Attention {
            heads,
            kv_heads,
            head_dim,
            scale,
            ..
        } = self.shape;
        let mut all = Vec::new();
        for token in 0..self.tokens {
            for head in 0..heads {
                let position = self.first + token;
                let start = self.shape.window.map_or(0, |window| (position + 1).saturating_sub(window));
                let at = |position: usize| position * self.strides.0 + head / (heads / kv_heads) * self.strides.1;
                let query = &self.queries[(token * heads + head) * head_dim..][..head_dim];
                let terms = |p: usize| {
                    let key = &self.keys[at(p)..][..head_dim];
                    key.iter()
                        .zip(query)
                        .map(|(&k, &q)| f64::from(f16_to_f32(k)) * f64::from(q))
                        .collect::<Vec<_>>()
                };
                let scores: Vec<f64> = (start..=position)
                    .map(|p| terms(p).iter().sum::<f64>() * f64::from(scale))
                    .collect();
                let magnitudes =
                    (start..=position).map(|p| terms(p).iter().map(|t| t.abs()).sum::<f64>() * f64::from(scale.abs()));
                let worst = magnitudes.fold(0.0, f64::max);
                let top = scores.iter().fold(f64::NEG_INFINITY, |a, &b| a.max(b));
                let weights: Vec<f64> = scores.iter().map(|score| (score - top).exp()).collect();
                let sum: f64 = weights.iter().sum();
                let of_score = 2.0 * (head_dim.div_ceil(16) + 8) as f64 * ROUNDING * worst;
                let relative = 2.0 * (2.0 * of_score + (scores.len() + 12) as f64 * ROUNDING);
                for i in 0..head_dim {
                    let values = || {
                        (start..=position)
                            .zip(&weights)
                            .map(|(p, w)| f64::from(f16_to_f32(self.values[at(p) + i])) * w / sum)
                    };
                    all.push((values().sum(), relative * values().map(f64::abs).sum::<f64>() + 1e-30));
                }
            }
        }
        all
    }
}

fn shapes() -> Vec<(Attention, usize, usize)> {
    let shape = |heads, kv_heads, head_dim: usize, window| Attention {
        heads,
        kv_heads,
        head_dim,
        scale: 1.0 / (head_dim as f32).sqrt(),
        window,
    };
    vec![
        (shape(1, 1, 1, None), 0, 1),
        (shape(1, 1, 8, None), 0, 3),
        (shape(4, 4, 16, None), 7, 1),
        (shape(4, 2, 24, None), 0, 5),
        (shape(6, 2, 64, None), 33, 1),
        (shape(6, 2, 64, Some(1)), 5, 4),
        (shape(8, 2, 80, Some(7)), 20, 6),
        (shape(5, 1, 128, None), 100, 3),
        (shape(28, 4, 128, Some(64)), 63, 9),
        (shape(3, 3, 256, None), 0, 18),
    ]
}

#[test]
fn attention_is_near_the_truth_and_equals_the_reference() {
    let mut source = Source::new(30);
    for head_major in [false, true] {
        for (shape, first, tokens) in shapes() {
            let case = Case::new(shape, first, tokens, head_major, &mut source);
            let want = case.run(Kernels::named("reference").unwrap());
            for (&got, (truth, bound)) in want.iter().zip(case.truth()) {
                assert_near(got, truth, bound, &format!("{shape:?}"));
            }
            for kernels in Kernels::available() {
                assert_same(&case.run(kernels), &want, &format!("{} {shape:?}", kernels.name()));
            }
        }
    }
}

#[test]
fn a_token_or_a_head_alone_gives_the_same_bits() {
    let mut source = Source::new(31);
    for (shape, first, tokens) in shapes() {
        let case = Case::new(shape, first, tokens, true, &mut source);
        let (width, group) = (shape.heads * shape.head_dim, shape.heads / shape.kv_heads);
        for kernels in Kernels::available() {
            let whole = case.run(kernels);
            for token in 0..tokens {
                let mut out = vec![f32::NAN; width];
                let queries = &case.queries[token * width..][..width];
                let table = Output::new(&mut out, 1, width).unwrap();
                let all = 0..shape.kv_heads;
                kernels
                    .attention(&shape, queries, first + token, &case.kv(), all, &mut Scratch::new(), table)
                    .unwrap();
                assert_same(&out, &whole[token * width..][..width], kernels.name());
            }
            let mut out = vec![f32::NAN; tokens * width];
            let mut rest = Output::new(&mut out, tokens, width).unwrap();
            for kv_head in 0..shape.kv_heads {
                let (table, others) = rest.split_at(group * shape.head_dim);
                rest = others;
                let one = kv_head..kv_head + 1;
                kernels
                    .attention(&shape, &case.queries, first, &case.kv(), one, &mut Scratch::new(), table)
                    .unwrap();
            }
            assert_same(&out, &whole, kernels.name());
        }
    }
}
