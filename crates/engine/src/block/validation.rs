//! What can be said of a block before it runs: its header against its parent, its body against its header, and
//! each transaction against what is left of the block. What needs the sender's account is checked by the
//! interpreter's own validation.

use alloy_consensus::constants::EMPTY_OMMER_ROOT_HASH;
use alloy_consensus::proofs::{calculate_ommers_root, calculate_withdrawals_root};
use alloy_primitives::B64;
use revm::context_interface::cfg::gas_params::GasParams;
use revm::primitives::eip7825::TX_GAS_LIMIT_CAP;
use revm::primitives::hardfork::SpecId;

use super::execution::GasCounters;
use super::{Job, dao, difficulty};
use crate::chain::{Block, Chain, Fork, Header, Transaction, receipt::transactions_root};
use crate::error::{Code, Rejection};

const GAS_LIMIT_BOUND_DIVISOR: u64 = 1024;
const GAS_LIMIT_MINIMUM: u64 = 5000;
const GAS_LIMIT_MAXIMUM: u64 = i64::MAX as u64;
const EXTRA_DATA_BYTES: usize = 32;
const BASE_FEE_INITIAL: u64 = 1_000_000_000;
const BASE_FEE_CHANGE_DENOMINATOR: u64 = 8;
const ELASTICITY_MULTIPLIER: u64 = 2;
/// EIP-7934: 10 MiB less a margin for what a beacon block adds.
const BLOCK_BYTES_MAXIMUM: usize = 10 * 1024 * 1024 - 2 * 1024 * 1024;

type Check = Result<(), Rejection>;

fn reject(code: Code, detail: impl Into<String>) -> Check {
    Err(Rejection::new(code, detail))
}

fn expect<T: PartialEq + std::fmt::Display>(code: Code, field: &str, expected: T, got: T) -> Check {
    if expected == got { Ok(()) } else { reject(code, format!("{field}: expected {expected}, got {got}")) }
}

/// A block's header against its parent's. `parent_ommers` counts the parent's ommers.
pub fn validate_header(
    chain: &Chain,
    fork: Fork,
    header: &Header,
    parent: &Header,
    parent_fork: Fork,
) -> Check {
    let spec = fork.spec_id();
    expect(Code::InvalidBlockNumber, "number", parent.number.saturating_add(1), header.number)?;
    if header.timestamp <= parent.timestamp {
        let detail = format!("timestamp {} is not after the parent's {}", header.timestamp, parent.timestamp);
        return reject(Code::TimestampOlderThanParent, detail);
    }
    if header.extra_data.len() > EXTRA_DATA_BYTES {
        return reject(Code::ExtraDataTooBig, format!("extraData: {} bytes", header.extra_data.len()));
    }
    if let Some(dao_block) = chain.dao_fork_block
        && (dao_block..dao_block.saturating_add(dao::EXTRA_DATA_BLOCKS)).contains(&header.number)
        && *header.extra_data != *dao::EXTRA_DATA
    {
        return reject(Code::ExtraDataInvalidDao, format!("extraData: {}", header.extra_data));
    }
    if spec.is_enabled_in(SpecId::MERGE) {
        validate_proof_of_stake(header, parent, parent_fork)?;
    } else if header.difficulty.is_zero() {
        return reject(Code::ParisWrongPos, "difficulty 0 before the merge");
    } else {
        validate_difficulty(header, parent, fork)?;
    }
    validate_gas_limit(header, parent, parent_fork, fork)?;
    validate_base_fee(header, parent, parent_fork, fork)?;
    validate_optional_fields(header, spec)?;
    validate_blob_fields(chain, fork, header, parent)
}

fn validate_difficulty(header: &Header, parent: &Header, fork: Fork) -> Check {
    let has_ommers = parent.ommers_hash != EMPTY_OMMER_ROOT_HASH;
    let expected = difficulty::block_difficulty(fork, header.number, header.timestamp, parent, has_ommers);
    expect(Code::InvalidDifficulty, "difficulty", expected, header.difficulty)
}

fn validate_proof_of_stake(header: &Header, parent: &Header, parent_fork: Fork) -> Check {
    if !header.difficulty.is_zero() {
        if parent_fork >= Fork::Paris {
            return reject(Code::DifficultyOverParis, format!("difficulty: {}", header.difficulty));
        }
        validate_difficulty(header, parent, parent_fork)?;
        return reject(Code::ParisWrongPow, "a block of proof of work after the merge");
    }
    if header.ommers_hash != EMPTY_OMMER_ROOT_HASH {
        return reject(Code::UnclesOverParis, "a block after the merge names ommers");
    }
    if header.nonce != B64::ZERO {
        return reject(Code::IncorrectBlockFormat, format!("nonce: {}", header.nonce));
    }
    Ok(())
}

fn validate_gas_limit(header: &Header, parent: &Header, parent_fork: Fork, fork: Fork) -> Check {
    if header.gas_limit > GAS_LIMIT_MAXIMUM {
        return reject(Code::GasLimitTooBig, format!("gasLimit: {}", header.gas_limit));
    }
    let first_london = fork >= Fork::London && parent_fork < Fork::London;
    let parent_limit =
        if first_london { parent.gas_limit.saturating_mul(ELASTICITY_MULTIPLIER) } else { parent.gas_limit };
    let bound = parent_limit / GAS_LIMIT_BOUND_DIVISOR;
    if header.gas_limit.abs_diff(parent_limit) >= bound || header.gas_limit < GAS_LIMIT_MINIMUM {
        let detail = format!("gasLimit: {} after a parent's {parent_limit}", header.gas_limit);
        return reject(Code::InvalidGasLimit, detail);
    }
    if header.gas_used > header.gas_limit {
        let detail = format!("gasUsed {} is above gasLimit {}", header.gas_used, header.gas_limit);
        return reject(Code::GasUsedOverflow, detail);
    }
    Ok(())
}

/// The base fee that must follow `parent` (EIP-1559).
pub fn next_base_fee(parent_gas_limit: u64, parent_gas_used: u64, parent_base_fee: u64) -> u64 {
    let target = parent_gas_limit / ELASTICITY_MULTIPLIER;
    if parent_gas_used == target || target == 0 {
        return parent_base_fee;
    }
    let delta = parent_gas_used.abs_diff(target);
    let change = u128::from(parent_base_fee) * u128::from(delta)
        / u128::from(target)
        / u128::from(BASE_FEE_CHANGE_DENOMINATOR);
    let change = u64::try_from(change).unwrap_or(u64::MAX);
    if parent_gas_used > target {
        parent_base_fee.saturating_add(change.max(1))
    } else {
        parent_base_fee.saturating_sub(change)
    }
}

fn validate_base_fee(header: &Header, parent: &Header, parent_fork: Fork, fork: Fork) -> Check {
    let Some(base_fee) = header.base_fee_per_gas else {
        return match (fork >= Fork::London, parent_fork >= Fork::London) {
            (false, _) => Ok(()),
            (true, false) => {
                reject(Code::ImpossibleLegacy, "baseFeePerGas is missing at London's first block")
            }
            (true, true) => reject(Code::LegacyWrongParent, "baseFeePerGas is missing"),
        };
    };
    if fork < Fork::London {
        return reject(Code::LondonWrongParent, "baseFeePerGas before London");
    }
    let expected = match parent.base_fee_per_gas {
        Some(parent_base_fee) if parent_fork >= Fork::London => {
            next_base_fee(parent.gas_limit, parent.gas_used, parent_base_fee)
        }
        _ => BASE_FEE_INITIAL,
    };
    expect(Code::InvalidBaseFee, "baseFeePerGas", expected, base_fee)
}

/// Every field that a fork brought is there from that fork on, and not before.
fn validate_optional_fields(header: &Header, spec: SpecId) -> Check {
    match (header.withdrawals_root.is_some(), spec.is_enabled_in(SpecId::SHANGHAI)) {
        (true, false) => return reject(Code::ImpossibleShanghai, "withdrawalsRoot before Shanghai"),
        (false, true) => return reject(Code::ParisOverShanghai, "withdrawalsRoot is missing"),
        _ => {}
    }
    let fields = [
        ("blobGasUsed", header.blob_gas_used.is_some(), SpecId::CANCUN),
        ("excessBlobGas", header.excess_blob_gas.is_some(), SpecId::CANCUN),
        ("parentBeaconBlockRoot", header.parent_beacon_block_root.is_some(), SpecId::CANCUN),
        ("requestsHash", header.requests_hash.is_some(), SpecId::PRAGUE),
        ("blockAccessListHash", header.block_access_list_hash.is_some(), SpecId::AMSTERDAM),
        ("slotNumber", header.slot_number.is_some(), SpecId::AMSTERDAM),
    ];
    for (name, present, since) in fields {
        if present != spec.is_enabled_in(since) {
            let how = if present { "is not known to this fork" } else { "is missing" };
            return reject(Code::IncorrectBlockFormat, format!("{name} {how}"));
        }
    }
    Ok(())
}

/// The excess blob gas that must follow `parent`.
pub fn next_excess_blob_gas(chain: &Chain, fork: Fork, parent: &Header) -> u64 {
    let Some(params) = chain.blob_params(fork) else { return 0 };
    let excess = parent.excess_blob_gas.unwrap_or_default();
    let used = parent.blob_gas_used.unwrap_or_default();
    params.next_block_excess_blob_gas_osaka(excess, used, parent.base_fee_per_gas.unwrap_or_default())
}

fn validate_blob_fields(chain: &Chain, fork: Fork, header: &Header, parent: &Header) -> Check {
    let Some(excess) = header.excess_blob_gas else { return Ok(()) };
    let expected = next_excess_blob_gas(chain, fork, parent);
    expect(Code::IncorrectExcessBlobGas, "excessBlobGas", expected, excess)
}

/// A block's shape and size, before it runs.
pub fn validate_body(block: &Block, fork: Fork) -> Check {
    let header = &block.header;
    if let Some(size) = block.size
        && fork >= Fork::Osaka
        && size > BLOCK_BYTES_MAXIMUM
    {
        return reject(Code::RlpBlockLimitExceeded, format!("{size} bytes"));
    }
    if fork >= Fork::Shanghai && block.withdrawals.is_none() {
        return reject(Code::RlpStructures, "the withdrawals are missing");
    }
    let ommers = calculate_ommers_root(&block.ommers);
    expect(Code::InvalidUnclesHash, "ommersHash", ommers, header.ommers_hash)
}

/// What the header claims of the body, after the body ran: a transaction that is invalid by itself is named before
/// a header that does not fit it.
pub fn validate_claims(chain: &Chain, block: &Block, fork: Fork) -> Check {
    let header = &block.header;
    let root = transactions_root(&block.transactions);
    expect(Code::InvalidTransactionsRoot, "transactionsRoot", header.transactions_root, root)?;
    if let (Some(params), Some(used)) = (chain.blob_params(fork), header.blob_gas_used)
        && used > params.max_blob_gas_per_block()
    {
        return reject(Code::BlobGasUsedAboveLimit, format!("blobGasUsed: {used}"));
    }
    let withdrawals = block.withdrawals.as_deref().map(calculate_withdrawals_root);
    if withdrawals != header.withdrawals_root {
        return reject(Code::InvalidWithdrawalsRoot, "withdrawalsRoot does not match the withdrawals");
    }
    Ok(())
}

/// Gas that a transaction costs before its first instruction.
pub fn intrinsic_gas(fork: Fork, tx: &Transaction) -> u64 {
    GasParams::new_spec(fork.spec_id()).initial_tx_gas_for_tx(tx, None).initial_total_gas()
}

/// A transaction against its fork and what is left of the block.
pub(crate) fn validate_transaction(job: &Job<'_>, tx: &Transaction, gas: &GasCounters) -> Check {
    validate_signature_rules(job, tx)?;
    validate_gas_left(job, tx, gas)?;
    let Some(params) = job.chain.blob_params(job.fork) else { return Ok(()) };
    if tx.tx_type == 3 {
        let blob_gas = gas.blob + tx.blob_gas();
        if blob_gas > params.max_blob_gas_per_block() {
            let detail = format!("{blob_gas} blob gas of {}", params.max_blob_gas_per_block());
            return reject(Code::Type3BlobAllowanceExceeded, detail);
        }
    }
    Ok(())
}

fn validate_signature_rules(job: &Job<'_>, tx: &Transaction) -> Check {
    let (code, since) = match tx.tx_type {
        1 => (Code::Type1PreFork, SpecId::BERLIN),
        2 => (Code::Type2PreFork, SpecId::LONDON),
        3 => (Code::Type3PreFork, SpecId::CANCUN),
        4 => (Code::Type4PreFork, SpecId::PRAGUE),
        _ => (Code::TypeNotSupported, SpecId::FRONTIER),
    };
    if !job.spec.is_enabled_in(since) {
        return reject(code, format!("type {} in {}", tx.tx_type, job.fork));
    }
    if tx.tx_type == 0 && tx.chain_id.is_some() && !job.spec.is_enabled_in(SpecId::SPURIOUS_DRAGON) {
        return reject(Code::InvalidSignatureVrs, "a chain id before EIP-155");
    }
    if job.spec.is_enabled_in(SpecId::HOMESTEAD)
        && tx.signature.s > crate::chain::transaction::SECP256K1_HALF_ORDER
    {
        return reject(Code::InvalidSignatureVrs, "s is above half of the curve's order");
    }
    if tx.to.is_create() {
        match tx.tx_type {
            3 => return reject(Code::Type3ContractCreation, "a blob transaction needs a recipient"),
            4 => return reject(Code::Type4ContractCreation, "a set-code transaction needs a recipient"),
            _ => {}
        }
    }
    Ok(())
}

/// Each transaction's gas *limit* must fit the gas that the block has left.
fn validate_gas_left(job: &Job<'_>, tx: &Transaction, gas: &GasCounters) -> Check {
    let limit = job.block.header.gas_limit;
    if job.spec.is_enabled_in(SpecId::AMSTERDAM) {
        // EIP-8037: regular gas is capped per transaction, state gas has a counter of its own.
        let regular = tx.gas_limit.min(TX_GAS_LIMIT_CAP);
        if regular > limit.saturating_sub(gas.regular) || tx.gas_limit > limit.saturating_sub(gas.state) {
            let detail = format!("gas limit {} of {limit} with {} used", tx.gas_limit, gas.regular);
            return reject(Code::GasAllowanceExceeded, detail);
        }
        return Ok(());
    }
    let left = limit.saturating_sub(gas.paid);
    if tx.gas_limit > left {
        return reject(Code::GasAllowanceExceeded, format!("gas limit {} of {left} left", tx.gas_limit));
    }
    Ok(())
}
