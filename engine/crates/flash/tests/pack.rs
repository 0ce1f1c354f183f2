//! What is packed is what was in the GGUF file.

mod common;

use std::ops::ControlFlow;

use common::{Model, Random, SMALL, Scratch, Shape, numbers};
use flash::{
    Arrangement, DownChoice, DownForm, FlashError, FlashFile, FlashReader, GroupChoice, NeuronOrder, PackOptions, Part, Reader,
    ReaderOptions, Request, Target, WeightFormat, pack, whole_tiles,
};

fn options(arrangement: Arrangement, down: DownChoice, group: GroupChoice) -> PackOptions {
    PackOptions {
        arrangement,
        down,
        group,
        ..PackOptions::default()
    }
}

/// Reads every expert whole and compares all of it; checks the sums; compares the tensors outside the FFNs.
fn check_whole(model: &Model, file: &std::sync::Arc<FlashFile>) {
    let reader = Reader::open(
        file,
        ReaderOptions {
            verify: true,
            ..ReaderOptions::default()
        },
    )
    .unwrap();
    for layer in 0..model.shape.layers {
        for expert in 0..model.shape.experts.max(1) {
            reader
                .submit(&[Request {
                    tag: 1,
                    target: Target::Expert { layer, expert },
                }])
                .unwrap();
            let data = reader.wait().unwrap().outcome.unwrap();
            model.check(file, &data, (layer, expert), Part::Whole, 0..model.shape.neurons);
        }
    }
    for (index, tensor) in file.dense().iter().enumerate() {
        reader
            .submit(&[Request {
                tag: 2,
                target: Target::Tensor { index: index as u32 },
            }])
            .unwrap();
        let data = reader.wait().unwrap().outcome.unwrap();
        let span = flash::Span {
            offset: tensor.offset,
            bytes: tensor.bytes,
        };
        assert!(
            data.bytes_of(span).unwrap() == model.tensors[&tensor.name],
            "{} differs",
            tensor.name
        );
    }
    let report = file.verify(&mut |_| ControlFlow::Continue(())).unwrap();
    let data = file.bytes() - file.section(flash::Section::DenseData).offset;
    assert_eq!(
        (report.pages, report.bytes),
        (data / flash::PAGE, data),
        "every page has a checksum"
    );
}

#[test]
fn every_weight_is_found_again_in_every_format_arrangement_and_group() {
    for format in WeightFormat::ALL {
        for experts in [0, 3] {
            for arrangement in [Arrangement::Bundles, Arrangement::Matrices] {
                for group in [GroupChoice::Fixed(32), GroupChoice::Fixed(128), GroupChoice::Padding(0.1)] {
                    let scratch = Scratch::new();
                    let model = Model::write(
                        &scratch,
                        Shape {
                            format,
                            experts,
                            ..SMALL
                        },
                    );
                    let (file, report) = model.pack(&scratch.file("packed"), &options(arrangement, DownChoice::Exact, group));
                    assert!(!file.is_requantised() && report.requantisation.is_none());
                    let tiles = format.block_weights() == 32;
                    assert_eq!(report.down_form == DownForm::Tiles, tiles, "{format:?}");
                    check_whole(&model, &file);
                }
            }
        }
    }
}

#[test]
fn a_single_neuron_is_a_bundle_where_rows_fill_pages() {
    let scratch = Scratch::new();
    let model = Model::write(
        &scratch,
        Shape {
            width: 4096,
            neurons: 64,
            layers: 1,
            ..SMALL
        },
    );
    let (file, report) = model.pack(&scratch.file("packed"), &PackOptions::default());
    assert_eq!(
        (report.group, report.down, report.down_form),
        (1, WeightFormat::Q8_0, DownForm::Rows)
    );
    assert!(file.is_requantised(), "a file with requantised down says so");
    let spans = Target::Neuron {
        layer: 0,
        expert: 0,
        part: Part::Gate,
        position: 5,
    }
    .spans(&file)
    .unwrap();
    assert_eq!(spans.len(), 1);
    assert_eq!(spans[0].bytes, 4096, "the first phase is one page");
    check_whole(&model, &file);
}

#[test]
fn padding_stays_below_what_was_asked_where_some_group_allows_it() {
    for (width, format) in [
        (64, WeightFormat::Q4_0),
        (256, WeightFormat::Q4_0),
        (96, WeightFormat::F16),
        (4096, WeightFormat::Q4_0),
    ] {
        let scratch = Scratch::new();
        let model = Model::write(
            &scratch,
            Shape {
                width,
                format,
                neurons: 2048,
                layers: 1,
                ..SMALL
            },
        );
        let (file, report) = model.pack(
            &scratch.file("packed"),
            &options(Arrangement::Bundles, DownChoice::Auto, GroupChoice::Padding(0.1)),
        );
        assert!(report.padding <= 0.1, "width {width}: {report:?}");
        assert_eq!(
            report.ffn_bytes - report.payload_bytes,
            file.layers()[0].bytes() - file.layers()[0].payload_bytes()
        );
        let chosen = report.candidates.iter().find(|one| one.group == report.group).unwrap();
        assert!(
            (chosen.padding - report.padding).abs() < 1e-9,
            "the report's candidate is what was packed"
        );
        assert!(
            report
                .candidates
                .iter()
                .take_while(|one| one.group < report.group)
                .all(|one| one.padding > 0.1)
        );
    }
}

#[test]
fn an_order_moves_neurons_and_changes_no_weight() {
    let mut random = Random(7);
    let mut shuffled = || {
        let mut order: Vec<u32> = (0..SMALL.neurons).collect();
        random.shuffle(&mut order);
        order
    };
    for (down, tiles) in [(DownChoice::Exact, true), (DownChoice::TransposedQ8, false)] {
        for arrangement in [Arrangement::Bundles, Arrangement::Matrices] {
            let scratch = Scratch::new();
            let model = Model::write(&scratch, Shape { experts: 2, ..SMALL });
            let mut one = || if tiles { whole_tiles(&shuffled()) } else { shuffled() };
            let order = NeuronOrder {
                layers: vec![None, Some(vec![one(), one()])],
            };
            let wanted = order.clone();
            let (file, _) = model.pack(
                &scratch.file("packed"),
                &PackOptions {
                    arrangement,
                    down,
                    order,
                    group: GroupChoice::Fixed(32),
                    ..PackOptions::default()
                },
            );
            assert_eq!(file.order().of(1, 1), wanted.of(1, 1));
            check_whole(&model, &file);
            // Requantised rows do not depend on the order either: neuron by neuron as in a file without one.
            let (plain, _) = model.pack(
                &scratch.file("plain"),
                &PackOptions {
                    arrangement,
                    down,
                    group: GroupChoice::Fixed(32),
                    ..PackOptions::default()
                },
            );
            let read = |file: &std::sync::Arc<FlashFile>| {
                let reader = Reader::open(file, ReaderOptions::default()).unwrap();
                reader
                    .submit(&[Request {
                        tag: 0,
                        target: Target::Expert { layer: 1, expert: 1 },
                    }])
                    .unwrap();
                reader.wait().unwrap().outcome.unwrap()
            };
            let (ordered, in_order) = (read(&file), read(&plain));
            for position in 0..SMALL.neurons {
                let neuron = file.order().neuron(1, 1, position);
                let here = ordered.bytes_of(file.layers()[1].down_unit(1, position)).unwrap();
                assert!(here == in_order.bytes_of(plain.layers()[1].down_unit(1, neuron)).unwrap());
            }
        }
    }
}

#[test]
fn a_cut_tile_in_an_order_is_refused_and_so_is_no_permutation() {
    let scratch = Scratch::new();
    let model = Model::write(&scratch, SMALL);
    let mut swapped: Vec<u32> = (0..SMALL.neurons).collect();
    swapped.swap(0, 40);
    let refuse = |order: Vec<u32>, down: DownChoice, words: &str| {
        let order = NeuronOrder {
            layers: vec![Some(vec![order])],
        };
        let out = scratch.file("packed");
        let options = PackOptions {
            order,
            down,
            ..PackOptions::default()
        };
        let error = pack(&model.path, &out, &options, &mut |_| ControlFlow::Continue(())).unwrap_err();
        assert!(error.to_string().contains(words), "{error}");
        assert!(!out.exists());
    };
    refuse(swapped.clone(), DownChoice::Exact, "is cut");
    refuse(vec![0; SMALL.neurons as usize], DownChoice::Auto, "stands twice");
    refuse(vec![0, 1], DownChoice::Auto, "order of 2 positions");
    model.pack(
        &scratch.file("packed"),
        &PackOptions {
            order: NeuronOrder {
                layers: vec![Some(vec![swapped])],
            },
            ..PackOptions::default()
        },
    );
}

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

#[test]
fn the_gguf_header_comes_back_whole() {
    let scratch = Scratch::new();
    let model = Model::write(&scratch, SMALL);
    let (file, _) = model.pack(&scratch.file("packed"), &PackOptions::default());
    let (ours, source) = (file.gguf().unwrap(), gguf::Gguf::open(&model.path).unwrap());
    assert_eq!(ours, source);
    assert_eq!(ours.metadata.u32("llama.block_count").unwrap(), 2);
}

#[test]
fn packing_twice_gives_the_same_bytes_for_any_number_of_threads() {
    let scratch = Scratch::new();
    let model = Model::write(&scratch, Shape { experts: 2, ..SMALL });
    let bytes = |threads: usize| {
        let path = scratch.file("packed");
        model.pack(
            &path,
            &PackOptions {
                threads,
                ..PackOptions::default()
            },
        );
        std::fs::read(&path).unwrap()
    };
    let one = bytes(1);
    for threads in [2, 3, 64] {
        assert!(bytes(threads) == one, "{threads} threads");
    }
}

#[test]
fn what_cannot_be_packed_is_said_and_leaves_nothing() {
    let scratch = Scratch::new();
    let model = Model::write(&scratch, SMALL);
    let keep = |_: flash::PackProgress| ControlFlow::Continue(());
    let refuse = |options: &PackOptions, words: &str| {
        let error = pack(&model.path, &scratch.file("packed"), options, &mut { keep }).unwrap_err();
        assert!(error.to_string().contains(words), "{error}");
    };
    let group = |group| PackOptions {
        group,
        ..PackOptions::default()
    };
    refuse(&group(GroupChoice::Fixed(3)), "power of two");
    refuse(&group(GroupChoice::Fixed(0)), "power of two");
    refuse(&group(GroupChoice::Cheapest { activity: 0.0 }), "activity: 0");
    refuse(
        &PackOptions {
            down: DownChoice::Exact,
            ..group(GroupChoice::Fixed(16))
        },
        "multiples of 32",
    );
    let error = pack(&model.path, &model.path, &PackOptions::default(), &mut { keep }).unwrap_err();
    assert!(error.to_string().contains("GGUF file itself"), "{error}");
    let error = pack(
        &scratch.file("none.gguf"),
        &scratch.file("packed"),
        &PackOptions::default(),
        &mut { keep },
    )
    .unwrap_err();
    assert!(error.to_string().contains("none.gguf"), "{error}");
    let error = pack(&model.path, &scratch.file("no/such/folder"), &PackOptions::default(), &mut {
        keep
    })
    .unwrap_err();
    assert!(matches!(error, FlashError::Io { .. }), "{error}");
    let mut told = 0;
    let mut stop = |_: flash::PackProgress| {
        told += 1;
        if told == 5 {
            ControlFlow::Break(())
        } else {
            ControlFlow::Continue(())
        }
    };
    assert_eq!(
        pack(&model.path, &scratch.file("packed"), &PackOptions::default(), &mut stop),
        Err(FlashError::Cancelled)
    );
    assert_eq!(scratch.names(), ["model.gguf"]);
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
