//! GGUF to packed file: streaming, in memory bounded by one expert's down matrix, and atomic.

mod expert;
mod geometry;
mod options;
mod output;
mod quantise;
mod source;
mod transpose;

use std::fs::File;
use std::ops::ControlFlow;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use gguf::Gguf;

pub use options::{DownChoice, GroupCandidate, GroupChoice, PackOptions, PackProgress, PackReport, Phase, Requantisation};

use crate::file::{DenseTensor, read_exactly};
use crate::header::{Header, Section};
use crate::order;
use crate::{Arrangement, DownForm, FlashError, LayerLayout, NeuronOrder, PAGE, Span, WeightFormat, page_ceil, tables, xxh64};
use expert::{Down, Expert};
use output::Output;
use source::{SourceLayer, SourceModel, format_of};
use transpose::{Change, DownSource, down_units};

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
            "packed file {}: it is the GGUF file itself",
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

impl<'a> Packer<'a> {
    /// Computes the place of everything.
    fn plan(
        path: &'a Path,
        file: &'a File,
        gguf: &Gguf,
        model: &SourceModel<'_>,
        options: &'a PackOptions,
    ) -> Result<Self, FlashError> {
        let mut shapes = Vec::new();
        let mut candidates = Vec::new();
        for layer in &model.layers {
            let (shape, weighed) = geometry::with_group(path, geometry::shape_of(path, layer, options.down)?, options)?;
            if shapes.is_empty() {
                candidates = weighed;
            }
            shapes.push(shape);
        }
        check_order(&options.order, &shapes)?;
        let mut dense: Vec<DenseTensor> = model
            .dense
            .iter()
            .map(|tensor| DenseTensor {
                name: tensor.name.clone(),
                kind: tensor.kind.code(),
                shape: tensor.shape.clone(),
                offset: 0,
                bytes: tensor.bytes,
            })
            .collect();
        let lay = |offset: u64| -> Result<Vec<LayerLayout>, FlashError> {
            let mut next = offset;
            let mut layers = Vec::new();
            for shape in &shapes {
                let layout =
                    LayerLayout::new(*shape, options.arrangement, next).map_err(|what| FlashError::source(path, what))?;
                next += layout.bytes();
                layers.push(layout);
            }
            Ok(layers)
        };
        let anywhere = lay(0)?;
        let dense_bytes: u64 = dense.iter().map(|tensor| page_ceil(tensor.bytes)).sum();
        let ffn_bytes: u64 = anywhere.iter().map(LayerLayout::bytes).sum();
        let lengths = [
            gguf.data_start,
            tables::encode_dense(&dense).len() as u64,
            shapes.len() as u64 * tables::LAYER_ENTRY,
            tables::encode_order(&options.order, &anywhere).len() as u64,
            (dense_bytes + ffn_bytes) / PAGE * tables::PAGE_SUM,
            dense_bytes,
            ffn_bytes,
        ];
        let mut sections = [Span { offset: 0, bytes: 0 }; 7];
        let mut next = PAGE;
        for (section, bytes) in sections.iter_mut().zip(lengths) {
            *section = Span { offset: next, bytes };
            next = page_ceil(section.end());
        }
        let mut at = sections[Section::DenseData as usize].offset;
        for tensor in &mut dense {
            tensor.offset = at;
            at += page_ceil(tensor.bytes);
        }
        let layers = lay(sections[Section::FfnData as usize].offset)?;
        let header = Header {
            arrangement: options.arrangement,
            layers: layers.len() as u32,
            dense: dense.len() as u32,
            file_bytes: next,
            source_bytes: gguf.file_bytes,
            sections,
            checksums: [0; 7],
        };
        Ok(Self {
            path,
            file,
            options,
            header,
            layers,
            candidates,
            dense,
            change: Change::default(),
        })
    }

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

    fn write_dense(&self, model: &SourceModel<'_>, output: &mut Output, progress: Progress<'_>) -> Result<(), FlashError> {
        for tensor in &model.dense {
            let mut bytes = vec![0; PIECE.min(tensor.bytes) as usize];
            let mut at = 0;
            while at < tensor.bytes {
                bytes.truncate((tensor.bytes - at).min(PIECE) as usize);
                read_exactly(self.path, self.file, tensor.offset + at, &mut bytes)?;
                output.append(&bytes)?;
                at += bytes.len() as u64;
                self.tell(output, Phase::Dense, progress)?;
            }
            output.fill_page()?;
        }
        Ok(())
    }

    fn write_ffn(&mut self, model: &SourceModel<'_>, output: &mut Output, progress: Progress<'_>) -> Result<(), FlashError> {
        for (index, source) in model.layers.iter().enumerate() {
            for expert in 0..source.experts {
                let layout = self.layers[index];
                let down = self.down_of(source, &layout, expert)?;
                let order = self.options.order.of(index as u32, expert);
                let expert = Expert {
                    path: self.path,
                    file: self.file,
                    source,
                    layout,
                    expert,
                    order,
                    down,
                };
                match layout.arrangement() {
                    Arrangement::Bundles => self.write_bundles(&expert, output, progress)?,
                    Arrangement::Matrices => self.write_matrices(&expert, output, progress)?,
                }
            }
        }
        Ok(())
    }

    /// The expert's down in its packed form, in the source's order.
    fn down_of(&mut self, source: &SourceLayer<'_>, layout: &LayerLayout, expert: u32) -> Result<Down, FlashError> {
        let shape = layout.shape();
        let from = format_of(self.path, source.down)?;
        if source.down_is_transposed {
            if from == shape.down {
                return Ok(Down::InFile);
            }
            return self.requantise_rows(source, layout, expert, from).map(Down::Units);
        }
        let bytes = source.down.bytes / u64::from(source.experts);
        let wanted = DownSource {
            path: self.path,
            file: self.file,
            offset: source.down.offset + u64::from(expert) * bytes,
            neurons: shape.neurons as usize,
            width: shape.width as usize,
            from,
            to: shape.down,
            form: shape.down_form,
        };
        let (units, change) = down_units(&wanted, self.options.threads)?;
        self.change.add(change);
        Ok(Down::Units(units))
    }

    /// Rows that are transposed in the file already, in another format.
    fn requantise_rows(
        &mut self,
        source: &SourceLayer<'_>,
        layout: &LayerLayout,
        expert: u32,
        from: WeightFormat,
    ) -> Result<Vec<u8>, FlashError> {
        let shape = layout.shape();
        let mut rows = vec![0; (source.down.bytes / u64::from(source.experts)) as usize];
        read_exactly(
            self.path,
            self.file,
            source.down.offset + u64::from(expert) * rows.len() as u64,
            &mut rows,
        )?;
        let row = rows.len() / shape.neurons as usize;
        let mut units = vec![0; (u64::from(shape.neurons) * layout.down_unit_bytes()) as usize];
        let mut numbers = vec![0f32; shape.width as usize];
        let mut back = numbers.clone();
        let (weights, bytes) = (shape.down.block_weights() as usize, shape.down.block_bytes() as usize);
        for (raw, unit) in rows
            .chunks_exact(row)
            .zip(units.chunks_exact_mut(layout.down_unit_bytes() as usize))
        {
            quantise::dequantise(from, raw, &mut numbers);
            for (part, block) in numbers.chunks_exact(weights).zip(unit.chunks_exact_mut(bytes)) {
                quantise::quantise_block(shape.down, part, block);
            }
            quantise::dequantise(shape.down, unit, &mut back);
            self.change.add(transpose::change_of(&numbers, &back));
        }
        Ok(units)
    }

    fn write_bundles(&mut self, expert: &Expert<'_>, output: &mut Output, progress: Progress<'_>) -> Result<(), FlashError> {
        let layout = expert.layout;
        let group = layout.shape().group;
        let bundle = layout.expert_bytes() / u64::from(layout.groups());
        let step = u32::try_from(PIECE / bundle).unwrap_or(1).max(1);
        let (gate_row, up_row) = (layout.gate_row_bytes() as usize, layout.up_row_bytes() as usize);
        let (unit, unit_neurons) = (layout.down_unit_bytes() as usize, layout.down_unit_neurons());
        let down_at = group as usize * up_row;
        for first in (0..layout.groups()).step_by(step as usize) {
            let groups = first..first.saturating_add(step).min(layout.groups());
            let positions = groups.start * group..(groups.end * group).min(layout.shape().neurons);
            let gate = expert.rows(expert.source.gate, gate_row, positions.clone())?;
            let up = expert.rows(expert.source.up, up_row, positions.clone())?;
            let down = expert.down_of(positions)?;
            for index in groups {
                let skip = ((index - first) * group) as usize;
                let count = layout.neurons_of(index) as usize;
                let mut part = vec![0; layout.part_span(expert.expert, 2 * u64::from(index)).bytes as usize];
                part[..count * gate_row].copy_from_slice(&gate[skip * gate_row..(skip + count) * gate_row]);
                output.append(&part)?;
                let mut part = vec![0; layout.part_span(expert.expert, 2 * u64::from(index) + 1).bytes as usize];
                part[..count * up_row].copy_from_slice(&up[skip * up_row..(skip + count) * up_row]);
                let (skip, count) = (skip / unit_neurons as usize, count / unit_neurons as usize);
                part[down_at..down_at + count * unit].copy_from_slice(&down[skip * unit..(skip + count) * unit]);
                output.append(&part)?;
            }
            self.tell(output, Phase::Ffn, progress)?;
        }
        Ok(())
    }

    fn write_matrices(&mut self, expert: &Expert<'_>, output: &mut Output, progress: Progress<'_>) -> Result<(), FlashError> {
        let layout = expert.layout;
        let all = 0..layout.shape().neurons;
        for part in 0..layout.parts_of_expert() {
            let mut bytes = match part {
                0 => expert.rows(expert.source.gate, layout.gate_row_bytes() as usize, all.clone())?,
                1 => expert.rows(expert.source.up, layout.up_row_bytes() as usize, all.clone())?,
                _ => expert.down_of(all.clone())?,
            };
            bytes.resize(layout.part_span(expert.expert, part).bytes as usize, 0);
            output.append(&bytes)?;
            self.tell(output, Phase::Ffn, progress)?;
        }
        Ok(())
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
        let payload_bytes = self
            .layers
            .iter()
            .map(|layer| layer.payload_bytes() * u64::from(layer.shape().experts))
            .sum();
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

fn check_order(order: &NeuronOrder, shapes: &[crate::LayerShape]) -> Result<(), FlashError> {
    if order.layers.len() > shapes.len() {
        let what = format!("order for {} layers; the file has {}", order.layers.len(), shapes.len());
        return Err(FlashError::input(what));
    }
    for (layer, (experts, shape)) in order.layers.iter().zip(shapes).enumerate() {
        let Some(experts) = experts else { continue };
        if experts.len() != shape.experts as usize {
            let what = format!(
                "order for {} experts of layer {layer}; it has {}",
                experts.len(),
                shape.experts
            );
            return Err(FlashError::input(what));
        }
        for (expert, positions) in experts.iter().enumerate() {
            if let Some(fault) = order::fault_of(positions, shape.neurons, shape.down_form == DownForm::Tiles) {
                return Err(FlashError::input(format!("order of layer {layer} expert {expert}: {fault}")));
            }
        }
    }
    Ok(())
}
