//! What a figure was measured with.

/// The lock file names exact versions.
const LOCK: &str = include_str!("../../Cargo.lock");

/// The version that the lock file holds for a crate.
pub fn locked_version(name: &str) -> &'static str {
    let mut lines = LOCK.lines();
    let wanted = format!("name = \"{name}\"");
    while let Some(line) = lines.next() {
        if line == wanted {
            let version = lines.next().and_then(|line| line.strip_prefix("version = \""));
            return version.map_or("unknown", |version| version.trim_end_matches('"'));
        }
    }
    "unknown"
}

/// What every ratio is taken against.
pub fn baseline() -> String {
    format!("revm {} on CacheDB, transact_commit", locked_version("revm"))
}

/// The allocator that all engines of a run share.
pub fn allocator() -> String {
    format!("mimalloc {}", locked_version("mimalloc"))
}

/// Cores that this process may use.
pub fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}
