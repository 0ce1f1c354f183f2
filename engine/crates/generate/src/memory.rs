//! What the process holds and could hold, as the system counts it.

/// Resident memory of this process and the most it ever was (bytes); `None` where the system does not say (not Linux).
pub fn resident() -> Option<(u64, u64)> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let kib = |key: &str| {
        let line = status.lines().find(|line| line.starts_with(key))?;
        line.split_whitespace().nth(1)?.parse::<u64>().ok()
    };
    Some((kib("VmRSS:")? << 10, kib("VmHWM:")? << 10))
}

/// Memory that the system could give to processes without paging (bytes), this one included; `None` where it does not say.
pub fn available() -> Option<u64> {
    let facts = std::fs::read_to_string("/proc/meminfo").ok()?;
    let line = facts.lines().find(|line| line.starts_with("MemAvailable:"))?;
    Some(line.split_whitespace().nth(1)?.parse::<u64>().ok()? << 10)
}
