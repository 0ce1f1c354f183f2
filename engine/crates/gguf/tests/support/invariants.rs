//! What must hold of the parser for every input. Broken means a panic here, which every fuzzer reports.

use gguf::{Gguf, GgufError, Writer};

/// Parses; returns whether the input was a good file.
pub fn check(bytes: &[u8]) -> bool {
    match Gguf::parse(bytes) {
        Ok(gguf) => {
            lies_inside(&gguf, bytes.len() as u64);
            getters_answer(&gguf);
            survives_rewriting(&gguf);
            true
        }
        Err(error) => {
            let text = error.to_string();
            assert!(!text.is_empty() && text.len() < 12_000, "message of {} bytes", text.len());
            if let Some(at) = error.offset() {
                assert!(at <= bytes.len() as u64, "{text}: offset {at} in a file of {}", bytes.len());
            }
            false
        }
    }
}

/// Tensors are aligned, inside the file, apart from each other, and of the size that their shape says.
fn lies_inside(gguf: &Gguf, length: u64) {
    assert!(gguf.alignment.is_power_of_two());
    assert_eq!(gguf.file_bytes, length);
    let mut spans = Vec::new();
    for tensor in &gguf.tensors {
        assert_eq!((tensor.offset - gguf.data_start) % gguf.alignment, 0, "{}", tensor.name);
        assert!(
            tensor.offset >= gguf.data_start && tensor.offset + tensor.bytes <= length,
            "{}",
            tensor.name
        );
        assert_eq!(tensor.row_bytes() * tensor.rows(), tensor.bytes, "{}", tensor.name);
        assert_eq!(
            tensor.kind.row_bytes(tensor.columns()),
            Some(tensor.row_bytes()),
            "{}",
            tensor.name
        );
        assert_eq!(gguf.tensor(&tensor.name), Some(tensor));
        spans.push((tensor.offset, tensor.offset + tensor.bytes));
    }
    spans.sort();
    assert!(spans.windows(2).all(|pair| pair[0].1 <= pair[1].0), "tensors overlap");
}

/// Every key is found again, and every getter gives a value or a typed error.
fn getters_answer(gguf: &Gguf) {
    let metadata = &gguf.metadata;
    for (key, value) in metadata.iter() {
        assert!(std::ptr::eq(metadata.get(key).expect("a listed key is found"), value));
        let errors = [
            metadata.str(key).err(),
            metadata.u32(key).err(),
            metadata.u64(key).err(),
            metadata.f32(key).err(),
            metadata.bool(key).err(),
            metadata.strings(key).err(),
            metadata.f32s(key).err(),
            metadata.integers(key).err(),
        ];
        for error in errors.into_iter().flatten() {
            assert!(
                matches!(error, GgufError::WrongType { .. } | GgufError::OutOfRange { .. }),
                "{error}"
            );
        }
    }
}

/// What was read can be written, and is then read as the same: compared as bytes, for the sake of NaN.
fn survives_rewriting(gguf: &Gguf) {
    let first = rewrite(gguf);
    let mut whole = first.clone();
    let padded = |bytes: u64| bytes.next_multiple_of(gguf.alignment);
    // The data may have gaps in the input; rewritten it has none.
    let data: u64 = gguf.tensors.iter().map(|tensor| padded(tensor.bytes)).sum();
    if data > 1 << 20 {
        return;
    }
    whole.resize(first.len() + data as usize, 0);
    let again = Gguf::parse(&whole).expect("a written file is read");
    assert_eq!(rewrite(&again), first);
    assert_eq!(again.tensors.len(), gguf.tensors.len());
}

fn rewrite(gguf: &Gguf) -> Vec<u8> {
    let mut writer = Writer::new("unused");
    for (key, value) in gguf.metadata.iter() {
        // A reader takes an alignment of any integer type; a writer writes what the format says.
        let value = if key == "general.alignment" {
            (gguf.alignment as u32).into()
        } else {
            value.clone()
        };
        writer.metadata(key, value).expect("metadata that was read can be written");
    }
    for tensor in &gguf.tensors {
        writer
            .tensor(&tensor.name, &tensor.shape, tensor.kind)
            .expect("a tensor that was read can be declared");
    }
    writer.header().expect("a header that was read can be written")
}
