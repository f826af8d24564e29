//! After the last transaction: rewards of proof of work, withdrawals (EIP-4895), and requests (EIP-7685).

use alloy_primitives::{Bytes, U256};
use revm::primitives::hardfork::SpecId;

use super::phases::Phases;
use super::pre_execution::SystemCalls;
use super::{BlockOutcome, Job, Reward, requests};
use crate::error::{Code, EngineError, Rejection};
use crate::evm::rejection;

const ETHER: u128 = 1_000_000_000_000_000_000;

/// The static reward of a block's producer in wei; zero since the merge.
pub fn block_reward(spec: SpecId) -> u128 {
    if spec.is_enabled_in(SpecId::MERGE) {
        0
    } else if spec.is_enabled_in(SpecId::PETERSBURG) {
        2 * ETHER
    } else if spec.is_enabled_in(SpecId::BYZANTIUM) {
        3 * ETHER
    } else {
        5 * ETHER
    }
}

pub(crate) fn run<'a>(
    job: &Job<'a>,
    calls: &'a SystemCalls,
    machine: &mut impl Phases<'a>,
    outcome: &mut BlockOutcome,
) -> Result<(), EngineError> {
    if job.options.transactions_only {
        return Ok(());
    }
    pay_rewards(job, machine)?;
    if job.spec.is_enabled_in(SpecId::SHANGHAI) {
        for withdrawal in job.block.withdrawals.iter().flatten() {
            machine.credit(withdrawal.address, withdrawal.amount_wei())?;
        }
    }
    machine.settle()?;
    if job.spec.is_enabled_in(SpecId::PRAGUE) {
        outcome.requests = Some(Vec::new());
        collect_requests(job, calls, machine, outcome)?;
    }
    Ok(())
}

/// Pays the producer, and the producers of ommers: `(8 - distance) / 8` of the reward, and a 32nd of it to the
/// block's own producer for each.
fn pay_rewards<'a>(job: &Job<'_>, machine: &mut impl Phases<'a>) -> Result<(), EngineError> {
    let reward = match job.options.reward {
        Some(Reward::Disabled) => return Ok(()),
        Some(Reward::Fixed(wei)) => wei,
        None if job.spec.is_enabled_in(SpecId::MERGE) => return Ok(()),
        None => block_reward(job.spec),
    };
    let header = &job.block.header;
    for ommer in &job.block.ommers {
        let distance = u128::from(header.number.saturating_sub(ommer.number));
        let share = 8u128.saturating_sub(distance) * reward / 8;
        machine.credit(ommer.beneficiary, U256::from(share))?;
    }
    let own = reward + reward / 32 * job.block.ommers.len() as u128;
    machine.credit(header.beneficiary, U256::from(own))?;
    Ok(())
}

fn collect_requests<'a>(
    job: &Job<'_>,
    calls: &'a SystemCalls,
    machine: &mut impl Phases<'a>,
    outcome: &mut BlockOutcome,
) -> Result<(), EngineError> {
    let deposits = requests::deposits(&outcome.receipts, job.chain.deposit_contract)?;
    let list: &mut Vec<Bytes> = outcome.requests.get_or_insert_default();
    list.extend(deposits);
    for (kind, call) in &calls.requests {
        let contract = call.to.to().copied().unwrap_or_default();
        if !machine.has_code(contract)? {
            return Err(Rejection::new(Code::SystemContractEmpty, contract.to_string()).into());
        }
        let result = machine.system_call(call).map_err(rejection::from_revm)?;
        if !result.is_success() {
            return Err(Rejection::new(Code::SystemContractCallFailed, contract.to_string()).into());
        }
        let output = result.output().map(|bytes| bytes.as_ref()).unwrap_or_default();
        if !output.is_empty() {
            let mut request = vec![*kind];
            request.extend_from_slice(output);
            list.push(request.into());
        }
    }
    Ok(())
}
