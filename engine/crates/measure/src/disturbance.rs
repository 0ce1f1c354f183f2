//! What disturbed a measurement, as far as the system tells: other processes, a hypervisor, heat, clocks.

use std::fs;
use std::time::Instant;

use crate::sys;

/// A moment's counts.
pub(crate) struct Watch {
    begun: Instant,
    own_ns: f64,
    preemptions: u64,
    ticks: Option<Ticks>,
}

/// Of all cores since the start of the system, in hundredths of a second.
#[derive(Clone, Copy)]
struct Ticks {
    busy: u64,
    stolen: u64,
    waiting: u64,
}

fn ticks() -> Option<Ticks> {
    let stat = fs::read_to_string("/proc/stat").ok()?;
    let line = stat.lines().next()?.strip_prefix("cpu ")?;
    let all: Vec<u64> = line.split_whitespace().filter_map(|word| word.parse().ok()).collect();
    // user nice system idle iowait irq softirq steal
    let [user, nice, system, _, waiting, irq, softirq, stolen, ..] = all[..] else {
        return None;
    };
    Some(Ticks {
        busy: user + nice + system + irq + softirq,
        stolen,
        waiting,
    })
}

/// The hottest zone in degrees, where one can be read.
fn heat() -> Option<f64> {
    let zones = fs::read_dir("/sys/class/thermal").ok()?;
    let read = |zone: fs::DirEntry| fs::read_to_string(zone.path().join("temp")).ok()?.trim().parse::<f64>().ok();
    let all = zones.filter_map(Result::ok).filter_map(read).map(|milli| milli / 1000.0);
    all.filter(|degrees| (1.0..150.0).contains(degrees)).reduce(f64::max)
}

impl Watch {
    /// From now on.
    pub fn new() -> Self {
        Self {
            begun: Instant::now(),
            own_ns: sys::process_cpu_ns(),
            preemptions: sys::preemptions(),
            ticks: ticks(),
        }
    }

    /// What has happened since, in a line for each thing that is worth one. `what` is the part that was measured.
    pub fn tell(&self, what: &str, cores: usize, notes: &mut Vec<String>) {
        let wall = self.begun.elapsed().as_secs_f64();
        let all = wall * cores as f64;
        if let (Some(before), Some(after)) = (self.ticks, ticks())
            && all > 0.05
        {
            let seconds = |after: u64, before: u64| after.saturating_sub(before) as f64 / 100.0;
            let own = (sys::process_cpu_ns() - self.own_ns) / 1e9;
            let others = (seconds(after.busy, before.busy) - own).max(0.0) / all;
            let stolen = seconds(after.stolen, before.stolen) / all;
            if others > 0.05 {
                let percent = 100.0 * others;
                notes.push(format!("{what}: other processes took {percent:.0}% of the cores' time"));
            }
            if stolen > 0.005 {
                notes.push(format!(
                    "{what}: the hypervisor took {:.1}% of the cores' time",
                    100.0 * stolen
                ));
            }
            let waited = seconds(after.waiting, before.waiting);
            if what == "kernels" && waited / all > 0.1 {
                notes.push(format!("{what}: cores waited {waited:.1} s for somebody's reads"));
            }
        }
        let taken = sys::preemptions().saturating_sub(self.preemptions);
        if taken as f64 > 50.0 * wall {
            notes.push(format!("{what}: the system took a core away {taken} times in {wall:.1} s"));
        }
        if let Some(degrees) = heat().filter(|degrees| *degrees > 60.0) {
            notes.push(format!("{what}: the hottest part was at {degrees:.0} C"));
        }
    }
}

/// The system's load, where it says.
pub(crate) fn load() -> Option<f64> {
    fs::read_to_string("/proc/loadavg")
        .ok()?
        .split_whitespace()
        .next()?
        .parse()
        .ok()
}

/// Clock of the core this thread runs on, in GHz: additions that wait for each other take a cycle each.
pub(crate) fn clock() -> f64 {
    const ROUNDS: u64 = 20_000;
    /// Additions in one round.
    const CHAIN: f64 = 32.0;
    let best = (0..25)
        .map(|_| {
            let start = Instant::now();
            let mut sum = 0u64;
            for _ in 0..ROUNDS {
                chain(&mut sum);
            }
            std::hint::black_box(sum);
            start.elapsed().as_nanos() as f64
        })
        .fold(f64::INFINITY, f64::min);
    ROUNDS as f64 * CHAIN / best
}

/// Thirty-two additions, each of the one before.
#[inline(always)]
fn chain(sum: &mut u64) {
    macro_rules! eight {
        ($one:literal) => {
            concat!(
                $one, "\n", $one, "\n", $one, "\n", $one, "\n", $one, "\n", $one, "\n", $one, "\n", $one, "\n"
            )
        };
    }
    // SAFETY: adds to a register that is given and taken back; touches nothing else. The addend is a register, since processors fold
    // chains of constants.
    #[cfg(target_arch = "x86_64")]
    unsafe {
        std::arch::asm!(
            eight!("add {0}, {1}"), eight!("add {0}, {1}"), eight!("add {0}, {1}"), eight!("add {0}, {1}"),
            inout(reg) *sum, in(reg) 3u64, options(nomem, nostack)
        );
    }
    // SAFETY: as above.
    #[cfg(target_arch = "aarch64")]
    unsafe {
        std::arch::asm!(
            eight!("add {0}, {0}, {1}"), eight!("add {0}, {0}, {1}"), eight!("add {0}, {0}, {1}"), eight!("add {0}, {0}, {1}"),
            inout(reg) *sum, in(reg) 3u64, options(nomem, nostack)
        );
    }
}
