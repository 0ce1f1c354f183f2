//! The keys of a file and their values, with getters that say what was found where something else was wanted.

use crate::error::GgufError;
use crate::strings::Strings;
use crate::value::{Array, Value};

/// Keys and values in the order of the file; look-up is by binary search over a sorted index.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Metadata {
    entries: Vec<(String, Value)>,
    by_key: Vec<u32>,
}

impl Metadata {
    /// From entries in the order of the file; the error is the second of two equal keys, with its position.
    pub(crate) fn new(entries: Vec<(String, Value)>) -> Result<Self, (usize, String)> {
        let mut by_key: Vec<u32> = (0..entries.len() as u32).collect();
        by_key.sort_by(|&a, &b| entries[a as usize].0.cmp(&entries[b as usize].0));
        for pair in by_key.windows(2) {
            if entries[pair[0] as usize].0 == entries[pair[1] as usize].0 {
                return Err((pair[1] as usize, entries[pair[1] as usize].0.clone()));
            }
        }
        Ok(Self { entries, by_key })
    }

    /// Keys and values in the order of the file.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (&str, &Value)> {
        self.entries.iter().map(|(key, value)| (key.as_str(), value))
    }

    /// How many keys.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// The value of a key, whatever its type.
    pub fn get(&self, key: &str) -> Option<&Value> {
        let found = self
            .by_key
            .binary_search_by(|&index| self.entries[index as usize].0.as_str().cmp(key))
            .ok()?;
        self.entries.get(self.by_key[found] as usize).map(|(_, value)| value)
    }

    /// The value of a key as `T`: `None` when the key is absent, an error when it is of another type.
    pub fn find<'a, T: FromValue<'a>>(&'a self, key: &str) -> Result<Option<T>, GgufError> {
        self.get(key).map(|value| T::from_value(key, value)).transpose()
    }

    /// The value of a key as `T`; an error when the key is absent or of another type.
    pub fn need<'a, T: FromValue<'a>>(&'a self, key: &str) -> Result<T, GgufError> {
        self.find(key)?.ok_or_else(|| GgufError::MissingKey {
            key: key.to_owned(),
            wanted: T::WANTED,
        })
    }

    /// A string.
    pub fn str(&self, key: &str) -> Result<&str, GgufError> {
        self.need(key)
    }

    /// A whole number, stored in any integer type, that fits in 32 bits without sign.
    pub fn u32(&self, key: &str) -> Result<u32, GgufError> {
        self.need(key)
    }

    /// Like [`Metadata::u32`], with a value for an absent key.
    pub fn u32_or(&self, key: &str, absent: u32) -> Result<u32, GgufError> {
        Ok(self.find(key)?.unwrap_or(absent))
    }

    /// A whole number, stored in any integer type, that is not negative.
    pub fn u64(&self, key: &str) -> Result<u64, GgufError> {
        self.need(key)
    }

    /// A number stored as f32, or as f64 and rounded.
    pub fn f32(&self, key: &str) -> Result<f32, GgufError> {
        self.need(key)
    }

    /// Like [`Metadata::f32`], with a value for an absent key.
    pub fn f32_or(&self, key: &str, absent: f32) -> Result<f32, GgufError> {
        Ok(self.find(key)?.unwrap_or(absent))
    }

    /// A bool.
    pub fn bool(&self, key: &str) -> Result<bool, GgufError> {
        self.need(key)
    }

    /// Like [`Metadata::bool`], with a value for an absent key.
    pub fn bool_or(&self, key: &str, absent: bool) -> Result<bool, GgufError> {
        Ok(self.find(key)?.unwrap_or(absent))
    }

    /// An array of strings.
    pub fn strings(&self, key: &str) -> Result<&Strings, GgufError> {
        self.need(key)
    }

    /// An array of f32.
    pub fn f32s(&self, key: &str) -> Result<&[f32], GgufError> {
        self.need(key)
    }

    /// An array of whole numbers in any integer type, each of which fits in an i64.
    pub fn integers(&self, key: &str) -> Result<Vec<i64>, GgufError> {
        self.need(key)
    }
}

/// A Rust type that a metadata value can be read as.
pub trait FromValue<'a>: Sized {
    /// What is expected, for messages.
    const WANTED: &'static str;
    /// The value as this type, or an error that names `key`, what was found and what was wanted.
    fn from_value(key: &str, value: &'a Value) -> Result<Self, GgufError>;
}

fn wrong_type(key: &str, value: &Value, wanted: &'static str) -> GgufError {
    GgufError::WrongType {
        key: key.to_owned(),
        found: value.describe_kind(),
        wanted,
    }
}

/// Any integer type, widened so that both u64 and i64 fit.
fn whole(value: &Value) -> Option<i128> {
    Some(match *value {
        Value::U8(v) => v.into(),
        Value::I8(v) => v.into(),
        Value::U16(v) => v.into(),
        Value::I16(v) => v.into(),
        Value::U32(v) => v.into(),
        Value::I32(v) => v.into(),
        Value::U64(v) => v.into(),
        Value::I64(v) => v.into(),
        _ => return None,
    })
}

macro_rules! from_integer {
    ($($rust:ty, $wanted:literal;)*) => {
        $(impl<'a> FromValue<'a> for $rust {
            const WANTED: &'static str = $wanted;
            fn from_value(key: &str, value: &'a Value) -> Result<Self, GgufError> {
                let found = whole(value).ok_or_else(|| wrong_type(key, value, Self::WANTED))?;
                found.try_into().map_err(|_| GgufError::OutOfRange {
                    key: key.to_owned(),
                    found: found.to_string(),
                    wanted: Self::WANTED.to_owned(),
                })
            }
        })*
    };
}

from_integer! {
    u32, "a whole number from 0 to 4294967295 (u32)";
    i32, "a whole number of 32 bits (i32)";
    u64, "a whole number that is not negative (u64)";
    i64, "a whole number of 64 bits (i64)";
}

impl<'a> FromValue<'a> for f32 {
    const WANTED: &'static str = "a number (f32)";
    fn from_value(key: &str, value: &'a Value) -> Result<Self, GgufError> {
        match *value {
            Value::F32(found) => Ok(found),
            Value::F64(found) => Ok(found as f32),
            _ => Err(wrong_type(key, value, Self::WANTED)),
        }
    }
}

impl<'a> FromValue<'a> for bool {
    const WANTED: &'static str = "a bool";
    fn from_value(key: &str, value: &'a Value) -> Result<Self, GgufError> {
        match *value {
            Value::Bool(found) => Ok(found),
            _ => Err(wrong_type(key, value, Self::WANTED)),
        }
    }
}

impl<'a> FromValue<'a> for &'a str {
    const WANTED: &'static str = "a string";
    fn from_value(key: &str, value: &'a Value) -> Result<Self, GgufError> {
        match value {
            Value::Str(found) => Ok(found),
            _ => Err(wrong_type(key, value, Self::WANTED)),
        }
    }
}

impl<'a> FromValue<'a> for &'a Strings {
    const WANTED: &'static str = "an array of strings";
    fn from_value(key: &str, value: &'a Value) -> Result<Self, GgufError> {
        match value {
            Value::Array(Array::Str(found)) => Ok(found),
            _ => Err(wrong_type(key, value, Self::WANTED)),
        }
    }
}

impl<'a> FromValue<'a> for &'a [f32] {
    const WANTED: &'static str = "an array of f32";
    fn from_value(key: &str, value: &'a Value) -> Result<Self, GgufError> {
        match value {
            Value::Array(Array::F32(found)) => Ok(found),
            _ => Err(wrong_type(key, value, Self::WANTED)),
        }
    }
}

impl<'a> FromValue<'a> for Vec<i64> {
    const WANTED: &'static str = "an array of whole numbers";
    fn from_value(key: &str, value: &'a Value) -> Result<Self, GgufError> {
        let Value::Array(array) = value else {
            return Err(wrong_type(key, value, Self::WANTED));
        };
        let too_large = |found: u64| GgufError::OutOfRange {
            key: key.to_owned(),
            found: found.to_string(),
            wanted: "whole numbers of 64 bits with sign".to_owned(),
        };
        Ok(match array {
            Array::U8(all) => all.iter().map(|&v| v.into()).collect(),
            Array::I8(all) => all.iter().map(|&v| v.into()).collect(),
            Array::U16(all) => all.iter().map(|&v| v.into()).collect(),
            Array::I16(all) => all.iter().map(|&v| v.into()).collect(),
            Array::U32(all) => all.iter().map(|&v| v.into()).collect(),
            Array::I32(all) => all.iter().map(|&v| v.into()).collect(),
            Array::I64(all) => all.clone(),
            Array::U64(all) => all
                .iter()
                .map(|&v| i64::try_from(v).map_err(|_| too_large(v)))
                .collect::<Result<_, _>>()?,
            _ => return Err(wrong_type(key, value, Self::WANTED)),
        })
    }
}
