//! How a node is asked, and what is counted while it is.

use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use solder_engine::Chain;

/// The most requests in one batch, whatever is asked for: geth's own limit.
pub const MAX_BATCH: usize = 1000;
/// The most connections to one node.
pub const MAX_CONNECTIONS: usize = 64;
/// The most attempts for one batch.
pub const MAX_ATTEMPTS: u32 = 20;
/// The most bytes of one answer, unpacked (geth's limit on the answer to a batch is 25 MB).
pub const MAX_BODY_BYTES: u64 = 64 << 20;

/// What is done to be sure of what a node says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verify {
    /// Everything against the block's hash, by proofs; a node without `eth_getProof` is a failure.
    Always,
    /// By proofs where the node gives them.
    Auto,
    /// Nothing: the header need not have its hash, values come without proofs.
    Never,
}

/// Which block.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BlockChoice {
    /// By number.
    Number(u64),
    /// By hash.
    Hash(alloy_primitives::B256),
    /// `latest`, `safe`, `finalized`.
    Tag(&'static str),
}

/// Where the rules of the chain come from.
#[derive(Clone, Debug, PartialEq)]
pub enum Rules {
    /// From the node's chain id, if it is a known one.
    ById,
    /// These; the node's chain id must be theirs.
    Given(Chain),
    /// One fork from the genesis on, by whatever chain id the node has.
    Fork(solder_engine::Fork),
}

/// Where answers are kept on disk.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CacheChoice {
    /// Nowhere.
    Off,
    /// In this file, but only for chains known by their id: a development chain changes under its hash.
    KnownChains(PathBuf),
    /// In this file.
    At(PathBuf),
}

/// Everything that can be chosen.
#[derive(Clone, Debug, PartialEq)]
pub struct RemoteOptions {
    /// The block.
    pub block: BlockChoice,
    /// The chain's rules.
    pub rules: Rules,
    /// Checks.
    pub verify: Verify,
    /// The cache on disk.
    pub cache: CacheChoice,
    /// The most bytes of the cache's file.
    pub cache_bytes: u64,
    /// The most requests in one batch.
    pub batch: usize,
    /// The most batches on their way at once.
    pub connections: usize,
    /// Of one attempt, from connecting to the last byte.
    pub timeout: Duration,
    /// Attempts for one batch.
    pub attempts: u32,
    /// More headers of each request, such as a key.
    pub headers: Vec<(String, String)>,
}

impl Default for RemoteOptions {
    fn default() -> Self {
        Self {
            block: BlockChoice::Tag("latest"),
            rules: Rules::ById,
            verify: Verify::Auto,
            cache: CacheChoice::Off,
            cache_bytes: 4 << 30,
            batch: 100,
            connections: 10,
            timeout: Duration::from_secs(30),
            attempts: 5,
            headers: Vec::new(),
        }
    }
}

macro_rules! counts {
    ($($(#[$doc:meta])* $field:ident),+ $(,)?) => {
        /// What was done so far; any thread may read it.
        #[derive(Debug, Default)]
        pub struct Counts { $($(#[$doc])* pub $field: AtomicU64),+ }

        impl Counts {
            /// All, by name.
            pub fn all(&self) -> Vec<(&'static str, u64)> {
                vec![$((stringify!($field), self.$field.load(Ordering::Relaxed))),+]
            }
        }
    };
}

counts! {
    /// Times that somebody waited for the node: batches on their way at the same time are one.
    round_trips,
    /// Requests of HTTP, attempts that failed included.
    http_requests,
    /// Calls of JSON-RPC in them.
    calls,
    /// Attempts after the first.
    retries,
    /// Bytes of answers.
    bytes_received,
    /// Accounts, slots and block hashes that the node was asked for.
    fetched,
    /// The same, found on disk.
    cache_hits,
    /// Entries on disk that were damaged, and were fetched again.
    cache_damaged,
}

impl Counts {
    pub(crate) fn add(counter: &AtomicU64, amount: usize) {
        counter.fetch_add(amount as u64, Ordering::Relaxed);
    }
}
