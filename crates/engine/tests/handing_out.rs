//! What the scheduler hands out at once: runs of short transactions, the head that a commit sets free, long transactions.
#![allow(missing_docs)]

use solder_engine::parallel::scheduler::{Finish, Phase, Scheduler, Task, WINDOW_PER_WORKER};

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
    assert_eq!(machine.take_head(), None, "the head is at work");
    assert_eq!(machine.finish(0), Finish::Commit);
    assert_eq!(machine.take_head(), None, "the baton is taken");
    assert_eq!(machine.committed(), None);
    assert_eq!(machine.take_head(), Some(task(1, 0, true)));
    assert_eq!(machine.take_head(), None, "it is handed out once");
    assert_eq!(machine.next_task(1), task(2, 0, false));
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
