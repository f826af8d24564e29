//! The answer to `eth_getProof`, checked against the state root of the pinned header.

use alloy_primitives::{Address, B256, Bytes, U256, keccak256};
use alloy_rlp::{EMPTY_STRING_CODE, Encodable, RlpEncodable};
use alloy_trie::proof::verify_proof;
use alloy_trie::{EMPTY_ROOT_HASH, Nibbles};
use revm::primitives::KECCAK_EMPTY;
use serde_json::Value;

use crate::header::{bytes, field, fixed, quantity, small};

/// The most nodes of one proof: a path has 64 nibbles, and one node is at its end.
const MAX_PROOF_NODES: usize = 65;

/// What a proof says of an account.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Proven {
    /// Nonce, balance and the hash of the code; `None` where there is no account.
    pub account: Option<(u64, U256, B256)>,
    /// The slots that were asked for, in that order.
    pub slots: Vec<U256>,
}

/// Why a proof is not taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ProofFailure {
    /// It has not the form of one.
    Form(String),
    /// It proves something else.
    False(String),
}

#[derive(RlpEncodable)]
struct TrieAccount {
    nonce: u64,
    balance: U256,
    storage_root: B256,
    code_hash: B256,
}

fn nodes(object: &Value, name: &str) -> Result<Vec<Bytes>, ProofFailure> {
    let form = |detail: String| ProofFailure::Form(format!("{name}: {detail}"));
    let list = field(object, name).map_err(ProofFailure::Form)?;
    let list = list.as_array().ok_or_else(|| form("not a list".into()))?;
    if list.len() > MAX_PROOF_NODES {
        return Err(form(format!("{} nodes", list.len())));
    }
    list.iter().map(|node| bytes(node).map_err(form)).collect()
}

/// Reads and checks the answer for `address` and `slots`.
pub fn check(root: B256, address: Address, slots: &[U256], answer: &Value) -> Result<Proven, ProofFailure> {
    let form = |name: &str| {
        let name = name.to_owned();
        move |detail: String| ProofFailure::Form(format!("{name}: {detail}"))
    };
    let account = TrieAccount {
        nonce: field(answer, "nonce").and_then(small).map_err(form("nonce"))?,
        balance: field(answer, "balance").and_then(quantity).map_err(form("balance"))?,
        storage_root: fixed::<32>(answer, "storageHash").map_err(ProofFailure::Form)?.into(),
        code_hash: fixed::<32>(answer, "codeHash").map_err(ProofFailure::Form)?.into(),
    };
    let no_code = account.code_hash == KECCAK_EMPTY || account.code_hash.is_zero();
    let absent = account.nonce == 0 && account.balance.is_zero() && no_code;
    let path = Nibbles::unpack(keccak256(address));
    let account_proof = nodes(answer, "accountProof")?;
    let proves = |value: Option<Vec<u8>>| verify_proof(root, path, value, &account_proof);
    let mut raw = Vec::new();
    account.encode(&mut raw);
    // An account without anything may still be there: before Spurious Dragon it was not taken away.
    let exists = match proves(Some(raw)) {
        Ok(()) => true,
        Err(_) if absent && proves(None).is_ok() => false,
        Err(_) => {
            let detail = format!("the proof of account {address} does not lead to the state root {root}");
            return Err(ProofFailure::False(detail));
        }
    };
    let storage_root = if exists { account.storage_root } else { EMPTY_ROOT_HASH };
    let proofs = field(answer, "storageProof").map_err(ProofFailure::Form)?;
    let proofs = proofs.as_array().ok_or_else(|| ProofFailure::Form("storageProof: not a list".into()))?;
    if proofs.len() != slots.len() {
        let detail = format!("storageProof: {} proofs for {} slots", proofs.len(), slots.len());
        return Err(ProofFailure::Form(detail));
    }
    let mut values = Vec::with_capacity(slots.len());
    for (slot, proof) in slots.iter().zip(proofs) {
        let key = field(proof, "key").and_then(quantity).map_err(form("storageProof.key"))?;
        if key != *slot {
            return Err(ProofFailure::Form(format!("storageProof.key: {key:#x} instead of {slot:#x}")));
        }
        let value = field(proof, "value").and_then(quantity).map_err(form("storageProof.value"))?;
        let expected = (!value.is_zero()).then(|| alloy_rlp::encode(value));
        let path = Nibbles::unpack(keccak256(B256::from(*slot)));
        let proof = nodes(proof, "proof")?;
        let proves = |value: Option<Vec<u8>>| verify_proof(storage_root, path, value, &proof);
        // A development node may keep a zero as a leaf, and its root says so.
        let holds =
            proves(expected).is_ok() || (value.is_zero() && proves(Some(vec![EMPTY_STRING_CODE])).is_ok());
        if !holds {
            let detail =
                format!("the proof of slot {slot:#x} of {address} does not lead to its storage root");
            return Err(ProofFailure::False(detail));
        }
        values.push(value);
    }
    let account = exists.then_some((account.nonce, account.balance, account.code_hash));
    Ok(Proven { account, slots: values })
}
