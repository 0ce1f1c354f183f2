//! What the writer writes the parser reads, and the other way round.

mod support;

use gguf::{Gguf, TensorType, Value, Writer};
use support::generate::{content, encode};
use support::random::Random;
use support::raw::Raw;

#[test]
fn generated_files_come_back_as_they_were_written() {
    for seed in 0..400 {
        let content = content(&mut Random::new(seed));
        let bytes = encode(&content);
        let gguf = Gguf::parse(&bytes).unwrap_or_else(|error| panic!("seed {seed}: {error}"));
        assert_eq!(gguf.metadata.len(), content.metadata.len(), "seed {seed}");
        for ((key, value), (wanted_key, wanted)) in gguf.metadata.iter().zip(&content.metadata) {
            // NaN differs from itself, its text does not.
            assert_eq!(
                (key, format!("{value:?}")),
                (wanted_key.as_str(), format!("{wanted:?}")),
                "seed {seed}"
            );
        }
        for (tensor, (name, shape, kind)) in gguf.tensors.iter().zip(&content.tensors) {
            assert_eq!(
                (&tensor.name, &tensor.shape, tensor.kind),
                (name, shape, *kind),
                "seed {seed}"
            );
        }
        assert_eq!(gguf.tensors.len(), content.tensors.len(), "seed {seed}");
        assert!(support::invariants::check(&bytes), "seed {seed}");
    }
}

#[test]
fn the_writer_and_the_hand_written_encoder_agree_byte_for_byte() {
    let mut writer = Writer::new("unused");
    writer.metadata("general.architecture", "llama").unwrap();
    writer
        .metadata("n", 7u32)
        .unwrap()
        .metadata("eps", 1e-5f32)
        .unwrap()
        .metadata("on", true)
        .unwrap();
    writer.metadata("ids", vec![1i32, -2]).unwrap();
    writer.tensor("a", &[32, 2], TensorType::Q4_0).unwrap();
    writer.tensor("b", &[3], TensorType::F32).unwrap();
    let raw = Raw::header(3, 2, 5)
        .key("general.architecture", 8)
        .str("llama")
        .key("n", 4)
        .u32(7);
    let raw = raw
        .key("eps", 6)
        .f32(1e-5)
        .key("on", 7)
        .u8(1)
        .key("ids", 9)
        .u32(5)
        .u64(2)
        .u32(1)
        .u32(-2i32 as u32);
    // Q4_0: 2 rows of one block of 18 bytes are 36, padded to 64.
    let raw = raw.tensor("a", &[32, 2], 2, 0).tensor("b", &[3], 0, 64).pad(32);
    assert_eq!(writer.header().unwrap(), raw.0);
}

#[test]
fn a_version_2_file_is_read_like_a_version_3_file() {
    let file = |version| {
        Raw::header(version, 1, 1)
            .key("k", 4)
            .u32(9)
            .tensor("t", &[4], 0, 0)
            .pad(32)
            .zeros(16)
            .0
    };
    let (two, three) = (Gguf::parse(&file(2)).unwrap(), Gguf::parse(&file(3)).unwrap());
    assert_eq!((two.version, three.version), (2, 3));
    assert_eq!((two.metadata, two.tensors), (three.metadata, three.tensors));
}

#[test]
fn tensor_data_is_found_where_the_table_says() {
    let folder = std::env::temp_dir().join(format!("gguf-data-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let path = folder.join("model.gguf");
    let mut writer = Writer::new(&path);
    writer.metadata("general.alignment", 4096u32).unwrap();
    let sizes = [
        ("q", vec![64, 5], TensorType::Q8_0),
        ("f", vec![7, 3], TensorType::F16),
        ("one", vec![1], TensorType::F32),
    ];
    for (name, shape, kind) in &sizes {
        writer.tensor(name, shape, *kind).unwrap();
    }
    let mut random = Random::new(1);
    let mut data = writer.start().unwrap();
    let mut written = Vec::new();
    while let Some(tensor) = data.current().cloned() {
        let bytes: Vec<u8> = (0..tensor.bytes).map(|_| random.next() as u8).collect();
        // In pieces, as a converter would.
        for piece in bytes.chunks(33) {
            data.write(&tensor.name, piece).unwrap();
        }
        written.push(bytes);
    }
    let length = data.finish().unwrap();
    assert_eq!(std::fs::metadata(&path).unwrap().len(), length);

    let gguf = Gguf::open(&path).unwrap();
    let file = std::fs::File::open(&path).unwrap();
    for (tensor, wanted) in gguf.tensors.iter().zip(&written) {
        assert_eq!(tensor.offset % 4096, 0);
        let mut found = vec![0xaa; tensor.bytes as usize];
        tensor.read_at(&file, 0, &mut found).unwrap();
        assert_eq!(&found, wanted);
        let refused = tensor.read_at(&file, 1, &mut found).unwrap_err().to_string();
        assert!(refused.contains(&tensor.name), "{refused}");
    }
    // A file that shrank after it was opened: an error with the place, no panic and no made-up data.
    std::fs::OpenOptions::new()
        .write(true)
        .open(&path)
        .unwrap()
        .set_len(gguf.tensors[2].offset)
        .unwrap();
    let error = gguf.tensors[2].read_at(&file, 0, &mut [0; 4]).unwrap_err();
    assert_eq!(error.offset(), Some(gguf.tensors[2].offset));
    std::fs::remove_dir_all(&folder).unwrap();
}

#[test]
fn nested_arrays_up_to_the_limit_are_read_and_one_more_is_refused() {
    let nested = |depth: usize| {
        let inner = Raw::header(3, 0, 1).key("deep", 9);
        (1..depth).fold(inner, |raw, _| raw.u32(9).u64(1)).u32(0).u64(1).u8(5).0
    };
    let gguf = Gguf::parse(&nested(8)).unwrap();
    assert!(format!("{:?}", gguf.metadata.get("deep")).contains("U8([5])"));
    assert!(matches!(gguf.metadata.get("deep"), Some(Value::Array(_))));
    let error = Gguf::parse(&nested(9)).unwrap_err().to_string();
    assert!(error.contains("nests arrays too deep"), "{error}");
}

#[test]
fn a_reader_that_gives_one_byte_at_a_time_reads_the_same() {
    struct Drip<'a>(std::io::Cursor<&'a [u8]>);
    impl std::io::Read for Drip<'_> {
        fn read(&mut self, out: &mut [u8]) -> std::io::Result<usize> {
            let now = out.len().min(1);
            self.0.read(&mut out[..now])
        }
    }
    impl std::io::Seek for Drip<'_> {
        fn seek(&mut self, to: std::io::SeekFrom) -> std::io::Result<u64> {
            self.0.seek(to)
        }
    }
    let bytes = encode(&content(&mut Random::new(7)));
    let slow = Gguf::read(Drip(std::io::Cursor::new(&bytes))).unwrap();
    assert_eq!(format!("{slow:?}"), format!("{:?}", Gguf::parse(&bytes).unwrap()));
}
