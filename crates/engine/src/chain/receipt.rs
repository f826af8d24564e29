//! Receipts and the roots and bloom made of them. The clock of the benchmarks stops before this.

use alloy_consensus::{Eip658Value, proofs::ordered_trie_root_with_encoder};
use alloy_primitives::{B256, Bloom, Log};
use alloy_rlp::{Encodable, Header as RlpHeader};

/// The receipt of one transaction.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Receipt {
    /// EIP-2718 type of the transaction.
    pub tx_type: u8,
    /// Success, or before Byzantium the state root after the transaction.
    pub status: Eip658Value,
    /// Whether execution succeeded (known before Byzantium too).
    pub success: bool,
    /// Gas paid for by this transaction.
    pub gas_used: u64,
    /// Gas of all transactions up to and with this one.
    pub cumulative_gas_used: u64,
    /// Logs in order.
    pub logs: Vec<Log>,
    /// The address created by a creation transaction that succeeded.
    pub contract_address: Option<alloy_primitives::Address>,
    /// What the top call returned (a created contract's code is left out).
    pub output: alloy_primitives::Bytes,
}

impl Receipt {
    /// The bloom filter of the logs.
    pub fn bloom(&self) -> Bloom {
        self.logs.iter().collect()
    }

    /// The EIP-2718 encoding.
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Vec::new();
        self.encode_to(&mut out);
        out
    }

    fn encode_to(&self, out: &mut Vec<u8>) {
        let bloom = self.bloom();
        let length =
            self.status.length() + self.cumulative_gas_used.length() + bloom.length() + self.logs.length();
        if self.tx_type != 0 {
            out.push(self.tx_type);
        }
        RlpHeader { list: true, payload_length: length }.encode(out);
        self.status.encode(out);
        self.cumulative_gas_used.encode(out);
        bloom.encode(out);
        self.logs.encode(out);
    }
}

/// The root of the receipts trie.
pub fn receipts_root(receipts: &[Receipt]) -> B256 {
    ordered_trie_root_with_encoder(receipts, |receipt, out| {
        let mut bytes = Vec::new();
        receipt.encode_to(&mut bytes);
        out.extend_from_slice(&bytes);
    })
}

/// The bloom filter of a block.
pub fn logs_bloom(receipts: &[Receipt]) -> Bloom {
    receipts.iter().flat_map(|receipt| &receipt.logs).collect()
}

/// The root of the transactions trie.
pub fn transactions_root(transactions: &[super::transaction::Transaction]) -> B256 {
    ordered_trie_root_with_encoder(transactions, |tx, out| out.extend_from_slice(&tx.encode()))
}
