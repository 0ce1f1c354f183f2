//! A full disk, a limit on file sizes, a killed process: nothing is ever left under the final name, and what was there stays.

mod common;

use std::io::{BufRead, BufReader};
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use common::{Model, SMALL, Scratch, Shape};
use flash::{FlashError, FlashFile, PackOptions, PackProgress, pack};

/// A tmpfs of its own, unmounted at the end. `None` where this process may not mount.
struct Tiny(PathBuf);

impl Tiny {
    fn mount(at: &Path, bytes: u64) -> Option<Self> {
        std::fs::create_dir_all(at).unwrap();
        let size = format!("size={bytes}");
        let mut command = Command::new("mount");
        command
            .args(["-t", "tmpfs", "-o", &size, "tmpfs"])
            .arg(at)
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        command
            .status()
            .is_ok_and(|status| status.success())
            .then(|| Self(at.to_path_buf()))
    }
}

impl Drop for Tiny {
    fn drop(&mut self) {
        drop(Command::new("umount").arg(&self.0).status());
    }
}

fn go_on(_: PackProgress) -> ControlFlow<()> {
    ControlFlow::Continue(())
}

#[test]
fn a_full_disk_is_said_with_the_bytes_needed_and_the_old_file_stays() {
    let scratch = Scratch::new();
    let model = Model::write(&scratch, SMALL);
    let (whole, report) = model.pack(&scratch.file("packed"), &PackOptions::default());
    let Some(tiny) = Tiny::mount(&scratch.file("tiny"), report.bytes / 2) else {
        eprintln!("skipped: this process may not mount a tmpfs");
        return;
    };
    let out = tiny.0.join("packed");
    std::fs::write(&out, b"an older file").unwrap();
    match pack(&model.path, &out, &PackOptions::default(), &mut go_on).unwrap_err() {
        FlashError::NoSpace { path, bytes, .. } => assert_eq!((path, bytes), (out.clone(), report.bytes)),
        other => panic!("{other}"),
    }
    assert_eq!(std::fs::read(&out).unwrap(), b"an older file");
    assert_eq!(std::fs::read_dir(&tiny.0).unwrap().count(), 1, "no temporary file is left");
    drop(tiny);

    // With room enough the same packing succeeds there, and gives the same bytes as on a disk.
    let tiny = Tiny::mount(&scratch.file("tiny"), report.bytes * 2).expect("mounted before");
    let out = tiny.0.join("packed");
    pack(&model.path, &out, &PackOptions::default(), &mut go_on).unwrap();
    assert!(std::fs::read(&out).unwrap() == std::fs::read(whole.path()).unwrap());
}

/// Runs one of the ignored tests below in a process of its own, under a shell's limits.
fn child(limits: &str, test: &str, folder: &Path) -> Child {
    let own = std::env::current_exe().unwrap();
    let script = format!("{limits} exec \"$0\" --exact {test} --ignored --nocapture --test-threads=1");
    let mut command = Command::new("sh");
    command
        .args(["-c", &script])
        .arg(own)
        .env("FLASH_TEST_CHILD", folder)
        .stdout(Stdio::piped())
        .stderr(Stdio::null());
    command.spawn().expect("a shell")
}

fn child_folder() -> Option<PathBuf> {
    std::env::var_os("FLASH_TEST_CHILD").map(PathBuf::from)
}

#[test]
#[ignore = "run by another test, in a process of its own"]
fn pack_under_a_limit() {
    let Some(folder) = child_folder() else { return };
    let error = pack(
        &folder.join("model.gguf"),
        &folder.join("packed"),
        &PackOptions::default(),
        &mut go_on,
    )
    .unwrap_err();
    println!("\nsaid: {error}");
}

#[test]
#[ignore = "run by another test, in a process of its own"]
fn pack_and_wait_half_way() {
    let Some(folder) = child_folder() else { return };
    let mut wait = |progress: PackProgress| {
        if progress.done > progress.total / 2 {
            println!("\nhalf way");
            loop {
                std::thread::park();
            }
        }
        ControlFlow::Continue(())
    };
    drop(pack(
        &folder.join("model.gguf"),
        &folder.join("packed"),
        &PackOptions::default(),
        &mut wait,
    ));
}

#[test]
fn a_limit_on_file_sizes_is_an_error_and_not_a_killed_process() {
    let scratch = Scratch::new();
    Model::write(&scratch, SMALL);
    let output = child("ulimit -f 20;", "pack_under_a_limit", &scratch.0)
        .wait_with_output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success() && text.contains(": no room: "), "{text}");
    assert!(text.contains("ulimit -f"), "{text}");
    assert_eq!(scratch.names(), ["model.gguf"]);
}

#[test]
fn a_killed_packing_leaves_no_file_at_all() {
    let scratch = Scratch::new();
    let model = Model::write(&scratch, Shape { layers: 4, ..SMALL });
    let mut child = child("", "pack_and_wait_half_way", &scratch.0);
    let lines = BufReader::new(child.stdout.take().unwrap()).lines();
    assert!(
        lines.map_while(Result::ok).any(|line| line.contains("half way")),
        "the child got half way"
    );
    child.kill().unwrap();
    child.wait().unwrap();
    assert_eq!(scratch.names(), ["model.gguf"]);
    // And nothing stands in the way of the next attempt.
    let (file, _) = model.pack(&scratch.file("packed"), &PackOptions::default());
    assert!(FlashFile::open(file.path()).is_ok());
    assert_eq!(scratch.names(), ["model.gguf", "packed"]);
}

#[test]
fn packing_over_an_older_file_replaces_it_in_one_step() {
    let scratch = Scratch::new();
    let model = Model::write(&scratch, SMALL);
    let out = scratch.file("packed");
    let (first, report) = model.pack(&out, &PackOptions::default());
    // Who holds the old file open goes on reading it.
    let held = std::fs::File::open(&out).unwrap();
    let (second, again) = model.pack(&out, &PackOptions::default());
    assert_eq!(
        (first.fingerprint(), report.fingerprint),
        (second.fingerprint(), again.fingerprint)
    );
    assert_eq!(held.metadata().unwrap().len(), report.bytes);
    assert_eq!(scratch.names(), ["model.gguf", "packed"]);
}
