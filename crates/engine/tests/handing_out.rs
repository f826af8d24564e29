//! What the scheduler hands out at once: runs of short transactions, the head that a commit sets free, long transactions.
#![allow(missing_docs)]

use solder_engine::parallel::scheduler::{Finish, MAX_CLAIM, Phase, Scheduler, Task, WINDOW_PER_WORKER};

fn task(tx: usize, incarnation: usize, at_head: bool) -> Task {
    Task::Execute { tx, incarnation, at_head }
}

#[test]
fn a_run_ends_where_the_next_is_not_wanted_or_outside_of_the_window() {
    let transactions = WINDOW_PER_WORKER + 5;
    let mut machine = Scheduler::new(transactions, 1, &|_| 1);
    assert_eq!(machine.next_task(0), task(0, 0, true));
    let is_short = |tx: usize| tx != 3;
    assert_eq!(machine.begin_next(&is_short), Some(1));
    assert_eq!(machine.begin_next(&is_short), Some(2));
    assert_eq!(machine.begin_next(&is_short), None);
    assert_eq!((machine.phase(2), machine.phase(3)), (Phase::Executing, Phase::Waiting));
    assert_eq!(machine.left(), transactions - 3);
    assert_eq!(machine.next_task(0), task(3, 0, false));
    let begun = std::iter::from_fn(|| machine.begin_next(&|_| true)).last();
    assert_eq!(begun, Some(WINDOW_PER_WORKER - 1));
    assert_eq!(machine.left(), 5);
}

#[test]
fn the_head_that_waited_goes_to_whoever_committed_what_it_waited_for() {
    let mut machine = Scheduler::new(3, 2, &|_| 1);
    assert_eq!(machine.next_task(0), task(0, 0, true));
    assert_eq!(machine.next_task(1), task(1, 0, false));
    machine.block(1, 0);
    assert_eq!(machine.take_head(&|_| true), None, "the head is at work");
    assert_eq!(machine.finish(0), Finish::Commit);
    assert_eq!(machine.take_head(&|_| true), None, "the baton is taken");
    assert_eq!(machine.committed(), None);
    assert_eq!(machine.take_head(&|_| true), Some((1, 0)));
    assert_eq!(machine.take_head(&|_| true), None, "it is handed out once");
    assert_eq!(machine.next_task(1), task(2, 0, false));
}

#[test]
fn whoever_committed_goes_on_with_a_head_that_nobody_has_begun() {
    let mut machine = Scheduler::new(4, 2, &|_| 1);
    assert_eq!(machine.next_task(0), task(0, 0, true));
    assert_eq!(machine.finish(0), Finish::Commit);
    assert_eq!(machine.committed(), None);
    assert_eq!(machine.take_head(&|_| false), None, "nobody wants it");
    assert_eq!(machine.take_head(&|_| true), Some((1, 0)));
    assert_eq!((machine.phase(1), machine.executions(1)), (Phase::Committing, 1));
    assert_eq!(machine.next_task(1), task(2, 0, false), "what was taken is not handed out again");
    assert_eq!(machine.finish(2), Finish::Publish, "the baton is taken");
    assert!(!machine.published(2));
    assert_eq!(machine.committed(), Some(2));
    assert_eq!(machine.committed(), None);
    assert_eq!(machine.take_head(&|_| true), Some((3, 0)));
    assert_eq!(machine.committed(), None);
    assert_eq!(machine.take_head(&|_| true), None);
    assert!(machine.is_done());
}

#[test]
fn all_who_wait_for_one_go_on_when_it_has_run() {
    let mut machine = Scheduler::new(6, 2, &|_| 1);
    for tx in 0..5 {
        assert_eq!(machine.next_task(0), task(tx, 0, tx == 0));
    }
    for tx in [4, 2, 3] {
        machine.block(tx, 1);
        assert_eq!(machine.phase(tx), Phase::Blocked);
    }
    assert_eq!(machine.finish(1), Finish::Publish);
    assert!(!machine.published(1));
    assert_eq!([2, 3, 4].map(|tx| machine.phase(tx)), [Phase::Redo; 3]);
    assert_eq!([(); 3].map(|()| machine.next_task(1)), [2, 3, 4].map(|tx| task(tx, 0, false)));
}

#[test]
fn long_transactions_begin_early_but_not_on_the_worker_that_keeps_to_the_order() {
    let mut machine = Scheduler::new(40, 2, &|tx| if tx == 30 { 1000 } else { 1 });
    assert_eq!(machine.next_task(0), task(0, 0, true));
    assert_eq!(machine.next_task(1), task(30, 0, false));
    assert_eq!(machine.next_task(1), task(1, 0, false));
}

/// Transactions that ran at their turn could not conflict: however many there are, two conflicts among the others make a chain.
#[test]
fn a_chain_is_told_by_what_ran_ahead() {
    let mut machine = Scheduler::new(40, 2, &|_| 1);
    machine.set_groups((0..40).map(|tx| [2 * tx, 1]).collect());
    assert_eq!(machine.next_task(0), task(0, 0, true));
    assert_eq!(machine.finish(0), Finish::Commit);
    for tx in 1..20 {
        assert_eq!(machine.committed(), None);
        assert_eq!(machine.take_head(&|_| true), Some((tx, 0)));
    }
    assert!((0..20).all(|tx| !machine.is_kept(tx)));
    assert_eq!([(); 2].map(|()| machine.next_task(1)), [task(20, 0, false), task(21, 0, false)]);
    for tx in [20, 21] {
        assert_eq!(machine.finish(tx), Finish::Publish);
        machine.published(tx);
        assert!(machine.invalidate(tx));
        machine.conflicted(tx, tx - 1);
    }
    assert_eq!(machine.next_task(1), Task::Idle, "each waits for the one before it");
    assert_eq!([20, 21, 22].map(|tx| machine.phase(tx)), [Phase::Blocked; 3]);
    assert_eq!(machine.committed(), None);
    assert_eq!(machine.take_head(&|_| false), Some((20, 1)));
}

#[test]
fn a_chain_does_not_follow_what_ran_ahead_before_it_was_found() {
    let mut machine = Scheduler::new(9, 2, &|_| 1);
    machine.set_groups((0..9).map(|tx| [2 * tx, 1]).collect());
    for tx in 0..6 {
        assert_eq!(machine.next_task(0), task(tx, 0, tx == 0));
    }
    for tx in 1..6 {
        assert_eq!(machine.finish(tx), Finish::Publish);
        assert!(!machine.published(tx));
    }
    for tx in [1, 2] {
        assert!(machine.invalidate(tx));
        machine.conflicted(tx, tx - 1);
    }
    assert_eq!(machine.next_task(1), Task::Idle, "what 5 saw is stale, as far as anybody knows");
    assert_eq!([1, 2, 6, 7, 8].map(|tx| machine.phase(tx)), [Phase::Blocked; 5]);
    assert_eq!(machine.finish(0), Finish::Commit);
    for tx in [1, 2] {
        assert_eq!(machine.committed(), None);
        assert_eq!(machine.take_head(&|_| false), Some((tx, 1)));
    }
    for tx in [3, 4, 5] {
        assert_eq!(machine.committed(), Some(tx));
    }
    assert_eq!(machine.committed(), None);
    assert_eq!(machine.next_task(1), task(6, 0, true));
    assert_eq!(machine.finish(6), Finish::Commit);
}

#[test]
fn what_was_handed_out_with_others_may_begin_at_the_head() {
    let mut machine = Scheduler::new(40, 2, &|_| 1);
    assert_eq!(machine.next_task(0), task(0, 0, true));
    assert_eq!([(); 2].map(|()| machine.begin_next(&|_| true)), [Some(1), Some(2)]);
    assert_eq!(machine.finish(0), Finish::Commit);
    assert_eq!(machine.committed(), None);
    machine.began_at_head(1);
    assert_eq!(machine.finish(2), Finish::Publish);
    assert!(!machine.published(2));
    assert_eq!(machine.finish(1), Finish::Commit);
    assert_eq!(machine.committed(), Some(2));
    assert_eq!(machine.committed(), None);
    assert_eq!([1, 2].map(|tx| machine.is_kept(tx)), [false, true]);
}

#[test]
fn what_is_ready_is_claimed_together_and_given_back_where_one_does_not_hold() {
    let mut machine = Scheduler::new(6, 2, &|_| 1);
    for tx in 0..5 {
        assert_eq!(machine.next_task(0), task(tx, 0, tx == 0));
    }
    for tx in [1, 2, 3] {
        assert_eq!(machine.finish(tx), Finish::Publish);
        assert!(!machine.published(tx));
    }
    assert_eq!(machine.finish(0), Finish::Commit);
    assert_eq!(machine.committed(), Some(1));
    assert_eq!(machine.claim(), 4, "the next is at work");
    assert!(!machine.invalidate(3), "what is claimed is compared at its commit");
    assert_eq!(machine.finish(4), Finish::Publish, "the baton is taken");
    machine.committed_below(2);
    assert_eq!((machine.head(), machine.phase(2), machine.phase(3)), (2, Phase::Committing, Phase::Executed));
    assert!(machine.invalidate(3));
    assert!(!machine.published(4));
    assert_eq!(machine.committed(), None, "the next is to run again");
    assert_eq!(machine.take_head(&|_| false), Some((3, 1)));
    assert_eq!(machine.committed(), Some(4));
    assert_eq!(machine.claim(), 5, "the last has not begun");
    assert_eq!(machine.committed(), None);
    assert_eq!(machine.head(), 5);
}

#[test]
fn no_more_is_claimed_than_the_bound() {
    let transactions = 2 * MAX_CLAIM;
    let mut machine = Scheduler::new(transactions, 1, &|_| 1);
    let begun = (0..transactions).map(|_| machine.next_task(0)).filter(|task| *task != Task::Idle).count();
    assert_eq!(begun, transactions);
    for tx in 1..transactions {
        assert!(!machine.published(tx));
    }
    assert!(machine.published(0));
    assert_eq!(machine.claim(), MAX_CLAIM);
    assert_eq!(machine.committed(), Some(MAX_CLAIM));
}
