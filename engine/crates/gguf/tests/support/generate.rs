//! Seeded files: every value type, nested arrays, awkward strings, all tensor types.

use gguf::{Array, Strings, TensorType, Value};

use super::random::Random;

const TEXTS: [&str; 9] = [
    "",
    "a",
    "▁the",
    "ünïcödé",
    "日本語",
    "👩‍👩‍👧‍👦",
    "line\nbreak",
    "nul\0inside",
    "tokenizer.ggml.tokens",
];

/// What a file holds, before it is one.
#[derive(Clone)]
pub struct Content {
    pub metadata: Vec<(String, Value)>,
    pub tensors: Vec<(String, Vec<u64>, TensorType)>,
}

pub fn content(random: &mut Random) -> Content {
    let mut metadata = Vec::new();
    if random.chance(3) {
        metadata.push(("general.alignment".to_owned(), Value::U32(1 << random.below(9))));
    }
    for index in 0..random.below(12) {
        metadata.push((format!("key.{index}.{}", random.pick(&TEXTS)), value(random)));
    }
    let mut tensors = Vec::new();
    for index in 0..random.below(8) {
        let kind = *random.pick(TensorType::ALL);
        let mut shape = vec![kind.block_weights() * (1 + random.below(3) as u64)];
        for _ in 0..random.below(4) {
            shape.push(1 + random.below(3) as u64);
        }
        tensors.push((format!("blk.{index}.weight"), shape, kind));
    }
    Content { metadata, tensors }
}

pub fn value(random: &mut Random) -> Value {
    let bits = random.next();
    match random.below(13) {
        0 => Value::U8(bits as u8),
        1 => Value::I8(bits as i8),
        2 => Value::U16(bits as u16),
        3 => Value::I16(bits as i16),
        4 => Value::U32(bits as u32),
        5 => Value::I32(bits as i32),
        6 => Value::F32(f32::from_bits(bits as u32)),
        7 => Value::Bool(bits & 1 == 1),
        8 => Value::Str((*random.pick(&TEXTS)).to_owned()),
        9 => Value::U64(bits),
        10 => Value::I64(bits as i64),
        11 => Value::F64(f64::from_bits(bits)),
        _ => Value::Array(array(random, 1)),
    }
}

fn array(random: &mut Random, depth: usize) -> Array {
    // Sometimes longer than the parser's chunk of 8192 bytes.
    let count = if random.chance(20) {
        1_000 + random.below(10_000)
    } else {
        random.below(6)
    };
    let mut numbers = || random.next();
    match numbers() % 13 {
        0 => Array::U8((0..count).map(|_| numbers() as u8).collect()),
        1 => Array::I8((0..count).map(|_| numbers() as i8).collect()),
        2 => Array::U16((0..count).map(|_| numbers() as u16).collect()),
        3 => Array::I16((0..count).map(|_| numbers() as i16).collect()),
        4 => Array::U32((0..count).map(|_| numbers() as u32).collect()),
        5 => Array::I32((0..count).map(|_| numbers() as i32).collect()),
        6 => Array::F32((0..count).map(|_| f32::from_bits(numbers() as u32)).collect()),
        7 => Array::Bool((0..count).map(|_| numbers() & 1 == 1).collect()),
        8 => Array::U64((0..count).map(|_| numbers()).collect()),
        9 => Array::I64((0..count).map(|_| numbers() as i64).collect()),
        10 => Array::F64((0..count).map(|_| f64::from_bits(numbers())).collect()),
        11 if depth < 8 => Array::Array((0..count.min(4)).map(|_| array(random, depth + 1)).collect()),
        _ => Array::Str((0..count).map(|_| *random.pick(&TEXTS)).collect::<Strings>()),
    }
}

/// The content as the bytes of a file, by the crate's writer: the header, then zeros for the data.
pub fn encode(content: &Content) -> Vec<u8> {
    let mut writer = gguf::Writer::new("unused");
    for (key, value) in &content.metadata {
        writer.metadata(key, value.clone()).expect("generated metadata is valid");
    }
    let alignment = match content.metadata.first() {
        Some((key, Value::U32(alignment))) if key == "general.alignment" => u64::from(*alignment),
        _ => gguf::DEFAULT_ALIGNMENT,
    };
    let mut data = 0;
    for (name, shape, kind) in &content.tensors {
        data += writer
            .tensor(name, shape, *kind)
            .expect("generated tensors are valid")
            .next_multiple_of(alignment);
    }
    let mut bytes = writer.header().expect("generated headers are small");
    bytes.resize(bytes.len() + data as usize, 0);
    bytes
}
