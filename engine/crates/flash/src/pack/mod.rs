//! GGUF to packed file: streaming, in memory bounded by one expert's down matrix, and atomic.

mod expert;
mod geometry;
mod options;
mod output;
mod plan;
mod quantise;
mod source;
mod transpose;
mod write;

use std::fs::File;
use std::ops::ControlFlow;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use gguf::Gguf;

pub use options::{DownChoice, GroupCandidate, GroupChoice, PackOptions, PackProgress, PackReport, Phase, Requantisation};

use crate::file::{DenseTensor, read_exactly};
use crate::header::{Header, Section};
use crate::{FlashError, LayerLayout, page_ceil, tables, xxh64};
use output::Output;
use transpose::Change;

/// Bytes of a source tensor that are read at once.
const PIECE: u64 = 4 << 20;

/// Packs a GGUF file. The packed file appears under `out_path` whole and durable, or not at all; `progress` may stop the
/// work. Memory: one expert's down matrix in its packed format, and some megabytes.
pub fn pack(
    gguf_path: &Path,
    out_path: &Path,
    options: &PackOptions,
    progress: &mut dyn FnMut(PackProgress) -> ControlFlow<()>,
) -> Result<PackReport, FlashError> {
    let gguf = Gguf::open(gguf_path).map_err(|error| FlashError::source(gguf_path, error.to_string()))?;
    let file = File::open(gguf_path).map_err(|error| FlashError::io("open", gguf_path, 0, 0, &error))?;
    refuse_same_file(&file, out_path)?;
    let model = source::sort(gguf_path, &gguf)?;
    let mut packer = Packer::plan(gguf_path, &file, &gguf, &model, options)?;
    let mut output = Output::create(
        out_path,
        packer.header.file_bytes,
        packer.header.section(Section::DenseData).offset,
    )?;
    packer.write_dense(&model, &mut output, progress)?;
    packer.write_ffn(&model, &mut output, progress)?;
    packer.tell(&output, Phase::Commit, progress)?;
    let fingerprint = packer.write_tables(&output, &gguf)?;
    output.commit()?;
    Ok(packer.report(fingerprint, options))
}

fn refuse_same_file(source: &File, out_path: &Path) -> Result<(), FlashError> {
    let identity = |data: &std::fs::Metadata| (data.dev(), data.ino());
    match (source.metadata(), std::fs::metadata(out_path)) {
        (Ok(source), Ok(out)) if identity(&source) == identity(&out) => Err(FlashError::input(format!(
            "{}: is the GGUF file itself; give the packed file a name of its own",
            out_path.display()
        ))),
        _ => Ok(()),
    }
}

struct Packer<'a> {
    path: &'a Path,
    file: &'a File,
    options: &'a PackOptions,
    header: Header,
    layers: Vec<LayerLayout>,
    candidates: Vec<GroupCandidate>,
    dense: Vec<DenseTensor>,
    change: Change,
}

type Progress<'a> = &'a mut dyn FnMut(PackProgress) -> ControlFlow<()>;

impl Packer<'_> {
    fn tell(&self, output: &Output, phase: Phase, progress: Progress<'_>) -> Result<(), FlashError> {
        match progress(PackProgress {
            phase,
            done: output.position(),
            total: self.header.file_bytes,
        }) {
            ControlFlow::Continue(()) => Ok(()),
            ControlFlow::Break(()) => Err(FlashError::Cancelled),
        }
    }

    /// Tables and header last: only now are all checksums known. Returns the fingerprint.
    fn write_tables(&mut self, output: &Output, gguf: &Gguf) -> Result<u64, FlashError> {
        let mut gguf_header = vec![0; gguf.data_start.min(gguf.file_bytes) as usize];
        read_exactly(self.path, self.file, 0, &mut gguf_header)?;
        gguf_header.resize(gguf.data_start as usize, 0);
        let bodies = [
            gguf_header,
            tables::encode_dense(&self.dense),
            tables::encode_layers(&self.layers),
            tables::encode_order(&self.options.order, &self.layers),
            tables::encode_page_sums(output.page_sums()),
        ];
        for (index, body) in bodies.iter().enumerate() {
            let span = self.header.sections[index];
            assert_eq!(body.len() as u64, span.bytes, "a table is as long as it was planned");
            self.header.checksums[index] = xxh64(body);
            output.put(span.offset, body)?;
            let end = span.end();
            output.put(end, &vec![0; (page_ceil(end) - end) as usize])?;
        }
        let page = self.header.encode();
        output.put(0, &page)?;
        Ok(xxh64(&page))
    }

    fn report(self, fingerprint: u64, options: &PackOptions) -> PackReport {
        let shape = *self.layers[0].shape();
        let payload_bytes = self.layers.iter().map(LayerLayout::weight_bytes).sum();
        let ffn_bytes = self.header.section(Section::FfnData).bytes;
        let requantised = self.layers.iter().any(|layer| layer.shape().down_requantised);
        let source = requantised.then_some(self.change);
        debug_assert!(
            options.down != DownChoice::Exact || !requantised,
            "exact packing changes no weight"
        );
        PackReport {
            bytes: self.header.file_bytes,
            dense_bytes: self.header.section(Section::DenseData).bytes,
            ffn_bytes,
            payload_bytes,
            padding: 1.0 - payload_bytes as f64 / ffn_bytes as f64,
            layers: self.header.layers,
            group: shape.group,
            down_form: shape.down_form,
            down: shape.down,
            candidates: self.candidates,
            requantisation: source.map(|change| Requantisation {
                to: shape.down,
                relative_rms: if change.squares > 0.0 {
                    (change.difference_squares / change.squares).sqrt()
                } else {
                    0.0
                },
                worst: change.worst,
            }),
            fingerprint,
        }
    }
}
