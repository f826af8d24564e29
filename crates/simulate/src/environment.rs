//! Where a call runs: the chain's rules, the fork, and the block that the call believes to be in.

use alloy_primitives::{Address, B256, U256};
use solder_engine::{Chain, Fork, Header};

/// The fork of a state that was not told one: the newest that was live on mainnet when this was released.
pub const DEFAULT_FORK: Fork = Fork::Bpo2;
/// The gas limit of a block that was not told one.
pub const DEFAULT_GAS_LIMIT: u64 = 30_000_000;

/// Chain, fork and block.
#[derive(Clone, Debug, PartialEq)]
pub struct Environment {
    /// The chain's rules.
    pub chain: Chain,
    /// Which of them hold.
    pub fork: Fork,
    /// The block: number, timestamp, beneficiary, gas limit, base fee, prevrandao (`mix_hash`), excess blob gas.
    pub header: Header,
    /// Who sends a call that names no sender.
    pub sender: Address,
}

impl Default for Environment {
    fn default() -> Self {
        Self::at(DEFAULT_FORK)
    }
}

impl Environment {
    /// Block 1 of a chain that is in `fork` from its genesis on, with no base fee.
    pub fn at(fork: Fork) -> Self {
        Self::new(Chain::at(fork), fork)
    }

    /// Block 1 of `chain`, in `fork`.
    pub fn new(chain: Chain, fork: Fork) -> Self {
        let header = Header {
            number: 1,
            timestamp: 1,
            gas_limit: DEFAULT_GAS_LIMIT,
            base_fee_per_gas: (fork >= Fork::London).then_some(0),
            excess_blob_gas: (fork >= Fork::Cancun).then_some(0),
            ..Default::default()
        };
        Self { chain, fork, header, sender: Address::ZERO }
    }

    /// The environment of a block: the fields that a transaction can see.
    pub fn of(chain: Chain, fork: Fork, header: &Header) -> Self {
        let header = Header {
            number: header.number,
            timestamp: header.timestamp,
            beneficiary: header.beneficiary,
            gas_limit: header.gas_limit,
            base_fee_per_gas: header.base_fee_per_gas,
            mix_hash: header.mix_hash,
            difficulty: header.difficulty,
            excess_blob_gas: header.excess_blob_gas,
            slot_number: header.slot_number,
            parent_hash: header.parent_hash,
            ..Default::default()
        };
        Self { chain, fork, header, sender: Address::ZERO }
    }

    /// The same with some fields of the block replaced. The fork stays.
    pub fn with(&self, overrides: &BlockOverrides) -> Self {
        let mut changed = self.clone();
        let header = &mut changed.header;
        header.number = overrides.number.unwrap_or(header.number);
        header.timestamp = overrides.timestamp.unwrap_or(header.timestamp);
        header.beneficiary = overrides.beneficiary.unwrap_or(header.beneficiary);
        header.gas_limit = overrides.gas_limit.unwrap_or(header.gas_limit);
        header.base_fee_per_gas = overrides.base_fee_per_gas.or(header.base_fee_per_gas);
        header.mix_hash = overrides.prevrandao.unwrap_or(header.mix_hash);
        header.difficulty = overrides.difficulty.unwrap_or(header.difficulty);
        header.excess_blob_gas = overrides.excess_blob_gas.or(header.excess_blob_gas);
        changed.sender = overrides.sender.unwrap_or(changed.sender);
        changed
    }
}

/// Fields of a block to replace; `None` leaves one as it is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[allow(missing_docs)]
pub struct BlockOverrides {
    pub number: Option<u64>,
    pub timestamp: Option<u64>,
    pub beneficiary: Option<Address>,
    pub gas_limit: Option<u64>,
    pub base_fee_per_gas: Option<u64>,
    pub prevrandao: Option<B256>,
    pub difficulty: Option<U256>,
    pub excess_blob_gas: Option<u64>,
    pub sender: Option<Address>,
}
