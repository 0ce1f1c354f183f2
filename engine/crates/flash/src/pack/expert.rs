//! One expert's rows, read from the source in packed order.

use std::fs::File;
use std::path::Path;

use gguf::TensorInfo;

use super::source::{SourceLayer, read_weights};
use crate::{FlashError, LayerLayout};

/// Down in its packed form, in the source's order.
pub(super) enum Down {
    /// As it stands in the GGUF file: rows to copy.
    InFile,
    /// Transposed rows or tiles, one after the other.
    Units(Vec<u8>),
}

/// One expert in the source and its place in the packed file.
pub(super) struct Expert<'a> {
    pub path: &'a Path,
    pub file: &'a File,
    pub source: &'a SourceLayer<'a>,
    pub layout: LayerLayout,
    pub expert: u32,
    pub order: Option<&'a [u32]>,
    pub down: Down,
}

impl Expert<'_> {
    /// Runs of consecutive source neurons behind these positions: (neuron, count).
    fn runs(&self, positions: std::ops::Range<u32>) -> Vec<(u32, u32)> {
        let Some(order) = self.order else {
            return vec![(positions.start, positions.len() as u32)];
        };
        let mut runs: Vec<(u32, u32)> = Vec::new();
        for &neuron in &order[positions.start as usize..positions.end as usize] {
            match runs.last_mut() {
                Some((start, count)) if *start + *count == neuron => *count += 1,
                _ => runs.push((neuron, 1)),
            }
        }
        runs
    }

    /// Rows of a source tensor in packed order.
    pub fn rows(&self, tensor: &TensorInfo, row: usize, positions: std::ops::Range<u32>) -> Result<Vec<u8>, FlashError> {
        let base = u64::from(self.expert) * (tensor.bytes / u64::from(self.source.experts));
        let mut out = vec![0; positions.len() * row];
        let mut at = 0;
        for (neuron, count) in self.runs(positions) {
            let bytes = count as usize * row;
            let first = base + u64::from(neuron) * row as u64;
            read_weights(self.path, self.file, tensor, first, &mut out[at..at + bytes])?;
            at += bytes;
        }
        Ok(out)
    }

    /// Down of these positions in packed order; with tiles, positions are whole tiles.
    pub fn down_of(&self, positions: std::ops::Range<u32>) -> Result<Vec<u8>, FlashError> {
        let unit = self.layout.down_unit_bytes() as usize;
        let units = match &self.down {
            Down::InFile => return self.rows(self.source.down, unit, positions),
            Down::Units(units) => units,
        };
        let neurons = self.layout.down_unit_neurons();
        let mut out = Vec::with_capacity(positions.len() / neurons as usize * unit);
        for (neuron, count) in self.runs(positions) {
            let (first, count) = ((neuron / neurons) as usize, (count / neurons) as usize);
            out.extend_from_slice(&units[first * unit..(first + count) * unit]);
        }
        Ok(out)
    }
}
