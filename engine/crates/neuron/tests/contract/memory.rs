//! Kernels touch only the memory that they were given: operands end at a page that may not be read.
#![cfg(target_os = "linux")]

use neuron::{Attention, Format, Kernels, KvView, Matrix, Output, Scratch, f32_to_f16};

use crate::data::{Kind, Source, lengths, quantised, weights};

unsafe extern "C" {
    fn mmap(at: *mut u8, bytes: usize, protection: i32, flags: i32, file: i32, offset: i64) -> *mut u8;
    fn mprotect(at: *mut u8, bytes: usize, protection: i32) -> i32;
    fn munmap(at: *mut u8, bytes: usize) -> i32;
}

const PAGE: usize = 65536; // a multiple of every page size in use

/// Bytes between two pages that fault, right before the second.
struct Fenced {
    base: *mut u8,
    pages: usize,
    len: usize,
}

impl Fenced {
    fn new(bytes: &[u8]) -> Self {
        let pages = bytes.len().div_ceil(PAGE) + 2;
        // SAFETY: a fresh private mapping (read and write, private and anonymous), checked below.
        let base = unsafe { mmap(std::ptr::null_mut(), pages * PAGE, 3, 0x22, -1, 0) };
        assert_ne!(base as isize, -1);
        let fenced = Self {
            base,
            pages,
            len: bytes.len(),
        };
        // SAFETY: the mapping is this long; its first and last pages are fenced off before anybody else sees it.
        unsafe {
            fenced.start().copy_from_nonoverlapping(bytes.as_ptr(), bytes.len());
            assert_eq!(mprotect(base, PAGE, 0), 0);
            assert_eq!(mprotect(base.add((pages - 1) * PAGE), PAGE, 0), 0);
        }
        fenced
    }

    fn start(&self) -> *mut u8 {
        // SAFETY: the data ends where the last page starts and is no longer than the pages between the fences.
        unsafe { self.base.add((self.pages - 1) * PAGE - self.len) }
    }

    fn bytes(&self) -> &[u8] {
        // SAFETY: these bytes are mapped, initialised and readable.
        unsafe { std::slice::from_raw_parts(self.start(), self.len) }
    }

    fn halves(&self) -> &[u16] {
        assert!(self.start().cast::<u16>().is_aligned());
        // SAFETY: as for `bytes`, and aligned.
        unsafe { std::slice::from_raw_parts(self.start().cast(), self.len / 2) }
    }
}

impl Drop for Fenced {
    fn drop(&mut self) {
        // SAFETY: the mapping made in `new`.
        unsafe { munmap(self.base, self.pages * PAGE) };
    }
}

#[test]
fn products_read_nothing_past_their_rows() {
    let mut source = Source::new(60);
    for format in Format::ALL {
        for &cols in lengths(format) {
            for rows in [1, 3, 18] {
                let data = Fenced::new(&weights(format, Kind::Normal, rows, cols, &mut source));
                let matrix = Matrix::new(format, rows, cols, data.bytes()).unwrap();
                let x = source.values(cols);
                for kernels in Kernels::available() {
                    let activations = quantised(kernels, &x);
                    let mut out = vec![0.0; rows];
                    kernels.gemv(&matrix, &activations, &mut out).unwrap();
                    let list = [rows as u32 - 1, 0, rows as u32 - 1];
                    kernels.gemv_rows(&matrix, &list, &activations, &mut [0.0; 3]).unwrap();
                    kernels.axpy_rows(&matrix, &list, &[1.0; 3], &mut x.clone()).unwrap();
                    let anywhere = list.map(|row| matrix.row(row as usize));
                    kernels
                        .gemv_scattered(format, cols, &anywhere, &activations, &mut [0.0; 3])
                        .unwrap();
                    kernels.axpy_scattered(format, &anywhere, &[1.0; 3], &mut x.clone()).unwrap();
                    kernels
                        .gemm(
                            &matrix,
                            &activations,
                            &mut Scratch::new(),
                            Output::new(&mut out, 1, rows).unwrap(),
                        )
                        .unwrap();
                }
            }
        }
    }
}

#[test]
fn attention_reads_nothing_past_the_cache() {
    let mut source = Source::new(61);
    for head_dim in [1, 8, 24, 64, 128] {
        let shape = Attention {
            heads: 2,
            kv_heads: 1,
            head_dim,
            scale: 0.1,
            window: None,
        };
        for positions in [1, 2, 3, 5, 8] {
            let mut cache = || {
                let bytes: Vec<u8> = (0..positions * head_dim)
                    .flat_map(|_| f32_to_f16(source.normal()).to_le_bytes())
                    .collect();
                Fenced::new(&bytes)
            };
            let (keys, values) = (cache(), cache());
            let kv = KvView {
                keys: keys.halves(),
                values: values.halves(),
                positions,
                position_stride: head_dim,
                head_stride: 0,
            };
            let queries = source.values(positions * 2 * head_dim);
            for kernels in Kernels::available() {
                let mut out = vec![0.0; queries.len()];
                let table = Output::new(&mut out, positions, 2 * head_dim).unwrap();
                kernels
                    .attention(&shape, &queries, 0, &kv, 0..1, &mut Scratch::new(), table)
                    .unwrap();
            }
        }
    }
}
