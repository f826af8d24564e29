//! The oracle: what serial execution gives is what every parallel run must give, with executions bounded.

use std::sync::{Mutex, PoisonError};

use solder_engine::parallel::Report;
use solder_engine::parallel::scheduler::MAX_EXECUTIONS;
use solder_engine::state::ChangeSet;
use solder_engine::{EngineError, ExecuteOptions, Parallel, Policy, StateReader, execute_block};

use crate::case::{Case, run_alone};
use crate::difference::{self, Attempt};
use crate::reluctant::Reluctant;
use crate::watch::Watch;

/// How to run a block in parallel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mode {
    /// Threads, misleading, interleaving; always forced.
    pub parallel: Parallel,
    /// What to do with an invalid transaction.
    pub policy: Policy,
    /// Some reads of the state are answered late.
    pub late: bool,
}

impl Mode {
    /// Threads that run as they like.
    pub fn threads(workers: usize) -> Self {
        let parallel = Parallel { workers, forced: true, ..Default::default() };
        Self { parallel, policy: Policy::Skip, late: false }
    }

    /// Workers that take turns in the order of a seed.
    pub fn interleaved(workers: usize, seed: u64) -> Self {
        let mode = Self::threads(workers);
        Self { parallel: Parallel { interleave: Some(seed), ..mode.parallel }, ..mode }
    }

    /// The same, with a first incarnation of each transaction that is given wrong values.
    pub fn misled(self) -> Self {
        Self { parallel: Parallel { mislead: true, ..self.parallel }, ..self }
    }

    /// The same under a policy.
    pub fn under(self, policy: Policy) -> Self {
        Self { policy, ..self }
    }

    /// The same with late answers.
    pub fn late(self) -> Self {
        Self { late: true, ..self }
    }

    /// The same with its schedule recorded.
    pub fn recorded(self) -> Self {
        Self { parallel: Parallel { record: true, ..self.parallel }, ..self }
    }

    /// The options of the command line that give this mode.
    pub fn arguments(&self) -> String {
        let Parallel { workers, mislead, interleave, record, .. } = self.parallel;
        let mut text = format!("--workers {workers}");
        if let Some(seed) = interleave {
            text += &format!(" --interleave {seed}");
        }
        for (is_set, flag) in [
            (mislead, " --mislead"),
            (record, " --record"),
            (self.late, " --late"),
            (self.policy == Policy::Reject, " --reject"),
        ] {
            if is_set {
                text += flag;
            }
        }
        text
    }
}

/// The modes that every block is run in. `seed` varies the interleavings.
pub fn modes(seed: u64) -> Vec<Mode> {
    let turn = |salt: u64| seed.wrapping_mul(31).wrapping_add(salt);
    vec![
        Mode::threads(1),
        Mode::threads(2),
        Mode::threads(8),
        Mode::threads(2).misled(),
        Mode::threads(2).under(Policy::Reject),
        Mode::interleaved(2, turn(0)),
        Mode::interleaved(3, turn(1)),
        Mode::interleaved(8, turn(2)),
        Mode::interleaved(3, turn(3)).misled(),
        Mode::interleaved(4, turn(4)).under(Policy::Reject).misled(),
        Mode::interleaved(3, turn(5)).late(),
        Mode::threads(2).late().recorded(),
    ]
}

/// The modes of a block that is made for one purpose: the usual ones, and many orders of turns.
pub fn many_modes() -> Vec<Mode> {
    let turns = (0..24).map(|seed| Mode::interleaved([2, 3, 8][seed as usize % 3], seed));
    let mut all = modes(7);
    all.extend(turns.clone());
    all.extend(turns.step_by(3).map(Mode::misled));
    all
}

/// What a block is worth as a test, and what it cost.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Blocks.
    pub blocks: usize,
    /// Parallel runs.
    pub runs: usize,
    /// Transactions that succeeded.
    pub succeeded: usize,
    /// Transactions that reverted (data, or gas left).
    pub reverted: usize,
    /// Transactions that halted: all gas gone.
    pub halted: usize,
    /// Transactions that are invalid.
    pub invalid: usize,
    /// Blocks that are rejected under [`Policy::Reject`].
    pub rejected: usize,
    /// Attempts in parallel runs.
    pub executions: u64,
    /// Attempts thrown away.
    pub conflicts: u64,
    /// Attempts that met a late answer.
    pub parked: u64,
    /// Transactions in parallel runs.
    pub transactions: u64,
}

impl Tally {
    /// Adds another's counts.
    pub fn add(&mut self, other: &Self) {
        self.blocks += other.blocks;
        self.runs += other.runs;
        self.succeeded += other.succeeded;
        self.reverted += other.reverted;
        self.halted += other.halted;
        self.invalid += other.invalid;
        self.rejected += other.rejected;
        self.executions += other.executions;
        self.conflicts += other.conflicts;
        self.parked += other.parked;
        self.transactions += other.transactions;
    }
}

impl std::fmt::Display for Tally {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let all = (self.succeeded + self.reverted + self.halted + self.invalid).max(1);
        let percent = |part: usize| 100.0 * part as f64 / all as f64;
        write!(
            f,
            "{} blocks, {all} transactions ({:.0} % succeed, {:.0} % revert, {:.0} % halt, {:.0} % invalid), {} blocks \
             rejected; {} parallel runs: {:.2} executions a transaction, {} conflicts, {} parked",
            self.blocks,
            percent(self.succeeded),
            percent(self.reverted),
            percent(self.halted),
            percent(self.invalid),
            self.rejected,
            self.runs,
            self.executions as f64 / self.transactions.max(1) as f64,
            self.conflicts,
            self.parked,
        )
    }
}

/// A block on which two engines do not agree.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{difference} ({})", mode.map_or("one block against one block for each transaction".into(), |mode| mode.arguments()))]
pub struct Mismatch {
    /// How it was run; `None` where serial disagrees with itself.
    pub mode: Option<Mode>,
    /// The first difference.
    pub difference: String,
}

impl Mismatch {
    /// What kind of difference: the field, without its index and its values.
    pub fn kind(&self) -> String {
        let field = self.difference.split(": ").next().unwrap_or_default();
        field
            .split('[')
            .map(|part| part.rsplit(']').next().unwrap_or_default())
            .collect::<Vec<_>>()
            .join("[]")
    }
}

/// What a run gave: its outcome, and the changes after each transaction where receipts hold a state root.
pub struct Ran {
    /// The outcome, or why there is none.
    pub attempt: Attempt,
    roots: Vec<ChangeSet>,
}

impl Ran {
    fn first_difference(&self, other: &Self) -> Option<String> {
        let pairs = self.roots.iter().zip(&other.roots).enumerate();
        let root = |(index, (serial, other))| {
            difference::changes(serial, other)
                .map(|difference| format!("after transaction {index}: {difference}"))
        };
        pairs.filter_map(root).next().or_else(|| difference::first(&self.attempt, &other.attempt))
    }
}

fn run(case: &Case, policy: Policy, mode: Option<&Mode>, reader: &dyn StateReader) -> Ran {
    let roots = Mutex::new(Vec::new());
    let root = |changes: &ChangeSet| {
        roots.lock().unwrap_or_else(PoisonError::into_inner).push(changes.clone());
        changes.digest()
    };
    let parallel = mode.map(|mode| mode.parallel);
    let options = ExecuteOptions { parallel, ..case.options(policy, Some(&root)) };
    let attempt = execute_block(&case.chain, case.fork, &case.block, reader, &options);
    Ran { attempt, roots: roots.into_inner().unwrap_or_else(PoisonError::into_inner) }
}

/// The block, one transaction after the other.
pub fn serial(case: &Case, policy: Policy) -> Ran {
    run(case, policy, None, &case.state)
}

/// Runs the block in one mode and compares it with what serial gave.
pub fn compare(case: &Case, mode: &Mode, expected: &Ran) -> Result<Option<Report>, Mismatch> {
    let mismatch = |difference: String| Mismatch { mode: Some(*mode), difference };
    let ran = if mode.late {
        run(case, mode.policy, Some(mode), &Reluctant::new(&case.state))
    } else {
        run(case, mode.policy, Some(mode), &case.state)
    };
    if let Some(difference) = expected.first_difference(&ran) {
        return Err(mismatch(difference));
    }
    let Ok(outcome) = ran.attempt else { return Ok(None) };
    let report = outcome.parallel.ok_or_else(|| mismatch("no report of a parallel run".into()))?;
    check_report(case, mode, &report, outcome.receipts.len() as u64).map_err(mismatch)?;
    Ok(Some(report))
}

/// Counters within their bounds; nothing was clamped away.
fn check_report(case: &Case, mode: &Mode, report: &Report, receipts: u64) -> Result<(), String> {
    let counters = &report.counters;
    let transactions = case.block.transactions.len() as u64;
    if let Some(clamp) = report.clamp {
        return Err(format!("clamped although forced: {}", clamp.name()));
    }
    if counters.transactions != transactions {
        return Err(format!("counters.transactions {} of {transactions}", counters.transactions));
    }
    let misled = u64::from(mode.parallel.mislead);
    let most = MAX_EXECUTIONS as u64 * transactions;
    let least = (1 + misled) * receipts;
    if counters.executions > most || counters.executions < least {
        return Err(format!("executions {} are not within {least} and {most}", counters.executions));
    }
    if counters.conflicts + receipts > counters.executions {
        return Err(format!("{} conflicts in {} executions", counters.conflicts, counters.executions));
    }
    if mode.parallel.record != report.recording.is_some() {
        return Err(format!("schedule is there: {}", report.recording.is_some()));
    }
    Ok(())
}

/// Runs the block in every mode. Interleaved runs are made twice and must count the same.
pub fn check(case: &Case, modes: &[Mode], watch: &Watch) -> Result<Tally, Mismatch> {
    watch.enter(format!("--seed {} --replay (serial)", case.seed));
    let skipping = serial(case, Policy::Skip);
    let rejecting = serial(case, Policy::Reject);
    let mut tally = count(&skipping.attempt, &rejecting.attempt);
    separately(case, &skipping.attempt)?;
    for mode in modes {
        watch.enter(format!("--seed {} --replay {}", case.seed, mode.arguments()));
        let expected = if mode.policy == Policy::Skip { &skipping } else { &rejecting };
        let report = compare(case, mode, expected)?;
        tally.runs += 1;
        let Some(report) = report else { continue };
        tally.executions += report.counters.executions;
        tally.conflicts += report.counters.conflicts;
        tally.parked += report.counters.parked;
        tally.transactions += report.counters.transactions;
        if mode.parallel.interleave.is_some() {
            let again = compare(case, mode, expected)?.map(|report| report.counters);
            if again != Some(report.counters) {
                let difference = format!("one seed, two runs: {:?} and {again:?}", report.counters);
                return Err(Mismatch { mode: Some(*mode), difference });
            }
        }
    }
    Ok(tally)
}

fn count(skipping: &Attempt, rejecting: &Attempt) -> Tally {
    let mut tally = Tally { blocks: 1, rejected: usize::from(rejecting.is_err()), ..Default::default() };
    let Ok(outcome) = skipping else { return tally };
    tally.invalid = outcome.skipped.len();
    for receipt in &outcome.receipts {
        match (receipt.success, receipt.output.is_empty()) {
            (true, _) => tally.succeeded += 1,
            (false, false) => tally.reverted += 1,
            (false, true) => tally.halted += 1,
        }
    }
    tally
}

/// Serial against itself: the block's transactions together, and each as a block of its own. The journal of a block
/// must not remember more than the state does.
fn separately(case: &Case, skipping: &Attempt) -> Result<(), Mismatch> {
    let mismatch = |difference: String| Mismatch { mode: None, difference };
    let fault = |error: EngineError| mismatch(format!("a transaction alone: {error}"));
    let mut bare = case.clone();
    bare.transactions_only = true;
    bare.intermediate = false;
    bare.reward = None;
    let Ok(skipped) = skipping.as_ref().map(|outcome| &outcome.skipped) else { return Ok(()) };
    let left: Vec<_> =
        (0..case.kept.len()).filter(|index| skipped.iter().all(|skipped| skipped.index != *index)).collect();
    bare = bare.keep(&left);
    let together = serial(&bare, Policy::Reject).attempt.map_err(fault)?;
    let mut state = bare.state.clone();
    for (index, tx) in bare.block.transactions.iter().enumerate() {
        let alone = run_alone(&bare, tx, &mut state).map_err(fault)?;
        let mut expected = together.receipts[index].clone();
        expected.cumulative_gas_used = alone.receipt.cumulative_gas_used;
        expected.status = alone.receipt.status;
        if let Some(difference) = difference::receipts(index, &expected, &alone.receipt) {
            return Err(mismatch(difference));
        }
    }
    let mut after = bare.state.clone();
    after.apply(&together.changes);
    let accounts = |state: &solder_engine::MemoryState| {
        let mut accounts: Vec<_> =
            state.iter().map(|(address, account)| (*address, account.clone())).collect();
        accounts.sort_by_key(|(address, _)| *address);
        accounts
    };
    let (together, alone) = (accounts(&after), accounts(&state));
    let differing = together.iter().find(|account| !alone.contains(account));
    let differing = differing.or_else(|| alone.iter().find(|account| !together.contains(account)));
    match differing {
        Some((address, _)) => {
            let side = |state: &solder_engine::MemoryState| format!("{:?}", state.get(address));
            Err(mismatch(format!(
                "state after, {}: together {}, alone {}",
                crate::cast::name(*address),
                side(&after),
                side(&state)
            )))
        }
        None => Ok(()),
    }
}
