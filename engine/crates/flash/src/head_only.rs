//! A file of which only the beginning is there.

use std::io::{Read, Seek, SeekFrom};

/// A GGUF file of which only the header is there; the rest reads as zeros, and nobody reads it.
pub(crate) struct Headed {
    header: Vec<u8>,
    length: u64,
    at: u64,
}

impl Headed {
    /// A file of `length` bytes that begins with `header`.
    pub fn new(header: Vec<u8>, length: u64) -> Self {
        Self { header, length, at: 0 }
    }
}

impl Read for Headed {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let left = self.length.saturating_sub(self.at);
        let count = buffer.len().min(usize::try_from(left).unwrap_or(usize::MAX));
        let from = self.header.len().min(usize::try_from(self.at).unwrap_or(usize::MAX));
        let known = &self.header[from..self.header.len().min(from + count)];
        buffer[..known.len()].copy_from_slice(known);
        buffer[known.len()..count].fill(0);
        self.at += count as u64;
        Ok(count)
    }
}

impl Seek for Headed {
    fn seek(&mut self, to: SeekFrom) -> std::io::Result<u64> {
        let at = match to {
            SeekFrom::Start(at) => Some(at),
            SeekFrom::End(by) => self.length.checked_add_signed(by),
            SeekFrom::Current(by) => self.at.checked_add_signed(by),
        };
        self.at = at.ok_or(std::io::ErrorKind::InvalidInput)?;
        Ok(self.at)
    }
}
