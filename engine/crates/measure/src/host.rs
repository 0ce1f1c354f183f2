//! What this machine calls itself, and what the time is: for the names and sources in a profile.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::{SystemTime, UNIX_EPOCH};

/// The machine.
#[derive(Clone, Debug)]
pub struct Host {
    /// Its name in the network, or its model.
    pub name: String,
    /// What people call it.
    pub title: String,
    /// Its processor.
    pub soc: String,
    /// The system's name and version.
    pub system: String,
    /// Extensions of the instruction set that matter to the kernels.
    pub isa: Vec<&'static str>,
    /// Bytes of memory, and of these available when asked.
    pub memory_bytes: u64,
    /// See `memory_bytes`.
    pub available_bytes: u64,
}

fn line_of(path: &str) -> Option<String> {
    let text = fs::read_to_string(path).ok()?;
    // Device trees end their texts with a zero byte.
    let text = text.trim_matches(['\0', '\n', ' ']).to_owned();
    (!text.is_empty()).then_some(text)
}

/// What Android says of itself; other systems have no such program.
fn property(name: &str) -> Option<String> {
    if !Path::new("/system/bin/getprop").exists() {
        return None;
    }
    let output = Command::new("/system/bin/getprop").arg(name).output().ok()?;
    let text = String::from_utf8(output.stdout).ok()?.trim().to_owned();
    (!text.is_empty()).then_some(text)
}

fn kib_of(meminfo: &str, key: &str) -> Option<u64> {
    let line = meminfo.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix(':'))?;
    line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok()
}

#[cfg(target_arch = "x86_64")]
fn isa() -> Vec<&'static str> {
    let all = [
        ("avx2", is_x86_feature_detected!("avx2")),
        ("fma", is_x86_feature_detected!("fma")),
        ("f16c", is_x86_feature_detected!("f16c")),
        ("avx512bw", is_x86_feature_detected!("avx512bw")),
        ("avx512vnni", is_x86_feature_detected!("avx512vnni")),
    ];
    all.into_iter().filter(|(_, has)| *has).map(|(name, _)| name).collect()
}

#[cfg(target_arch = "aarch64")]
fn isa() -> Vec<&'static str> {
    use std::arch::is_aarch64_feature_detected;
    let all = [
        ("dotprod", is_aarch64_feature_detected!("dotprod")),
        ("i8mm", is_aarch64_feature_detected!("i8mm")),
        ("bf16", is_aarch64_feature_detected!("bf16")),
        ("sve", is_aarch64_feature_detected!("sve")),
    ];
    all.into_iter().filter(|(_, has)| *has).map(|(name, _)| name).collect()
}

impl Host {
    /// This machine.
    pub fn here() -> Self {
        let meminfo = fs::read_to_string("/proc/meminfo").unwrap_or_default();
        let cpuinfo = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
        let said = |key: &str| {
            let line = cpuinfo.lines().find(|line| line.starts_with(key))?;
            Some(line.split_once(':')?.1.trim().to_owned()).filter(|said| !said.is_empty())
        };
        let soc = property("ro.soc.model")
            .or_else(|| line_of("/sys/devices/soc0/machine"))
            .or_else(|| said("Hardware"))
            .or_else(|| said("model name"))
            .or_else(|| line_of("/proc/device-tree/compatible").map(|all| all.replace('\0', ", ")))
            .unwrap_or_else(|| std::env::consts::ARCH.to_owned());
        let model = property("ro.product.model").or_else(|| line_of("/proc/device-tree/model"));
        let name = line_of("/proc/sys/kernel/hostname").filter(|name| name != "localhost");
        let name = name.or_else(|| model.clone()).unwrap_or_else(|| "localhost".to_owned());
        let release = line_of("/proc/sys/kernel/osrelease").unwrap_or_else(|| "unknown".to_owned());
        let memory_bytes = kib_of(&meminfo, "MemTotal").unwrap_or(0) << 10;
        Self {
            title: model.unwrap_or_else(|| format!("{name} ({soc})")),
            name,
            soc,
            system: format!("{} {release}", std::env::consts::OS),
            isa: isa(),
            memory_bytes,
            available_bytes: kib_of(&meminfo, "MemAvailable").map_or(memory_bytes / 2, |kib| kib << 10),
        }
    }
}

/// The time in Greenwich to the minute, as `2026-01-31T12:00Z`.
pub fn now() -> String {
    let seconds = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |past| past.as_secs());
    let (year, month, day) = date_of(seconds / 86_400);
    format!(
        "{year:04}-{month:02}-{day:02}T{:02}:{:02}Z",
        seconds / 3600 % 24,
        seconds / 60 % 60
    )
}

/// Year, month and day of a day counted from 1970. Years begin in March here, so that a leap day is the last of its year.
fn date_of(days: u64) -> (u64, u64, u64) {
    let days = days + 719_468;
    let (era, of_era) = (days / 146_097, days % 146_097);
    let year_of_era = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let from_march = (5 * of_year + 2) / 153;
    let day = of_year - (153 * from_march + 2) / 5 + 1;
    let month = if from_march < 10 { from_march + 3 } else { from_march - 9 };
    (era * 400 + year_of_era + u64::from(month <= 2), month, day)
}

#[cfg(test)]
mod tests {
    use super::date_of;

    #[test]
    fn days_become_dates_over_leap_years_and_centuries() {
        assert_eq!(date_of(0), (1970, 1, 1));
        assert_eq!(date_of(58), (1970, 2, 28));
        assert_eq!(date_of(59), (1970, 3, 1));
        assert_eq!(date_of(11_016), (2000, 2, 29));
        assert_eq!(date_of(11_017), (2000, 3, 1));
        assert_eq!(date_of(20_453), (2025, 12, 31));
        assert_eq!(date_of(47_540), (2100, 2, 28));
        assert_eq!(date_of(47_541), (2100, 3, 1));
    }
}
