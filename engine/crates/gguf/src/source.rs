//! A reader that knows how many bytes are left, so that no length in a file is believed before it is paid for.

use std::fmt::Display;
use std::io::{BufReader, Read, Seek, SeekFrom};

use crate::error::GgufError;
use crate::file::MAX_HEADER_BYTES;

pub(crate) struct Source<R> {
    inner: BufReader<R>,
    at: u64,
    length: u64,
}

impl<R: Read + Seek> Source<R> {
    /// From the start of `inner`, whose length is asked for now and held to.
    pub fn new(mut inner: R) -> Result<Self, GgufError> {
        let failed = |error| GgufError::Io {
            doing: "finding the length",
            at: None,
            error,
        };
        let length = inner.seek(SeekFrom::End(0)).map_err(failed)?;
        inner.rewind().map_err(failed)?;
        Ok(Self {
            inner: BufReader::with_capacity(1 << 16, inner),
            at: 0,
            length,
        })
    }

    /// Byte offset of what is read next.
    pub fn at(&self) -> u64 {
        self.at
    }

    /// Bytes of the whole file.
    pub fn length(&self) -> u64 {
        self.length
    }

    /// Bytes that the header may still take: to the end of the file, and at most [`MAX_HEADER_BYTES`] in all.
    pub fn left(&self) -> u64 {
        self.length.min(MAX_HEADER_BYTES).saturating_sub(self.at)
    }

    /// An error unless `count` things of at least `each` bytes can still follow.
    pub fn afford(&self, what: impl Display, count: u64, each: u64) -> Result<(), GgufError> {
        let needed = count.saturating_mul(each);
        if needed <= self.left() {
            return Ok(());
        }
        let end = self.at.saturating_add(needed);
        if end <= self.length {
            // The bytes are there, but a header of this size is no model's.
            let (at, what) = (self.at, format!("header, with {what},"));
            return Err(GgufError::TooLong {
                at,
                what,
                length: end,
                limit: MAX_HEADER_BYTES,
            });
        }
        Err(GgufError::Truncated {
            at: self.at,
            what: what.to_string(),
            needed,
            left: self.length - self.at,
        })
    }

    /// Fills `out`.
    pub fn fill(&mut self, what: impl Display, out: &mut [u8]) -> Result<(), GgufError> {
        self.afford(what, out.len() as u64, 1)?;
        self.inner.read_exact(out).map_err(|error| GgufError::Io {
            doing: "reading",
            at: Some(self.at),
            error,
        })?;
        self.at += out.len() as u64;
        Ok(())
    }

    /// The next `N` bytes.
    pub fn take<const N: usize>(&mut self, what: impl Display) -> Result<[u8; N], GgufError> {
        let mut bytes = [0; N];
        self.fill(what, &mut bytes)?;
        Ok(bytes)
    }

    pub fn u32(&mut self, what: impl Display) -> Result<u32, GgufError> {
        self.take(what).map(u32::from_le_bytes)
    }

    pub fn u64(&mut self, what: impl Display) -> Result<u64, GgufError> {
        self.take(what).map(u64::from_le_bytes)
    }

    /// Adds a string's bytes to `text`, after checking its length against the file and `limit`, and that it is UTF-8.
    pub fn text_into(&mut self, what: &dyn Display, limit: u64, text: &mut Vec<u8>) -> Result<(), GgufError> {
        let at = self.at;
        let length = self.u64(what)?;
        if length > limit {
            return Err(GgufError::TooLong {
                at,
                what: what.to_string(),
                length,
                limit,
            });
        }
        self.afford(what, length, 1)?;
        let before = text.len();
        text.try_reserve(length as usize).map_err(|_| self.no_memory(what, length))?;
        text.resize(before + length as usize, 0);
        self.fill(what, &mut text[before..])?;
        if std::str::from_utf8(&text[before..]).is_err() {
            return Err(GgufError::NotUtf8 {
                at,
                what: what.to_string(),
            });
        }
        Ok(())
    }

    /// A string of its own.
    pub fn string(&mut self, what: &dyn Display, limit: u64) -> Result<String, GgufError> {
        let at = self.at;
        let mut text = Vec::new();
        self.text_into(what, limit, &mut text)?;
        String::from_utf8(text).map_err(|_| GgufError::NotUtf8 {
            at,
            what: what.to_string(),
        })
    }

    pub fn no_memory(&self, what: impl Display, bytes: u64) -> GgufError {
        GgufError::OutOfMemory {
            at: self.at,
            what: what.to_string(),
            bytes,
        }
    }
}
