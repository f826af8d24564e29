//! What a block's transactions cost on one worker. In a record of several workers executions, commits and the gaps between
//! them hold the price of sharing cache lines, and nothing in such a record says how much that is: it is measured, by one
//! more record of the same block on one worker.

use solder_engine::parallel::Schedule;

use super::durations::Durations;

/// A block on one worker.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Alone {
    /// Nanoseconds from the block's begin to its first transaction.
    pub head: u64,
    /// From the last commit to the block's end.
    pub tail: u64,
    /// Of the run before its first phase and after its last.
    pub around: u64,
    /// Before an execution.
    pub before_execution: u64,
    /// Between an execution and its commit.
    pub before_commit: u64,
    /// One for each transaction, in order.
    pub costs: Vec<Cost>,
}

/// What a transaction costs, in nanoseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Cost {
    /// Its execution.
    pub execution: u64,
    /// Its commit.
    pub commit: u64,
}

impl Alone {
    /// From the record of a run on one worker, and what that run took around its record.
    pub fn of(schedule: &Schedule, around: u64) -> Self {
        let durations = Durations::of(schedule);
        let [before_execution, before_commit] = durations.gaps();
        Self {
            head: durations.head,
            tail: durations.tail,
            around,
            before_execution,
            before_commit,
            costs: durations.costs(),
        }
    }
}

/// What each transaction of a record cost there.
pub(crate) fn costs(schedule: &Schedule) -> Vec<Cost> {
    Durations::of(schedule).costs()
}
