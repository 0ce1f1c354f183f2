//! Gates planted with a rank have that rank, in every expert and layer directions of their own, and fire as planted all the same.

use std::fs::File;
use std::path::{Path, PathBuf};

use gguf::Gguf;
use model::{Activation, Architecture};
use neuron::{BLOCK, Format};
use synth::{Shape, Statistics, SynthError, SynthSpec, TOLERANCE, verify, write};

const HIDDEN: usize = 384;
const NEURONS: usize = 512;
const RANK: usize = 48;

fn spec(activation: Activation, gate_rank: Option<usize>) -> SynthSpec {
    SynthSpec {
        name: "ranked".to_owned(),
        architecture: Architecture::Llama,
        activation,
        format: Format::F32,
        shape: Shape {
            hidden: HIDDEN,
            neurons: NEURONS,
            layers: 2,
            heads: 4,
            kv_heads: 2,
            head_dim: 64,
            experts: 2,
            experts_used: 1,
            vocabulary: 1024,
            context: 1024,
        },
        statistics: Statistics {
            gate_rank,
            ..Statistics::default()
        },
        seed: 9,
    }
}

/// A file that is gone with the test.
struct Scratch(PathBuf);

impl Scratch {
    fn new(name: &str, spec: &SynthSpec) -> Self {
        let path = std::env::temp_dir().join(format!("neuronlab-rank-{}-{name}.gguf", std::process::id()));
        write(spec, &path, 2).unwrap();
        Self(path)
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        // A test that failed has said so already.
        let _ = std::fs::remove_file(&self.0);
    }
}

/// The rows of one expert's F32 matrix.
fn rows(path: &Path, tensor: &str, expert: usize) -> Vec<Vec<f64>> {
    let gguf = Gguf::open(path).unwrap();
    let tensor = gguf.tensor(tensor).unwrap();
    let mut bytes = vec![0; NEURONS * HIDDEN * 4];
    let from = (expert * bytes.len()) as u64;
    tensor.read_at(&File::open(path).unwrap(), from, &mut bytes).unwrap();
    let number = |four: &[u8]| f64::from(f32::from_le_bytes(four.try_into().unwrap()));
    bytes
        .chunks_exact(HIDDEN * 4)
        .map(|row| row.chunks_exact(4).map(number).collect())
        .collect()
}

/// Rows that are not sums of those before them, by Gram and Schmidt; what F32 rounds off is none.
fn rank(rows: &[Vec<f64>]) -> usize {
    let dot = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f64>();
    let mut basis: Vec<Vec<f64>> = Vec::new();
    for row in rows {
        let length = dot(row, row).sqrt();
        let mut rest: Vec<f64> = row.iter().map(|number| number / length).collect();
        // Twice, because once loses digits.
        for direction in basis.iter().chain(&basis) {
            let along = dot(&rest, direction);
            rest.iter_mut()
                .zip(direction)
                .for_each(|(rest, number)| *rest -= along * number);
        }
        let left = dot(&rest, &rest).sqrt();
        if left > 1e-4 {
            rest.iter_mut().for_each(|number| *number /= left);
            basis.push(rest);
        }
    }
    basis.len()
}

#[test]
fn gates_have_the_rank_asked_for_in_every_expert_and_together_more() {
    let file = Scratch::new("relu", &spec(Activation::Relu, Some(RANK)));
    let gate = "blk.1.ffn_gate_exps.weight";
    let (one, other) = (rows(&file.0, gate, 0), rows(&file.0, gate, 1));
    assert_eq!((rank(&one), rank(&other)), (RANK, RANK));
    let both: Vec<Vec<f64>> = one.into_iter().chain(other).collect();
    // They share the constant block, their bias.
    assert_eq!(rank(&both), 2 * RANK - 1);
    // What decides nothing stays random, and has no bias.
    assert_eq!(rank(&rows(&file.0, "blk.1.ffn_up_exps.weight", 0)), HIDDEN - BLOCK);
    let random = Scratch::new("random", &spec(Activation::Relu, None));
    assert_eq!(rank(&rows(&random.0, gate, 0)), HIDDEN - BLOCK + 1);
}

/// A slow part of 32 numbers, fewer than half of the directions.
#[test]
fn a_narrow_slow_part_leaves_the_rank_as_it_is() {
    for rank_asked in [65, 66, 160, 192] {
        let mut spec = spec(Activation::Relu, Some(rank_asked));
        (spec.shape.kv_heads, spec.shape.head_dim) = (1, 32);
        let file = Scratch::new(&format!("narrow-{rank_asked}"), &spec);
        assert_eq!(rank(&rows(&file.0, "blk.0.ffn_gate_exps.weight", 1)), rank_asked);
        let report = verify(&file.0, 2048, 3, 2).unwrap();
        let misses = report.misses(&TOLERANCE);
        assert!(misses.is_empty(), "rank {rank_asked}\n{report}\n{misses:#?}");
    }
}

#[test]
fn every_layer_has_directions_of_its_own() {
    let file = Scratch::new("layers", &spec(Activation::Relu, Some(RANK)));
    let mut both = rows(&file.0, "blk.0.ffn_gate_exps.weight", 0);
    both.extend(rows(&file.0, "blk.1.ffn_gate_exps.weight", 0));
    assert_eq!(rank(&both), 2 * RANK - 1);
}

#[test]
fn of_drelu_gates_and_ups_share_the_directions() {
    let file = Scratch::new("drelu", &spec(Activation::DoubleRelu, Some(RANK)));
    let mut both = rows(&file.0, "blk.0.ffn_gate_exps.weight", 0);
    both.extend(rows(&file.0, "blk.0.ffn_up_exps.weight", 0));
    assert_eq!(rank(&both), RANK);
}

#[test]
fn they_fire_as_planted_all_the_same() {
    for activation in [Activation::Relu, Activation::DoubleRelu] {
        for format in [Format::Q4_0, Format::F32] {
            let spec = SynthSpec {
                format,
                ..spec(activation, Some(RANK))
            };
            let file = Scratch::new(&format!("fires-{}-{}", activation.name(), format.name()), &spec);
            let report = verify(&file.0, 2048, 3, 2).unwrap();
            assert_eq!(report.planted.gate_rank, Some(RANK as u64));
            assert!(
                report.to_string().ends_with("\ngate rank: planted 48, not verified\n"),
                "{report}"
            );
            let misses = report.misses(&TOLERANCE);
            assert!(misses.is_empty(), "{activation:?} {format}\n{report}\n{misses:#?}");
        }
    }
}

#[test]
fn a_rank_that_gates_cannot_have_is_refused() {
    for (activation, rank, what) in [
        (Activation::Relu, 31, "31; must be from 32 to half of the width, 192"),
        (Activation::Relu, 193, "193; must be"),
        (Activation::Silu, 64, "none: no neuron of a silu model is ever inactive"),
    ] {
        let path = std::env::temp_dir().join(format!("neuronlab-rank-{}-refused.gguf", std::process::id()));
        let error = write(&spec(activation, Some(rank)), &path, 1).unwrap_err();
        assert!(matches!(error, SynthError::Spec { .. }));
        assert!(error.to_string().contains(what), "{error}");
        assert!(!path.exists());
    }
}
