//! Puts accounts, contracts and transactions together to a block.

use alloy_primitives::{Address, B256, Bytes, TxKind, U256};
use solder_engine::state::StateAccount;
use solder_engine::state::memory::UnknownBlockHash;
use solder_engine::{Block, Chain, Fork, Header, MemoryState, Transaction};

use super::Workload;

const GWEI: u128 = 1_000_000_000;
const BASE_FEE: u64 = 1_000_000_000;
/// What every sender has: 1,000 ether.
const BALANCE: U256 = U256::from_limbs([0x35c9_adc5_dea0_0000, 0x36, 0, 0]);
const NUMBER: u64 = 19_500_000;
const TIMESTAMP: u64 = 1_711_300_000;

/// SplitMix64: small, and the same everywhere.
#[derive(Clone, Debug)]
pub struct Rng(u64);

impl Rng {
    /// A generator of its own for each seed.
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// The next 64 bits.
    pub fn next_u64(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number below `bound`, which is not zero.
    pub fn below(&mut self, bound: usize) -> usize {
        ((u128::from(self.next_u64()) * bound as u128) >> 64) as usize
    }

    /// An address that nobody else has.
    pub fn address(&mut self) -> Address {
        let mut bytes = [0u8; 20];
        for chunk in bytes.chunks_mut(8) {
            chunk.copy_from_slice(&self.next_u64().to_be_bytes()[..chunk.len()]);
        }
        Address::from(bytes)
    }
}

/// A block that grows.
pub(super) struct Builder {
    pub rng: Rng,
    state: MemoryState,
    transactions: Vec<Transaction>,
}

impl Builder {
    pub fn new(seed: u64) -> Self {
        let mut builder = Self {
            rng: Rng::new(seed),
            state: MemoryState::new(UnknownBlockHash::HashOfNumber),
            transactions: Vec::new(),
        };
        builder.state.insert(beneficiary(), StateAccount::new(0, U256::from(1), Bytes::new()));
        builder
    }

    /// New accounts with ether.
    pub fn accounts(&mut self, count: usize) -> Vec<Address> {
        let addresses: Vec<_> = (0..count).map(|_| self.rng.address()).collect();
        for address in &addresses {
            self.state.insert(*address, StateAccount::new(0, BALANCE, Bytes::new()));
        }
        addresses
    }

    /// A contract with its slots.
    pub fn contract(
        &mut self,
        address: Address,
        code: &Bytes,
        balance: U256,
        storage: impl IntoIterator<Item = (U256, U256)>,
    ) {
        let mut account = StateAccount::new(1, balance, code.clone());
        account.storage.extend(storage);
        self.state.insert(address, account);
    }

    /// A transaction of `sender`.
    pub fn send(
        &mut self,
        sender: Address,
        nonce: u64,
        to: Address,
        gas_limit: u64,
        value: u64,
        input: Bytes,
    ) {
        self.transactions.push(Transaction {
            tx_type: 2,
            chain_id: Some(1),
            nonce,
            gas_price: 10 * GWEI,
            max_priority_fee_per_gas: Some(GWEI),
            gas_limit,
            to: TxKind::Call(to),
            value: U256::from(value),
            input,
            sender,
            ..Default::default()
        });
    }

    pub fn finish(self, name: &str, gas: u64) -> Workload {
        let header = Header {
            number: NUMBER,
            timestamp: TIMESTAMP,
            beneficiary: beneficiary(),
            gas_limit: self.transactions.iter().map(|tx| tx.gas_limit).sum(),
            base_fee_per_gas: Some(BASE_FEE),
            mix_hash: B256::repeat_byte(0x5a),
            blob_gas_used: Some(0),
            excess_blob_gas: Some(0),
            parent_beacon_block_root: Some(B256::ZERO),
            ..Default::default()
        };
        let block = Block {
            header,
            transactions: self.transactions,
            withdrawals: Some(Vec::new()),
            ..Default::default()
        };
        Workload {
            name: format!("{name}_{}", gas / 1_000_000),
            chain: Chain::mainnet(),
            fork: Fork::Cancun,
            block,
            state: self.state,
        }
    }
}

fn beneficiary() -> Address {
    Address::repeat_byte(0xbe)
}

/// The slot of `key` in the mapping at `slot`, by Solidity's rule.
pub(super) fn mapping_slot(key: impl Into<B256>, slot: impl Into<B256>) -> U256 {
    let key: B256 = key.into();
    let slot: B256 = slot.into();
    alloy_primitives::keccak256([key.0, slot.0].concat()).into()
}

/// Call data: a selector and words.
pub(super) fn call_data(selector: [u8; 4], words: &[B256]) -> Bytes {
    let mut data = selector.to_vec();
    words.iter().for_each(|word| data.extend_from_slice(word.as_slice()));
    data.into()
}

pub(super) fn word(value: u64) -> B256 {
    B256::from(U256::from(value))
}
