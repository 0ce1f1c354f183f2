//! Files that lie: each lie is refused, with the place of it, whether or not the checksums were made to fit.

mod common;

use std::path::Path;

use common::{Model, Random, SMALL, Scratch, Shape};
use flash::{FlashError, FlashFile, GroupChoice, NeuronOrder, PackOptions, Section, xxh64};

/// A packed file with an order, as bytes.
fn packed(scratch: &Scratch) -> (Vec<u8>, FlashFile) {
    let model = Model::write(
        scratch,
        Shape {
            experts: 2,
            width: 64,
            neurons: 96,
            ..SMALL
        },
    );
    let reversed: Vec<u32> = (0..96).rev().collect();
    let order = NeuronOrder {
        layers: vec![None, Some(vec![reversed.clone(), reversed])],
    };
    let options = PackOptions {
        order,
        group: GroupChoice::Fixed(4),
        ..PackOptions::default()
    };
    model.pack(&scratch.file("packed"), &options);
    let path = scratch.file("packed");
    (std::fs::read(&path).unwrap(), FlashFile::open(&path).unwrap())
}

fn open(scratch: &Scratch, bytes: &[u8]) -> Result<FlashFile, FlashError> {
    let path = scratch.file("lie");
    std::fs::write(&path, bytes).unwrap();
    FlashFile::open(&path)
}

/// Makes the checksums of tables and header fit whatever the tables now say.
fn reseal(bytes: &mut [u8], sections: &[flash::Span]) {
    for (index, span) in sections
        .iter()
        .enumerate()
        .filter(|(index, _)| Section::ALL[*index].is_table())
    {
        let sum = xxh64(&bytes[span.offset as usize..span.end() as usize]);
        bytes[40 + 24 * index + 16..40 + 24 * index + 24].copy_from_slice(&sum.to_le_bytes());
    }
    let sum = xxh64(&bytes[..4088]);
    bytes[4088..4096].copy_from_slice(&sum.to_le_bytes());
}

fn sections(file: &FlashFile) -> Vec<flash::Span> {
    Section::ALL.iter().map(|section| file.section(*section)).collect()
}

fn put(bytes: &mut [u8], at: u64, value: &[u8]) {
    bytes[at as usize..at as usize + value.len()].copy_from_slice(value);
}

#[test]
fn another_kind_or_version_of_file_is_called_that() {
    let scratch = Scratch::new();
    let (bytes, _) = packed(&scratch);
    let words = |change: &dyn Fn(&mut Vec<u8>)| {
        let mut lie = bytes.clone();
        change(&mut lie);
        open(&scratch, &lie).unwrap_err().to_string()
    };
    assert!(words(&|lie| lie[0] = b'X').contains("magic XLABFLSH; the magic is NLABFLSH"));
    assert!(words(&|lie| lie[..4].copy_from_slice(b"GGUF")).contains("this is a GGUF file: pack it first"));
    assert!(words(&|lie| lie[8] = 1).contains("at offset 8: version 1; this program reads version 2: pack the GGUF file again"));
    assert!(words(&|lie| lie[300] ^= 1).contains("header"));
    assert!(words(&|lie| lie.truncate(100)).contains("100 bytes; a packed file has at least 4096"));
    assert!(words(&|lie| lie.clear()).contains("0 bytes"));
    assert!(words(&|lie| lie.truncate(bytes.len() - 1)).contains("truncated"));
    assert!(words(&|lie| lie.push(0)).contains("has grown"));
    assert!(
        FlashFile::open(Path::new("/dev/null"))
            .unwrap_err()
            .to_string()
            .contains("not a regular file")
    );
    assert!(matches!(FlashFile::open(&scratch.file("none")), Err(FlashError::Io { .. })));
}

#[test]
fn a_file_cut_anywhere_is_refused() {
    let scratch = Scratch::new();
    let (bytes, _) = packed(&scratch);
    for length in (0..bytes.len()).step_by(bytes.len() / 97) {
        assert!(open(&scratch, &bytes[..length]).is_err(), "cut to {length}");
    }
}

#[test]
fn a_flipped_bit_in_any_table_is_a_checksum_error_at_that_table() {
    let scratch = Scratch::new();
    let (bytes, file) = packed(&scratch);
    for section in Section::ALL.into_iter().filter(|section| section.is_table()) {
        let span = file.section(section);
        let mut lie = bytes.clone();
        lie[(span.offset + span.bytes / 2) as usize] ^= 4;
        match open(&scratch, &lie).unwrap_err() {
            FlashError::Checksum { offset, what, .. } => assert_eq!((offset, what.as_str()), (span.offset, section.name())),
            other => panic!("{other}"),
        }
    }
}

#[test]
fn a_flipped_bit_in_the_data_is_found_by_verify() {
    let scratch = Scratch::new();
    let (bytes, file) = packed(&scratch);
    let mut random = Random(5);
    for section in [Section::DenseData, Section::FfnData] {
        let span = file.section(section);
        for _ in 0..40 {
            let at = span.offset + random.next() % span.bytes;
            let mut lie = bytes.clone();
            lie[at as usize] ^= 0x10;
            let opened = open(&scratch, &lie).expect("opening reads tables only");
            match opened.verify(&mut |_| std::ops::ControlFlow::Continue(())).unwrap_err() {
                FlashError::Checksum { offset, bytes, .. } => assert!(offset <= at && at < offset + bytes),
                other => panic!("{other}"),
            }
        }
    }
}

#[test]
fn every_lie_of_a_table_is_refused_even_when_checksums_fit() {
    let scratch = Scratch::new();
    let (bytes, file) = packed(&scratch);
    let sections = sections(&file);
    let layer = file.section(Section::LayerTable).offset;
    let dense = file.section(Section::DenseTable).offset;
    let order = file.section(Section::Order).offset;
    let name = u64::from(u32::from_le_bytes(
        bytes[dense as usize..dense as usize + 4].try_into().unwrap(),
    ));
    let after_name = dense + 4 + name;
    let big = u64::MAX.to_le_bytes();
    let cases: [(&str, u64, &[u8]); 22] = [
        ("pages", 12, &512u32.to_le_bytes()),
        ("arrangement 7", 16, &7u32.to_le_bytes()),
        ("experts needs 4 bytes", 20, &3u32.to_le_bytes()),
        ("after the last layer", 20, &1u32.to_le_bytes()),
        ("tensor", 24, &0u32.to_le_bytes()),
        ("needs", 24, &u32::MAX.to_le_bytes()),
        ("section gguf header", 40, &8192u64.to_le_bytes()),
        ("section dense table", 40 + 24 + 8, &big),
        ("experts", layer, &0u32.to_le_bytes()),
        ("left in the section", layer, &1000u32.to_le_bytes()),
        ("at most", layer, &big),
        ("multiple of 32", layer + 8, &65u32.to_le_bytes()),
        ("type 77 of gate", layer + 12, &77u32.to_le_bytes()),
        ("form of down", layer + 24, &2u32.to_le_bytes()),
        ("power of two", layer + 32, &3u32.to_le_bytes()),
        ("it begins at", layer + 40, &4096u64.to_le_bytes()),
        ("name needs", dense, &u32::MAX.to_le_bytes()),
        ("UTF-8", dense + 4, &[0xff]),
        ("dimensions", after_name + 4, &9u32.to_le_bytes()),
        ("its shape", after_name + 8, &999u64.to_le_bytes()),
        ("order flag 9", order, &9u32.to_le_bytes()),
        ("stands twice", order + 8, &0u32.to_le_bytes()),
    ];
    for (words, at, value) in cases {
        let mut lie = bytes.clone();
        put(&mut lie, at, value);
        if !(40..4096).contains(&at) {
            reseal(&mut lie, &sections);
        } else {
            let sum = xxh64(&lie[..4088]);
            put(&mut lie, 4088, &sum.to_le_bytes());
        }
        let error = open(&scratch, &lie).expect_err(words).to_string();
        assert!(
            error.contains(words) && error.contains("offset"),
            "wanted \"{words}\": {error}"
        );
    }
}

#[test]
fn a_sealed_file_with_random_tables_never_panics() {
    let scratch = Scratch::new();
    let (bytes, file) = packed(&scratch);
    let sections = sections(&file);
    let mut random = Random(11);
    let end = file.section(Section::Checksums).offset as usize;
    for _ in 0..2000 {
        let mut lie = bytes.clone();
        for _ in 0..1 + random.below(3) {
            let at = [random.below(260), 4096 + random.below(end - 4096)][random.below(2)];
            lie[at] = [0, 1, 0x7f, 0xff, random.next() as u8][random.below(5)];
        }
        reseal(&mut lie, &sections);
        if let Ok(opened) = open(&scratch, &lie) {
            // What opens is consistent: everything it names lies inside it.
            assert!(
                opened
                    .layers()
                    .iter()
                    .all(|layer| layer.offset() + layer.bytes() <= opened.bytes())
            );
        }
    }
}
