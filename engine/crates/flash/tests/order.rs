//! The order of neurons in a packed file.

mod common;

use std::ops::ControlFlow;

use common::packing::check_whole;
use common::{Model, Random, SMALL, Scratch, Shape};
use flash::{
    Arrangement, DownChoice, FlashFile, FlashReader, GroupChoice, NeuronOrder, PackOptions, Reader, ReaderOptions, Request,
    Target, pack, whole_tiles,
};

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
