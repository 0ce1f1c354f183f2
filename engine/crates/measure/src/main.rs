//! `neuronlab-measure`: a device profile on stdout. For machines without Node, phones above all: docs/new-phone.md.

use std::io::{IsTerminal, Write};
use std::ops::ControlFlow;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Instant;

use measure::{Depth, MeasureError, Options, Part, Step};

const USAGE: &str = "\
Measures this device and prints its profile (neuronlab/device@1) as JSON. A few minutes; progress on stderr.

  neuronlab-measure [--quick | --trial] [--dir FOLDER] [--only PART] [--scratch MEBIBYTES] [--name NAME] > device.json

  --quick        under half a minute: fewer cells, fewer turns
  --trial        the form of a profile in seconds; its numbers say nothing
  --dir FOLDER   where the scratch file lies, on the storage to measure (default: this folder); it has no name and is gone with this process
  --scratch N    mebibytes of the scratch file, an even number (default: 4096; with --quick 512)
  --only PART    kernels, threads, memory or flash: prints the tables of that part, which are no profile
  --name NAME    of the profile (default: this-host)

Exits 0 (done), 2 (a wrong argument), 70 (a fault of ours), 74 (the scratch file cannot be made or read).
";

/// The words as options. `Err` says what is wrong and what would be right.
fn options(words: &[String]) -> Result<Options, String> {
    let mut options = Options::new(Depth::Full, PathBuf::from("."));
    let mut rest = words.iter();
    while let Some(word) = rest.next() {
        let mut value = || rest.next().ok_or_else(|| format!("{word}: has no value; see --help"));
        match word.as_str() {
            "--quick" => options.depth = Depth::Quick,
            "--trial" => options.depth = Depth::Trial,
            "--dir" => options.folder = PathBuf::from(value()?),
            "--name" => options.name.clone_from(value()?),
            "--scratch" => {
                let typed = value()?;
                let mebibytes = typed
                    .parse::<u64>()
                    .ok()
                    .filter(|count| count.is_multiple_of(2) && (2..1 << 20).contains(count));
                let mebibytes =
                    mebibytes.ok_or_else(|| format!("--scratch: {typed}; an even number of mebibytes, such as 512"))?;
                options.scratch_bytes = Some(mebibytes << 20);
            }
            "--only" => {
                let typed = value()?;
                let names = Part::ALL.map(Part::name).join(", ");
                options.only = Some(Part::named(typed).ok_or_else(|| format!("--only: {typed}; should be one of {names}"))?);
            }
            other => return Err(format!("unknown argument: {other}; see --help")),
        }
    }
    if options.name.trim().is_empty() {
        return Err("--name: is empty; such as my-phone".to_owned());
    }
    options.command = ["neuronlab-measure".to_owned()]
        .iter()
        .chain(words)
        .cloned()
        .collect::<Vec<_>>()
        .join(" ");
    Ok(options)
}

/// A line on a terminal, at most some a second.
fn show(step: &Step, last: &mut Option<Instant>) {
    let is_due = last.is_none_or(|last| last.elapsed().as_millis() > 200);
    if is_due && std::io::stderr().is_terminal() {
        let percent = 100.0 * step.done / step.total;
        eprint!("\r{percent:3.0}%  {:8}  {:4.0} s left ", step.part.name(), step.left);
        *last = Some(Instant::now());
    }
}

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    if words.iter().any(|word| word == "--help" || word == "-h") {
        print!("{USAGE}");
        return ExitCode::SUCCESS;
    }
    let options = match options(&words) {
        Ok(options) => options,
        Err(what) => {
            eprintln!("{what}");
            return ExitCode::from(2);
        }
    };
    let mut last = None;
    let outcome = measure::measure(&options, &mut |step| {
        show(step, &mut last);
        ControlFlow::Continue(())
    });
    if last.is_some() {
        eprintln!();
    }
    match outcome {
        Ok(measured) => {
            let profile = measure::profile(&measured, &options.name);
            for note in &measured.notes {
                eprintln!("note: {note}");
            }
            match writeln!(std::io::stdout(), "{profile}") {
                Ok(()) => ExitCode::SUCCESS,
                Err(error) => {
                    eprintln!("cannot write the profile: {error}");
                    ExitCode::from(74)
                }
            }
        }
        Err(error) => {
            eprintln!("{error}");
            ExitCode::from(match error {
                MeasureError::Input { .. } => 2,
                MeasureError::Scratch { .. } | MeasureError::Read(_) => 74,
                MeasureError::System(_) | MeasureError::Cancelled => 70,
            })
        }
    }
}
