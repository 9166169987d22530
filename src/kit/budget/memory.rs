//! How much memory there is.

use std::fs;

/// The default budget: 40 % of the machine, at most 512 MB.
pub(super) fn default_memory() -> u64 {
    let machine = machine_memory().unwrap_or(1 << 30);
    (machine / 5 * 2).clamp(16 << 20, 512 << 20)
}

/// Memory that this process may have, in bytes: the machine's, or its container's or unit's where that is less.
fn machine_memory() -> Option<u64> {
    let number = |text: &str| text.trim().parse::<u64>().ok();
    let machine = fs::read_to_string("/proc/meminfo").ok().and_then(|text| {
        let line = text.lines().find_map(|line| line.strip_prefix("MemTotal:"))?;
        Some(number(line.trim().strip_suffix("kB")?)? << 10)
    });
    let own = fs::read_to_string("/proc/self/cgroup").unwrap_or_default();
    let own = own.lines().find_map(|line| line.strip_prefix("0::")).unwrap_or_default();
    let groups = [
        format!("/sys/fs/cgroup{}/memory.max", own.trim_end_matches('/')),
        "/sys/fs/cgroup/memory.max".to_owned(),
        "/sys/fs/cgroup/memory/memory.limit_in_bytes".to_owned(), // cgroup v1
    ];
    // "max" is not a number
    let groups = groups.iter().filter_map(|path| number(&fs::read_to_string(path).ok()?));
    groups.chain(machine).min()
}
