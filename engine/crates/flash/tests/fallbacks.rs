//! What a system refuses, direct reads or io_uring, is done otherwise, and the result says so.

mod common;

use std::fs::OpenOptions;
use std::os::unix::fs::OpenOptionsExt;
use std::sync::Arc;

use common::reading::packed;
use common::{SMALL, Scratch};
use flash::{Arrangement, BackendChoice, Disk, DownChoice, FileDisk, FlashReader, Part, Reader, ReaderOptions, Request, Target};

#[test]
fn a_filesystem_without_direct_reads_is_read_buffered_and_the_result_says_so() {
    let scratch = Scratch::new();
    let (model, file) = packed(&scratch, Arrangement::Bundles, DownChoice::Exact, 32);
    let refusing = |path: &std::path::Path, flags: i32| {
        if flags != 0 {
            Err(std::io::Error::from_raw_os_error(22))
        } else {
            OpenOptions::new().read(true).custom_flags(flags).open(path)
        }
    };
    let disk = FileDisk::open_with(file.path(), true, &refusing).unwrap();
    assert!(disk.refused().unwrap().contains("O_DIRECT refused"));
    for backend in [BackendChoice::Lanes(2), BackendChoice::Uring(8)] {
        let options = ReaderOptions {
            backend,
            ..ReaderOptions::default()
        };
        let disk = FileDisk::open_with(file.path(), true, &refusing).unwrap();
        let reader = Reader::with_file_disk(&file, disk, options).unwrap();
        let used = reader.backend_used().clone();
        assert!(
            !used.direct && used.to_string().contains("buffered (O_DIRECT refused"),
            "{used}"
        );
        reader
            .submit(&[Request {
                tag: 0,
                target: Target::Expert { layer: 0, expert: 1 },
            }])
            .unwrap();
        let data = reader.wait().unwrap().outcome.unwrap();
        model.check(&file, &data, (0, 1), Part::Whole, 0..SMALL.neurons);
    }
    let reader = Reader::open(
        &file,
        ReaderOptions {
            direct: false,
            ..ReaderOptions::default()
        },
    )
    .unwrap();
    assert_eq!(
        reader.backend_used().to_string(),
        "pread, 4 lanes, buffered",
        "asked for, so no fallback"
    );
}

#[test]
fn io_uring_without_a_descriptor_falls_back_to_lanes_and_the_result_says_so() {
    struct Hidden(FileDisk);
    impl Disk for Hidden {
        fn read_at(&self, buffer: &mut [u8], offset: u64) -> std::io::Result<usize> {
            self.0.read_at(buffer, offset)
        }
    }
    let scratch = Scratch::new();
    let (_, file) = packed(&scratch, Arrangement::Bundles, DownChoice::Exact, 32);
    let disk = Arc::new(Hidden(FileDisk::open(file.path(), true).unwrap()));
    let options = ReaderOptions {
        backend: BackendChoice::Uring(64),
        ..ReaderOptions::default()
    };
    let reader = Reader::with_disk(&file, disk, options).unwrap();
    assert_eq!(reader.backend_used().backend, BackendChoice::Lanes(8));
    assert!(reader.backend_used().to_string().contains("pread lanes instead"));
    reader
        .submit(&[Request {
            tag: 0,
            target: Target::Layer { layer: 0 },
        }])
        .unwrap();
    assert!(reader.wait().unwrap().outcome.is_ok());
}
