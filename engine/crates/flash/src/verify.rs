//! The pages of a packed file against their checksums, and the name of what a damaged one holds.

use std::fs::File;
use std::ops::ControlFlow;

use crate::file::read_exactly;
use crate::header::Section;
use crate::page_sum::{PAGE_LENGTH, page_sum};
use crate::{Arrangement, FlashError, FlashFile, LayerLayout, PAGE};

/// What a full verification read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct VerifyReport {
    /// Pages, each with a checksum of its own.
    pub pages: u64,
    /// Bytes read.
    pub bytes: u64,
}

impl FlashFile {
    /// Compares the checksum of every page of `bytes`, whole pages that were read from `offset` on; returns how many were compared. Those
    /// before the data have none: header and tables were checked at opening. The error names the first page that differs, and what it
    /// holds.
    pub fn verify_pages(&self, offset: u64, bytes: &[u8]) -> Result<u64, FlashError> {
        let data = self.section(Section::DenseData).offset;
        let (pages, rest) = bytes.as_chunks::<PAGE_LENGTH>();
        let before = data.saturating_sub(offset).div_ceil(PAGE).min(pages.len() as u64);
        let (pages, offset) = (&pages[before as usize..], offset.saturating_add(before * PAGE));
        let first = offset.saturating_sub(data) / PAGE;
        let sums = usize::try_from(first)
            .ok()
            .and_then(|first| self.page_sums.get(first..first.checked_add(pages.len())?));
        let Some(sums) = sums.filter(|_| rest.is_empty() && offset.is_multiple_of(PAGE)) else {
            return Err(FlashError::input(format!(
                "pages {offset} + {}; whole pages inside the file's {} bytes",
                bytes.len(),
                self.bytes()
            )));
        };
        for ((page, wanted), at) in pages.iter().zip(sums).zip((offset..).step_by(PAGE_LENGTH)) {
            let got = page_sum(page);
            if got != *wanted {
                return Err(FlashError::Checksum {
                    path: self.path().to_path_buf(),
                    offset: at,
                    bytes: PAGE,
                    what: self.name_of(at),
                    wanted: u64::from(*wanted),
                    got: u64::from(got),
                });
            }
        }
        Ok(pages.len() as u64)
    }

    /// What a page of the data holds.
    fn name_of(&self, offset: u64) -> String {
        let next = self.layers().partition_point(|layout| layout.offset() <= offset);
        if let Some(layer) = next.checked_sub(1) {
            return part_name(&self.layers()[layer], layer, offset);
        }
        let next = self.dense().partition_point(|tensor| tensor.offset <= offset);
        match next.checked_sub(1) {
            Some(index) => format!("tensor {}", self.dense()[index].name),
            None => Section::DenseData.name().to_string(),
        }
    }

    /// Reads all data and compares every checksum, in a few megabytes of memory. `progress` hears of bytes done and may stop.
    pub fn verify(&self, progress: &mut dyn FnMut(u64) -> ControlFlow<()>) -> Result<VerifyReport, FlashError> {
        const PIECE: u64 = 4 << 20;
        let file = File::open(self.path()).map_err(|error| FlashError::io("open", self.path(), 0, 0, &error))?;
        let mut report = VerifyReport { pages: 0, bytes: 0 };
        let mut buffer = Vec::new();
        let mut at = self.section(Section::DenseData).offset;
        while at < self.bytes() {
            buffer.resize((self.bytes() - at).min(PIECE) as usize, 0);
            read_exactly(self.path(), &file, at, &mut buffer)?;
            report.pages += self.verify_pages(at, &buffer)?;
            at += buffer.len() as u64;
            report.bytes += buffer.len() as u64;
            if progress(report.bytes).is_break() {
                return Err(FlashError::Cancelled);
            }
        }
        Ok(report)
    }
}

/// What lies at an offset inside a layer.
fn part_name(layout: &LayerLayout, layer: usize, offset: u64) -> String {
    let inside = offset - layout.offset();
    let (expert, inside) = (inside / layout.expert_bytes(), inside % layout.expert_bytes());
    let of = |part: u64| layout.part_span(0, part).bytes;
    match layout.arrangement() {
        Arrangement::Bundles => {
            let bundle = of(0) + of(1);
            let which = if inside % bundle < of(0) { "gate" } else { "up and down" };
            format!("{which} of layer {layer} expert {expert} group {}", inside / bundle)
        }
        Arrangement::Matrices => {
            let which = match inside {
                at if at < of(0) => "gate",
                at if at < of(0) + of(1) => "up",
                _ => "down",
            };
            format!("{which} of layer {layer} expert {expert}")
        }
    }
}
