//! A hostile block with the state before it, made from a seed. Every transaction is tried on the state that those
//! before it left, so that one is invalid only where the plan says so.

use std::fmt::Write;

use alloy_eips::eip4895::Withdrawal;
use alloy_eips::{eip2935, eip4788, eip7002, eip7251};
use alloy_primitives::{Address, B256, Bytes, TxKind, U256};
use solder_engine::block::Reward;
use solder_engine::state::StateAccount;
use solder_engine::state::memory::UnknownBlockHash;
use solder_engine::{
    Block, Chain, EngineError, ExecuteOptions, Fork, Header, MemoryState, Policy, Receipt, Transaction,
    execute_block,
};

use crate::cast::{self, Part};
use crate::contracts;
use crate::motif::{self, Stage};
use crate::random::Random;
use crate::step::{Spoil, Step};

/// The most transactions of one block.
pub const MAX_TRANSACTIONS: usize = 60;
/// The producer's address in some blocks: somebody who is there for another reason.
const BASE_FEES: [u64; 4] = [0, 7, 1_000, 100_000_000];

/// A block to run.
#[derive(Clone, Debug)]
pub struct Case {
    /// What it was made from.
    pub seed: u64,
    /// Whose rules hold.
    pub chain: Chain,
    /// Which of them.
    pub fork: Fork,
    /// The block.
    pub block: Block,
    /// The state before it.
    pub state: MemoryState,
    /// The producer's reward, where it is not the fork's.
    pub reward: Option<Reward>,
    /// Without the protocol's own calls.
    pub transactions_only: bool,
    /// With a digest of the state after each transaction, where receipts hold one.
    pub intermediate: bool,
    /// The place of each transaction in the block that the seed gives.
    pub kept: Vec<usize>,
}

/// What became of a transaction that ran as a block of its own.
pub struct Alone {
    /// Its receipt.
    pub receipt: Receipt,
}

/// Runs one transaction as a block of its own, and moves the state on.
pub fn run_alone(case: &Case, tx: &Transaction, state: &mut MemoryState) -> Result<Alone, EngineError> {
    let block =
        Block { header: case.block.header.clone(), transactions: vec![tx.clone()], ..Default::default() };
    let options = ExecuteOptions { transactions_only: true, ..Default::default() };
    let mut outcome = execute_block(&case.chain, case.fork, &block, state, &options)?;
    state.apply(&outcome.changes);
    let receipt = outcome.receipts.pop();
    let missing = || solder_engine::Fault::Interpreter("a block of one transaction without a receipt".into());
    Ok(Alone { receipt: receipt.ok_or_else(missing)? })
}

/// The forks, the newer ones more often.
fn fork(random: &mut Random) -> Fork {
    const NEW: [Fork; 6] =
        [Fork::Prague, Fork::Prague, Fork::Osaka, Fork::Osaka, Fork::Cancun, Fork::Amsterdam];
    if random.chance(50) { random.pick(&NEW) } else { random.pick(Fork::ALL) }
}

impl Case {
    /// The block of a seed.
    pub fn generate(seed: u64) -> Self {
        let mut random = Random::new(seed);
        let fork = fork(&mut random);
        Self::generate_in(seed, fork, None, &mut random)
    }

    /// A block of one plan in one fork.
    pub fn of_motif(seed: u64, fork: Fork, name: &str) -> Self {
        Self::generate_in(seed, fork, Some(name), &mut Random::new(seed))
    }

    /// A block of given steps, every one of which becomes a transaction. `prepare` changes the usual state.
    pub fn of_steps(
        fork: Fork,
        coinbase: Address,
        prepare: impl FnOnce(&mut MemoryState),
        steps: &[Step],
    ) -> Self {
        let random = &mut Random::new(1);
        let mut state = state(fork, coinbase, random);
        prepare(&mut state);
        let mut header = header(fork, coinbase, random);
        header.base_fee_per_gas = (fork >= Fork::London).then_some(7);
        let withdrawals = (fork >= Fork::Shanghai).then(Vec::new);
        let block = Block { header, withdrawals, ..Default::default() };
        let mut case = Self {
            seed: 0,
            chain: Chain::at(fork),
            fork,
            block,
            state,
            reward: None,
            transactions_only: false,
            intermediate: fork < Fork::Byzantium,
            kept: (0..steps.len()).collect(),
        };
        let mut state = case.state.clone();
        for step in steps {
            let step = Step {
                spoil: if step.spoil == Spoil::Nothing { Spoil::Perhaps } else { step.spoil },
                ..step.clone()
            };
            let tx = step.transaction(&case.chain, fork, &case.block.header, &state);
            if let Some(tx) = tx {
                // An invalid one moves nothing.
                let _ = run_alone(&case, &tx, &mut state);
                case.block.transactions.push(tx);
            }
        }
        case
    }

    fn generate_in(seed: u64, fork: Fork, only: Option<&str>, random: &mut Random) -> Self {
        let coinbase = coinbase(random);
        let state = state(fork, coinbase, random);
        let header = header(fork, coinbase, random);
        let transactions_only = random.chance(10);
        let reward = match random.below(12) {
            0 => Some(Reward::Disabled),
            1 => Some(Reward::Fixed(0)),
            _ => None,
        };
        let intermediate = fork < Fork::Byzantium && random.chance(50);
        let withdrawals = (fork >= Fork::Shanghai).then(|| withdrawals(coinbase, random));
        let ommers = ommers(fork, &header, random);
        let block = Block { header, ommers, withdrawals, ..Default::default() };
        let chain = Chain::at(fork);
        let kept = Vec::new();
        let mut case =
            Self { seed, chain, fork, block, state, reward, transactions_only, intermediate, kept };
        let steps = plan(fork, coinbase, only, random);
        case.perform(&steps, random);
        case
    }

    /// Makes transactions of the steps, one after the other. One that is invalid against the plan is left out.
    fn perform(&mut self, steps: &[Step], random: &mut Random) {
        let invalid_allowed = random.chance(60);
        let mut state = self.state.clone();
        let (mut gas_used, mut gas_wanted) = (0u64, 0u64);
        for step in steps {
            let Some(tx) = step.transaction(&self.chain, self.fork, &self.block.header, &state) else {
                continue;
            };
            match run_alone(self, &tx, &mut state) {
                Ok(alone) => {
                    gas_wanted = gas_used + tx.gas_limit;
                    gas_used += alone.receipt.gas_used;
                }
                Err(EngineError::Rejected(_)) if invalid_allowed && step.spoil != Spoil::Nothing => {}
                Err(_) => continue,
            }
            self.block.transactions.push(tx);
        }
        self.kept = (0..self.block.transactions.len()).collect();
        // Now and then the last transactions do not fit any more.
        if invalid_allowed && random.chance(15) && gas_wanted > 0 {
            self.block.header.gas_limit = gas_wanted - 1 - random.bits() % gas_wanted.min(400_000);
        }
    }

    /// The same block with only these of its transactions.
    pub fn keep(&self, places: &[usize]) -> Self {
        let mut case = self.clone();
        case.kept = places.iter().filter_map(|place| self.kept.get(*place).copied()).collect();
        case.block.transactions =
            places.iter().filter_map(|place| self.block.transactions.get(*place).cloned()).collect();
        case
    }

    /// Options for the serial engine.
    pub fn options<'a>(
        &self,
        policy: Policy,
        root: Option<solder_engine::block::IntermediateRoot<'a>>,
    ) -> ExecuteOptions<'a> {
        ExecuteOptions {
            policy,
            intermediate_root: root.filter(|_| self.intermediate),
            reward: self.reward,
            transactions_only: self.transactions_only,
            ..Default::default()
        }
    }

    /// The block for people to read.
    pub fn describe(&self) -> String {
        let header = &self.block.header;
        let mut text = String::new();
        // Writing to a String cannot fail.
        let _ = writeln!(
            text,
            "seed {} in {}: coinbase {}, base fee {:?}, gas limit {}, reward {:?}, transactions only {}, {} ommers",
            self.seed,
            self.fork,
            cast::name(header.beneficiary),
            header.base_fee_per_gas,
            header.gas_limit,
            self.reward,
            self.transactions_only,
            self.block.ommers.len(),
        );
        for withdrawal in self.block.withdrawals.iter().flatten() {
            let _ =
                writeln!(text, "  withdrawal {} to {}", withdrawal.amount, cast::name(withdrawal.address));
        }
        for (place, tx) in self.kept.iter().zip(&self.block.transactions) {
            let to = match tx.to {
                TxKind::Create => "creates".to_owned(),
                TxKind::Call(to) => cast::name(to),
            };
            let _ = write!(
                text,
                "  [{place}] type {} {} -> {to} value {} nonce {} gas {} price {}",
                tx.tx_type,
                cast::name(tx.sender),
                tx.value,
                tx.nonce,
                tx.gas_limit,
                tx.gas_price
            );
            for authority in &tx.authorities {
                let who = authority.authority().map_or("nobody".to_owned(), cast::name);
                let _ =
                    write!(text, " {{{who} as {} at {}}}", cast::name(authority.address), authority.nonce);
            }
            let data = if tx.input.len() > 160 { "of its own".to_owned() } else { short(&tx.input) };
            let _ = writeln!(text, " data {data}");
        }
        text
    }

    /// The accounts before the block, for people to read: what a report needs besides [`Self::describe`].
    pub fn describe_state(&self) -> String {
        let mut lines: Vec<_> = self
            .state
            .iter()
            .map(|(address, account)| {
                let mut slots: Vec<_> = account.storage.iter().collect();
                slots.sort();
                let code = account.info.code.as_ref().map(|code| code.original_bytes()).unwrap_or_default();
                format!(
                    "{address} {}: nonce {} balance {} storage {slots:?} code {code}",
                    cast::name(*address),
                    account.info.nonce,
                    account.info.balance
                )
            })
            .collect();
        lines.sort();
        lines.join("\n")
    }
}

/// Words of call data, addresses by name.
fn short(data: &Bytes) -> String {
    let word = |chunk: &[u8]| {
        let word = U256::from_be_slice(chunk);
        if word.bit_len() > 64 { cast::name(Address::from_word(B256::from(word))) } else { word.to_string() }
    };
    format!("[{}]", data.chunks(32).map(word).collect::<Vec<_>>().join(" "))
}

fn coinbase(random: &mut Random) -> Address {
    match random.below(12) {
        0..=4 => cast::PRODUCER,
        5 => random.pick(&cast::SENDERS),
        6 => random.pick(&cast::POOR),
        7 => random.pick(&cast::EMPTY),
        8 => cast::destroyer(random.below(3) as u8),
        9 => cast::program(random.below(4) as u8),
        10 => random.pick(&[cast::address_of(Part::Counter), cast::precompile(3), cast::FULL]),
        _ => cast::address_of(Part::Payer),
    }
}

fn state(fork: Fork, coinbase: Address, random: &mut Random) -> MemoryState {
    let mut state = MemoryState::new(UnknownBlockHash::HashOfNumber);
    let rich = U256::from(10u64).pow(U256::from(24));
    for sender in cast::SENDERS {
        let nonce = random.below(3) as u64;
        state.insert(sender, StateAccount::new(nonce, rich, Bytes::new()));
    }
    for poor in cast::POOR {
        if poor == coinbase && random.chance(50) {
            continue;
        }
        let balance = U256::from([0, 1, 1_000][random.below(3)]);
        let nonce = random.below(2) as u64;
        if nonce > 0 || !balance.is_zero() {
            state.insert(poor, StateAccount::new(nonce, balance, Bytes::new()));
        }
    }
    for empty in cast::EMPTY {
        if fork < Fork::SpuriousDragon || random.chance(10) {
            state.insert(empty, StateAccount::default());
        }
    }
    if random.chance(6) {
        let spare = U256::from(random.below(5));
        state.insert(cast::FULL, StateAccount::new(0, U256::MAX - spare, Bytes::new()));
    }
    for (address, part) in cast::contracts() {
        let balance = U256::from([0, 1, 1_000_000_000_000_000u64][random.below(3)]);
        let mut account = StateAccount::new(1, balance, contracts::code(part, fork, random));
        for slot in 0..5u64 {
            if random.chance(60) {
                account.storage.insert(U256::from(slot), U256::from(1 + random.below(9)));
            }
        }
        state.insert(address, account);
    }
    let system = [
        (Fork::Cancun, eip4788::BEACON_ROOTS_ADDRESS, &eip4788::BEACON_ROOTS_CODE),
        (Fork::Prague, eip2935::HISTORY_STORAGE_ADDRESS, &eip2935::HISTORY_STORAGE_CODE),
        (
            Fork::Prague,
            eip7002::WITHDRAWAL_REQUEST_PREDEPLOY_ADDRESS,
            &eip7002::WITHDRAWAL_REQUEST_PREDEPLOY_CODE,
        ),
        (
            Fork::Prague,
            eip7251::CONSOLIDATION_REQUEST_PREDEPLOY_ADDRESS,
            &eip7251::CONSOLIDATION_REQUEST_PREDEPLOY_CODE,
        ),
    ];
    for (since, address, code) in system {
        if fork >= since {
            state.insert(address, StateAccount::new(1, U256::ZERO, code.clone()));
        }
    }
    state
}

fn header(fork: Fork, coinbase: Address, random: &mut Random) -> Header {
    let since = |since: Fork| fork >= since;
    Header {
        number: 1_000,
        timestamp: 1_000_000,
        gas_limit: 200_000_000,
        beneficiary: coinbase,
        difficulty: if since(Fork::Paris) { U256::ZERO } else { U256::from(0x20000) },
        mix_hash: B256::repeat_byte(0x77),
        base_fee_per_gas: since(Fork::London).then(|| random.pick(&BASE_FEES)),
        blob_gas_used: since(Fork::Cancun).then_some(0),
        excess_blob_gas: since(Fork::Cancun).then(|| [0, 50_000_000][random.below(2)]),
        parent_beacon_block_root: since(Fork::Cancun).then_some(B256::repeat_byte(0x44)),
        slot_number: since(Fork::Amsterdam).then_some(9),
        ..Default::default()
    }
}

fn withdrawals(coinbase: Address, random: &mut Random) -> Vec<Withdrawal> {
    let count = random.below(4) as u64;
    let mut one = |index: u64| Withdrawal {
        index,
        validator_index: index,
        address: cast::anybody(random, coinbase),
        amount: random.below(2) as u64,
    };
    (0..count).map(&mut one).collect()
}

fn ommers(fork: Fork, header: &Header, random: &mut Random) -> Vec<Header> {
    if fork >= Fork::Paris || random.chance(70) {
        return Vec::new();
    }
    let beneficiary = cast::anybody(random, header.beneficiary);
    vec![Header { number: header.number - 1, beneficiary, ..Default::default() }]
}

/// Several plans, mixed: each keeps its order.
fn plan(fork: Fork, coinbase: Address, only: Option<&str>, random: &mut Random) -> Vec<Step> {
    let mut queues: Vec<Vec<Step>> = Vec::new();
    let plans = if only.is_some() { 2 } else { 2 + random.below(8) };
    for _ in 0..plans {
        let (_, motif) = match only {
            Some(name) => *motif::ALL.iter().find(|(other, _)| *other == name).unwrap_or(&motif::ALL[0]),
            None => random.pick(motif::ALL),
        };
        let mut stage = Stage { fork, coinbase, random };
        let mut steps = motif(&mut stage);
        steps.reverse();
        queues.push(steps);
    }
    let mixed = random.chance(70);
    let mut steps = Vec::new();
    while steps.len() < MAX_TRANSACTIONS {
        queues.retain(|queue| !queue.is_empty());
        if queues.is_empty() {
            break;
        }
        let queue = if mixed { random.below(queues.len()) } else { 0 };
        steps.extend(queues[queue].pop());
    }
    steps
}
