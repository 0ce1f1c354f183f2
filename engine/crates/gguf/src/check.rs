//! Where tensors lie: sizes without overflow, offsets aligned, inside the file, and apart from each other.

use crate::error::GgufError;
use crate::file::TensorInfo;
use crate::kind::TensorType;

/// A row of the tensor table as it stands in the file, believed in nothing yet.
pub(crate) struct Declared {
    /// Where the row begins (bytes from the start of the file).
    pub at: u64,
    pub name: String,
    pub shape: Vec<u64>,
    pub kind: TensorType,
    /// From the start of the data section.
    pub offset: u64,
}

/// Bytes of a tensor. Every product stays below 2^63, so that sums of two of them cannot overflow.
pub(crate) fn tensor_bytes(at: u64, tensor: &str, shape: &[u64], kind: TensorType) -> Result<u64, GgufError> {
    if shape.is_empty() || shape.len() > crate::file::MAX_DIMENSIONS || shape.contains(&0) {
        return Err(GgufError::BadShape {
            at,
            tensor: tensor.to_owned(),
            shape: shape.to_vec(),
        });
    }
    let row = shape[0];
    if !row.is_multiple_of(kind.block_weights()) {
        return Err(GgufError::PartialBlock {
            at,
            tensor: tensor.to_owned(),
            kind,
            row,
        });
    }
    let too_large = || GgufError::TooLarge {
        at,
        tensor: tensor.to_owned(),
        shape: shape.to_vec(),
    };
    let fits = |product: &u64| *product <= i64::MAX as u64;
    let weights = shape
        .iter()
        .try_fold(1u64, |product, &size| product.checked_mul(size))
        .filter(fits)
        .ok_or_else(too_large)?;
    (weights / kind.block_weights())
        .checked_mul(kind.block_bytes())
        .filter(fits)
        .ok_or_else(too_large)
}

/// The tensors with absolute offsets, in the order of the table, and their indices sorted by name.
pub(crate) fn place(
    declared: Vec<Declared>,
    data_start: u64,
    alignment: u64,
    file: u64,
) -> Result<(Vec<TensorInfo>, Vec<u32>), GgufError> {
    let mut tensors = Vec::with_capacity(declared.len());
    let mut rows = Vec::with_capacity(declared.len());
    for Declared {
        at,
        name,
        shape,
        kind,
        offset,
    } in declared
    {
        let bytes = tensor_bytes(at, &name, &shape, kind)?;
        if !offset.is_multiple_of(alignment) {
            return Err(GgufError::Misaligned {
                at,
                tensor: name,
                offset,
                alignment,
            });
        }
        let start = data_start.saturating_add(offset);
        if start.checked_add(bytes).is_none_or(|end| end > file) {
            return Err(GgufError::OutsideFile {
                at,
                tensor: name,
                start,
                bytes,
                file,
            });
        }
        tensors.push(TensorInfo {
            name,
            shape,
            kind,
            offset: start,
            bytes,
        });
        rows.push(at);
    }
    let mut by_name: Vec<u32> = (0..tensors.len() as u32).collect();
    by_name.sort_by(|&a, &b| tensors[a as usize].name.cmp(&tensors[b as usize].name));
    for pair in by_name.windows(2) {
        let [first, second] = [&tensors[pair[0] as usize], &tensors[pair[1] as usize]];
        if first.name == second.name {
            return Err(GgufError::DuplicateTensor {
                at: rows[pair[1] as usize],
                name: second.name.clone(),
            });
        }
    }
    let mut by_offset: Vec<u32> = (0..tensors.len() as u32).collect();
    by_offset.sort_by_key(|&index| tensors[index as usize].offset);
    for pair in by_offset.windows(2) {
        let [first, second] = [&tensors[pair[0] as usize], &tensors[pair[1] as usize]];
        let end = first.offset + first.bytes;
        if second.offset < end {
            let (at, tensor, other) = (rows[pair[1] as usize], second.name.clone(), first.name.clone());
            return Err(GgufError::Overlap {
                at,
                tensor,
                start: second.offset,
                other,
                end,
            });
        }
    }
    Ok((tensors, by_name))
}
