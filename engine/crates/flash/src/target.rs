//! What can be asked of a packed file: five granularities behind one type, each turned into whole pages.

use std::ops::Range;

use crate::file::FlashFile;
use crate::{Arrangement, FlashError, LayerLayout, Matrix, PAGE, Span};

/// Which part of neurons is wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// Gate rows: the first phase of two-phase loading.
    Gate,
    /// Up rows and down weights: the second phase.
    UpDown,
    /// All three.
    Whole,
}

/// Something to read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Target {
    /// A tensor outside the FFNs, by its number in [`FlashFile::dense`].
    Tensor {
        /// Number of the tensor.
        index: u32,
    },
    /// The whole FFN of a layer with all its experts: tensor granularity for the FFN.
    Layer {
        /// Layer number.
        layer: u32,
    },
    /// One expert's gate, up and down.
    Expert {
        /// Layer number.
        layer: u32,
        /// Expert number, 0 in a dense layer.
        expert: u32,
    },
    /// One matrix of an expert. In bundles, up and down share pages: each brings the pages of both.
    Matrix {
        /// Layer number.
        layer: u32,
        /// Expert number.
        expert: u32,
        /// Which matrix.
        matrix: Matrix,
    },
    /// A neuron cluster: a range of groups.
    Cluster {
        /// Layer number.
        layer: u32,
        /// Expert number.
        expert: u32,
        /// Which part of each neuron.
        part: Part,
        /// Groups, in packed order.
        groups: Range<u32>,
    },
    /// The neuron at a position; its whole group comes with it where rows are smaller than a page.
    Neuron {
        /// Layer number.
        layer: u32,
        /// Expert number.
        expert: u32,
        /// Which part.
        part: Part,
        /// Place in packed order.
        position: u32,
    },
    /// Pages as such, for streams: both multiples of a page.
    Pages(Span),
}

/// A target and the tag under which its completion is delivered. Tags in flight need not differ.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    /// Chosen by the caller.
    pub tag: u64,
    /// What to read.
    pub target: Target,
}

impl Target {
    /// True for the second phase of two-phase loading, whose pages lie behind pages just read.
    pub(crate) fn is_second_phase(&self) -> bool {
        matches!(
            self,
            Self::Cluster { part: Part::UpDown, .. } | Self::Neuron { part: Part::UpDown, .. }
        )
    }

    /// The whole pages to read, ascending and disjoint. Fails on numbers that the file does not have.
    pub fn spans(&self, file: &FlashFile) -> Result<Vec<Span>, FlashError> {
        let mut spans = Vec::new();
        match *self {
            Self::Tensor { index } => {
                let tensor = file
                    .dense()
                    .get(index as usize)
                    .ok_or_else(|| FlashError::input(format!("no dense tensor {index}; the file has {}", file.dense().len())))?;
                push(
                    &mut spans,
                    Span {
                        offset: tensor.offset,
                        bytes: tensor.bytes,
                    },
                );
            }
            Self::Layer { layer } => {
                let layout = layer_of(file, layer)?;
                push(
                    &mut spans,
                    Span {
                        offset: layout.offset(),
                        bytes: layout.bytes(),
                    },
                );
            }
            Self::Expert { layer, expert } => push(&mut spans, expert_of(file, layer, expert)?.expert_span(expert)),
            Self::Matrix { layer, expert, matrix } => {
                let layout = expert_of(file, layer, expert)?;
                match layout.arrangement() {
                    Arrangement::Matrices => push(&mut spans, layout.part_span(expert, matrix as u64)),
                    Arrangement::Bundles => {
                        let part = if matrix == Matrix::Gate { Part::Gate } else { Part::UpDown };
                        groups_into(&mut spans, layout, expert, part, 0..layout.groups());
                    }
                }
            }
            Self::Cluster {
                layer,
                expert,
                part,
                ref groups,
            } => {
                let layout = expert_of(file, layer, expert)?;
                if groups.start >= groups.end || groups.end > layout.groups() {
                    return Err(FlashError::input(format!(
                        "groups {}..{} of layer {layer}; a range inside 0..{}",
                        groups.start,
                        groups.end,
                        layout.groups()
                    )));
                }
                groups_into(&mut spans, layout, expert, part, groups.clone());
            }
            Self::Neuron {
                layer,
                expert,
                part,
                position,
            } => {
                let layout = expert_of(file, layer, expert)?;
                let shape = layout.shape();
                if position >= shape.neurons {
                    return Err(FlashError::input(format!(
                        "no neuron {position} in layer {layer}; it has {}",
                        shape.neurons
                    )));
                }
                let group = position / shape.group;
                groups_into(&mut spans, layout, expert, part, group..group + 1);
            }
            Self::Pages(span) => {
                let inside = span.offset.checked_add(span.bytes).is_some_and(|end| end <= file.bytes());
                if !inside || span.bytes == 0 || !span.offset.is_multiple_of(PAGE) || !span.bytes.is_multiple_of(PAGE) {
                    return Err(FlashError::input(format!(
                        "pages {} + {}; whole pages inside the file's {} bytes",
                        span.offset,
                        span.bytes,
                        file.bytes()
                    )));
                }
                spans.push(span);
            }
        }
        Ok(spans)
    }
}

fn layer_of(file: &FlashFile, layer: u32) -> Result<&LayerLayout, FlashError> {
    file.layers()
        .get(layer as usize)
        .ok_or_else(|| FlashError::input(format!("no layer {layer}; the file has {}", file.layers().len())))
}

fn expert_of(file: &FlashFile, layer: u32, expert: u32) -> Result<&LayerLayout, FlashError> {
    let layout = layer_of(file, layer)?;
    if expert >= layout.shape().experts {
        return Err(FlashError::input(format!(
            "no expert {expert} in layer {layer}; it has {}",
            layout.shape().experts
        )));
    }
    Ok(layout)
}

/// Adds the pages of `span`, joined to the last where they touch or share a page.
fn push(spans: &mut Vec<Span>, span: Span) {
    let pages = span.pages();
    match spans.last_mut() {
        Some(last) if pages.offset <= last.end() && pages.offset >= last.offset => {
            last.bytes = last.end().max(pages.end()) - last.offset;
        }
        _ => spans.push(pages),
    }
}

fn groups_into(spans: &mut Vec<Span>, layout: &LayerLayout, expert: u32, part: Part, groups: Range<u32>) {
    match layout.arrangement() {
        Arrangement::Bundles => {
            for group in groups {
                let first = 2 * u64::from(group);
                if part != Part::UpDown {
                    push(spans, layout.part_span(expert, first));
                }
                if part != Part::Gate {
                    push(spans, layout.part_span(expert, first + 1));
                }
            }
        }
        Arrangement::Matrices => {
            let shape = layout.shape();
            let first = groups.start * shape.group;
            let last = (groups.end * shape.group).min(shape.neurons) - 1;
            let rows = |from: Span, to: Span| Span {
                offset: from.offset,
                bytes: to.end() - from.offset,
            };
            if part != Part::UpDown {
                push(spans, rows(layout.gate_row(expert, first), layout.gate_row(expert, last)));
            }
            if part != Part::Gate {
                push(spans, rows(layout.up_row(expert, first), layout.up_row(expert, last)));
                push(spans, rows(layout.down_unit(expert, first), layout.down_unit(expert, last)));
            }
        }
    }
}
