//! Forks by name and the schedule that says which one governs a block. Names are strict: an unknown name is an
//! error, never the newest fork.

use std::fmt;

use alloy_eips::eip7840::BlobParams;
use alloy_primitives::{Address, address};
use revm::primitives::hardfork::SpecId;

macro_rules! forks {
    ($($variant:ident $spec:ident $($name:literal)|+),+ $(,)?) => {
        /// The forks of Ethereum's execution layer in their order, blob-parameter forks included.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[allow(missing_docs)]
        pub enum Fork { $($variant),+ }

        impl Fork {
            /// Every fork, oldest first.
            pub const ALL: &'static [Fork] = &[$(Fork::$variant),+];

            /// The rules of the interpreter for this fork.
            pub const fn spec_id(self) -> SpecId {
                match self { $(Fork::$variant => SpecId::$spec),+ }
            }

            /// All accepted names, the canonical one first.
            pub const fn names(self) -> &'static [&'static str] {
                match self { $(Fork::$variant => &[$($name),+]),+ }
            }
        }
    };
}

forks! {
    Frontier FRONTIER "Frontier",
    Homestead HOMESTEAD "Homestead",
    Dao HOMESTEAD "DAO" | "DAOFork" | "DaoFork" | "Dao",
    TangerineWhistle TANGERINE "TangerineWhistle" | "EIP150",
    SpuriousDragon SPURIOUS_DRAGON "SpuriousDragon" | "EIP158",
    Byzantium BYZANTIUM "Byzantium",
    Constantinople PETERSBURG "Constantinople",
    Petersburg PETERSBURG "Petersburg" | "ConstantinopleFix",
    Istanbul ISTANBUL "Istanbul",
    MuirGlacier ISTANBUL "MuirGlacier",
    Berlin BERLIN "Berlin",
    London LONDON "London",
    ArrowGlacier LONDON "ArrowGlacier",
    GrayGlacier LONDON "GrayGlacier",
    Paris MERGE "Paris" | "Merge",
    Shanghai SHANGHAI "Shanghai",
    Cancun CANCUN "Cancun",
    Prague PRAGUE "Prague",
    Osaka OSAKA "Osaka",
    Bpo1 OSAKA "BPO1",
    Bpo2 OSAKA "BPO2",
    Bpo3 OSAKA "BPO3",
    Bpo4 OSAKA "BPO4",
    Bpo5 OSAKA "BPO5",
    Amsterdam AMSTERDAM "Amsterdam",
}

/// A fork, network or chain that is not known.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("unknown {kind} {name:?}")]
pub struct UnknownFork {
    /// `fork`, `network` or `chain id`.
    pub kind: &'static str,
    /// What was asked for.
    pub name: String,
}

impl Fork {
    /// The canonical name.
    pub const fn name(self) -> &'static str {
        self.names()[0]
    }

    /// Parses a name exactly.
    pub fn parse(name: &str) -> Result<Self, UnknownFork> {
        Self::ALL
            .iter()
            .copied()
            .find(|fork| fork.names().contains(&name))
            .ok_or_else(|| UnknownFork { kind: "fork", name: name.to_owned() })
    }

    /// The blob parameters that this fork brings on a chain with the public schedule; `None` before Cancun.
    pub const fn blob_params(self) -> Option<BlobParams> {
        let (target, max, fraction) = match self {
            Self::Cancun => return Some(BlobParams::cancun()),
            Self::Prague => return Some(BlobParams::prague()),
            Self::Osaka => return Some(BlobParams::osaka()),
            Self::Bpo1 => (10, 15, 8_346_193),
            Self::Bpo2 | Self::Amsterdam => (14, 21, 11_684_671),
            Self::Bpo3 => (21, 32, 20_609_697),
            Self::Bpo4 => (14, 21, 13_739_630),
            Self::Bpo5 => (14, 21, 13_739_630),
            _ => return None,
        };
        let mut params = BlobParams::osaka();
        params.target_blob_count = target;
        params.max_blob_count = max;
        params.update_fraction = fraction;
        Some(params)
    }
}

impl fmt::Display for Fork {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// When a fork begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Activation {
    /// From this block number on.
    Block(u64),
    /// From this timestamp on (seconds).
    Timestamp(u64),
    /// From the first block whose parent's total difficulty has reached this (the merge).
    TotalDifficulty(u128),
}

/// The rules of one chain: identity, schedule, blob parameters, and the constants that differ between chains.
#[derive(Clone, Debug, PartialEq)]
pub struct Chain {
    /// EIP-155 chain id.
    pub id: u64,
    /// Forks with their activations, oldest first.
    pub schedule: Vec<(Fork, Activation)>,
    /// Blob parameters that replace the public ones of a fork.
    pub blob_schedule: Vec<(Fork, BlobParams)>,
    /// The block at which the DAO's accounts were drained; `None` where the chain had no such fork.
    pub dao_fork_block: Option<u64>,
    /// The deposit contract whose logs become requests.
    pub deposit_contract: Address,
}

/// Mainnet's deposit contract, which the test networks share.
pub const DEPOSIT_CONTRACT: Address = address!("0x00000000219ab540356cBB839Cbe05303d7705Fa");

const MAINNET: &[(Fork, Activation)] = &[
    (Fork::Frontier, Activation::Block(0)),
    (Fork::Homestead, Activation::Block(1_150_000)),
    (Fork::Dao, Activation::Block(1_920_000)),
    (Fork::TangerineWhistle, Activation::Block(2_463_000)),
    (Fork::SpuriousDragon, Activation::Block(2_675_000)),
    (Fork::Byzantium, Activation::Block(4_370_000)),
    (Fork::Petersburg, Activation::Block(7_280_000)),
    (Fork::Istanbul, Activation::Block(9_069_000)),
    (Fork::MuirGlacier, Activation::Block(9_200_000)),
    (Fork::Berlin, Activation::Block(12_244_000)),
    (Fork::London, Activation::Block(12_965_000)),
    (Fork::ArrowGlacier, Activation::Block(13_773_000)),
    (Fork::GrayGlacier, Activation::Block(15_050_000)),
    // The merge happened by total difficulty, at this block.
    (Fork::Paris, Activation::Block(15_537_394)),
    (Fork::Shanghai, Activation::Timestamp(1_681_338_455)),
    (Fork::Cancun, Activation::Timestamp(1_710_338_135)),
    (Fork::Prague, Activation::Timestamp(1_746_612_311)),
    (Fork::Osaka, Activation::Timestamp(1_764_798_551)),
    (Fork::Bpo1, Activation::Timestamp(1_765_290_071)),
    (Fork::Bpo2, Activation::Timestamp(1_767_747_671)),
];

impl Chain {
    /// Ethereum mainnet.
    pub fn mainnet() -> Self {
        Self {
            id: 1,
            schedule: MAINNET.to_vec(),
            blob_schedule: Vec::new(),
            dao_fork_block: Some(1_920_000),
            deposit_contract: DEPOSIT_CONTRACT,
        }
    }

    /// A chain that is in `fork` from its genesis on, with chain id 1.
    pub fn at(fork: Fork) -> Self {
        Self { schedule: vec![(fork, Activation::Block(0))], dao_fork_block: None, ..Self::mainnet() }
    }

    /// A network as the official tests name it: a fork (`Osaka`), or a transition such as `BerlinToLondonAt5`,
    /// `CancunToPragueAtTime15k`, `ArrowGlacierToParisAtDiffC0000`.
    pub fn from_network(name: &str) -> Result<Self, UnknownFork> {
        if let Ok(fork) = Fork::parse(name) {
            return Ok(Self::at(fork));
        }
        let unknown = || UnknownFork { kind: "network", name: name.to_owned() };
        let (forks, at) = name.rsplit_once("At").ok_or_else(unknown)?;
        let (before, after) = forks.split_once("To").ok_or_else(unknown)?;
        let (before, after) = (Fork::parse(before), Fork::parse(after));
        let (before, after) = (before.map_err(|_| unknown())?, after.map_err(|_| unknown())?);
        let activation = if let Some(time) = at.strip_prefix("Time") {
            Activation::Timestamp(parse_thousands(time).ok_or_else(unknown)?)
        } else if let Some(difficulty) = at.strip_prefix("Diff") {
            let value = u128::from_str_radix(difficulty, 16).map_err(|_| unknown())?;
            Activation::TotalDifficulty(value)
        } else {
            Activation::Block(at.parse().map_err(|_| unknown())?)
        };
        let dao_fork_block = match (after, activation) {
            (Fork::Dao, Activation::Block(number)) => Some(number),
            _ => None,
        };
        let schedule = vec![(before, Activation::Block(0)), (after, activation)];
        Ok(Self { schedule, dao_fork_block, ..Self::mainnet() })
    }

    /// The fork that governs a block. `parent_total_difficulty` matters only on a chain whose merge is set by
    /// total difficulty.
    pub fn fork_at(&self, number: u64, timestamp: u64, parent_total_difficulty: u128) -> Fork {
        self.schedule
            .iter()
            .rev()
            .find(|(_, activation)| match *activation {
                Activation::Block(block) => number >= block,
                Activation::Timestamp(time) => timestamp >= time,
                Activation::TotalDifficulty(difficulty) => parent_total_difficulty >= difficulty,
            })
            .map_or(Fork::Frontier, |(fork, _)| *fork)
    }

    /// The blob parameters in force at `fork` on this chain.
    pub fn blob_params(&self, fork: Fork) -> Option<BlobParams> {
        let own = self.blob_schedule.iter().rev().find(|(from, _)| *from == fork);
        own.map(|(_, params)| *params).or_else(|| fork.blob_params())
    }
}

/// `15k` is 15,000; a plain number stands for itself.
fn parse_thousands(text: &str) -> Option<u64> {
    match text.strip_suffix('k') {
        Some(thousands) => thousands.parse::<u64>().ok()?.checked_mul(1000),
        None => text.parse().ok(),
    }
}
