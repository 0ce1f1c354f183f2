//! A measurement from end to end, in its smallest form: what it holds, what it leaves behind, how it ends.

use std::collections::HashSet;
use std::fs;
use std::io::ErrorKind;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

use measure::{Cost, Depth, Kernel, MeasureError, Measured, Options, Part, Spread, Topology, measure, profile};

/// A folder that is gone at the end.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("neuronlab-measure-{name}-{}", std::process::id()));
        fs::create_dir_all(&path).expect("a folder can be made");
        Self(path)
    }

    fn is_empty(&self) -> bool {
        fs::read_dir(&self.0).expect("the folder is there").next().is_none()
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        drop(fs::remove_dir_all(&self.0));
    }
}

fn trial(folder: &Path) -> Options {
    Options::new(Depth::Trial, folder.to_path_buf())
}

fn whole(options: &Options) -> Measured {
    measure(options, &mut |_| ControlFlow::Continue(())).expect("this machine can be measured")
}

fn is_ordered(spread: Spread) -> bool {
    spread.low > 0.0 && spread.low <= spread.median && spread.median <= spread.high && spread.turns > 0
}

#[test]
fn a_profile_holds_every_part_and_nothing_is_left_behind() {
    let folder = Folder::new("whole");
    let (mut last, mut steps) = (0.0, 0);
    let measured = measure(&trial(&folder.0), &mut |step| {
        assert!(step.done >= last && step.done <= step.total && step.left >= 0.0, "{step:?}");
        (last, steps) = (step.done, steps + 1);
        ControlFlow::Continue(())
    })
    .expect("this machine can be measured");
    assert!(folder.is_empty());
    assert!(steps > 10);

    let cores = measured.topology.cores();
    for core in &cores {
        for kernel in [Kernel::Read, Kernel::Dense] {
            let of_core = measured
                .kernels
                .iter()
                .filter(|row| row.cell.kernel == kernel && row.cell.cores == [*core]);
            assert_eq!(of_core.count(), 1, "{kernel:?} on core {core}");
        }
        assert!(
            measured
                .reads
                .iter()
                .any(|row| row.cell.core == *core && row.cell.block == 4096)
        );
    }
    assert!(measured.kernels.iter().all(|row| is_ordered(row.rate)));
    assert!(
        measured
            .reads
            .iter()
            .all(|row| is_ordered(row.rate) && is_ordered(row.latency))
    );
    assert!(measured.costs.iter().all(|row| is_ordered(row.time)));
    for cost in [
        Cost::ThreadStart,
        Cost::Dispatch,
        Cost::Barrier,
        Cost::Insert,
        Cost::FaultMinor,
        Cost::FaultMajor,
    ] {
        assert!(measured.costs.iter().any(|row| row.cost == cost), "{cost:?}");
    }
    let flash = measured.flash.as_ref().expect("flash was measured");
    // No cell twice, and of the curve every block with every range.
    let keys: HashSet<String> = measured.reads.iter().map(|row| format!("{:?}", row.cell)).collect();
    assert_eq!(keys.len(), measured.reads.len());
    let usual: Vec<_> = measured
        .reads
        .iter()
        .filter(|row| row.cell.random && row.cell.in_flight == flash.in_flight)
        .collect();
    let blocks: HashSet<u64> = usual.iter().map(|row| row.cell.block).collect();
    let ranges: HashSet<u64> = usual.iter().map(|row| row.cell.range).collect();
    for (block, range) in blocks.iter().flat_map(|block| ranges.iter().map(move |range| (block, range))) {
        assert!(
            usual.iter().any(|row| (row.cell.block, row.cell.range) == (*block, *range)),
            "{block} over {range}"
        );
    }

    let text = profile(&measured, "mine").to_string();
    for wanted in [
        "\"schema\": \"neuronlab/device@1\"",
        "\"name\": \"mine\"",
        "\"measurements\": {",
        "\"secondPhaseRatio\"",
    ] {
        assert!(text.contains(wanted), "{wanted}");
    }
}

#[test]
fn one_part_gives_its_tables_and_no_profile() {
    let folder = Folder::new("part");
    let only = |part| Options {
        only: Some(part),
        ..trial(&folder.0)
    };
    let threads = whole(&only(Part::Threads));
    assert!(threads.kernels.is_empty() && threads.reads.is_empty() && threads.flash.is_none());
    assert_eq!(threads.costs.iter().filter(|row| row.cost == Cost::Barrier).count(), 1);
    let flash = whole(&only(Part::Flash));
    assert!(flash.kernels.is_empty() && flash.costs.is_empty() && !flash.reads.is_empty());
    let text = profile(&flash, "mine").to_string();
    assert!(!text.contains("\"schema\"") && text.contains("\"reads\""), "{text}");
}

#[test]
fn two_cores_read_memory_no_slower_than_one() {
    let folder = Folder::new("law");
    let options = Options {
        only: Some(Part::Kernels),
        ..trial(&folder.0)
    };
    // On a machine that others use, either may be disturbed; not every time.
    let holds = || {
        let measured = whole(&options);
        let cores = measured.topology.cores();
        let read = |cores: &[usize]| {
            let mut rows = measured.kernels.iter();
            let row = rows.find(|row| row.cell.kernel == Kernel::Read && row.cell.cores == cores);
            row.expect("plain reads were timed").rate
        };
        read(&cores).high >= read(&cores[..1]).low
    };
    assert!((0..8).any(|_| holds()));
}

#[test]
fn it_ends_when_it_is_told_to_and_leaves_nothing() {
    let folder = Folder::new("cancel");
    for after in [0, 3, 12] {
        let mut steps = 0;
        let outcome = measure(&trial(&folder.0), &mut |_| {
            steps += 1;
            if steps > after {
                ControlFlow::Break(())
            } else {
                ControlFlow::Continue(())
            }
        });
        assert!(matches!(outcome, Err(MeasureError::Cancelled)));
        assert_eq!(steps, after + 1);
        assert!(folder.is_empty());
    }
}

#[test]
fn folders_and_sizes_that_cannot_be_are_refused_with_what_would_be_right() {
    let folder = Folder::new("bad");
    let refused = |options: Options| {
        let only = Some(Part::Flash);
        measure(&Options { only, ..options }, &mut |_| ControlFlow::Continue(())).expect_err("cannot be")
    };
    let sized = |bytes| Options {
        scratch_bytes: Some(bytes),
        ..trial(&folder.0)
    };
    let absent = refused(trial(&folder.0.join("absent")));
    assert!(
        matches!(&absent, MeasureError::Scratch { source, .. } if source.kind() == ErrorKind::NotFound),
        "{absent}"
    );
    assert!(
        absent
            .to_string()
            .ends_with("name a folder that exists and that you may write to"),
        "{absent}"
    );
    let file = folder.0.join("file");
    fs::write(&file, "no folder").expect("a file can be made");
    let no_folder = refused(trial(&file));
    assert!(
        matches!(&no_folder, MeasureError::Scratch { source, .. } if source.kind() == ErrorKind::NotADirectory),
        "{no_folder}"
    );
    for bytes in [0, 4096, (2 << 20) + 1] {
        let error = refused(sized(bytes));
        assert!(matches!(&error, MeasureError::Input { option: "scratch", .. }), "{error}");
    }
    let large = refused(sized(1 << 46));
    assert!(
        matches!(&large, MeasureError::Scratch { source, .. } if source.kind() == ErrorKind::StorageFull),
        "{large}"
    );
    assert!(large.to_string().contains("a smaller scratch file"), "{large}");
}

/// A tree with what a system says of its cores: number, implementer and part, highest clock in kHz, capacity.
fn tree(folder: &Path, cores: &[(usize, &str, u64, Option<u64>)], allowed: &str) -> Topology {
    let mut cpuinfo = String::new();
    for (number, part, clock, capacity) in cores {
        cpuinfo += &format!("processor\t: {number}\nCPU implementer\t: 0x41\nCPU part\t: {part}\n\n");
        let of_core = folder.join(format!("sys/devices/system/cpu/cpu{number}"));
        fs::create_dir_all(of_core.join("cpufreq")).expect("folders can be made");
        fs::write(of_core.join("cpufreq/cpuinfo_max_freq"), format!("{clock}\n")).expect("files can be made");
        if let Some(capacity) = capacity {
            fs::write(of_core.join("cpu_capacity"), format!("{capacity}\n")).expect("files can be made");
        }
    }
    fs::create_dir_all(folder.join("proc/self")).expect("folders can be made");
    fs::write(folder.join("proc/cpuinfo"), cpuinfo).expect("files can be made");
    fs::write(
        folder.join("proc/self/status"),
        format!("Name:\ttest\nCpus_allowed_list:\t{allowed}\n"),
    )
    .expect("files can be made");
    fs::write(
        folder.join("sys/devices/system/cpu/online"),
        format!("0-{}\n", cores.len() - 1),
    )
    .expect("files can be made");
    Topology::under(folder)
}

fn shape(topology: &Topology) -> Vec<(&str, &str, Vec<usize>)> {
    let of = |cluster: &measure::Cluster| (cluster.kind.name(), cluster.core.clone(), cluster.cores.clone());
    let all: Vec<_> = topology.clusters.iter().map(of).collect();
    all.into_iter()
        .map(|(kind, core, cores)| (kind, &*core.leak(), cores))
        .collect()
}

#[test]
fn cores_of_phones_fall_into_three_kinds() {
    // A Snapdragon 8 Gen 3: two little cores first, three and two mid ones by clock, the big one last.
    let folder = Folder::new("phone");
    let little = ("0xd80", 2_265_600, Some(250));
    let (mid, slower, big) = (
        ("0xd81", 3_148_800, Some(860)),
        ("0xd81", 2_956_800, Some(810)),
        ("0xd82", 3_302_400, Some(1024)),
    );
    let all = [little, little, mid, mid, mid, slower, slower, big];
    let cores: Vec<_> = all
        .iter()
        .enumerate()
        .map(|(number, (part, clock, capacity))| (number, *part, *clock, *capacity))
        .collect();
    let phone = tree(&folder.0, &cores, "0-7");
    assert_eq!(
        shape(&phone),
        [
            ("big", "Cortex-X4", vec![7]),
            ("mid", "Cortex-A720", vec![2, 3, 4, 5, 6]),
            ("little", "Cortex-A520", vec![0, 1]),
        ]
    );
    assert_eq!(phone.remarks.len(), 1, "{:?}", phone.remarks);
    assert_eq!(phone.clusters[0].clock, Some(3.3024));
    // One of each, the two that have several, all.
    assert_eq!(
        phone.sets(),
        [
            vec![7],
            vec![2],
            vec![0],
            vec![2, 3, 4, 5, 6],
            vec![0, 1],
            vec![7, 2, 3, 4, 5, 6, 0, 1]
        ]
    );
    // An app that may not use the big core.
    let app = tree(&folder.0, &cores, "0-6");
    assert_eq!(app.cores().iter().max(), Some(&6));
    assert!(
        app.remarks.iter().any(|remark| remark == "this process may use 7 of 8 cores"),
        "{:?}",
        app.remarks
    );
}

#[test]
fn cores_that_nobody_describes_are_one_cluster() {
    let folder = Folder::new("silent");
    fs::create_dir_all(folder.0.join("proc")).expect("folders can be made");
    let silent = Topology::under(&folder.0);
    assert_eq!(silent.clusters.len(), 1);
    assert_eq!(
        silent.cores().len(),
        std::thread::available_parallelism().map_or(1, usize::from)
    );
    assert_eq!(silent.remarks.len(), 2, "{:?}", silent.remarks);
    // Equal cores without a clock, as virtual machines have them.
    let few = tree(&folder.0, &[(0, "0xd0b", 0, None), (1, "0xd0b", 0, None)], "0-1");
    assert_eq!(shape(&few), [("big", "Cortex-A76", vec![0, 1])]);
    assert_eq!(few.clusters[0].clock, None);
}
