//! `block.json`: typed, and held against itself. Who contradicts whom is an error; what the header claims of the
//! body or of the outcome is a claim that a replay checks.

use alloy_consensus::constants::EMPTY_OMMER_ROOT_HASH;
use alloy_consensus::proofs::calculate_withdrawals_root;
use alloy_primitives::{Address, B64, B256, Bloom, Bytes};
use serde::Deserialize;
use solder_engine::chain::{Block, Chain, Fork, Header, Withdrawal, receipt::transactions_root};

use super::transaction_json::TransactionJson;
use crate::InputError;
use crate::fixture::{Count, Quantity};

/// The fields of a block that are read.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct BlockJson {
    hash: B256,
    parent_hash: B256,
    sha3_uncles: B256,
    miner: Address,
    state_root: B256,
    transactions_root: B256,
    receipts_root: B256,
    logs_bloom: Bloom,
    difficulty: Quantity,
    number: Count,
    gas_limit: Count,
    gas_used: Count,
    timestamp: Count,
    extra_data: Bytes,
    mix_hash: B256,
    nonce: B64,
    base_fee_per_gas: Option<Count>,
    withdrawals_root: Option<B256>,
    blob_gas_used: Option<Count>,
    excess_blob_gas: Option<Count>,
    parent_beacon_block_root: Option<B256>,
    requests_hash: Option<B256>,
    #[serde(default)]
    uncles: Vec<B256>,
    withdrawals: Option<Vec<WithdrawalJson>>,
    transactions: Vec<TransactionJson>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct WithdrawalJson {
    index: Count,
    validator_index: Count,
    address: Address,
    amount: Count,
}

/// A claim of the header about the block's own body or identity that does not hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FalseClaim {
    /// The header's field, as `block.json` names it.
    pub field: &'static str,
    /// What the header says.
    pub claimed: String,
    /// What it is.
    pub found: String,
}

/// A block with the rules that hold for it.
pub(super) struct DecodedBlock {
    pub chain: Chain,
    pub fork: Fork,
    pub block: Block,
    pub false_claims: Vec<FalseClaim>,
}

impl BlockJson {
    /// The block, its senders recovered and everything that the file says twice compared.
    pub fn decode(self, path: &str) -> Result<DecodedBlock, InputError> {
        let header = self.header();
        let chain = self.chain(path)?;
        let fork = chain.fork_at(header.number, header.timestamp, 0);
        self.check_presence(fork, path)?;
        let mut transactions = Vec::with_capacity(self.transactions.len());
        for (index, json) in self.transactions.iter().enumerate() {
            let within = |(field, detail): (&str, String)| {
                InputError::field(path, format!("transactions[{index}].{field}"), detail)
            };
            json.check_place(index, header.number, self.hash).map_err(within)?;
            let tx = json.decode(header.base_fee_per_gas).map_err(within)?;
            transactions.push(tx);
        }
        let withdrawals =
            self.withdrawals.as_ref().map(|list| list.iter().map(WithdrawalJson::decode).collect());
        let block = Block { header, transactions, ommers: Vec::new(), withdrawals, size: None };
        let false_claims = self.false_claims(&block);
        Ok(DecodedBlock { chain, fork, block, false_claims })
    }

    fn header(&self) -> Header {
        let count = |value: Option<Count>| value.map(|value| value.0);
        Header {
            parent_hash: self.parent_hash,
            ommers_hash: self.sha3_uncles,
            beneficiary: self.miner,
            state_root: self.state_root,
            transactions_root: self.transactions_root,
            receipts_root: self.receipts_root,
            logs_bloom: self.logs_bloom,
            difficulty: self.difficulty.0,
            number: self.number.0,
            gas_limit: self.gas_limit.0,
            gas_used: self.gas_used.0,
            timestamp: self.timestamp.0,
            extra_data: self.extra_data.clone(),
            mix_hash: self.mix_hash,
            nonce: self.nonce,
            base_fee_per_gas: count(self.base_fee_per_gas),
            withdrawals_root: self.withdrawals_root,
            blob_gas_used: count(self.blob_gas_used),
            excess_blob_gas: count(self.excess_blob_gas),
            parent_beacon_block_root: self.parent_beacon_block_root,
            requests_hash: self.requests_hash,
            ..Default::default()
        }
    }

    /// The chain that the first protected transaction names; mainnet where none does.
    fn chain(&self, path: &str) -> Result<Chain, InputError> {
        let named =
            self.transactions.iter().enumerate().find_map(|(index, tx)| Some((index, tx.chain_id?.0)));
        let Some((index, id)) = named else { return Ok(Chain::mainnet()) };
        Chain::from_id(id)
            .map_err(|error| InputError::field(path, format!("transactions[{index}].chainId"), error))
    }

    /// Every field that a fork brought is there from that fork on, and not before.
    fn check_presence(&self, fork: Fork, path: &str) -> Result<(), InputError> {
        let fields = [
            ("baseFeePerGas", self.base_fee_per_gas.is_some(), Fork::London),
            ("withdrawalsRoot", self.withdrawals_root.is_some(), Fork::Shanghai),
            ("withdrawals", self.withdrawals.is_some(), Fork::Shanghai),
            ("blobGasUsed", self.blob_gas_used.is_some(), Fork::Cancun),
            ("excessBlobGas", self.excess_blob_gas.is_some(), Fork::Cancun),
            ("parentBeaconBlockRoot", self.parent_beacon_block_root.is_some(), Fork::Cancun),
            ("requestsHash", self.requests_hash.is_some(), Fork::Prague),
        ];
        for (name, present, since) in fields {
            if present != (fork >= since) {
                let how = if present { "is not known to" } else { "is missing in" };
                return Err(InputError::field(path, name, format!("{how} {fork}")));
            }
        }
        Ok(())
    }

    fn false_claims(&self, block: &Block) -> Vec<FalseClaim> {
        let mut claims = Vec::new();
        let mut hold = |field, claimed: B256, found: B256| {
            if claimed != found {
                claims.push(FalseClaim { field, claimed: claimed.to_string(), found: found.to_string() });
            }
        };
        hold("transactionsRoot", self.transactions_root, transactions_root(&block.transactions));
        if let (Some(claimed), Some(list)) = (self.withdrawals_root, &block.withdrawals) {
            hold("withdrawalsRoot", claimed, calculate_withdrawals_root(list));
        }
        if self.uncles.is_empty() {
            hold("sha3Uncles", self.sha3_uncles, EMPTY_OMMER_ROOT_HASH);
        }
        hold("hash", self.hash, block.header.hash_slow());
        claims
    }
}

impl WithdrawalJson {
    fn decode(&self) -> Withdrawal {
        Withdrawal {
            index: self.index.0,
            validator_index: self.validator_index.0,
            address: self.address,
            amount: self.amount.0,
        }
    }
}
