//! The data of the packed file, front to back: tensors outside the FFNs, then expert after expert.

use super::expert::{Down, Expert};
use super::output::Output;
use super::source::{SourceLayer, SourceModel, format_of, read_weights, refuse_overflow};
use super::transpose::{self, DownSource, down_units};
use super::{PIECE, Packer, Phase, Progress, quantise};
use crate::{Arrangement, FlashError, LayerLayout, WeightFormat};

impl Packer<'_> {
    pub fn write_dense(&self, model: &SourceModel<'_>, output: &mut Output, progress: Progress<'_>) -> Result<(), FlashError> {
        for tensor in &model.dense {
            let block = tensor.kind.block_bytes();
            let piece = (PIECE / block * block).min(tensor.bytes);
            let mut bytes = vec![0; piece as usize];
            let mut at = 0;
            while at < tensor.bytes {
                bytes.truncate((tensor.bytes - at).min(piece) as usize);
                read_weights(self.path, self.file, tensor, at, &mut bytes)?;
                output.append(&bytes)?;
                at += bytes.len() as u64;
                self.tell(output, Phase::Dense, progress)?;
            }
            output.fill_page()?;
        }
        Ok(())
    }

    pub fn write_ffn(&mut self, model: &SourceModel<'_>, output: &mut Output, progress: Progress<'_>) -> Result<(), FlashError> {
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
            tensor: source.down,
            from_byte: u64::from(expert) * bytes,
            neurons: shape.neurons as usize,
            width: shape.width as usize,
            from,
            to: shape.down,
            form: shape.down_form,
        };
        let (units, change) = down_units(&wanted, self.options.threads)?;
        refuse_overflow(self.path, source.down, shape.down, &units)?;
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
        let first = u64::from(expert) * rows.len() as u64;
        read_weights(self.path, self.file, source.down, first, &mut rows)?;
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
        refuse_overflow(self.path, source.down, shape.down, &units)?;
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
}
