//! What a header claims of the outcome, against the outcome. Each claim is its own field, so that a mismatch
//! names what is wrong.

use alloy_eip7928::constants::ITEM_COST;
use alloy_primitives::{B256, Bloom};
use revm::primitives::hardfork::SpecId;

use super::BlockOutcome;
use crate::chain::{Fork, Header, receipt};
use crate::error::{Code, Rejection};

fn differ(code: Code, field: &str, expected: impl ToString, got: impl ToString) -> Result<(), Rejection> {
    let (expected, got) = (expected.to_string(), got.to_string());
    if expected == got {
        return Ok(());
    }
    Err(Rejection::new(code, format!("{field}: expected {expected}, got {got}")))
}

fn show(hash: Option<B256>) -> String {
    hash.map_or_else(|| "none".into(), |hash| hash.to_string())
}

/// Checks everything but the state root, which needs the state.
pub fn check_outcome(fork: Fork, header: &Header, outcome: &BlockOutcome) -> Result<(), Rejection> {
    let spec = fork.spec_id();
    differ(Code::InvalidGasUsed, "gasUsed", header.gas_used, outcome.gas_used)?;
    let root = receipt::receipts_root(&outcome.receipts);
    differ(Code::InvalidReceiptsRoot, "receiptsRoot", header.receipts_root, root)?;
    let bloom: Bloom = receipt::logs_bloom(&outcome.receipts);
    differ(Code::InvalidLogBloom, "logsBloom", header.logs_bloom, bloom)?;
    if spec.is_enabled_in(SpecId::CANCUN) {
        let claimed = header.blob_gas_used.unwrap_or_default();
        differ(Code::IncorrectBlobGasUsed, "blobGasUsed", claimed, outcome.blob_gas_used)?;
    }
    if spec.is_enabled_in(SpecId::PRAGUE) {
        let hash = outcome.requests_hash();
        differ(Code::InvalidRequests, "requestsHash", show(header.requests_hash), show(hash))?;
    }
    if spec.is_enabled_in(SpecId::AMSTERDAM) {
        let hash = outcome.block_access_list_hash();
        let claimed = show(header.block_access_list_hash);
        differ(Code::InvalidBlockAccessList, "blockAccessListHash", claimed, show(hash))?;
        check_access_list_size(header, outcome)?;
    }
    Ok(())
}

/// Every account and slot of the list has its price in gas, and the block's limit bounds their sum (EIP-7928).
fn check_access_list_size(header: &Header, outcome: &BlockOutcome) -> Result<(), Rejection> {
    let accounts = outcome.block_access_list.iter().flatten();
    let items: usize =
        accounts.map(|account| 1 + account.storage_changes.len() + account.storage_reads.len()).sum();
    let most = header.gas_limit / ITEM_COST as u64;
    if items as u64 > most {
        let detail = format!("{items} accounts and slots, {most} allowed");
        return Err(Rejection::new(Code::BlockAccessListGasLimitExceeded, detail));
    }
    Ok(())
}

/// Checks the state root.
pub fn check_state_root(header: &Header, root: B256) -> Result<(), Rejection> {
    differ(Code::InvalidStateRoot, "stateRoot", header.state_root, root)
}
