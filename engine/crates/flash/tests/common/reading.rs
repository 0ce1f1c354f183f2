//! Targets of every granularity, and the comparison of what a read brought with the source.

use std::sync::Arc;

use super::{Model, Random, SMALL, Scratch, Shape};
use flash::{Arrangement, BackendChoice, DownChoice, FlashFile, GroupChoice, Matrix, PackOptions, Part, Span, Target};

pub fn backends() -> Vec<BackendChoice> {
    let lanes = (1..=8).map(BackendChoice::Lanes);
    lanes.chain([1, 2, 7, 32, 256].map(BackendChoice::Uring)).collect()
}

pub fn packed(scratch: &Scratch, arrangement: Arrangement, down: DownChoice, group: u32) -> (Model, Arc<FlashFile>) {
    let model = Model::write(scratch, Shape { experts: 3, ..SMALL });
    let options = PackOptions {
        arrangement,
        down,
        group: GroupChoice::Fixed(group),
        ..PackOptions::default()
    };
    let (file, _) = model.pack(&scratch.file("packed"), &options);
    (model, file)
}

/// Random targets of all granularities, with what to compare afterwards.
pub fn targets(file: &FlashFile, random: &mut Random, count: usize) -> Vec<Target> {
    let layout = &file.layers()[0];
    let parts = [Part::Gate, Part::UpDown, Part::Whole];
    (0..count)
        .map(|_| {
            let (layer, expert) = (random.below(2) as u32, random.below(3) as u32);
            let part = parts[random.below(3)];
            match random.below(6) {
                0 => Target::Tensor {
                    index: random.below(file.dense().len()) as u32,
                },
                1 => Target::Expert { layer, expert },
                2 => Target::Matrix {
                    layer,
                    expert,
                    matrix: [Matrix::Gate, Matrix::Up, Matrix::Down][random.below(3)],
                },
                3 => {
                    let start = random.below(layout.groups() as usize) as u32;
                    let end = start + 1 + random.below((layout.groups() - start) as usize) as u32;
                    Target::Cluster {
                        layer,
                        expert,
                        part,
                        groups: start..end,
                    }
                }
                4 => Target::Neuron {
                    layer,
                    expert,
                    part,
                    position: random.below(SMALL.neurons as usize) as u32,
                },
                _ => Target::Layer { layer },
            }
        })
        .collect()
}

pub fn check(model: &Model, file: &FlashFile, target: &Target, data: &flash::Data) {
    let group = file.layers()[0].shape().group;
    match *target {
        Target::Tensor { index } => {
            let tensor = &file.dense()[index as usize];
            let got = data
                .bytes_of(Span {
                    offset: tensor.offset,
                    bytes: tensor.bytes,
                })
                .expect("the tensor came");
            assert!(got == model.tensors[&tensor.name], "{} differs", tensor.name);
        }
        Target::Layer { layer } => {
            (0..3).for_each(|expert| model.check(file, data, (layer, expert), Part::Whole, 0..SMALL.neurons));
        }
        Target::Expert { layer, expert } => model.check(file, data, (layer, expert), Part::Whole, 0..SMALL.neurons),
        Target::Matrix {
            layer,
            expert,
            matrix: Matrix::Gate,
        } => model.check(file, data, (layer, expert), Part::Gate, 0..SMALL.neurons),
        Target::Matrix { layer, expert, matrix } => {
            let layout = &file.layers()[layer as usize];
            for position in 0..SMALL.neurons {
                let neuron = file.order().neuron(layer, expert, position);
                if matrix == Matrix::Up {
                    assert!(data.bytes_of(layout.up_row(expert, position)).unwrap() == model.row(layer, expert, "up", neuron));
                } else if !layout.shape().down_requantised {
                    assert!(data.bytes_of(layout.down_unit(expert, position)).unwrap() == model.tile(layer, expert, neuron));
                }
            }
        }
        Target::Cluster {
            layer,
            expert,
            part,
            ref groups,
        } => {
            let positions = groups.start * group..(groups.end * group).min(SMALL.neurons);
            model.check(file, data, (layer, expert), part, positions);
        }
        Target::Neuron {
            layer,
            expert,
            part,
            position,
        } => model.check(file, data, (layer, expert), part, position..position + 1),
        Target::Pages(_) => unreachable!("not among the targets of these tests"),
    }
}
