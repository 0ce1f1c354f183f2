//! The first page of a packed file. All numbers little-endian.
//!
//! | offset | bytes | field |
//! |---|---|---|
//! | 0 | 8 | magic `NLABFLSH` |
//! | 8 | 4 | version, 2 |
//! | 12 | 4 | page, 4096 |
//! | 16 | 4 | arrangement: 0 bundles, 1 matrices |
//! | 20 | 4 | layers |
//! | 24 | 4 | dense tensors |
//! | 28 | 4 | 0 |
//! | 32 | 8 | bytes of the file |
//! | 40 | 7 x 24 | sections: offset, bytes, XXH64 (of the tables; 0 for the two data sections, whose pages have theirs in a table) |
//! | 208 | 8 | bytes of the GGUF file it was made from |
//! | 216 | 3872 | 0 |
//! | 4088 | 8 | XXH64 of bytes 0..4088 |
//!
//! The header's checksum covers the tables' checksums, and these cover the checksum of every page of the data: one chain. (Version 1 had
//! one for every part of the FFNs, which a read of a part of it could not be compared with.)

use std::path::Path;

use crate::{Arrangement, FlashError, PAGE, Span, page_ceil, xxh64};

/// First eight bytes of a packed file.
pub const MAGIC: [u8; 8] = *b"NLABFLSH";
/// Version of the layout that this crate writes and reads.
pub const VERSION: u32 = 2;

const SECTIONS: usize = 7;
const TABLE_AT: usize = 40;
const SOURCE_BYTES_AT: usize = TABLE_AT + 24 * SECTIONS;
const CHECKSUM_AT: usize = PAGE as usize - 8;

/// Sections in the order of the file. Each begins on a page, where the one before it ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Section {
    /// The GGUF file's own bytes up to its first tensor: metadata and tensor list.
    GgufHeader,
    /// Names, shapes and places of the tensors outside the FFNs.
    DenseTable,
    /// Shape and formats of every layer's FFN.
    LayerTable,
    /// Order of neurons, where it is not the source's.
    Order,
    /// CRC-32C of every page of the data: of the tensors outside the FFNs, then of the FFNs.
    Checksums,
    /// The tensors outside the FFNs.
    DenseData,
    /// The FFNs.
    FfnData,
}

impl Section {
    /// All of them, in the order of the file.
    pub const ALL: [Self; SECTIONS] = [
        Self::GgufHeader,
        Self::DenseTable,
        Self::LayerTable,
        Self::Order,
        Self::Checksums,
        Self::DenseData,
        Self::FfnData,
    ];

    /// Name in messages.
    pub fn name(self) -> &'static str {
        match self {
            Self::GgufHeader => "gguf header",
            Self::DenseTable => "dense table",
            Self::LayerTable => "layer table",
            Self::Order => "order",
            Self::Checksums => "checksums",
            Self::DenseData => "dense data",
            Self::FfnData => "ffn data",
        }
    }

    /// Tables are read and checked at opening; data is not.
    pub fn is_table(self) -> bool {
        !matches!(self, Self::DenseData | Self::FfnData)
    }
}

/// The decoded first page.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Header {
    pub arrangement: Arrangement,
    pub layers: u32,
    pub dense: u32,
    pub file_bytes: u64,
    pub source_bytes: u64,
    pub sections: [Span; SECTIONS],
    pub checksums: [u64; SECTIONS],
}

impl Header {
    pub fn section(&self, section: Section) -> Span {
        self.sections[section as usize]
    }

    /// The page as it is written.
    pub fn encode(&self) -> Vec<u8> {
        let mut page = vec![0u8; PAGE as usize];
        page[..8].copy_from_slice(&MAGIC);
        let arrangement = match self.arrangement {
            Arrangement::Bundles => 0,
            Arrangement::Matrices => 1,
        };
        for (index, value) in [VERSION, PAGE as u32, arrangement, self.layers, self.dense]
            .into_iter()
            .enumerate()
        {
            page[8 + 4 * index..12 + 4 * index].copy_from_slice(&value.to_le_bytes());
        }
        page[32..40].copy_from_slice(&self.file_bytes.to_le_bytes());
        for (index, (span, checksum)) in self.sections.iter().zip(self.checksums).enumerate() {
            for (field, value) in [span.offset, span.bytes, checksum].into_iter().enumerate() {
                let at = TABLE_AT + 24 * index + 8 * field;
                page[at..at + 8].copy_from_slice(&value.to_le_bytes());
            }
        }
        page[SOURCE_BYTES_AT..SOURCE_BYTES_AT + 8].copy_from_slice(&self.source_bytes.to_le_bytes());
        let checksum = xxh64(&page[..CHECKSUM_AT]);
        page[CHECKSUM_AT..].copy_from_slice(&checksum.to_le_bytes());
        page
    }

    /// Checks the first page of a file of `actual` bytes. Magic and version come before the checksum, so that a file of
    /// another kind or version is called that, and not damaged.
    pub fn decode(path: &Path, page: &[u8; PAGE as usize], actual: u64) -> Result<Self, FlashError> {
        let bad = |offset: usize, what: String| FlashError::malformed(path, offset as u64, what);
        let u32_at = |at: usize| u32::from_le_bytes(page[at..at + 4].try_into().expect("four bytes"));
        let u64_at = |at: usize| u64::from_le_bytes(page[at..at + 8].try_into().expect("eight bytes"));
        if page[..8] != MAGIC {
            let hint = if page[..4] == *b"GGUF" {
                "this is a GGUF file: pack it first"
            } else {
                "the magic is NLABFLSH"
            };
            return Err(bad(0, format!("magic {}; {hint}", page[..8].escape_ascii())));
        }
        if u32_at(8) != VERSION {
            return Err(bad(
                8,
                format!(
                    "version {}; this program reads version {VERSION}: pack the GGUF file again",
                    u32_at(8)
                ),
            ));
        }
        let (wanted, got) = (u64_at(CHECKSUM_AT), xxh64(&page[..CHECKSUM_AT]));
        if wanted != got {
            return Err(FlashError::Checksum {
                path: path.to_path_buf(),
                offset: 0,
                bytes: CHECKSUM_AT as u64,
                what: "header".to_string(),
                wanted,
                got,
            });
        }
        if u64::from(u32_at(12)) != PAGE {
            return Err(bad(12, format!("pages of {} bytes; {PAGE}", u32_at(12))));
        }
        let arrangement = match u32_at(16) {
            0 => Arrangement::Bundles,
            1 => Arrangement::Matrices,
            other => return Err(bad(16, format!("arrangement {other}; 0 (bundles) or 1 (matrices)"))),
        };
        let file_bytes = u64_at(32);
        if file_bytes != actual {
            return Err(bad(
                32,
                format!("the header says {file_bytes} bytes, the file has {actual}: it is truncated or has grown"),
            ));
        }
        let mut sections = [Span { offset: 0, bytes: 0 }; SECTIONS];
        let mut checksums = [0; SECTIONS];
        let mut next = PAGE;
        for (index, section) in Section::ALL.into_iter().enumerate() {
            let at = TABLE_AT + 24 * index;
            let span = Span {
                offset: u64_at(at),
                bytes: u64_at(at + 8),
            };
            if span.offset != next {
                return Err(bad(
                    at,
                    format!("section {} at {}; it begins at {next}", section.name(), span.offset),
                ));
            }
            // `next` is at most the file's length here, so the subtraction and the rounding stay inside 64 bits.
            if span.bytes > file_bytes - next {
                let left = file_bytes - next;
                return Err(bad(
                    at + 8,
                    format!("section {} of {} bytes; {left} are left", section.name(), span.bytes),
                ));
            }
            next = page_ceil(span.end());
            if next > file_bytes {
                return Err(bad(
                    at + 8,
                    format!("section {} ends at {} past the file's end {file_bytes}", section.name(), next),
                ));
            }
            sections[index] = span;
            checksums[index] = u64_at(at + 16);
        }
        if next != file_bytes {
            return Err(bad(
                32,
                format!("sections end at {next}, the file at {file_bytes}; they end together"),
            ));
        }
        Ok(Self {
            arrangement,
            layers: u32_at(20),
            dense: u32_at(24),
            file_bytes,
            source_bytes: u64_at(SOURCE_BYTES_AT),
            sections,
            checksums,
        })
    }
}
