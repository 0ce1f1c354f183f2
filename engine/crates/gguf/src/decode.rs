//! The parts of a header as they stand in the file: keys with their values, rows of the tensor table.

use std::fmt;
use std::io::{Read, Seek};

use crate::check::Declared;
use crate::error::GgufError;
use crate::file::{MAX_DIMENSIONS, MAX_HEADER_BYTES, MAX_KEY_BYTES, MAX_NAME_BYTES, MAX_NESTING};
use crate::kind::TensorType;
use crate::metadata::Metadata;
use crate::source::Source;
use crate::strings::Strings;
use crate::value::{Array, Value, ValueType};

/// What a field is, written out only when an error needs it.
enum Field<'a> {
    Key(u64),
    Value(&'a str),
    Name(u64),
    Tensor(&'a str, &'static str),
}

impl fmt::Display for Field<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Field::Key(index) => write!(f, "key number {index}"),
            Field::Value(key) => write!(f, "value of {key}"),
            Field::Name(index) => write!(f, "name of tensor number {index}"),
            Field::Tensor(name, part) => write!(f, "{part} of tensor {name}"),
        }
    }
}

pub(crate) fn read_metadata<R: Read + Seek>(source: &mut Source<R>, count: u64) -> Result<Metadata, GgufError> {
    // A key is a length, at least one byte, a type and at least one byte of value.
    source.afford(format_args!("metadata of {count} keys"), count, 8 + 1 + 4 + 1)?;
    let mut entries = Vec::new();
    let mut places = Vec::new();
    for index in 0..count {
        let at = source.at();
        let key = source.string(&Field::Key(index), MAX_KEY_BYTES)?;
        if key.is_empty() {
            return Err(GgufError::Empty {
                at,
                what: Field::Key(index).to_string(),
            });
        }
        let kind = read_kind(source, &Field::Value(&key))?;
        let value = read_value(source, kind, &Field::Value(&key))?;
        entries.push((key, value));
        places.push(at);
    }
    Metadata::new(entries).map_err(|(second, key)| GgufError::DuplicateKey { at: places[second], key })
}

fn read_kind<R: Read + Seek>(source: &mut Source<R>, what: &Field) -> Result<ValueType, GgufError> {
    let at = source.at();
    let code = source.u32(what)?;
    ValueType::from_code(code).ok_or_else(|| GgufError::UnknownValueType {
        at,
        what: what.to_string(),
        code,
    })
}

fn read_value<R: Read + Seek>(source: &mut Source<R>, kind: ValueType, what: &Field) -> Result<Value, GgufError> {
    Ok(match kind {
        ValueType::U8 => Value::U8(source.take::<1>(what)?[0]),
        ValueType::I8 => Value::I8(i8::from_le_bytes(source.take(what)?)),
        ValueType::U16 => Value::U16(u16::from_le_bytes(source.take(what)?)),
        ValueType::I16 => Value::I16(i16::from_le_bytes(source.take(what)?)),
        ValueType::U32 => Value::U32(source.u32(what)?),
        ValueType::I32 => Value::I32(i32::from_le_bytes(source.take(what)?)),
        ValueType::F32 => Value::F32(f32::from_le_bytes(source.take(what)?)),
        ValueType::Bool => Value::Bool(read_bool(source, what)?),
        ValueType::Str => Value::Str(source.string(what, MAX_HEADER_BYTES)?),
        ValueType::Array => Value::Array(read_array(source, what, 1)?),
        ValueType::U64 => Value::U64(source.u64(what)?),
        ValueType::I64 => Value::I64(i64::from_le_bytes(source.take(what)?)),
        ValueType::F64 => Value::F64(f64::from_le_bytes(source.take(what)?)),
    })
}

fn read_bool<R: Read + Seek>(source: &mut Source<R>, what: &Field) -> Result<bool, GgufError> {
    let at = source.at();
    match source.take::<1>(what)?[0] {
        0 => Ok(false),
        1 => Ok(true),
        found => Err(GgufError::BadBool {
            at,
            what: what.to_string(),
            found,
        }),
    }
}

fn read_array<R: Read + Seek>(source: &mut Source<R>, what: &Field, depth: usize) -> Result<Array, GgufError> {
    let at = source.at();
    let kind = read_kind(source, what)?;
    let count = source.u64(what)?;
    source.afford(what, count, kind.least_bytes())?;
    Ok(match kind {
        ValueType::U8 => Array::U8(read_numbers(source, what, count, |[byte]: [u8; 1]| byte)?),
        ValueType::I8 => Array::I8(read_numbers(source, what, count, i8::from_le_bytes)?),
        ValueType::U16 => Array::U16(read_numbers(source, what, count, u16::from_le_bytes)?),
        ValueType::I16 => Array::I16(read_numbers(source, what, count, i16::from_le_bytes)?),
        ValueType::U32 => Array::U32(read_numbers(source, what, count, u32::from_le_bytes)?),
        ValueType::I32 => Array::I32(read_numbers(source, what, count, i32::from_le_bytes)?),
        ValueType::F32 => Array::F32(read_numbers(source, what, count, f32::from_le_bytes)?),
        ValueType::U64 => Array::U64(read_numbers(source, what, count, u64::from_le_bytes)?),
        ValueType::I64 => Array::I64(read_numbers(source, what, count, i64::from_le_bytes)?),
        ValueType::F64 => Array::F64(read_numbers(source, what, count, f64::from_le_bytes)?),
        ValueType::Bool => Array::Bool((0..count).map(|_| read_bool(source, what)).collect::<Result<_, _>>()?),
        ValueType::Str => Array::Str(read_strings(source, what, count)?),
        ValueType::Array if depth == MAX_NESTING => {
            return Err(GgufError::TooDeep {
                at,
                what: what.to_string(),
                limit: MAX_NESTING,
            });
        }
        ValueType::Array => Array::Array(
            (0..count)
                .map(|_| read_array(source, what, depth + 1))
                .collect::<Result<_, _>>()?,
        ),
    })
}

/// `count` numbers of `N` bytes; the caller has checked that so many can follow.
fn read_numbers<R: Read + Seek, T, const N: usize>(
    source: &mut Source<R>,
    what: &Field,
    count: u64,
    decode: impl Fn([u8; N]) -> T,
) -> Result<Vec<T>, GgufError> {
    let mut numbers = Vec::new();
    numbers
        .try_reserve_exact(count as usize)
        .map_err(|_| source.no_memory(what, count.saturating_mul(N as u64)))?;
    let mut chunk = [0; 8192];
    let mut left = count as usize;
    while left > 0 {
        let now = left.min(chunk.len() / N);
        source.fill(what, &mut chunk[..now * N])?;
        numbers.extend(chunk[..now * N].as_chunks::<N>().0.iter().map(|&bytes| decode(bytes)));
        left -= now;
    }
    Ok(numbers)
}

fn read_strings<R: Read + Seek>(source: &mut Source<R>, what: &Field, count: u64) -> Result<Strings, GgufError> {
    let at = source.at();
    let mut text = Vec::new();
    let mut ends = Vec::new();
    ends.try_reserve_exact(count as usize)
        .map_err(|_| source.no_memory(what, count.saturating_mul(8)))?;
    for _ in 0..count {
        source.text_into(what, MAX_HEADER_BYTES, &mut text)?;
        ends.push(text.len());
    }
    let text = String::from_utf8(text).ok();
    let strings = text.and_then(|text| Strings::from_parts(text, ends));
    strings.ok_or_else(|| GgufError::NotUtf8 {
        at,
        what: what.to_string(),
    })
}

pub(crate) fn read_tensors<R: Read + Seek>(source: &mut Source<R>, count: u64) -> Result<Vec<Declared>, GgufError> {
    // A name of at least one byte, a count of dimensions, at least one dimension, a type, an offset.
    source.afford(format_args!("table of {count} tensors"), count, 8 + 1 + 4 + 8 + 4 + 8)?;
    let mut tensors = Vec::new();
    for index in 0..count {
        let at = source.at();
        let name = source.string(&Field::Name(index), MAX_NAME_BYTES)?;
        if name.is_empty() {
            return Err(GgufError::Empty {
                at,
                what: Field::Name(index).to_string(),
            });
        }
        let dimensions = source.u32(Field::Tensor(&name, "number of dimensions"))? as usize;
        if dimensions > MAX_DIMENSIONS {
            let (what, length) = (Field::Tensor(&name, "list of dimensions").to_string(), dimensions as u64);
            return Err(GgufError::TooLong {
                at,
                what,
                length,
                limit: MAX_DIMENSIONS as u64,
            });
        }
        let mut shape = Vec::with_capacity(dimensions);
        for _ in 0..dimensions {
            shape.push(source.u64(Field::Tensor(&name, "dimension"))?);
        }
        let code = source.u32(Field::Tensor(&name, "type"))?;
        let kind = TensorType::from_code(code);
        let kind = kind.ok_or_else(|| GgufError::UnknownTensorType {
            at,
            tensor: name.clone(),
            code,
        })?;
        let offset = source.u64(Field::Tensor(&name, "offset"))?;
        tensors.push(Declared {
            at,
            name,
            shape,
            kind,
            offset,
        });
    }
    Ok(tensors)
}
