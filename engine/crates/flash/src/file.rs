//! An opened packed file: its tables, checked, and the places of everything. The data itself is read through a `Reader`.

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use gguf::Gguf;

use crate::head_only::Headed;
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
    /// CRC-32C of every page from the tensors outside the FFNs to the end.
    pub(crate) page_sums: Vec<u32>,
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
        // Before it is opened: that of a pipe would wait for a writer.
        if std::fs::metadata(path).is_ok_and(|kind| !kind.is_file()) {
            return Err(FlashError::malformed(path, 0, "not a regular file"));
        }
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
        let pages = (header.file_bytes - header.section(Section::DenseData).offset) / PAGE;
        let page_sums = tables::decode_page_sums(path, &table(Section::Checksums)?, at(Section::Checksums), pages)?;
        let fingerprint = xxh64(&page);
        Ok(Self {
            path: path.to_path_buf(),
            header,
            fingerprint,
            dense,
            layers,
            order,
            page_sums,
        })
    }

    /// A file of `bytes` bytes, whole pages with these checksums, in which nothing is known to be: pages can be read from it, and no
    /// targets. For timing this crate's readers, verification included, on a file without a model.
    pub fn blank(path: &Path, bytes: u64, page_sums: Vec<u32>) -> Self {
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
            page_sums,
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

    /// XXH64 of the header page. The header covers the tables and these cover every page of the data: two files with one fingerprint
    /// hold the same model in the same layout.
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

    /// Bytes of the FFNs' weights without padding: what they take in memory.
    pub fn ffn_weight_bytes(&self) -> u64 {
        self.layers.iter().map(LayerLayout::weight_bytes).sum()
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
        Gguf::read(Headed::new(header, self.header.source_bytes))
            .map_err(|error| FlashError::malformed(&self.path, offset, format!("gguf header: {error}")))
    }
}
