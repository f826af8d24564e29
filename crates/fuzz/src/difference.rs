//! The first difference between two outcomes, by field.

use std::fmt::Debug;

use solder_engine::state::{AccountChange, ChangeSet};
use solder_engine::{BlockOutcome, EngineError, Receipt};

/// An outcome or why there is none.
pub type Attempt = Result<BlockOutcome, EngineError>;

/// Names the field where `other` is not what `serial` is.
pub fn first(serial: &Attempt, other: &Attempt) -> Option<String> {
    match (serial, other) {
        (Ok(serial), Ok(other)) => outcomes(serial, other),
        (Err(serial), Err(other)) => field("error", serial, other),
        (Ok(_), Err(error)) => Some(format!("serial succeeds, but: {error}")),
        (Err(error), Ok(_)) => Some(format!("succeeds, but serial says: {error}")),
    }
}

fn field<T: PartialEq + Debug>(name: &str, serial: &T, other: &T) -> Option<String> {
    (serial != other).then(|| format!("{name}: serial {serial:?}, other {other:?}"))
}

fn outcomes(serial: &BlockOutcome, other: &BlockOutcome) -> Option<String> {
    let indices = |outcome: &BlockOutcome| outcome.skipped.iter().map(|it| it.index).collect::<Vec<_>>();
    field("skipped indices", &indices(serial), &indices(other))
        .or_else(|| field("skipped", &serial.skipped, &other.skipped))
        .or_else(|| field("receipts.len", &serial.receipts.len(), &other.receipts.len()))
        .or_else(|| {
            let pairs = serial.receipts.iter().zip(&other.receipts).enumerate();
            pairs.filter_map(|(index, (serial, other))| receipts(index, serial, other)).next()
        })
        .or_else(|| field("gas_used", &serial.gas_used, &other.gas_used))
        .or_else(|| field("blob_gas_used", &serial.blob_gas_used, &other.blob_gas_used))
        .or_else(|| field("rejection", &serial.rejection, &other.rejection))
        .or_else(|| field("requests", &serial.requests, &other.requests))
        .or_else(|| changes(&serial.changes, &other.changes))
        .or_else(|| access_lists(serial, other))
}

/// The first account of the block access list that differs.
fn access_lists(serial: &BlockOutcome, other: &BlockOutcome) -> Option<String> {
    let (ours, theirs) = (serial.block_access_list.as_ref(), other.block_access_list.as_ref());
    for (ours, theirs) in ours.into_iter().flatten().zip(theirs.into_iter().flatten()) {
        let name = |part: &str| format!("block_access_list[{}].{part}", crate::cast::name(ours.address));
        let difference = field(&name("address"), &ours.address, &theirs.address)
            .or_else(|| field(&name("storage_changes"), &ours.storage_changes, &theirs.storage_changes))
            .or_else(|| field(&name("storage_reads"), &ours.storage_reads, &theirs.storage_reads))
            .or_else(|| field(&name("balance_changes"), &ours.balance_changes, &theirs.balance_changes))
            .or_else(|| field(&name("nonce_changes"), &ours.nonce_changes, &theirs.nonce_changes))
            .or_else(|| field(&name("code_changes"), &ours.code_changes, &theirs.code_changes));
        if difference.is_some() {
            return difference;
        }
    }
    field("block_access_list", &ours, &theirs)
}

/// The first difference between two receipts.
pub fn receipts(index: usize, serial: &Receipt, other: &Receipt) -> Option<String> {
    let name = |part: &str| format!("receipts[{index}].{part}");
    field(&name("success"), &serial.success, &other.success)
        .or_else(|| field(&name("gas_used"), &serial.gas_used, &other.gas_used))
        .or_else(|| field(&name("logs"), &serial.logs, &other.logs))
        .or_else(|| field(&name("contract_address"), &serial.contract_address, &other.contract_address))
        .or_else(|| field(&name("output"), &serial.output, &other.output))
        .or_else(|| field(&name("status"), &serial.status, &other.status))
        .or_else(|| field(&name(""), serial, other))
}

/// The first difference between two ChangeSets in their canonical form, touches and resets included.
pub fn changes(serial: &ChangeSet, other: &ChangeSet) -> Option<String> {
    let (mut serial, mut other) = (serial.clone(), other.clone());
    serial.sort();
    other.sort();
    let addresses = |changes: &ChangeSet| changes.accounts.iter().map(|it| it.address).collect::<Vec<_>>();
    let (ours, theirs) = (addresses(&serial), addresses(&other));
    let named = |list: &[AccountChange], absent: &[_]| {
        let missing = list.iter().find(|change| !absent.contains(&change.address));
        missing.map(|change| format!("{} {change:?}", crate::cast::name(change.address)))
    };
    if let Some(missing) = named(&serial.accounts, &theirs) {
        return Some(format!("changes: only serial has {missing}"));
    }
    if let Some(extra) = named(&other.accounts, &ours) {
        return Some(format!("changes: serial does not have {extra}"));
    }
    let pairs = serial.accounts.iter().zip(&other.accounts);
    pairs.filter_map(|(serial, other)| accounts(serial, other)).next()
}

fn accounts(serial: &AccountChange, other: &AccountChange) -> Option<String> {
    let name = |part: &str| format!("changes[{}].{part}", crate::cast::name(serial.address));
    field(&name("address"), &serial.address, &other.address)
        .or_else(|| field(&name("before"), &serial.before, &other.before))
        .or_else(|| field(&name("after"), &serial.after, &other.after))
        .or_else(|| field(&name("reset"), &serial.reset, &other.reset))
        .or_else(|| field(&name("storage"), &serial.storage, &other.storage))
        .or_else(|| field(&name("code"), &serial.code, &other.code))
        .or_else(|| field(&name(""), serial, other))
}
