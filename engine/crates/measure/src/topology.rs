//! Which cores there are, and which of them are alike. From `/sys` and `/proc`, which Linux and Android have.

use std::fs;
use std::path::Path;

/// Names of the groups of cores in a device profile.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CoreKind {
    /// The fastest.
    Big,
    /// Between the two.
    Mid,
    /// Those that save power.
    Little,
}

impl CoreKind {
    /// The name in profiles.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Big => "big",
            Self::Mid => "mid",
            Self::Little => "little",
        }
    }
}

/// Cores that are alike, or near enough to share a kind.
#[derive(Clone, Debug, PartialEq)]
pub struct Cluster {
    /// Its place among the clusters.
    pub kind: CoreKind,
    /// What the processor calls them.
    pub core: String,
    /// Numbers of the cores, ascending, as the system counts them.
    pub cores: Vec<usize>,
    /// Highest clock in GHz, where the system says.
    pub clock: Option<f64>,
}

/// The cores that this process may use.
#[derive(Clone, Debug, PartialEq)]
pub struct Topology {
    /// The fastest first.
    pub clusters: Vec<Cluster>,
    /// Bytes of the largest cache, where the system says.
    pub cache_bytes: Option<u64>,
    /// Why it is not all that it could be; for notes.
    pub remarks: Vec<String>,
}

/// A core as the system describes it.
#[derive(Clone, Debug)]
struct Core {
    number: usize,
    name: String,
    clock_khz: u64,
    capacity: u64,
}

/// Cores of less than so much of the fastest ones' capacity are little.
const LITTLE: f64 = 0.6;

fn number_in(path: &Path) -> Option<u64> {
    fs::read_to_string(path).ok()?.trim().parse().ok()
}

/// Numbers of a list like `0-3,7`.
pub(crate) fn list_of(text: &str) -> Vec<usize> {
    let mut all = Vec::new();
    for part in text.trim().split(',').filter(|part| !part.is_empty()) {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        if let (Ok(first), Ok(last)) = (first.trim().parse::<usize>(), last.trim().parse::<usize>()) {
            all.extend(first..=last.min(first + 4096));
        }
    }
    all
}

/// What `/proc/cpuinfo` says under `key` for each processor.
fn said_of_each(cpuinfo: &str, key: &str) -> Vec<(usize, String)> {
    let mut number = None;
    let mut all = Vec::new();
    for (name, value) in cpuinfo.lines().filter_map(|line| line.split_once(':')) {
        match (name.trim(), value.trim()) {
            ("processor", value) => number = value.parse().ok(),
            (name, value) if name == key => all.extend(number.map(|number| (number, value.to_owned()))),
            _ => {}
        }
    }
    all
}

/// Arm's numbers of the cores that phones have (`/proc/cpuinfo`, CPU part; implementer 0x41, and Qualcomm's 0x51).
fn arm_core(implementer: &str, part: &str) -> String {
    let known = match (implementer, part) {
        ("0x41", "0xd03") => "Cortex-A53",
        ("0x41", "0xd05") => "Cortex-A55",
        ("0x41", "0xd08") => "Cortex-A72",
        ("0x41", "0xd0b") => "Cortex-A76",
        ("0x41", "0xd0d") => "Cortex-A77",
        ("0x41", "0xd41") => "Cortex-A78",
        ("0x41", "0xd44") => "Cortex-X1",
        ("0x41", "0xd46") => "Cortex-A510",
        ("0x41", "0xd47") => "Cortex-A710",
        ("0x41", "0xd48") => "Cortex-X2",
        ("0x41", "0xd4d") => "Cortex-A715",
        ("0x41", "0xd4e") => "Cortex-X3",
        ("0x41", "0xd80") => "Cortex-A520",
        ("0x41", "0xd81") => "Cortex-A720",
        ("0x41", "0xd82") => "Cortex-X4",
        ("0x41", "0xd85") => "Cortex-X925",
        ("0x41", "0xd87") => "Cortex-A725",
        ("0x51", "0x001") => "Oryon",
        _ => return format!("implementer {implementer}, part {part}"),
    };
    known.to_owned()
}

impl Topology {
    /// Of this machine.
    pub fn here() -> Self {
        Self::under(Path::new("/"))
    }

    /// Of the machine whose `/sys` and `/proc` lie under `root`: a test's way in.
    pub fn under(root: &Path) -> Self {
        let mut remarks = Vec::new();
        let cpuinfo = fs::read_to_string(root.join("proc/cpuinfo")).unwrap_or_default();
        let status = fs::read_to_string(root.join("proc/self/status")).unwrap_or_default();
        let allowed = status.lines().find_map(|line| line.strip_prefix("Cpus_allowed_list:"));
        let online = fs::read_to_string(root.join("sys/devices/system/cpu/online")).ok();
        let online = online.as_deref().map_or_else(Vec::new, list_of);
        let mut numbers = allowed.map_or_else(|| online.clone(), list_of);
        // The list of what is allowed may name cores that are switched off.
        numbers.retain(|number| online.is_empty() || online.contains(number));
        if numbers.is_empty() {
            numbers = (0..std::thread::available_parallelism().map_or(1, usize::from)).collect();
            remarks.push("the system does not say which cores there are: as many as it says it has".to_owned());
        }
        let all_online = online.len();
        if numbers.len() < all_online {
            remarks.push(format!("this process may use {} of {all_online} cores", numbers.len()));
        }
        let (parts, makers) = (said_of_each(&cpuinfo, "CPU part"), said_of_each(&cpuinfo, "CPU implementer"));
        let models = said_of_each(&cpuinfo, "model name");
        let of = |list: &[(usize, String)], number| list.iter().find(|(at, _)| *at == number).map(|(_, said)| said.clone());
        let cores: Vec<Core> = numbers
            .iter()
            .map(|&number| {
                let folder = root.join(format!("sys/devices/system/cpu/cpu{number}"));
                let clock_khz = number_in(&folder.join("cpufreq/cpuinfo_max_freq")).unwrap_or(0);
                let name = match (of(&makers, number), of(&parts, number)) {
                    (Some(maker), Some(part)) => arm_core(&maker, &part),
                    _ => of(&models, number).unwrap_or_else(|| format!("{} core", std::env::consts::ARCH)),
                };
                Core {
                    number,
                    name,
                    clock_khz,
                    capacity: number_in(&folder.join("cpu_capacity")).unwrap_or(clock_khz),
                }
            })
            .collect();
        if cores.iter().any(|core| core.clock_khz == 0) {
            remarks
                .push("the system does not tell the cores' clocks: they are taken to be alike where their names are".to_owned());
        }
        let cache = |index| number_of_bytes(&root.join(format!("sys/devices/system/cpu/cpu0/cache/index{index}/size")));
        Self {
            clusters: clusters_of(cores, &mut remarks),
            cache_bytes: (0..6).filter_map(cache).max(),
            remarks,
        }
    }

    /// All cores, the fastest first.
    pub fn cores(&self) -> Vec<usize> {
        self.clusters.iter().flat_map(|cluster| cluster.cores.clone()).collect()
    }

    /// The sets of cores that kernels are timed on: one of each cluster, each cluster as a whole, and all together. None twice.
    pub fn sets(&self) -> Vec<Vec<usize>> {
        let ones = self.clusters.iter().map(|cluster| cluster.cores[..1].to_vec());
        let wholes = self.clusters.iter().map(|cluster| cluster.cores.clone());
        let mut sets: Vec<Vec<usize>> = Vec::new();
        for set in ones.chain(wholes).chain([self.cores()]) {
            if !sets.contains(&set) {
                sets.push(set);
            }
        }
        sets
    }
}

fn number_of_bytes(path: &Path) -> Option<u64> {
    let text = fs::read_to_string(path).ok()?;
    let text = text.trim();
    match text.strip_suffix('K') {
        Some(kib) => kib.parse::<u64>().ok().map(|kib| kib << 10),
        None => match text.strip_suffix('M') {
            Some(mib) => mib.parse::<u64>().ok().map(|mib| mib << 20),
            None => text.parse().ok(),
        },
    }
}

/// Alike are cores of one name, clock and capacity. A profile has three kinds: of more groups, those between the first and the last
/// become one.
fn clusters_of(cores: Vec<Core>, remarks: &mut Vec<String>) -> Vec<Cluster> {
    let mut groups: Vec<Vec<Core>> = Vec::new();
    for core in cores {
        let is_like = |group: &Vec<Core>| {
            let first = &group[0];
            (&first.name, first.clock_khz, first.capacity) == (&core.name, core.clock_khz, core.capacity)
        };
        match groups.iter_mut().find(|group| is_like(group)) {
            Some(group) => group.push(core),
            None => groups.push(vec![core]),
        }
    }
    // A stable sort: groups that the system does not tell apart by speed stay in its order.
    groups.sort_by_key(|group| std::cmp::Reverse((group[0].capacity, group[0].clock_khz)));
    let most = groups[0][0].capacity;
    let last = groups.len() - 1;
    let mut clusters: Vec<Cluster> = Vec::new();
    for (place, group) in groups.into_iter().enumerate() {
        let is_little = place == last && (group[0].capacity as f64) < LITTLE * most as f64;
        let kind = match place {
            0 => CoreKind::Big,
            _ if is_little => CoreKind::Little,
            _ => CoreKind::Mid,
        };
        let numbers = group.iter().map(|core| core.number);
        match clusters.last_mut().filter(|cluster| cluster.kind == kind) {
            Some(cluster) => {
                remarks.push(format!(
                    "two groups of cores, {} and {}, are one cluster here: a profile has three kinds",
                    cluster.core, group[0].name
                ));
                cluster.cores.extend(numbers);
            }
            None => clusters.push(Cluster {
                kind,
                core: group[0].name.clone(),
                cores: numbers.collect(),
                clock: (group[0].clock_khz > 0).then(|| group[0].clock_khz as f64 / 1e6),
            }),
        }
    }
    clusters
}
