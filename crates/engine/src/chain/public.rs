//! The public chains whose rules are known by their id: Ethereum's mainnet and its test networks. Activations as
//! go-ethereum's `params/config.go` lists them.

use alloy_primitives::{Address, address};

use super::fork::{Activation, Chain, DEPOSIT_CONTRACT, Fork, UnknownFork};

/// Begins with all that London has; its merge was at this block.
const SEPOLIA: &[(Fork, Activation)] = &[
    (Fork::London, Activation::Block(0)),
    (Fork::Paris, Activation::Block(1_450_409)),
    (Fork::Shanghai, Activation::Timestamp(1_677_557_088)),
    (Fork::Cancun, Activation::Timestamp(1_706_655_072)),
    (Fork::Prague, Activation::Timestamp(1_741_159_776)),
    (Fork::Osaka, Activation::Timestamp(1_760_427_360)),
    (Fork::Bpo1, Activation::Timestamp(1_761_017_184)),
    (Fork::Bpo2, Activation::Timestamp(1_761_607_008)),
];
const HOLESKY: &[(Fork, Activation)] = &[
    (Fork::Paris, Activation::Block(0)),
    (Fork::Shanghai, Activation::Timestamp(1_696_000_704)),
    (Fork::Cancun, Activation::Timestamp(1_707_305_664)),
    (Fork::Prague, Activation::Timestamp(1_740_434_112)),
    (Fork::Osaka, Activation::Timestamp(1_759_308_480)),
    (Fork::Bpo1, Activation::Timestamp(1_759_800_000)),
    (Fork::Bpo2, Activation::Timestamp(1_760_389_824)),
];
const HOODI: &[(Fork, Activation)] = &[
    (Fork::Cancun, Activation::Block(0)),
    (Fork::Prague, Activation::Timestamp(1_742_999_832)),
    (Fork::Osaka, Activation::Timestamp(1_761_677_592)),
    (Fork::Bpo1, Activation::Timestamp(1_762_365_720)),
    (Fork::Bpo2, Activation::Timestamp(1_762_955_544)),
];

const SEPOLIA_DEPOSITS: Address = address!("0x7f02C3E3c98b133055B8B348B2Ac625669Ed295D");
const HOLESKY_DEPOSITS: Address = address!("0x4242424242424242424242424242424242424242");

impl Chain {
    /// A public chain by its id (1, 11155111, 17000, 560048); an unknown id is an error.
    pub fn from_id(id: u64) -> Result<Self, UnknownFork> {
        let (schedule, deposit_contract) = match id {
            1 => return Ok(Self::mainnet()),
            11_155_111 => (SEPOLIA, SEPOLIA_DEPOSITS),
            17_000 => (HOLESKY, HOLESKY_DEPOSITS),
            560_048 => (HOODI, DEPOSIT_CONTRACT),
            _ => return Err(UnknownFork { kind: "chain id", name: id.to_string() }),
        };
        Ok(Self {
            id,
            schedule: schedule.to_vec(),
            blob_schedule: Vec::new(),
            dao_fork_block: None,
            deposit_contract,
        })
    }
}
