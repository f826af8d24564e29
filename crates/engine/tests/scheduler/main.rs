//! The scheduler's state machine, explored: every order of the events of small blocks, breadth first, and seeded
//! random walks through large ones. What the threads of a run decide by chance (who is next, whether a read was
//! stale, whether a state read is answered at once) is a choice here. A search that finds nothing proves little, so
//! machines that are broken on purpose must be found out too.

#![allow(clippy::unwrap_used, clippy::panic)]

use std::collections::{BTreeSet, HashSet, VecDeque};

use solder_engine::parallel::scheduler::{EARLY_PER_WORKER, MAX_EXECUTIONS, Scheduler, WINDOW_PER_WORKER};

use self::broken::{Broken, How};
use self::world::{Event, Machine, Worker, World, cost};

mod broken;
mod world;

/// What a search saw.
#[derive(Debug, Default)]
struct Explored {
    states: usize,
    ends: usize,
    /// Events after which a worker that was told to sleep has something to do: a run must wake one there.
    wakes: BTreeSet<&'static str>,
}

/// More states than this are a mistake in the size of the test.
const MAX_STATES: usize = 10_000_000;

fn explore<M: Machine>(
    machine: M,
    transactions: usize,
    workers: usize,
    parks: u8,
) -> Result<Explored, String> {
    let start = World::new(machine, transactions, workers, parks);
    let mut seen = HashSet::from([start.fingerprint()]);
    let mut queue = VecDeque::from([start]);
    let mut explored = Explored::default();
    while let Some(world) = queue.pop_front() {
        explored.states += 1;
        let events = world.events();
        if events.is_empty() {
            if world.commits < transactions {
                return Err(format!("nobody can go on: {:?} {:?}", world.workers, world.machine));
            }
            explored.ends += 1;
        }
        for event in events {
            let mut next = world.clone();
            next.apply(event).map_err(|broken| format!("{broken} after {event:?} in {:?}", world.machine))?;
            if next.workers.contains(&Worker::Asleep) && !world.machine.has_task() && next.machine.has_task()
            {
                explored.wakes.insert(event.kind());
            }
            if seen.insert(next.fingerprint()) {
                assert!(seen.len() <= MAX_STATES, "too many states");
                queue.push_back(next);
            }
        }
    }
    Ok(explored)
}

fn explored(transactions: usize, workers: usize, parks: u8) -> Explored {
    let machine = Scheduler::new(transactions, workers, &cost);
    let found = explore(machine, transactions, workers, parks).unwrap();
    println!("{transactions} transactions, {workers} workers, {parks} parks each: {found:?}");
    assert!(found.ends > 0);
    found
}

#[test]
fn every_order_of_a_small_block_ends_with_all_committed_in_order() {
    for (transactions, workers) in [(0, 2), (1, 1), (1, 3), (2, 2), (2, 3), (3, 1), (3, 2), (3, 3)] {
        explored(transactions, workers, 0);
    }
    assert!(explored(4, 2, 0).states > 50_000);
}

#[test]
fn every_order_with_reads_that_are_not_answered_ends_too() {
    for (transactions, workers, parks) in [(1, 1, 2), (1, 2, 2), (2, 1, 1), (2, 2, 2), (2, 3, 1)] {
        explored(transactions, workers, parks);
    }
    assert!(explored(3, 2, 1).states > 100_000);
}

#[test]
#[ignore = "takes minutes: make fuzz WHAT=scheduler"]
fn every_order_of_larger_blocks_ends_too() {
    assert!(explored(3, 3, 1).states > 500_000);
    assert!(explored(4, 4, 0).states > 500_000);
    assert!(explored(5, 2, 0).states > 200_000);
    assert!(explored(4, 2, 1).states > 500_000);
}

/// A worker that sleeps must be woken after these events, and no others.
#[test]
fn events_that_make_work_are_known() {
    let mut wakes = explored(3, 2, 1).wakes;
    wakes.extend(explored(3, 3, 0).wakes);
    assert_eq!(wakes, BTreeSet::from(["block", "committed", "invalidate", "park", "published", "resume"]));
}

#[test]
fn a_broken_machine_is_found_out() {
    for how in [
        How::PublishedForgetsHead,
        How::CommittedForgetsNext,
        How::FinishIgnoresBaton,
        How::ResumeIsLost,
        How::HasTaskForgetsRedo,
        How::DoneTooEarly,
        How::TakesHeadTwice,
        How::KeepsClaim,
        How::ClaimsOneMore,
    ] {
        let machine = Broken { machine: Scheduler::new(3, 2, &cost), how };
        let broken = explore(machine, 3, 2, 1).expect_err(&format!("{how:?} was not found"));
        println!("{how:?}: {}", broken.split(" after ").next().unwrap_or_default());
    }
}

/// The smallest generator that is good enough to choose events (SplitMix64).
struct Choice(u64);

impl Choice {
    fn below(&mut self, bound: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((mixed ^ (mixed >> 31)) % bound as u64) as usize
    }
}

/// Walks a large block to its end; returns how often transactions ran.
fn walk(seed: u64, transactions: usize, workers: usize, parks: u8) -> usize {
    let mut choice = Choice(seed);
    let mut world = World::new(Scheduler::new(transactions, workers, &cost), transactions, workers, parks);
    loop {
        let events = world.events();
        if events.is_empty() {
            assert_eq!(world.commits, transactions, "seed {seed}: nobody can go on");
            return world.started.iter().sum();
        }
        // Progress most of the time; staleness is a tenth of the rest.
        let event = events[choice.below(events.len())];
        let adverse =
            matches!(event, Event::Invalidate(..) | Event::Stale(_) | Event::Park(_) | Event::Block(..));
        if adverse && choice.below(3) > 0 {
            continue;
        }
        world.apply(event).unwrap_or_else(|broken| panic!("seed {seed}, {event:?}: {broken}"));
        let ahead = world.started.iter().skip(world.commits).filter(|started| **started > 0).count();
        let most = (WINDOW_PER_WORKER + EARLY_PER_WORKER) * workers;
        assert!(ahead <= most, "seed {seed}: {ahead} ahead of the commit position");
    }
}

#[test]
fn random_walks_through_large_blocks_end() {
    for seed in 0..40 {
        let (transactions, workers) = [(200, 1), (300, 2), (150, 8), (120, 32)][seed as usize % 4];
        let executions = walk(seed, transactions, workers, (seed % 3) as u8);
        assert!(executions >= transactions && executions <= MAX_EXECUTIONS * transactions);
    }
}

/// The same walks for as long as `SOLDER_FUZZ_SECONDS` says: `make fuzz WHAT=scheduler`.
#[test]
#[ignore = "runs for as long as SOLDER_FUZZ_SECONDS says"]
fn random_walks_for_a_while() {
    let seconds = std::env::var("SOLDER_FUZZ_SECONDS").ok().and_then(|text| text.parse().ok()).unwrap_or(10);
    let end = std::time::Instant::now() + std::time::Duration::from_secs(seconds);
    let mut seed = 1_000;
    while std::time::Instant::now() < end {
        let mut choice = Choice(seed);
        let (transactions, workers) = (1 + choice.below(250), 1 + choice.below(33));
        walk(seed, transactions, workers, choice.below(4) as u8);
        seed += 1;
    }
    println!("walks: {}, the last seed {}", seed - 1_000, seed - 1);
}
