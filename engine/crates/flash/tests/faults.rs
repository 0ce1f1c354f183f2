//! A disk that fails: every fault is an error with path, offset and length, or is overcome; none is silent.

mod common;

use std::fs::OpenOptions;
use std::os::fd::{AsRawFd, RawFd};
use std::sync::Arc;

use common::{Model, SMALL, Scratch};
use flash::{
    BackendChoice, Disk, DownChoice, Fault, FaultyDisk, FileDisk, FlashError, FlashFile, FlashReader, GroupChoice, PackOptions,
    Part, Reader, ReaderOptions, Request, Target,
};

fn packed(scratch: &Scratch) -> (Model, Arc<FlashFile>) {
    let model = Model::write(scratch, SMALL);
    let options = PackOptions {
        down: DownChoice::TransposedQ8,
        group: GroupChoice::Fixed(4),
        ..PackOptions::default()
    };
    let (file, _) = model.pack(&scratch.file("packed"), &options);
    (model, file)
}

/// Reads all of layer 0 with a fault planted in page `page` of it.
fn read(file: &Arc<FlashFile>, page: u64, fault: Fault, times: u32, verify: bool) -> (u64, Result<flash::Data, FlashError>) {
    let at = file.layers()[0].offset() + page * 4096;
    let disk = FaultyDisk::new(FileDisk::open(file.path(), true).unwrap(), [(at, fault, times)]);
    let options = ReaderOptions {
        largest_read: 64 << 10,
        verify,
        ..ReaderOptions::default()
    };
    let reader = Reader::with_disk(file, Arc::new(disk), options).unwrap();
    reader
        .submit(&[
            Request {
                tag: 0,
                target: Target::Layer { layer: 0 },
            },
            Request {
                tag: 1,
                target: Target::Layer { layer: 1 },
            },
        ])
        .unwrap();
    let outcome = reader.wait_for(0).unwrap().outcome;
    assert!(reader.wait_for(1).unwrap().outcome.is_ok(), "the other request is untouched");
    (at, outcome)
}

#[test]
fn an_error_of_the_disk_names_path_offset_and_length() {
    let scratch = Scratch::new();
    let (_, file) = packed(&scratch);
    let (at, outcome) = read(&file, 20, Fault::Error(5), 1, false);
    match outcome.unwrap_err() {
        FlashError::Io {
            path,
            offset,
            bytes,
            code,
            action,
            ..
        } => {
            assert_eq!((path.as_path(), code, action), (file.path(), Some(5), "read"));
            assert!(
                offset <= at && at < offset + bytes && bytes <= 64 << 10,
                "{offset} + {bytes} holds {at}"
            );
        }
        other => panic!("{other}"),
    }
}

#[test]
fn an_interrupted_read_is_repeated() {
    let scratch = Scratch::new();
    let (model, file) = packed(&scratch);
    let (_, outcome) = read(&file, 3, Fault::Error(4), 5, false);
    model.check(&file, &outcome.unwrap(), (0, 0), Part::Whole, 0..SMALL.neurons);
}

#[test]
fn a_read_that_ends_on_a_page_goes_on_from_there() {
    let scratch = Scratch::new();
    let (model, file) = packed(&scratch);
    let (_, outcome) = read(&file, 0, Fault::Short(8192), 1, false);
    model.check(&file, &outcome.unwrap(), (0, 0), Part::Whole, 0..SMALL.neurons);
}

#[test]
fn a_read_that_ends_anywhere_else_is_an_error_with_what_came() {
    let scratch = Scratch::new();
    let (_, file) = packed(&scratch);
    for (fault, wanted) in [(Fault::Short(100), 100), (Fault::Short(0), 0), (Fault::End, 4 * 4096)] {
        match read(&file, if fault == Fault::End { 4 } else { 0 }, fault, u32::MAX, false)
            .1
            .unwrap_err()
        {
            FlashError::ShortRead {
                path,
                offset,
                wanted: asked,
                got,
            } => {
                assert_eq!(
                    (path.as_path(), offset, asked),
                    (file.path(), file.layers()[0].offset(), 64 << 10)
                );
                assert_eq!(got, wanted, "{fault:?}");
            }
            other => panic!("{other}"),
        }
    }
}

#[test]
fn a_flipped_bit_is_found_before_anybody_sees_it_and_named() {
    let scratch = Scratch::new();
    let (_, file) = packed(&scratch);
    assert!(
        read(&file, 7, Fault::Flip, 1, false).1.is_ok(),
        "without verifying nobody looks"
    );
    let (at, outcome) = read(&file, 7, Fault::Flip, 1, true);
    match outcome.unwrap_err() {
        FlashError::Checksum { offset, bytes, what, .. } => {
            assert!(offset <= at && at < offset + bytes);
            assert!(what.contains("of layer 0 expert 0 group"), "{what}");
        }
        other => panic!("{other}"),
    }
}

#[test]
fn io_uring_tells_errors_and_short_reads_as_lanes_do() {
    struct WriteOnly(std::fs::File);
    impl Disk for WriteOnly {
        fn read_at(&self, _: &mut [u8], _: u64) -> std::io::Result<usize> {
            unreachable!("io_uring reads through the descriptor")
        }
        fn descriptor(&self) -> Option<RawFd> {
            Some(self.0.as_raw_fd())
        }
    }
    let scratch = Scratch::new();
    let (model, file) = packed(&scratch);
    let options = || ReaderOptions {
        backend: BackendChoice::Uring(8),
        ..ReaderOptions::default()
    };
    let ask = [Request {
        tag: 0,
        target: Target::Layer { layer: 1 },
    }];
    let write_only = OpenOptions::new().write(true).open(file.path()).unwrap();
    let reader = Reader::with_disk(&file, Arc::new(WriteOnly(write_only)), options()).unwrap();
    reader.submit(&ask).unwrap();
    let error = reader.wait().unwrap().outcome.unwrap_err();
    assert!(matches!(error, FlashError::Io { code: Some(9), .. }), "{error}");

    // The file is cut while it is in use, in the middle of a page of layer 1.
    let reader = Reader::open(&file, options()).unwrap();
    let layer = &file.layers()[1];
    let whole = std::fs::read(file.path()).unwrap();
    let cut = OpenOptions::new().write(true).open(file.path()).unwrap();
    cut.set_len(layer.offset() + 5000).unwrap();
    reader.submit(&ask).unwrap();
    match reader.wait().unwrap().outcome.unwrap_err() {
        FlashError::ShortRead { offset, wanted, got, .. } => {
            assert_eq!(offset, layer.offset());
            assert!(got < wanted && got <= 5000, "{got} of {wanted}");
        }
        other => panic!("{other}"),
    }
    // Whole again: the reader has survived.
    std::os::unix::fs::FileExt::write_all_at(&cut, &whole, 0).unwrap();
    reader.submit(&ask).unwrap();
    model.check(
        &file,
        &reader.wait().unwrap().outcome.unwrap(),
        (1, 0),
        Part::Whole,
        0..SMALL.neurons,
    );
}
