//! Transaction vectors: bytes, and by fork whether they are a valid transaction: its hash, sender and intrinsic gas,
//! or the reason why not.

use std::ops::ControlFlow;

use alloy_consensus::Header;
use alloy_primitives::{Address, B256, Bytes, U256};
use serde::Deserialize;
use solder_engine::block::validation::intrinsic_gas;
use solder_engine::chain::{Chain, Fork};
use solder_engine::state::memory::{MemoryState, StateAccount, UnknownBlockHash};
use solder_engine::{Block, Code, EngineError, ExecuteOptions, Fault, Rejection, Transaction, execute_block};

use crate::fixture::{self, Count, Pairs, Shape, is_foreign, is_named};
use crate::input_error::InputError;
use crate::run::{Cases, Mismatch, Verdict};

const SHAPE: Shape = Shape { own: &["txbytes", "result"] };

#[derive(Deserialize)]
struct TransactionTest {
    txbytes: Bytes,
    result: Pairs<String, Expected>,
}

#[derive(Deserialize)]
struct Expected {
    exception: Option<String>,
    hash: Option<B256>,
    sender: Option<Address>,
    #[serde(rename = "intrinsicGas")]
    intrinsic_gas: Option<Count>,
}

pub(crate) fn run_file(cases: &mut Cases<'_>) -> Result<ControlFlow<()>, InputError> {
    let file = cases.file;
    let tests: Pairs<String, TransactionTest> = match fixture::parse(&file.path, &file.bytes) {
        Ok(tests) => tests,
        Err(error) if is_foreign(SHAPE, &file.bytes) => return cases.foreign(error),
        Err(error) => return Err(error),
    };
    for (name, test) in &tests.0 {
        for (network, expected) in &test.result.0 {
            if !cases.wants(network) {
                continue;
            }
            let field = || format!("{name}.result.{network}");
            let fork = Fork::parse(network).map_err(|error| InputError::field(&file.path, field(), error))?;
            let full = cases.full_name(&format!("{name}[{network}]"));
            let flow = cases.run(full, network, || Ok((check(&test.txbytes, fork, expected)?, None)));
            if flow.is_break() {
                return Ok(flow);
            }
        }
    }
    Ok(ControlFlow::Continue(()))
}

/// Prices of more than 128 bits are valid by themselves, but nobody can pay them, and this engine refuses them when
/// it decodes: what these vectors ask beyond that cannot be answered.
const UNPAYABLE: &str = "wei per gas beyond 128 bits: nobody can pay it";

fn check(bytes: &[u8], fork: Fork, expected: &Expected) -> Result<Verdict, Fault> {
    let tx = match validate(bytes, fork)? {
        Ok(tx) => tx,
        Err(reasons) => return Ok(compare_reasons(&reasons, expected, fork)),
    };
    let mut wrong = Vec::new();
    if let Some(names) = &expected.exception {
        wrong.push(Mismatch::new("exception", names, "a valid transaction"));
    }
    let gas = intrinsic_gas(fork, &tx);
    if let Some(hash) = expected.hash.filter(|hash| *hash != tx.hash()) {
        wrong.push(Mismatch::new("hash", hash, tx.hash()));
    }
    if let Some(sender) = expected.sender.filter(|sender| *sender != tx.sender) {
        wrong.push(Mismatch::new("sender", sender, tx.sender));
    }
    if let Some(count) = expected.intrinsic_gas.filter(|count| count.0 != gas) {
        wrong.push(Mismatch::new("intrinsicGas", count.0, gas));
    }
    Ok(Verdict::of(wrong))
}

fn compare_reasons(reasons: &[Rejection], expected: &Expected, fork: Fork) -> Verdict {
    if expected.exception.as_ref().is_some_and(|names| reasons.iter().any(|reason| fits(names, reason, fork)))
    {
        return Verdict::Passed;
    }
    if reasons.iter().any(|reason| reason.code == Code::GasLimitPriceProductOverflow) {
        return Verdict::Skipped(UNPAYABLE);
    }
    let names = expected.exception.as_deref().unwrap_or("none");
    let reasons: Vec<_> = reasons.iter().map(Rejection::to_string).collect();
    Verdict::of(vec![Mismatch::new("exception", names, reasons.join(", "))])
}

/// Decodes the bytes, and runs them for a sender who can afford anything: what then refuses them is a rule about
/// the transaction alone. A type before its fork and broken bytes are reasons of equal right.
fn validate(bytes: &[u8], fork: Fork) -> Result<Result<Transaction, Vec<Rejection>>, Fault> {
    let tx = match (refuse_type(bytes, fork), Transaction::decode(bytes)) {
        (None, Ok(tx)) => tx,
        (refused, decoded) => return Ok(Err(refused.into_iter().chain(decoded.err()).collect())),
    };
    let mut state = MemoryState::new(UnknownBlockHash::HashOfNumber);
    state.insert(tx.sender, StateAccount::new(tx.nonce, U256::MAX >> 1, Bytes::new()));
    let header = Header {
        number: 1,
        gas_limit: u64::MAX,
        base_fee_per_gas: (fork >= Fork::London).then_some(0),
        excess_blob_gas: (fork >= Fork::Cancun).then_some(0),
        ..Default::default()
    };
    let block = Block { header, transactions: vec![tx.clone()], ..Default::default() };
    let options = ExecuteOptions { transactions_only: true, ..Default::default() };
    match execute_block(&Chain::at(fork), fork, &block, &state, &options) {
        Ok(_) => Ok(Ok(tx)),
        // More than anybody can have: what comes before the sender's purse was checked.
        Err(EngineError::Rejected(rejection)) if rejection.code == Code::InsufficientAccountFunds => {
            Ok(Ok(tx))
        }
        Err(EngineError::Rejected(rejection)) => Ok(Err(vec![rejection])),
        Err(EngineError::Fault(fault)) => Err(fault),
    }
}

/// A type that the fork does not know is refused before anything in it is looked at.
fn refuse_type(bytes: &[u8], fork: Fork) -> Option<Rejection> {
    let (since, code) = match bytes.first()? {
        1 => (Fork::Berlin, Code::Type1PreFork),
        2 => (Fork::London, Code::Type2PreFork),
        3 => (Fork::Cancun, Code::Type3PreFork),
        4 => (Fork::Prague, Code::Type4PreFork),
        0x80..0xc0 => return Some(Rejection::new(Code::TypeNotSupported, "")),
        _ => return None,
    };
    (fork < since).then(|| Rejection::new(code, ""))
}

/// These vectors name the very byte at which an older decoder stopped. One name of the catalogue covers each
/// family of such names.
fn fits(names: &str, rejection: &Rejection, fork: Fork) -> bool {
    let in_family = |name: &str| {
        let name = name.trim().trim_start_matches("TransactionException.");
        family(name).contains(&rejection.code)
    };
    is_named(names, rejection, fork) || names.split('|').any(in_family)
}

fn family(name: &str) -> &'static [Code] {
    match name {
        _ if name.starts_with("RLP_") => &[Code::TransactionRlp],
        "ADDRESS_TOO_LONG" | "ADDRESS_TOO_SHORT" => &[Code::TransactionRlp],
        "NONCE_OVERFLOW" | "GASLIMIT_OVERFLOW" | "VALUE_OVERFLOW" => &[Code::TransactionRlp],
        "NONCE_TOO_BIG" => &[Code::NonceIsMax],
        "GASPRICE_OVERFLOW" | "PRIORITY_OVERFLOW" => {
            &[Code::TransactionRlp, Code::GasLimitPriceProductOverflow]
        }
        "PRIORITY_GREATER_THAN_MAX_FEE_PER_GAS_2" => &[Code::PriorityGreaterThanMaxFee],
        // Those decoders took any v but 27 and 28 for a chain id, and looked at it before r and s.
        "INVALID_CHAINID" => &[Code::InvalidSignatureVrs],
        "INVALID_SIGNATURE_VRS" => &[Code::EcRecoveryFail],
        _ => &[],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn expecting(exception: &str) -> Expected {
        Expected { exception: Some(exception.into()), hash: None, sender: None, intrinsic_gas: None }
    }

    #[test]
    fn broken_bytes_fit_their_family_and_no_other() {
        let fork = Fork::Cancun;
        let passed = check(b"\xc0", fork, &expecting("TransactionException.RLP_TOO_FEW_ELEMENTS"));
        assert_eq!(passed, Ok(Verdict::Passed));
        let failed = check(b"\xc0", fork, &expecting("TransactionException.INITCODE_SIZE_EXCEEDED"));
        assert!(matches!(failed, Ok(Verdict::Failed(wrong)) if wrong[0].field == "exception"));
    }

    #[test]
    fn a_type_before_its_fork_is_refused_whatever_it_holds() {
        let expected = expecting("TransactionException.TYPE_NOT_SUPPORTED");
        assert_eq!(check(b"\x02\xc0", Fork::Berlin, &expected), Ok(Verdict::Passed));
        assert!(matches!(check(b"\x02\xc0", Fork::London, &expected), Ok(Verdict::Failed(_))));
    }
}
