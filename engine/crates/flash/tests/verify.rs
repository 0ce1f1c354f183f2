//! What is read is what was packed, or an error that says which page is not.

mod common;

use std::os::unix::fs::FileExt;
use std::sync::Arc;

use common::{Model, Random, SMALL, Scratch, Shape};
use flash::{
    Arrangement, BackendChoice, BufferPool, DownChoice, FlashError, FlashFile, FlashReader, GroupChoice, PAGE, PackOptions,
    PageRead, PageSums, Part, Reader, ReaderOptions, Request, Section, Span, Target,
};

const BACKENDS: [BackendChoice; 3] = [BackendChoice::Lanes(1), BackendChoice::Lanes(3), BackendChoice::Uring(8)];

fn packed(scratch: &Scratch, arrangement: Arrangement) -> Arc<FlashFile> {
    packed_in_groups(scratch, arrangement, 4)
}

fn packed_in_groups(scratch: &Scratch, arrangement: Arrangement, group: u32) -> Arc<FlashFile> {
    let model = Model::write(scratch, Shape { experts: 2, ..SMALL });
    let options = PackOptions {
        arrangement,
        down: DownChoice::TransposedQ8,
        group: GroupChoice::Fixed(group),
        ..PackOptions::default()
    };
    model.pack(&scratch.file("packed"), &options).0
}

/// Flips a bit of the file where it lies, and puts it right again when dropped.
struct Damage<'a> {
    file: &'a FlashFile,
    at: u64,
}

impl<'a> Damage<'a> {
    fn new(file: &'a FlashFile, at: u64) -> Self {
        let damage = Self { file, at };
        damage.flip();
        damage
    }

    fn flip(&self) {
        let disk = std::fs::OpenOptions::new()
            .read(true)
            .write(true)
            .open(self.file.path())
            .unwrap();
        let mut byte = [0];
        disk.read_exact_at(&mut byte, self.at).unwrap();
        disk.write_all_at(&[byte[0] ^ 0x20], self.at).unwrap();
        disk.sync_all().unwrap();
    }
}

impl Drop for Damage<'_> {
    fn drop(&mut self) {
        self.flip();
    }
}

fn reader(file: &Arc<FlashFile>, backend: BackendChoice, largest_gap: u64) -> Reader {
    reader_in_chunks(file, backend, largest_gap, 2)
}

fn reader_in_chunks(file: &Arc<FlashFile>, backend: BackendChoice, largest_gap: u64, pages: u64) -> Reader {
    let options = ReaderOptions {
        backend,
        largest_gap,
        largest_read: pages * PAGE,
        ..ReaderOptions::default()
    };
    Reader::open(file, options).unwrap()
}

fn ask(reader: &Reader, target: Target) -> Result<flash::Data, FlashError> {
    reader.submit(&[Request { tag: 1, target }]).unwrap();
    reader.wait().unwrap().outcome
}

fn in_pages(reader: &Reader, offset: u64) -> Result<(), FlashError> {
    let mut memory = BufferPool::new(0).take(PAGE as usize);
    let read = PageRead {
        tag: 3,
        bytes: PAGE as u32,
        offset,
        into: memory.as_mut_ptr(),
        second_phase: false,
    };
    let mut done = Vec::new();
    // SAFETY: the memory is on a page, and lives and is left alone until the end of its only read is told below.
    unsafe { reader.read_pages(&[read]) }.unwrap();
    while done.is_empty() {
        reader.wait_pages(&mut done, None);
    }
    assert_eq!(done.len(), 1);
    done.pop().unwrap().outcome
}

fn page_of(error: FlashError) -> (u64, String) {
    match error {
        FlashError::Checksum {
            offset,
            bytes: PAGE,
            what,
            ..
        } => (offset, what),
        other => panic!("{other}"),
    }
}

#[test]
fn a_bit_that_flips_anywhere_is_found_by_whatever_reads_its_page() {
    for arrangement in [Arrangement::Bundles, Arrangement::Matrices] {
        let scratch = Scratch::new();
        let file = packed(&scratch, arrangement);
        let mut random = Random(7);
        let layer = file.layers()[1];
        for backend in BACKENDS {
            let reader = reader(&file, backend, 0);
            for expert in [0, 1, 0, 1] {
                let span = layer.expert_span(expert);
                let at = span.offset + random.next() % span.bytes;
                let page = at / PAGE * PAGE;
                let of = |expert| Target::Expert { layer: 1, expert };
                {
                    let _damage = Damage::new(&file, at);
                    let (offset, what) = page_of(ask(&reader, of(expert)).unwrap_err());
                    assert_eq!(offset, page, "{backend:?}");
                    assert!(what.contains(&format!("of layer 1 expert {expert}")), "{what}");
                    let found = page_of(in_pages(&reader, page).unwrap_err());
                    assert_eq!(found.0, page, "{backend:?}");
                    // The page before is sound, and so is the other expert.
                    in_pages(&reader, page - PAGE).unwrap();
                    ask(&reader, of(1 - expert)).unwrap();
                }
                ask(&reader, of(expert)).unwrap();
            }
            assert!(reader.statistics().verified > 0);
        }
    }
}

/// Places where a loop over so many pages, or over chunks of them, could leave one out: both ends, both sides of the first and of the
/// last border of two chunks, and one in the middle.
fn edges(pages: u64, chunk: u64) -> Vec<u64> {
    let last_border = (pages - 1) / chunk * chunk;
    let mut edges = vec![0, 1, pages / 2, pages - 2, pages - 1];
    if last_border > 0 {
        edges.extend([chunk - 1, chunk, last_border - 1, last_border]);
    }
    edges.sort_unstable();
    edges.dedup();
    edges
}

#[test]
fn the_first_and_the_last_page_of_a_long_span_and_of_its_chunks_are_verified_too() {
    for arrangement in [Arrangement::Bundles, Arrangement::Matrices] {
        let scratch = Scratch::new();
        let file = packed(&scratch, arrangement);
        let span = file.layers()[1].expert_span(1);
        let pages = span.bytes / PAGE;
        assert!(pages > 20, "{pages} pages are no long span");
        for backend in BACKENDS {
            // Chunks of one page, of two, a number that leaves a shorter last one, and all in one.
            for chunk in [1, 2, pages / 2 - 1, 2 * pages] {
                let reader = reader_in_chunks(&file, backend, 0, chunk);
                let expert = || ask(&reader, Target::Expert { layer: 1, expert: 1 });
                for page in edges(pages, chunk) {
                    let offset = span.offset + page * PAGE;
                    let what = format!("page {page} of {pages}, {chunk} in a chunk, {backend:?}");
                    // Its first byte or its last.
                    let _damage = Damage::new(&file, offset + page % 2 * (PAGE - 1));
                    let error = expert().expect_err(&what);
                    assert_eq!(page_of(error).0, offset, "{what}");
                }
                expert().unwrap();
            }
        }
    }
}

#[test]
fn every_page_of_spans_that_share_a_read_is_verified() {
    let scratch = Scratch::new();
    let file = packed_in_groups(&scratch, Arrangement::Bundles, 128);
    let layer = &file.layers()[0];
    let gap = layer.part_span(0, 1).bytes;
    let gates = [0, 1].map(|group| Request {
        tag: 1,
        target: Target::Cluster {
            layer: 0,
            expert: 1,
            part: Part::Gate,
            groups: group..group + 1,
        },
    });
    // Chunks with pages of one of the two at most, and one with both.
    for (backend, chunk) in BACKENDS.into_iter().flat_map(|backend| [(backend, 3), (backend, 64)]) {
        let reader = reader_in_chunks(&file, backend, gap, chunk);
        for group in [0, 1] {
            let span = layer.part_span(1, 2 * group);
            assert!(span.bytes > 3 * PAGE, "longer than a chunk");
            for offset in (span.offset..span.end()).step_by(PAGE as usize) {
                let _damage = Damage::new(&file, offset + PAGE / 2);
                reader.submit(&gates).unwrap();
                while let Some(completion) = reader.wait() {
                    let what = format!("offset {offset} of {span:?}, {chunk} pages in a chunk, {backend:?}");
                    assert_eq!(page_of(completion.outcome.expect_err(&what)).0, offset, "{what}");
                }
            }
        }
        let statistics = reader.statistics();
        assert_eq!(statistics.merged * 2, statistics.requests, "both in one read");
    }
}

#[test]
fn the_error_says_what_is_damaged_where_and_what_to_do() {
    let scratch = Scratch::new();
    let file = packed(&scratch, Arrangement::Bundles);
    let span = file.layers()[0].part_span(1, 2 * 5 + 1);
    let _damage = Damage::new(&file, span.offset + 9);
    let target = Target::Cluster {
        layer: 0,
        expert: 1,
        part: Part::UpDown,
        groups: 4..7,
    };
    let words = ask(&reader(&file, BackendChoice::Lanes(1), 0), target)
        .unwrap_err()
        .to_string();
    let place = format!("4096 bytes at offset {} are damaged", span.offset);
    for wanted in [
        "packed: checksum mismatch: up and down of layer 0 expert 1 group 5, ",
        &place,
        ": pack the GGUF file again",
    ] {
        assert!(words.contains(wanted), "{words}");
    }
}

#[test]
fn a_damaged_tensor_outside_the_ffns_is_found_by_its_name() {
    let scratch = Scratch::new();
    let file = packed(&scratch, Arrangement::Bundles);
    for (index, tensor) in file.dense().iter().enumerate() {
        let _damage = Damage::new(&file, tensor.offset + tensor.bytes / 2);
        let reader = reader(&file, BackendChoice::Lanes(1), 0);
        let error = ask(&reader, Target::Tensor { index: index as u32 }).unwrap_err();
        assert_eq!(page_of(error).1, format!("tensor {}", tensor.name));
    }
}

#[test]
fn pages_that_are_only_read_over_harm_nobody() {
    let scratch = Scratch::new();
    let file = packed(&scratch, Arrangement::Bundles);
    let layer = &file.layers()[0];
    let between: Span = layer.part_span(0, 1);
    for backend in BACKENDS {
        let _damage = Damage::new(&file, between.offset + 1);
        let reader = reader(&file, backend, between.bytes);
        let gates = |group| Request {
            tag: 1,
            target: Target::Cluster {
                layer: 0,
                expert: 0,
                part: Part::Gate,
                groups: group..group + 1,
            },
        };
        reader.submit(&[gates(0), gates(1), gates(2)]).unwrap();
        while let Some(completion) = reader.wait() {
            completion.outcome.unwrap();
        }
        let statistics = reader.statistics();
        assert_eq!(statistics.merged, 2, "one read over what lies between");
        assert_eq!(statistics.verified * PAGE, 3 * layer.part_span(0, 0).bytes);
    }
}

#[test]
fn pages_that_the_data_does_not_have_are_no_pages() {
    let scratch = Scratch::new();
    let file = packed(&scratch, Arrangement::Bundles);
    let page = vec![0u8; PAGE as usize];
    let data = file.section(Section::DenseData).offset;
    let header = file.verify_pages(0, &page).unwrap();
    assert_eq!(header, 0, "the header was checked at opening");
    for (offset, bytes) in [
        (file.bytes(), &page[..]),
        (data + 1, &page[..]),
        (data, &page[..100]),
        (u64::MAX - 4095, &page[..]),
    ] {
        let words = file.verify_pages(offset, bytes).unwrap_err().to_string();
        assert!(words.contains("whole pages inside the file's"), "{words}");
    }
}

/// Damage that a test makes changes a sum all over. A sum that differs in one bit alone is another too, whichever bit it is.
#[test]
fn every_bit_of_a_checksum_is_compared() {
    let page: Vec<u8> = (0..PAGE).map(|place| (place * 7 % 251) as u8).collect();
    let mut sums = PageSums::default();
    sums.update(&page);
    let &[sum] = sums.sums() else {
        panic!("one page has one sum");
    };
    let verified = |sum: u32| FlashFile::blank("a page".as_ref(), PAGE, vec![sum]).verify_pages(0, &page);
    assert_eq!(verified(sum).unwrap(), 1);
    for bit in 0..u32::BITS {
        let error = verified(sum ^ 1 << bit).unwrap_err();
        assert!(
            matches!(error, FlashError::Checksum { wanted, got, .. } if wanted ^ got == 1 << bit),
            "bit {bit}: {error}"
        );
    }
}
