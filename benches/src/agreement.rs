//! Whether two engines agree on a block. A figure of an engine that is wrong is worth nothing, so the benchmarks compare
//! every run that they time.

use solder_engine::BlockOutcome;

use crate::baseline::{Baseline, Finished};
use crate::{Failure, Workload};

const DIFFER: &str = "outcomes differ";

/// Ours against plain revm's: receipts, gas and the digest of all changes.
pub fn with_baseline(
    workload: &Workload,
    baseline: &Baseline<'_>,
    ours: &BlockOutcome,
    theirs: &Finished,
) -> Result<(), Failure> {
    let fail = |detail: String| Err(Failure::stopped(workload, DIFFER, detail));
    if ours.receipts.len() != theirs.receipts.len() {
        return fail("number of receipts".into());
    }
    for (index, (our, their)) in ours.receipts.iter().zip(&theirs.receipts).enumerate() {
        if (our.success, our.gas_used, &our.logs) != (their.success, their.gas_used, &their.logs) {
            return fail(format!(
                "transaction {index}: gas {} against revm's {}",
                our.gas_used, their.gas_used
            ));
        }
    }
    let gas_used: u64 = theirs.receipts.iter().map(|receipt| receipt.gas_used).sum();
    if ours.gas_used != gas_used {
        return fail(format!("gas {} against revm's {gas_used}", ours.gas_used));
    }
    let (our, their) = (ours.changes.digest(), baseline.digest(theirs));
    if our != their {
        return fail(format!("state digest {our} against revm's {their}"));
    }
    Ok(())
}

/// Ours in parallel against ours in series: receipts, gas, requests, and every field of every change, touches included.
pub fn with_serial(
    workload: &Workload,
    who: &str,
    parallel: &BlockOutcome,
    serial: &BlockOutcome,
) -> Result<(), Failure> {
    let fail = |what: &str| Err(Failure::stopped(workload, who, format!("not as in series: {what}")));
    let differs = parallel.receipts.iter().zip(&serial.receipts).position(|(one, other)| one != other);
    if let Some(index) = differs {
        return fail(&format!("receipt of transaction {index}"));
    }
    if parallel.receipts.len() != serial.receipts.len() {
        return fail("number of receipts");
    }
    if (parallel.gas_used, parallel.blob_gas_used) != (serial.gas_used, serial.blob_gas_used) {
        return fail("gas used");
    }
    if parallel.requests != serial.requests {
        return fail("requests");
    }
    let (mut one, mut other) = (parallel.changes.clone(), serial.changes.clone());
    one.sort();
    other.sort();
    match one.accounts.iter().zip(&other.accounts).find(|(one, other)| one != other) {
        Some((one, _)) => fail(&format!("change of {}", one.address)),
        None if one.accounts.len() != other.accounts.len() => fail("number of touched accounts"),
        None => Ok(()),
    }
}
