//! One product at many rows, turn by turn, so that another program's can be timed in the pauses:
//! `bench -- turns --format Q4_0|Q8_0|F16 --rows N --columns N --tokens N --threads N --bytes N`.
//!
//! `--bytes` is the least that all copies of the weights take together: each turn multiplies another copy, so that none lies in
//! a cache from the turn before. A line on stdin asks for a turn, its end ends the program. Stdout has a JSON object for what was
//! prepared and one for each turn; `engine/rivals/llama.cpp/product.c` takes the same words and answers alike.
//!
//! A turn is what a pass of the model crate does for a matrix: activations quantised by one thread, then chunks of rows that the
//! threads take as they come. Weights are as they lie in a file. The result is compared with sums in f64 before the first turn
//! and behind the last.

use std::io::{self, BufRead, Write};
use std::process::exit;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use neuron::{Activations, Format, Kernels, Matrix, Output, Scratch};
use pool::Pool;

use crate::data::{dot, pool, tolerance, values, weights};
use crate::memory::Slab;
use crate::timing::{process_seconds, seconds};

/// Places of the product that are compared.
const PLACES: usize = 64;
/// Rows of a chunk are a multiple of this, and each thread has so many chunks: as in the model crate.
const GRAIN: usize = 64;
const CHUNKS: usize = 8;
/// What the activations are made from; the rival's source repeats it.
const ACTIVATIONS_SEED: u64 = 5;

/// What is asked.
struct Request {
    format: Format,
    rows: usize,
    columns: usize,
    tokens: usize,
    threads: usize,
    bytes: usize,
}

impl Request {
    fn read(words: &[String]) -> Result<Self, String> {
        const NAMES: [&str; 6] = ["--format", "--rows", "--columns", "--tokens", "--threads", "--bytes"];
        let mut given: [Option<&str>; 6] = [None; 6];
        for pair in words.chunks(2) {
            let place = NAMES.iter().position(|name| *name == pair[0]);
            let place = place.ok_or_else(|| format!("unknown option: {}; known: {}", pair[0], NAMES.join(", ")))?;
            given[place] = Some(pair.get(1).ok_or_else(|| format!("{}: a value is needed", pair[0]))?);
        }
        let text = |place: usize| given[place].ok_or_else(|| format!("{} is missing", NAMES[place]));
        let number = |place: usize| {
            let text = text(place)?;
            let number = text.parse().ok().filter(|&number: &usize| number > 0);
            number.ok_or_else(|| format!("{}: {text}; a whole number of at least 1 is needed", NAMES[place]))
        };
        let formats = [Format::Q4_0, Format::Q8_0, Format::F16];
        let format = formats.into_iter().find(|format| Ok(format.name()) == text(0));
        let request = Self {
            format: format.ok_or_else(|| format!("--format: {}; Q4_0, Q8_0 or F16 is needed", text(0).unwrap_or("missing")))?,
            rows: number(1)?,
            columns: number(2)?,
            tokens: number(3)?,
            threads: number(4)?,
            bytes: number(5)?,
        };
        if request.format.row_bytes(request.columns).is_err() {
            return Err(format!(
                "--columns: {}; whole blocks of {} are needed",
                request.columns, request.format
            ));
        }
        Ok(request)
    }
}

/// Everything that a turn needs.
struct Work<'a> {
    kernels: Kernels,
    request: &'a Request,
    pool: Pool,
    scratches: Vec<Mutex<Scratch>>,
    copies: Vec<Slab>,
    given: Vec<f32>,
    x: Activations,
    out: Vec<f32>,
}

impl<'a> Work<'a> {
    fn new(kernels: Kernels, request: &'a Request) -> Self {
        let &Request {
            format, rows, columns, ..
        } = request;
        let bytes = format.row_bytes(columns).expect("whole blocks") * rows;
        Self {
            kernels,
            request,
            pool: pool(request.threads),
            scratches: (0..request.threads).map(|_| Mutex::default()).collect(),
            copies: (0..request.bytes.div_ceil(bytes))
                .map(|_| weights(format, rows, columns))
                .collect(),
            given: values(columns * request.tokens, ACTIVATIONS_SEED),
            x: Activations::new(),
            out: vec![f32::NAN; rows * request.tokens],
        }
    }

    fn matrix(&self, copy: usize) -> Matrix<'_> {
        let &Request {
            format, rows, columns, ..
        } = self.request;
        Matrix::new(format, rows, columns, self.copies[copy].bytes()).expect("the sizes agree")
    }

    /// Seconds of one turn by the clock, and those that the threads had processors.
    fn turn(&mut self, number: usize) -> (f64, f64) {
        let before = process_seconds();
        let &Request {
            format,
            rows,
            columns,
            tokens,
            threads,
            ..
        } = self.request;
        let data = self.copies[number % self.copies.len()].bytes();
        let matrix = Matrix::new(format, rows, columns, data).expect("the sizes agree");
        let (kernels, scratches) = (self.kernels, &self.scratches);
        let (pool, given, x, out) = (&mut self.pool, &self.given, &mut self.x, &mut self.out);
        let took = seconds(|| {
            kernels.quantise_batch(given, tokens, x).expect("whole tokens");
            let chunk = rows.div_ceil(threads * CHUNKS).next_multiple_of(GRAIN);
            let mut rest = Output::new(out, tokens, rows).expect("room for all");
            let mut parts = Vec::new();
            for first in (0..rows).step_by(chunk) {
                let end = rows.min(first + chunk);
                let (mine, others) = rest.split_at(end - first);
                rest = others;
                parts.push(Mutex::new((matrix.slice(first..end).expect("rows that exist"), mine)));
            }
            let (x, next) = (&*x, AtomicUsize::new(0));
            pool.run(|worker| {
                let mut scratch = scratches[worker.index()].lock().expect("no thread panicked");
                while let Some(part) = parts.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let (matrix, out) = &mut *part.lock().expect("no thread panicked");
                    kernels
                        .gemm(matrix, x, &mut scratch, out.reborrow())
                        .expect("shapes that agree");
                }
            });
        });
        (took, process_seconds() - before)
    }

    /// Places spread over the whole product, the first and the last included: what stands there in f64, and what was computed.
    /// Panics when one is wrong.
    fn compared(&self) -> Vec<(f64, f32)> {
        let &Request {
            format,
            rows,
            columns,
            tokens,
            ..
        } = self.request;
        let (matrix, mut weights) = (self.matrix(0), vec![0f32; columns]);
        let place = |i: usize| {
            let (row, token) = (i * (rows - 1) / (PLACES - 1), i * 29 % PLACES * (tokens - 1) / (PLACES - 1));
            let x = &self.given[token * columns..][..columns];
            format.dequantise_row(matrix.row(row), &mut weights).expect("the sizes agree");
            let (truth, is) = (dot(&weights, x), self.out[token * rows + row]);
            let near = (f64::from(is) - truth).abs() <= tolerance(&weights, x);
            assert!(near, "row {row}, token {token}: {is} instead of {truth}");
            (truth, is)
        };
        (0..PLACES).map(place).collect()
    }
}

/// Numbers as a JSON array.
fn array<T: std::fmt::Display>(numbers: impl Iterator<Item = T>) -> String {
    format!("[{}]", numbers.map(|number| number.to_string()).collect::<Vec<_>>().join(","))
}

/// Takes turns until stdin ends. Exits with 2 when the words are wrong.
pub fn turns(kernels: Kernels, words: &[String]) -> io::Result<()> {
    let request = Request::read(words).unwrap_or_else(|wrong| {
        eprintln!("turns: {wrong}");
        exit(2);
    });
    let mut work = Work::new(kernels, &request);
    work.turn(0);
    let compared = work.compared();
    let mut stdout = io::stdout();
    writeln!(
        stdout,
        r#"{{"kernels":"{}","copies":{},"truths":{},"values":{}}}"#,
        kernels.name(),
        work.copies.len(),
        array(compared.iter().map(|(truth, _)| truth)),
        array(compared.iter().map(|(_, is)| is))
    )?;
    stdout.flush()?;
    for (number, line) in io::stdin().lock().lines().enumerate() {
        line?;
        let (took, processor) = work.turn(number + 1);
        writeln!(stdout, r#"{{"seconds":{took:.6},"processor":{processor:.6}}}"#)?;
        stdout.flush()?;
    }
    work.compared();
    Ok(())
}
