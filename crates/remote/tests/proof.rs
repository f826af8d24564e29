//! Proofs against tries made here: what holds is taken, and no change of it passes for another value.

use std::collections::BTreeMap;

use alloy_primitives::{Address, B256, U256, hex, keccak256};
use alloy_trie::proof::ProofRetainer;
use alloy_trie::{HashBuilder, Nibbles};
use serde_json::{Value, json};
use solder_remote::proof::{ProofFailure, Proven, check};

fn trie(leaves: &BTreeMap<B256, Vec<u8>>, asked: &[B256]) -> (B256, Vec<Vec<String>>) {
    let targets: Vec<Nibbles> = asked.iter().map(Nibbles::unpack).collect();
    let mut builder = HashBuilder::default().with_proof_retainer(ProofRetainer::new(targets.clone()));
    for (key, value) in leaves {
        builder.add_leaf(Nibbles::unpack(key), value);
    }
    let root = builder.root();
    let nodes = builder.take_proof_nodes();
    let proofs = targets.iter().map(|target| {
        nodes.matching_nodes_sorted(target).iter().map(|(_, node)| hex::encode_prefixed(node)).collect()
    });
    (root, proofs.collect())
}

fn address(number: u64) -> Address {
    Address::left_padding_from(&number.to_be_bytes())
}

/// A state of 300 accounts, and the answer for one of them with four slots, two of them zero.
fn answer(owner: Address) -> (B256, Vec<U256>, Value) {
    let slots: BTreeMap<B256, Vec<u8>> = (0..100u64)
        .map(|slot| {
            (keccak256(B256::from(U256::from(slot))), alloy_rlp::encode(U256::from(slot) + U256::from(7)))
        })
        .collect();
    let asked: Vec<U256> = [3u64, 99, 100, 5000].map(U256::from).to_vec();
    let keys: Vec<B256> = asked.iter().map(|slot| keccak256(B256::from(*slot))).collect();
    let (storage_root, storage_proofs) = trie(&slots, &keys);
    let code_hash = keccak256([1]);
    let accounts: BTreeMap<B256, Vec<u8>> = (0..300u64)
        .map(|number| {
            let fields: [&dyn alloy_rlp::Encodable; 4] =
                [&number, &(U256::from(number) + U256::from(1)), &storage_root, &code_hash];
            let mut raw = Vec::new();
            alloy_rlp::encode_list::<_, dyn alloy_rlp::Encodable>(&fields, &mut raw);
            (keccak256(address(number)), raw)
        })
        .collect();
    let (root, mut account_proof) = trie(&accounts, &[keccak256(owner)]);
    let storage: Vec<Value> = asked
        .iter()
        .zip(storage_proofs)
        .map(|(slot, proof)| {
            let value = if *slot < U256::from(100) { *slot + U256::from(7) } else { U256::ZERO };
            json!({"key": B256::from(*slot), "value": value, "proof": proof})
        })
        .collect();
    let answer = json!({
        "address": owner, "nonce": "0x2a", "balance": "0x2b", "codeHash": code_hash, "storageHash": storage_root,
        "accountProof": account_proof.remove(0), "storageProof": storage,
    });
    (root, asked, answer)
}

#[test]
fn a_true_answer_is_taken() {
    let owner = address(42);
    let (root, slots, answer) = answer(owner);
    let proven = check(root, owner, &slots, &answer).unwrap();
    let values = [10u64, 106, 0, 0].map(U256::from).to_vec();
    let account = Some((42, U256::from(43), keccak256([1])));
    assert_eq!(proven, Proven { account, slots: values });
}

#[test]
fn an_account_that_is_not_there_is_proven_too() {
    let owner = address(10_000);
    let (root, _, mut answer) = answer(owner);
    let empty = json!({"nonce": "0x0", "balance": "0x0", "codeHash": B256::ZERO, "storageProof": []});
    for (name, value) in empty.as_object().unwrap() {
        answer[name] = value.clone();
    }
    assert_eq!(check(root, owner, &[], &answer), Ok(Proven { account: None, slots: Vec::new() }));
    answer["balance"] = json!("0x1");
    assert!(matches!(check(root, owner, &[], &answer), Err(ProofFailure::False(_))));
}

#[test]
fn an_account_that_is_there_cannot_be_denied() {
    let owner = address(42);
    let (root, _, mut answer) = answer(owner);
    for (name, value) in [("nonce", json!("0x0")), ("balance", json!("0x0")), ("codeHash", json!(B256::ZERO))]
    {
        answer[name] = value;
    }
    answer["storageProof"] = json!([]);
    for length in 0..=answer["accountProof"].as_array().unwrap().len() {
        let mut cut = answer.clone();
        cut["accountProof"].as_array_mut().unwrap().truncate(length);
        assert!(check(root, owner, &[], &cut).is_err(), "{length}");
    }
}

#[test]
fn no_changed_digit_passes_for_another_value() {
    let owner = address(42);
    let (root, slots, answer) = answer(owner);
    let expected = check(root, owner, &slots, &answer).unwrap();
    let text = serde_json::to_string(&answer).unwrap();
    let mut taken = 0;
    for (place, byte) in text.bytes().enumerate().filter(|(_, byte)| byte.is_ascii_hexdigit()) {
        let mut raw = text.clone().into_bytes();
        raw[place] = if byte == b'7' { b'8' } else { b'7' };
        let Ok(changed) = serde_json::from_slice::<Value>(&raw) else { continue };
        if let Ok(proven) = check(root, owner, &slots, &changed) {
            assert_eq!(proven, expected, "digit {place}");
            taken += 1;
        }
    }
    // The address is not read, nor what its field is called: it is known.
    assert!(taken <= 45, "{taken}");
}

#[test]
fn answers_of_any_form_are_no_panic() {
    let owner = address(42);
    let (root, slots, answer) = answer(owner);
    for name in ["nonce", "balance", "codeHash", "storageHash", "accountProof", "storageProof"] {
        for value in
            [json!(null), json!(5), json!("0x"), json!([null]), json!(["0x"]), json!(["0xc0"]), json!({})]
        {
            let mut changed = answer.clone();
            changed[name] = value.clone();
            assert!(check(root, owner, &slots, &changed).is_err(), "{name} {value}");
        }
    }
    assert!(check(root, owner, &slots, &json!(null)).is_err());
    assert!(check(root, owner, &slots[..2], &answer).is_err());
    let reversed: Vec<U256> = slots.iter().rev().copied().collect();
    assert!(check(root, owner, &reversed, &answer).is_err());
}
