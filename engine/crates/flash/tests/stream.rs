//! Blocks that stream past in order.

mod common;

use common::reading::packed;
use common::{SMALL, Scratch};
use flash::{Arrangement, BackendChoice, DownChoice, FlashReader, Reader, ReaderOptions, Stream};

#[test]
fn a_stream_hands_out_blocks_in_order_and_covers_every_row() {
    for arrangement in [Arrangement::Bundles, Arrangement::Matrices] {
        let scratch = Scratch::new();
        let (model, file) = packed(&scratch, arrangement, DownChoice::Exact, 32);
        for backend in [BackendChoice::Lanes(3), BackendChoice::Uring(4)] {
            for ahead in [1, 2, 5] {
                let reader = Reader::open(
                    &file,
                    ReaderOptions {
                        backend,
                        ..ReaderOptions::default()
                    },
                )
                .unwrap();
                let targets = file.stream_of_expert(1, 2, 20_000).unwrap();
                assert!(targets.len() > 4, "blocks are smaller than the expert");
                let wanted = targets.clone();
                let mut stream = Stream::new(&reader, targets, ahead, 1000).unwrap();
                let (mut order, mut pieces) = (Vec::new(), Vec::new());
                while let Some(block) = stream.next() {
                    let (target, data) = block.unwrap();
                    order.push(target);
                    pieces.push(data);
                }
                assert_eq!(order, wanted);
                let layout = &file.layers()[1];
                let find = |span| {
                    pieces
                        .iter()
                        .find_map(|data| data.bytes_of(span))
                        .expect("a row lies whole in one block")
                };
                for neuron in 0..SMALL.neurons {
                    assert!(find(layout.gate_row(2, neuron)) == model.row(1, 2, "gate", neuron));
                    assert!(find(layout.up_row(2, neuron)) == model.row(1, 2, "up", neuron));
                    assert!(find(layout.down_unit(2, neuron)) == model.tile(1, 2, neuron));
                }
            }
        }
    }
}

#[test]
fn a_stream_that_is_dropped_leaves_no_completion_behind() {
    let scratch = Scratch::new();
    let (_, file) = packed(&scratch, Arrangement::Bundles, DownChoice::Exact, 32);
    let reader = Reader::open(&file, ReaderOptions::default()).unwrap();
    let mut stream = Stream::new(&reader, file.stream_of_expert(0, 0, 8192).unwrap(), 3, 0).unwrap();
    stream.next().unwrap().unwrap();
    drop(stream);
    assert!(reader.poll().is_none() && reader.wait().is_none());
}
