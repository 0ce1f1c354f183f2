//! What is packed is what was in the GGUF file.

mod common;

use std::ops::ControlFlow;

use common::packing::{check_whole, options};
use common::{Model, SMALL, Scratch, Shape};
use flash::{Arrangement, DownChoice, DownForm, FlashError, GroupChoice, PackOptions, Part, Target, WeightFormat, pack};

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
