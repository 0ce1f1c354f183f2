//! Down with a row for each neuron: how close it is to the source, and what changes nothing.

mod common;

use std::ops::ControlFlow;

use common::packing::{check_whole, options};
use common::{Model, Random, SMALL, Scratch, Shape, numbers};
use flash::{
    Arrangement, DownChoice, DownForm, FlashReader, GroupChoice, PackOptions, Reader, ReaderOptions, Request, Target,
    WeightFormat, pack,
};

#[test]
fn transposed_down_is_close_to_the_source_and_the_report_says_how_close() {
    for (down, to, most) in [
        (DownChoice::TransposedQ8, WeightFormat::Q8_0, 0.01),
        (DownChoice::TransposedF16, WeightFormat::F16, 0.001),
        (DownChoice::TransposedQ4, WeightFormat::Q4_0, 0.2),
    ] {
        let scratch = Scratch::new();
        let model = Model::write(
            &scratch,
            Shape {
                experts: 2,
                layers: 1,
                ..SMALL
            },
        );
        let (file, report) = model.pack(
            &scratch.file("packed"),
            &options(Arrangement::Bundles, down, GroupChoice::Fixed(4)),
        );
        let reader = Reader::open(&file, ReaderOptions::default()).unwrap();
        let (mut squares, mut differences, mut worst) = (0f64, 0f64, 0f64);
        for expert in 0..2 {
            reader
                .submit(&[Request {
                    tag: 0,
                    target: Target::Expert { layer: 0, expert },
                }])
                .unwrap();
            let data = reader.wait().unwrap().outcome.unwrap();
            for neuron in 0..SMALL.neurons {
                let got = numbers(to, data.bytes_of(file.layers()[0].down_unit(expert, neuron)).unwrap());
                let tile = numbers(SMALL.format, &model.tile(0, expert, neuron));
                for output in 0..SMALL.width as usize {
                    let (source, packed) = (f64::from(tile[output * 32 + neuron as usize % 32]), f64::from(got[output]));
                    squares += source * source;
                    differences += (source - packed) * (source - packed);
                    worst = worst.max((source - packed).abs());
                }
            }
        }
        let told = report.requantisation.unwrap();
        let relative = (differences / squares).sqrt();
        assert!(relative < most, "{down:?}: {relative}");
        assert!(
            (told.relative_rms - relative).abs() < 1e-6 && (told.worst - worst).abs() < 1e-6,
            "{told:?} {relative} {worst}"
        );
    }
}

#[test]
fn a_down_transposed_in_single_precision_has_the_very_numbers_of_the_source() {
    for format in WeightFormat::ALL {
        let scratch = Scratch::new();
        let shape = Shape {
            format,
            experts: 2,
            layers: 1,
            ..SMALL
        };
        let model = Model::write(&scratch, shape);
        let choice = options(Arrangement::Bundles, DownChoice::TransposedF32, GroupChoice::Fixed(4));
        let (file, report) = model.pack(&scratch.file("packed"), &choice);
        assert_eq!(
            (report.requantisation, report.down, report.down_form),
            (None, WeightFormat::F32, DownForm::Rows)
        );
        assert!(!file.is_requantised());
        let reader = Reader::open(&file, ReaderOptions::default()).unwrap();
        for expert in 0..2 {
            let target = Target::Expert { layer: 0, expert };
            reader.submit(&[Request { tag: 0, target }]).unwrap();
            let data = reader.wait().unwrap().outcome.unwrap();
            for neuron in 0..SMALL.neurons {
                let got = numbers(
                    WeightFormat::F32,
                    data.bytes_of(file.layers()[0].down_unit(expert, neuron)).unwrap(),
                );
                let source = if format.block_weights() == 1 {
                    numbers(format, &model.column(0, expert, neuron))
                } else {
                    let tile = numbers(format, &model.tile(0, expert, neuron));
                    (0..SMALL.width as usize)
                        .map(|output| tile[output * 32 + neuron as usize % 32])
                        .collect()
                };
                assert_eq!(got, source, "{format:?}, expert {expert}, neuron {neuron}");
            }
        }
    }
}

#[test]
fn a_down_that_is_transposed_in_the_file_is_copied() {
    for format in WeightFormat::ALL {
        let scratch = Scratch::new();
        let model = Model::write(
            &scratch,
            Shape {
                format,
                transposed: true,
                experts: 2,
                ..SMALL
            },
        );
        for down in [DownChoice::Auto, DownChoice::Exact] {
            let (file, report) = model.pack(
                &scratch.file("packed"),
                &options(Arrangement::Bundles, down, GroupChoice::Fixed(2)),
            );
            assert_eq!(
                (report.down, report.down_form, file.is_requantised()),
                (format, DownForm::Rows, false)
            );
            check_whole(&model, &file);
        }
        let (file, _) = model.pack(
            &scratch.file("packed"),
            &options(Arrangement::Bundles, DownChoice::TransposedQ8, GroupChoice::Fixed(2)),
        );
        assert_eq!(file.is_requantised(), format != WeightFormat::Q8_0);
        check_whole(&model, &file);
    }
}

/// Normally distributed weights, quantised to Q4_0 along the neurons as a GGUF file has them.
fn gaussian_down(random: &mut Random, rows: usize, columns: usize) -> (Vec<f32>, Vec<u8>) {
    let mut uniform = || (random.next() >> 11) as f64 / (1u64 << 53) as f64 + 1e-18;
    let weights: Vec<f32> = (0..rows * columns)
        .map(|_| (0.02 * (-2.0 * uniform().ln()).sqrt() * (std::f64::consts::TAU * uniform()).cos()) as f32)
        .collect();
    let mut bytes = Vec::new();
    for block in weights.chunks(32) {
        let extreme = block.iter().fold(
            0f32,
            |extreme, weight| if weight.abs() > extreme.abs() { *weight } else { extreme },
        );
        let scale = extreme / -8.0;
        // Truncated to half precision: near enough for a test's source.
        let magnitude = scale.abs().to_bits();
        let half = (((magnitude >> 13) - (112 << 10)) as u16) | if scale < 0.0 { 0x8000 } else { 0 };
        let stored = numbers(WeightFormat::F16, &half.to_le_bytes())[0];
        let number = |weight: f32| ((weight / stored).round().clamp(-8.0, 7.0) + 8.0) as u8;
        bytes.extend(half.to_le_bytes());
        bytes.extend((0..16).map(|index| number(block[index]) | number(block[index + 16]) << 4));
    }
    (weights, bytes)
}

#[test]
fn requantising_to_q8_adds_little_to_the_error_that_q4_has_made_and_to_q4_as_much_again() {
    let (width, neurons) = (512usize, 1024usize);
    let mut random = Random(3);
    let (weights, down) = gaussian_down(&mut random, width, neurons);
    let back = numbers(WeightFormat::Q4_0, &down);
    let squares: f64 = weights.iter().map(|weight| f64::from(weight * weight)).sum();
    let first = (weights
        .iter()
        .zip(&back)
        .map(|(a, b)| f64::from((a - b) * (a - b)))
        .sum::<f64>()
        / squares)
        .sqrt();
    assert!((0.05..0.15).contains(&first), "Q4_0 of normal weights: {first}");
    let scratch = Scratch::new();
    let path = scratch.file("model.gguf");
    let mut writer = gguf::Writer::new(&path);
    writer.metadata("general.architecture", "llama").unwrap();
    let (w, n) = (width as u64, neurons as u64);
    for (name, shape) in [("gate", [w, n]), ("up", [w, n]), ("down", [n, w])] {
        writer
            .tensor(&format!("blk.0.ffn_{name}.weight"), &shape, gguf::TensorType::Q4_0)
            .unwrap();
    }
    let mut data = writer.start().unwrap();
    for name in ["gate", "up", "down"] {
        data.write(&format!("blk.0.ffn_{name}.weight"), &down).unwrap();
    }
    data.finish().unwrap();
    let second = |choice: DownChoice| {
        let options = PackOptions {
            down: choice,
            ..PackOptions::default()
        };
        let report = pack(&path, &scratch.file("packed"), &options, &mut |_| ControlFlow::Continue(())).unwrap();
        report.requantisation.unwrap().relative_rms
    };
    let (q8, f16, q4) = (
        second(DownChoice::TransposedQ8),
        second(DownChoice::TransposedF16),
        second(DownChoice::TransposedQ4),
    );
    println!("relative error: first Q4_0 {first:.4}; transposed Q8_0 {q8:.4}, F16 {f16:.6}, Q4_0 {q4:.4}");
    assert!(q8 < 0.1 * first && f16 < 0.01 * first, "{q8} {f16} against {first}");
    assert!((0.5..1.5).contains(&(q4 / first)), "{q4} against {first}");
}
