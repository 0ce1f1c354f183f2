//! Decides the form of down, the group of every layer, and so every offset of the packed file, before a byte is written.

use std::path::Path;

use super::options::{DownChoice, GroupCandidate, GroupChoice, PackOptions};
use super::source::{SourceLayer, format_of};
use crate::{Arrangement, DownForm, FlashError, LayerLayout, LayerShape, PAGE, TILE, WeightFormat};

/// What a command costs beside its bytes, in bytes: 8.1 us at 4.26 GB/s, the two-term fit to PowerInfer-2's printed UFS 4.0
/// rates (devices/oneplus-12.json); an NVMe disk behind virtio measures 9.5 us at 2.5 GB/s, 24 KiB.
const COMMAND_BYTES: f64 = 34.5e3;
/// Groups beyond this bring nothing that merged reads do not bring.
const LARGEST_BUNDLE: u64 = 64 << 10;
/// Share of active neurons from which on whole groups are wanted anyway.
const MANY: f64 = 0.5;
/// Activity at which candidates are shown where the caller does not say one.
const SHOWN_ACTIVITY: f64 = 0.1;

/// A layer's shape with group 0: the group is decided next.
pub(super) fn shape_of(path: &Path, layer: &SourceLayer<'_>, choice: DownChoice) -> Result<LayerShape, FlashError> {
    let from = format_of(path, layer.down)?;
    let is_row = layer.down_is_transposed || from.block_weights() == 1;
    let (down, down_form, down_requantised) = match choice {
        DownChoice::Exact if is_row => (from, DownForm::Rows, false),
        DownChoice::Exact => (from, DownForm::Tiles, false),
        DownChoice::Auto if is_row => (from, DownForm::Rows, false),
        DownChoice::Auto => (WeightFormat::Q8_0, DownForm::Rows, true),
        DownChoice::TransposedQ8 => (WeightFormat::Q8_0, DownForm::Rows, true),
        DownChoice::TransposedQ4 => (WeightFormat::Q4_0, DownForm::Rows, true),
        DownChoice::TransposedF16 => (WeightFormat::F16, DownForm::Rows, true),
        // Whatever the source has fits.
        DownChoice::TransposedF32 => (WeightFormat::F32, DownForm::Rows, false),
    };
    // Where rows already have the format asked for, they are copied.
    let down_requantised = down_requantised && !(is_row && down == from);
    Ok(LayerShape {
        experts: layer.experts,
        neurons: layer.neurons,
        width: layer.width,
        gate: format_of(path, layer.gate)?,
        up: format_of(path, layer.up)?,
        down,
        down_form,
        down_requantised,
        group: 0,
    })
}

/// The layer's shape with its group decided, and the groups that were weighed.
pub(super) fn with_group(
    path: &Path,
    mut shape: LayerShape,
    options: &PackOptions,
) -> Result<(LayerShape, Vec<GroupCandidate>), FlashError> {
    let smallest = if shape.down_form == DownForm::Tiles { TILE } else { 1 };
    let wrong = |what: String| FlashError::source(path, what);
    if options.arrangement == Arrangement::Matrices {
        // Rows lie one after the other: the granule is the row, or the tile.
        shape.group = smallest;
        LayerLayout::new(shape, options.arrangement, 0).map_err(wrong)?;
        return Ok((shape, Vec::new()));
    }
    let activity = match options.group {
        GroupChoice::Cheapest { activity } => activity,
        _ => SHOWN_ACTIVITY,
    };
    if !(activity > 0.0 && activity <= 1.0) {
        return Err(FlashError::input(format!("activity: {activity}; above 0, at most 1")));
    }
    let mut candidates = Vec::new();
    // Neurons of a group are cached together: where few are wanted, a group larger than a page pushes out more than it saves.
    let mut most = smallest;
    let mut group = smallest;
    while group == smallest || (group / 2 < shape.neurons && group <= 1 << 12) {
        let layout = LayerLayout::new(LayerShape { group, ..shape }, options.arrangement, 0).map_err(wrong)?;
        let bundle_bytes = layout.expert_bytes() / u64::from(layout.groups());
        if activity >= MANY || layout.part_span(0, 1).bytes <= PAGE {
            most = group;
        }
        let used = layout.payload_bytes() as f64 / layout.expert_bytes() as f64;
        let read_share = 1.0 - (1.0 - activity).powi(group as i32);
        candidates.push(GroupCandidate {
            group,
            bundle_bytes,
            padding: 1.0 - used,
            bytes_per_active_neuron: read_share * bundle_bytes as f64 / (activity * f64::from(group)),
        });
        group *= 2;
    }
    let first = candidates[0];
    shape.group = match options.group {
        GroupChoice::Fixed(group) => group,
        GroupChoice::Padding(most) => {
            let enough = candidates.iter().find(|candidate| candidate.padding <= most);
            let least = candidates
                .iter()
                .fold(first, |least, one| if one.padding < least.padding { *one } else { least });
            enough.unwrap_or(&least).group
        }
        GroupChoice::Cheapest { .. } => {
            let cost = |one: &GroupCandidate| one.bytes_per_active_neuron * (1.0 + COMMAND_BYTES / one.bundle_bytes as f64);
            let small = candidates
                .iter()
                .filter(|one| one.bundle_bytes <= LARGEST_BUNDLE && one.group <= most);
            small
                .fold(first, |best, one| if cost(one) < cost(&best) { *one } else { best })
                .group
        }
    };
    LayerLayout::new(shape, options.arrangement, 0).map_err(|what| FlashError::input(format!("group: {what}")))?;
    Ok((shape, candidates))
}
