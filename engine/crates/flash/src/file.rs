//! An opened packed file: its tables, checked, and the places of everything. The data itself is read through a `Reader`.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::ops::ControlFlow;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use gguf::Gguf;

use crate::checksum::Hasher;
use crate::header::{Header, Section};
use crate::order::NeuronOrder;
use crate::{Arrangement, FlashError, LayerLayout, PAGE, Span, tables, xxh64};

/// A tensor outside the FFNs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DenseTensor {
    /// Its name in the GGUF file.
    pub name: String,
    /// GGUF's number of its type.
    pub kind: u32,
    /// Sides, fastest first.
    pub shape: Vec<u64>,
    /// First byte in the packed file, a multiple of 4096.
    pub offset: u64,
    /// Its length in bytes.
    pub bytes: u64,
    /// XXH64 of its bytes.
    pub checksum: u64,
}

/// A packed file whose header and tables have been read and checked.
#[derive(Debug)]
pub struct FlashFile {
    path: PathBuf,
    header: Header,
    fingerprint: u64,
    dense: Vec<DenseTensor>,
    layers: Vec<LayerLayout>,
    order: NeuronOrder,
    checksums: Vec<u64>,
    checksum_starts: Vec<u64>,
}

/// What a full verification read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct VerifyReport {
    /// Parts with a checksum of their own.
    pub parts: u64,
    /// Bytes read.
    pub bytes: u64,
}

/// Reads exactly `bytes` at `offset`, or says what came instead.
pub(crate) fn read_exactly(path: &Path, file: &File, offset: u64, buffer: &mut [u8]) -> Result<(), FlashError> {
    let wanted = buffer.len() as u64;
    let mut got = 0;
    while got < buffer.len() {
        match file.read_at(&mut buffer[got..], offset + got as u64) {
            Ok(0) => {
                return Err(FlashError::ShortRead {
                    path: path.to_path_buf(),
                    offset,
                    wanted,
                    got: got as u64,
                });
            }
            Ok(count) => got += count,
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
            Err(error) => return Err(FlashError::io("read", path, offset, wanted, &error)),
        }
    }
    Ok(())
}

impl FlashFile {
    /// Opens a packed file and checks its header and all tables (not the data: see [`Self::verify`]). The memory it takes is
    /// bounded by the tables, which are bounded by the file's length, whatever the file says of itself.
    pub fn open(path: &Path) -> Result<Self, FlashError> {
        let file = File::open(path).map_err(|error| FlashError::io("open", path, 0, 0, &error))?;
        let kind = file.metadata().map_err(|error| FlashError::io("open", path, 0, 0, &error))?;
        if !kind.is_file() {
            return Err(FlashError::malformed(path, 0, "not a regular file"));
        }
        let actual = kind.len();
        let mut page = [0u8; PAGE as usize];
        if actual < PAGE {
            return Err(FlashError::malformed(
                path,
                0,
                format!("{actual} bytes; a packed file has at least {PAGE}"),
            ));
        }
        read_exactly(path, &file, 0, &mut page)?;
        let header = Header::decode(path, &page, actual)?;
        let table = |section: Section| -> Result<Vec<u8>, FlashError> {
            let span = header.section(section);
            let mut bytes = vec![0; span.bytes as usize];
            read_exactly(path, &file, span.offset, &mut bytes)?;
            let (wanted, got) = (header.checksums[section as usize], xxh64(&bytes));
            if wanted != got {
                let what = section.name().to_string();
                return Err(FlashError::Checksum {
                    path: path.to_path_buf(),
                    offset: span.offset,
                    bytes: span.bytes,
                    what,
                    wanted,
                    got,
                });
            }
            Ok(bytes)
        };
        let at = |section: Section| header.section(section).offset;
        // The GGUF header is checked here and read again only by who needs it: vocabularies are large.
        drop(table(Section::GgufHeader)?);
        let dense = {
            let bytes = table(Section::DenseTable)?;
            tables::decode_dense(
                path,
                &bytes,
                at(Section::DenseTable),
                header.dense,
                header.section(Section::DenseData),
            )?
        };
        let layers = {
            let bytes = table(Section::LayerTable)?;
            let data = header.section(Section::FfnData);
            tables::decode_layers(path, &bytes, at(Section::LayerTable), header.layers, header.arrangement, data)?
        };
        let order = tables::decode_order(path, &table(Section::Order)?, at(Section::Order), &layers)?;
        let checksum_starts = tables::checksum_starts(&layers);
        let count = checksum_starts.last().copied().unwrap_or(0);
        let checksums = tables::decode_checksums(path, &table(Section::Checksums)?, at(Section::Checksums), count)?;
        let fingerprint = xxh64(&page);
        Ok(Self {
            path: path.to_path_buf(),
            header,
            fingerprint,
            dense,
            layers,
            order,
            checksums,
            checksum_starts,
        })
    }

    /// A file of `bytes` bytes in which nothing is known to be: whole pages can be read from it, and no targets. For timing this
    /// crate's readers on a file without a model.
    pub fn blank(path: &Path, bytes: u64) -> Self {
        Self {
            path: path.to_path_buf(),
            header: Header {
                arrangement: Arrangement::Bundles,
                layers: 0,
                dense: 0,
                file_bytes: bytes,
                source_bytes: 0,
                sections: [Span { offset: 0, bytes: 0 }; Section::ALL.len()],
                checksums: [0; Section::ALL.len()],
            },
            fingerprint: 0,
            dense: Vec::new(),
            layers: Vec::new(),
            order: NeuronOrder::default(),
            checksums: Vec::new(),
            checksum_starts: Vec::new(),
        }
    }

    /// Where it lies.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Its length.
    pub fn bytes(&self) -> u64 {
        self.header.file_bytes
    }

    /// XXH64 of the header page. The header covers the tables and these cover the data: two files with one fingerprint hold
    /// the same model in the same layout.
    pub fn fingerprint(&self) -> u64 {
        self.fingerprint
    }

    /// How FFNs are laid out.
    pub fn arrangement(&self) -> Arrangement {
        self.header.arrangement
    }

    /// Tensors outside the FFNs, in the order of the file.
    pub fn dense(&self) -> &[DenseTensor] {
        &self.dense
    }

    /// Number and entry of a tensor outside the FFNs.
    pub fn dense_named(&self, name: &str) -> Option<(u32, &DenseTensor)> {
        self.dense
            .iter()
            .position(|tensor| tensor.name == name)
            .map(|index| (index as u32, &self.dense[index]))
    }

    /// The FFN of every layer.
    pub fn layers(&self) -> &[LayerLayout] {
        &self.layers
    }

    /// Order of neurons in every layer.
    pub fn order(&self) -> &NeuronOrder {
        &self.order
    }

    /// True if down was requantised in any layer: outputs must say so, because the model is numerically another one.
    pub fn is_requantised(&self) -> bool {
        self.layers.iter().any(|layout| layout.shape().down_requantised)
    }

    /// Place of a section.
    pub fn section(&self, section: Section) -> Span {
        self.header.section(section)
    }

    /// The GGUF file's own first bytes: header, metadata and tensor list, up to where its tensor data began.
    pub fn gguf_header(&self) -> Result<Vec<u8>, FlashError> {
        let file = File::open(&self.path).map_err(|error| FlashError::io("open", &self.path, 0, 0, &error))?;
        let span = self.section(Section::GgufHeader);
        let mut bytes = vec![0; span.bytes as usize];
        read_exactly(&self.path, &file, span.offset, &mut bytes)?;
        Ok(bytes)
    }

    /// The GGUF header, parsed: metadata and the list of tensors. Offsets in that list are those of the GGUF file, not of
    /// this one: places come from [`Self::dense`] and [`Self::layers`].
    pub fn gguf(&self) -> Result<Gguf, FlashError> {
        let header = self.gguf_header()?;
        let offset = self.section(Section::GgufHeader).offset;
        Gguf::read(Headed {
            header,
            length: self.header.source_bytes,
            at: 0,
        })
        .map_err(|error| FlashError::malformed(&self.path, offset, format!("gguf header: {error}")))
    }

    /// Checks every part that lies wholly inside `bytes`, which were read from `offset` on; returns how many there were.
    pub fn verify_bytes(&self, offset: u64, bytes: &[u8]) -> Result<u64, FlashError> {
        let end = offset + bytes.len() as u64;
        let inside = |span: Span| span.offset >= offset && span.end() <= end;
        let slice = |span: Span| &bytes[(span.offset - offset) as usize..(span.end() - offset) as usize];
        let mut checked = 0;
        let first = self.dense.partition_point(|tensor| tensor.offset < offset);
        for tensor in self.dense[first..].iter().take_while(|tensor| tensor.offset < end) {
            let span = Span {
                offset: tensor.offset,
                bytes: tensor.bytes,
            };
            if inside(span) {
                self.compare(span, xxh64(slice(span)), tensor.checksum, &|| {
                    format!("tensor {}", tensor.name)
                })?;
                checked += 1;
            }
        }
        let first = self
            .layers
            .partition_point(|layout| layout.offset() + layout.bytes() <= offset);
        for (index, layout) in self.layers.iter().enumerate().skip(first) {
            if layout.offset() >= end {
                break;
            }
            checked += self.verify_layer(index, layout, offset, end, &inside, &slice)?;
        }
        Ok(checked)
    }

    fn verify_layer<'a>(
        &self,
        layer: usize,
        layout: &LayerLayout,
        offset: u64,
        end: u64,
        inside: &dyn Fn(Span) -> bool,
        slice: &dyn Fn(Span) -> &'a [u8],
    ) -> Result<u64, FlashError> {
        let parts = layout.parts_of_expert();
        let first_expert = (offset.saturating_sub(layout.offset()) / layout.expert_bytes()) as u32;
        let mut checked = 0;
        for expert in first_expert..layout.shape().experts {
            let expert_span = layout.expert_span(expert);
            if expert_span.offset >= end {
                break;
            }
            // Bundles are all of one size, so the first that can lie inside is computed, not searched.
            let first = match layout.arrangement() {
                Arrangement::Bundles => {
                    let bundle = layout.expert_bytes() / u64::from(layout.groups());
                    2 * (offset.saturating_sub(expert_span.offset) / bundle)
                }
                Arrangement::Matrices => 0,
            };
            for part in first..parts {
                let span = layout.part_span(expert, part);
                if span.offset >= end {
                    break;
                }
                if inside(span) {
                    let wanted = self.checksum_of(layer, expert, part);
                    self.compare(span, xxh64(slice(span)), wanted, &|| part_name(layout, layer, expert, part))?;
                    checked += 1;
                }
            }
        }
        Ok(checked)
    }

    fn compare(&self, span: Span, got: u64, wanted: u64, what: &dyn Fn() -> String) -> Result<(), FlashError> {
        if got == wanted {
            return Ok(());
        }
        Err(FlashError::Checksum {
            path: self.path.clone(),
            offset: span.offset,
            bytes: span.bytes,
            what: what(),
            wanted,
            got,
        })
    }

    /// Reads the whole file and compares every checksum, in a few megabytes of memory. `progress` hears of bytes done and
    /// may stop.
    pub fn verify(&self, progress: &mut dyn FnMut(u64) -> ControlFlow<()>) -> Result<VerifyReport, FlashError> {
        /// Read at once: a multiple of the stripes of the checksum.
        const PIECE: u64 = 4 << 20;
        let file = File::open(&self.path).map_err(|error| FlashError::io("open", &self.path, 0, 0, &error))?;
        let mut report = VerifyReport { parts: 0, bytes: 0 };
        let mut buffer = Vec::new();
        let mut check = |span: Span, wanted: u64, what: &dyn Fn() -> String| -> Result<(), FlashError> {
            let mut hasher = Hasher::new();
            let mut at = 0;
            let got = loop {
                buffer.resize((span.bytes - at).min(PIECE) as usize, 0);
                read_exactly(&self.path, &file, span.offset + at, &mut buffer)?;
                at += buffer.len() as u64;
                report.bytes += buffer.len() as u64;
                if progress(report.bytes).is_break() {
                    return Err(FlashError::Cancelled);
                }
                if at == span.bytes {
                    break hasher.finish(&buffer);
                }
                hasher.update(&buffer);
            };
            report.parts += 1;
            self.compare(span, got, wanted, what)
        };
        for tensor in &self.dense {
            let span = Span {
                offset: tensor.offset,
                bytes: tensor.bytes,
            };
            check(span, tensor.checksum, &|| format!("tensor {}", tensor.name))?;
        }
        for (index, layout) in self.layers.iter().enumerate() {
            for expert in 0..layout.shape().experts {
                for part in 0..layout.parts_of_expert() {
                    let wanted = self.checksum_of(index, expert, part);
                    check(layout.part_span(expert, part), wanted, &|| {
                        part_name(layout, index, expert, part)
                    })?;
                }
            }
        }
        Ok(report)
    }

    fn checksum_of(&self, layer: usize, expert: u32, part: u64) -> u64 {
        let parts = self.layers[layer].parts_of_expert();
        self.checksums[(self.checksum_starts[layer] + u64::from(expert) * parts + part) as usize]
    }
}

/// A GGUF file of which only the header is there; the rest reads as zeros, and nobody reads it.
struct Headed {
    header: Vec<u8>,
    length: u64,
    at: u64,
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

fn part_name(layout: &LayerLayout, layer: usize, expert: u32, part: u64) -> String {
    match layout.arrangement() {
        Arrangement::Bundles => {
            let which = if part.is_multiple_of(2) { "gate" } else { "up and down" };
            format!("{which} of layer {layer} expert {expert} group {}", part / 2)
        }
        Arrangement::Matrices => format!("{} of layer {layer} expert {expert}", ["gate", "up", "down"][part as usize]),
    }
}
