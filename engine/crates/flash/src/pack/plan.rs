//! The place of everything in the packed file, before a byte of it is written.

use std::fs::File;
use std::path::Path;

use gguf::Gguf;

use super::source::SourceModel;
use super::transpose::Change;
use super::{Packer, geometry};
use crate::file::DenseTensor;
use crate::header::{Header, Section};
use crate::{DownForm, FlashError, LayerLayout, NeuronOrder, PAGE, PackOptions, Span, order, page_ceil, tables};

impl<'a> Packer<'a> {
    /// Computes the place of everything.
    pub fn plan(
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
