//! Options by what tests vary, and the comparison of a whole packed file with its source.

use std::ops::ControlFlow;

use super::Model;
use flash::{
    Arrangement, DownChoice, FlashFile, FlashReader, GroupChoice, PackOptions, Part, Reader, ReaderOptions, Request, Target,
};

pub fn options(arrangement: Arrangement, down: DownChoice, group: GroupChoice) -> PackOptions {
    PackOptions {
        arrangement,
        down,
        group,
        ..PackOptions::default()
    }
}

/// Reads every expert whole and compares all of it; checks the sums; compares the tensors outside the FFNs.
pub fn check_whole(model: &Model, file: &std::sync::Arc<FlashFile>) {
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
