//! The writer: metadata and tensors are declared, then the header is written and the data streamed in the order declared.

use std::collections::HashSet;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use crate::atomic::AtomicFile;
use crate::check::tensor_bytes;
use crate::error::GgufError;
use crate::file::{DEFAULT_ALIGNMENT, MAX_ALIGNMENT, MAX_HEADER_BYTES, MAX_KEY_BYTES, MAX_NAME_BYTES, MAX_NESTING, TensorInfo};
use crate::kind::TensorType;
use crate::value::{Array, Value};

/// Writes version 3. Declarations first; [`Writer::start`] then gives a [`DataWriter`] for the data.
#[derive(Debug)]
pub struct Writer {
    path: PathBuf,
    alignment: u64,
    keys: HashSet<String>,
    names: HashSet<String>,
    /// Keys and values as they will stand in the file.
    metadata: Vec<u8>,
    /// Offsets are from the start of the data until `start` knows where that is.
    tensors: Vec<TensorInfo>,
    data_bytes: u64,
}

impl Writer {
    /// A file to be, at `path`. Nothing is created before [`Writer::start`].
    pub fn new(path: impl AsRef<Path>) -> Self {
        Self {
            path: path.as_ref().to_path_buf(),
            alignment: DEFAULT_ALIGNMENT,
            keys: HashSet::new(),
            names: HashSet::new(),
            metadata: Vec::new(),
            tensors: Vec::new(),
            data_bytes: 0,
        }
    }

    /// Adds a key. `general.alignment` (u32) also sets the alignment, and must come before the tensors.
    pub fn metadata(&mut self, key: &str, value: impl Into<Value>) -> Result<&mut Self, GgufError> {
        let value = value.into();
        if key.is_empty() || key.len() as u64 > MAX_KEY_BYTES {
            return misuse(format!("key of {} bytes; 1 to {MAX_KEY_BYTES} can be written", key.len()));
        }
        if key == "general.alignment" {
            match value {
                Value::U32(alignment) if is_alignment(alignment) && self.tensors.is_empty() => self.alignment = alignment.into(),
                Value::U32(found) if !is_alignment(found) => return Err(GgufError::BadAlignment { found: found.into() }),
                Value::U32(_) => return misuse("general.alignment after a tensor; set it before".to_owned()),
                other => {
                    let (key, found) = (key.to_owned(), other.describe_kind());
                    return Err(GgufError::WrongType {
                        key,
                        found,
                        wanted: "a u32",
                    });
                }
            }
        }
        if !self.keys.insert(key.to_owned()) {
            return Err(GgufError::DuplicateKey {
                at: self.metadata.len() as u64,
                key: key.to_owned(),
            });
        }
        put_str(&mut self.metadata, key);
        put_u32(&mut self.metadata, value.kind() as u32);
        put_value(&mut self.metadata, &value, key)?;
        Ok(self)
    }

    /// Declares the next tensor; `shape` has the fastest dimension first. Returns its size (bytes).
    pub fn tensor(&mut self, name: &str, shape: &[u64], kind: TensorType) -> Result<u64, GgufError> {
        if name.is_empty() || name.len() as u64 > MAX_NAME_BYTES {
            return misuse(format!(
                "tensor name of {} bytes; 1 to {MAX_NAME_BYTES} can be written",
                name.len()
            ));
        }
        let bytes = tensor_bytes(0, name, shape, kind)?;
        let offset = self.data_bytes;
        let padded = bytes
            .checked_next_multiple_of(self.alignment)
            .and_then(|padded| offset.checked_add(padded));
        let too_large = || GgufError::TooLarge {
            at: 0,
            tensor: name.to_owned(),
            shape: shape.to_vec(),
        };
        let data_bytes = padded.filter(|&end| end <= i64::MAX as u64).ok_or_else(too_large)?;
        if !self.names.insert(name.to_owned()) {
            return Err(GgufError::DuplicateTensor {
                at: 0,
                name: name.to_owned(),
            });
        }
        self.data_bytes = data_bytes;
        self.tensors.push(TensorInfo {
            name: name.to_owned(),
            shape: shape.to_vec(),
            kind,
            offset,
            bytes,
        });
        Ok(bytes)
    }

    /// Creates the temporary file, reserves the space, writes the header.
    pub fn start(self) -> Result<DataWriter, GgufError> {
        let path = self.path.clone();
        self.start_at_path().map_err(|error| error.in_file(path))
    }

    /// The file's bytes before the tensors' data, padding included: what [`Writer::start`] writes first.
    pub fn header(&self) -> Result<Vec<u8>, GgufError> {
        let mut header = Vec::with_capacity(self.metadata.len() + 128 * self.tensors.len() + 64);
        header.extend_from_slice(b"GGUF");
        put_u32(&mut header, 3);
        put_u64(&mut header, self.tensors.len() as u64);
        put_u64(&mut header, self.keys.len() as u64);
        header.extend_from_slice(&self.metadata);
        for tensor in &self.tensors {
            put_str(&mut header, &tensor.name);
            put_u32(&mut header, tensor.shape.len() as u32);
            tensor.shape.iter().for_each(|&size| put_u64(&mut header, size));
            put_u32(&mut header, tensor.kind.code());
            put_u64(&mut header, tensor.offset);
        }
        let length = header.len() as u64;
        if length > MAX_HEADER_BYTES {
            return misuse(format!(
                "header of {length} bytes; at most {MAX_HEADER_BYTES} can be read again"
            ));
        }
        header.resize(length.next_multiple_of(self.alignment) as usize, 0);
        Ok(header)
    }

    fn start_at_path(self) -> Result<DataWriter, GgufError> {
        let header = self.header()?;
        let Self {
            path,
            alignment,
            mut tensors,
            data_bytes,
            ..
        } = self;
        let data_start = header.len() as u64;
        let Some(total) = data_start.checked_add(data_bytes).filter(|&total| total <= i64::MAX as u64) else {
            return misuse(format!("tensors of {data_bytes} bytes; a file cannot hold them"));
        };
        tensors.iter_mut().for_each(|tensor| tensor.offset += data_start);

        let failed = |doing| move |error| GgufError::Io { doing, at: None, error };
        let mut out = AtomicFile::create(&path).map_err(failed("creating the file"))?;
        out.reserve(total).map_err(failed("reserving the space"))?;
        out.write_all(&header).map_err(failed("writing the header"))?;
        Ok(DataWriter {
            path,
            out,
            alignment,
            tensors,
            current: 0,
            written: 0,
            at: data_start,
        })
    }
}

/// Takes the tensors' data, in the order declared and in pieces of any size.
#[derive(Debug)]
pub struct DataWriter {
    path: PathBuf,
    out: AtomicFile,
    alignment: u64,
    tensors: Vec<TensorInfo>,
    current: usize,
    written: u64,
    at: u64,
}

impl DataWriter {
    /// The tensors, with their final offsets.
    pub fn tensors(&self) -> &[TensorInfo] {
        &self.tensors
    }

    /// The tensor that the next bytes belong to; `None` when all is written.
    pub fn current(&self) -> Option<&TensorInfo> {
        self.tensors.get(self.current)
    }

    /// Writes the next bytes of tensor `name`, which must be the current one and have room for them.
    pub fn write(&mut self, name: &str, bytes: &[u8]) -> Result<(), GgufError> {
        let Some(tensor) = self.tensors.get(self.current) else {
            let what = format!("data for tensor {name} after the last one");
            return Err(GgufError::Misuse { what }.in_file(&self.path));
        };
        let room = tensor.bytes - self.written;
        if tensor.name != name {
            let what = format!("data for tensor {name}; {} comes next, with {room} bytes to go", tensor.name);
            return Err(GgufError::Misuse { what }.in_file(&self.path));
        }
        if bytes.len() as u64 > room {
            let what = format!("{} bytes for tensor {name}, which has room for {room}", bytes.len());
            return Err(GgufError::Misuse { what }.in_file(&self.path));
        }
        let complete = bytes.len() as u64 == room;
        self.put(bytes)?;
        self.written += bytes.len() as u64;
        if complete {
            let end = self.at.next_multiple_of(self.alignment);
            let padding = vec![0; (end - self.at) as usize];
            self.put(&padding)?;
            self.current += 1;
            self.written = 0;
        }
        Ok(())
    }

    fn put(&mut self, bytes: &[u8]) -> Result<(), GgufError> {
        let at = Some(self.at);
        let failed = |error| {
            GgufError::Io {
                doing: "writing tensor data",
                at,
                error,
            }
            .in_file(&self.path)
        };
        self.out.write_all(bytes).map_err(failed)?;
        self.at += bytes.len() as u64;
        Ok(())
    }

    /// Makes the file durable under its name; returns its length (bytes). An error, and no file, when data is missing.
    pub fn finish(self) -> Result<u64, GgufError> {
        let Self {
            path,
            out,
            tensors,
            current,
            written,
            at,
            ..
        } = self;
        if let Some(tensor) = tensors.get(current) {
            let what = format!(
                "tensor {} has {written} of its {} bytes; the file is not finished",
                tensor.name, tensor.bytes
            );
            return Err(GgufError::Misuse { what }.in_file(path));
        }
        let failed = |error: io::Error| {
            GgufError::Io {
                doing: "finishing the file",
                at: None,
                error,
            }
            .in_file(&path)
        };
        out.commit().map_err(failed)?;
        Ok(at)
    }
}

fn is_alignment(bytes: u32) -> bool {
    bytes.is_power_of_two() && u64::from(bytes) <= MAX_ALIGNMENT
}

fn misuse<T>(what: String) -> Result<T, GgufError> {
    Err(GgufError::Misuse { what })
}

fn put_u32(out: &mut Vec<u8>, value: u32) {
    out.extend_from_slice(&value.to_le_bytes());
}

fn put_u64(out: &mut Vec<u8>, value: u64) {
    out.extend_from_slice(&value.to_le_bytes());
}

fn put_str(out: &mut Vec<u8>, text: &str) {
    put_u64(out, text.len() as u64);
    out.extend_from_slice(text.as_bytes());
}

fn put_value(out: &mut Vec<u8>, value: &Value, key: &str) -> Result<(), GgufError> {
    match value {
        Value::U8(v) => out.push(*v),
        Value::I8(v) => out.extend_from_slice(&v.to_le_bytes()),
        Value::U16(v) => out.extend_from_slice(&v.to_le_bytes()),
        Value::I16(v) => out.extend_from_slice(&v.to_le_bytes()),
        Value::U32(v) => out.extend_from_slice(&v.to_le_bytes()),
        Value::I32(v) => out.extend_from_slice(&v.to_le_bytes()),
        Value::F32(v) => out.extend_from_slice(&v.to_le_bytes()),
        Value::Bool(v) => out.push((*v).into()),
        Value::Str(v) => put_str(out, v),
        Value::Array(v) => put_array(out, v, key, 1)?,
        Value::U64(v) => out.extend_from_slice(&v.to_le_bytes()),
        Value::I64(v) => out.extend_from_slice(&v.to_le_bytes()),
        Value::F64(v) => out.extend_from_slice(&v.to_le_bytes()),
    }
    Ok(())
}

fn put_array(out: &mut Vec<u8>, array: &Array, key: &str, depth: usize) -> Result<(), GgufError> {
    if depth > MAX_NESTING {
        return misuse(format!(
            "value of {key} nests arrays too deep; at most {MAX_NESTING} can be read again"
        ));
    }
    put_u32(out, array.kind() as u32);
    put_u64(out, array.len() as u64);
    match array {
        Array::U8(all) => out.extend_from_slice(all),
        Array::I8(all) => all.iter().for_each(|v| out.extend_from_slice(&v.to_le_bytes())),
        Array::U16(all) => all.iter().for_each(|v| out.extend_from_slice(&v.to_le_bytes())),
        Array::I16(all) => all.iter().for_each(|v| out.extend_from_slice(&v.to_le_bytes())),
        Array::U32(all) => all.iter().for_each(|v| out.extend_from_slice(&v.to_le_bytes())),
        Array::I32(all) => all.iter().for_each(|v| out.extend_from_slice(&v.to_le_bytes())),
        Array::F32(all) => all.iter().for_each(|v| out.extend_from_slice(&v.to_le_bytes())),
        Array::Bool(all) => all.iter().for_each(|&v| out.push(v.into())),
        Array::Str(all) => all.iter().for_each(|v| put_str(out, v)),
        Array::Array(all) => all.iter().try_for_each(|inner| put_array(out, inner, key, depth + 1))?,
        Array::U64(all) => all.iter().for_each(|v| out.extend_from_slice(&v.to_le_bytes())),
        Array::I64(all) => all.iter().for_each(|v| out.extend_from_slice(&v.to_le_bytes())),
        Array::F64(all) => all.iter().for_each(|v| out.extend_from_slice(&v.to_le_bytes())),
    }
    Ok(())
}
