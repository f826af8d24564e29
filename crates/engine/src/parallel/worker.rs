//! A worker: asks the scheduler what to do, runs incarnations, and commits while it holds the baton.

use std::ops::Range;
use std::sync::atomic::Ordering;

use super::commit::Ready;
use super::journal::{Conflict, Ended, Executed, Mode, Published, SharedView};
use super::machine::{Attempt, FieldMachine};
use super::news::News;
use super::record::{Activity, Counters};
use super::scheduler::{Finish, MAX_RUN, Task};
use super::shared::{Sequencer, Shared, lock};
use super::spares::Spares;
use super::timeline::{Noted, Timeline};
use crate::ahead;
use crate::error::EngineError;

/// A worker of one block.
pub struct Worker<'s> {
    pub(super) shared: &'s Shared<'s>,
    pub(super) number: usize,
    /// Its interpreter.
    pub machine: FieldMachine<'s>,
    /// What it counted.
    pub counters: Counters,
    /// What it did, where the schedule is recorded.
    pub timeline: Timeline,
    pub(super) spares: Spares,
    /// Short transactions begun in one go, the next one last.
    pub(super) run: Vec<usize>,
    /// Up to where the transactions of a chain were foreseen.
    pub(super) foreseen: usize,
    /// Those of them whose writes are published, which the scheduler does not know yet.
    pub(super) unreported: Vec<usize>,
    /// While it holds the baton: what it commits before it tells the scheduler.
    pub(super) claim: Range<usize>,
}

/// Transactions that are looked up in one turn at the scheduler's lock, to be told of news.
const TOLD_TOGETHER: usize = 16;

/// Takes what is next in order; shared, because whoever holds the baton commits.
pub type Line<'q, 's> = std::sync::Mutex<&'q mut (dyn Sequencer + 's)>;

impl<'s> Worker<'s> {
    /// A worker without a task.
    pub fn new(shared: &'s Shared<'s>, number: usize) -> Self {
        let view = SharedView {
            reader: shared.reader,
            cells: shared.cells,
            turns: shared.turns.as_ref(),
            worker: number,
        };
        let machine = FieldMachine::new(&shared.rules, view, &shared.stop);
        let timeline = Timeline::new(shared.pace.clone());
        let counters = Counters::default();
        let spares = Spares::of_thread();
        let (run, unreported) = (Vec::new(), Vec::new());
        let claim = 0..0;
        Self { shared, number, machine, counters, timeline, spares, run, foreseen: 0, unreported, claim }
    }

    /// Works until the block is complete or abandoned.
    pub fn work(&mut self, line: &Line<'_, '_>) {
        loop {
            self.machine.yield_turn();
            if self.shared.stop.load(Ordering::Relaxed) {
                return;
            }
            let seen = self.shared.events();
            let task = self.next_task();
            if let Task::Execute { tx, .. } = task
                && !self.run.is_empty()
            {
                self.foresee(tx);
            }
            let done = match task {
                Task::Execute { tx, incarnation, at_head } => {
                    self.execute(tx, incarnation, at_head, line).and_then(|()| self.execute_run(line))
                }
                Task::Commit { tx } => self.commit_from(tx, None, line),
                Task::Await { tx, ticket } => self.wait_for(tx, ticket),
                Task::Idle => {
                    // Where workers take turns, the others are waiting for this one.
                    if self.shared.turns.is_none() {
                        let is_ending = self.shared.scheduler().is_ending();
                        if is_ending && self.number > 0 {
                            // The caller would have to wait until this one has slept and woken.
                            return;
                        }
                        self.shared.idle(seen, is_ending);
                    }
                    Ok(())
                }
                Task::Done => {
                    self.shared.notify(0);
                    return;
                }
            };
            if let Err(error) = done {
                self.shared.fail(error);
                return;
            }
        }
    }

    /// The next task, and after a short transaction those that follow it, as long as they are short.
    fn next_task(&mut self) -> Task {
        let mut scheduler = self.shared.scheduler();
        let task = scheduler.next_task(self.number);
        if let Task::Execute { tx, incarnation: 0, .. } = task
            && self.shared.is_short(tx)
        {
            let most = scheduler.most_beside(self.shared.options.workers);
            while self.run.len() < most
                && let Some(tx) = scheduler.begin_next(&|tx| self.shared.is_short(tx))
            {
                self.run.push(tx);
            }
            self.run.reverse();
        }
        task
    }

    /// Looks at the senders and recipients of a run before any of it runs.
    fn foresee(&mut self, first: usize) {
        let shared = self.shared;
        let run = std::iter::once(&first).chain(self.run.iter().rev());
        self.machine.foresee(run.map(|tx| (Shared::position(*tx), &shared.transactions[*tx])));
    }

    /// The same for what follows in a chain.
    pub(super) fn foresee_chain(&mut self, tx: usize) {
        if tx >= self.foreseen {
            let shared = self.shared;
            self.foreseen = (tx + MAX_RUN).min(shared.transactions.len());
            let chain = (tx..self.foreseen).filter(|tx| shared.is_short(*tx));
            self.machine.foresee(chain.map(|tx| (Shared::position(tx), &shared.transactions[tx])));
        }
    }

    /// Runs the rest of a run.
    fn execute_run(&mut self, line: &Line<'_, '_>) -> Result<(), EngineError> {
        while let Some(tx) = self.run.pop() {
            self.machine.yield_turn();
            if self.shared.stop.load(Ordering::Relaxed) {
                return Ok(());
            }
            self.execute(tx, 0, self.shared.head() == tx, line)?;
        }
        self.report(line)
    }

    /// Tells the scheduler what was published.
    fn report(&mut self, line: &Line<'_, '_>) -> Result<(), EngineError> {
        if self.unreported.is_empty() {
            return Ok(());
        }
        let mut next = None;
        {
            let mut scheduler = self.shared.scheduler();
            for tx in self.unreported.drain(..) {
                if scheduler.published(tx) {
                    next = Some(tx);
                }
            }
        }
        match next {
            Some(tx) => self.commit_from(tx, None, line),
            None => Ok(()),
        }
    }

    fn wait_for(&mut self, tx: usize, ticket: crate::state::Ticket) -> Result<(), EngineError> {
        let start = self.timeline.now();
        self.shared.reader.wait(ticket)?;
        self.timeline.note(Noted::new(Activity::Await, Some(tx as u32), start));
        self.shared.scheduler().resume(tx);
        self.shared.notify(1);
        Ok(())
    }

    /// Runs an attempt and records it.
    pub(super) fn attempt(&mut self, tx: usize, mode: Mode, incarnation: usize) -> Attempt {
        let start = self.timeline.now();
        let transactions = self.shared.transactions;
        let transaction = &transactions[tx];
        if mode == Mode::Speculative {
            // Where it will be published: the line may be with another worker.
            ahead::claim(&self.shared.attempts[tx]);
            ahead::claim(&self.shared.outlines[tx]);
        }
        if self.run.is_empty() {
            // Its own next one, if the workers take turns.
            let next = tx + self.shared.options.workers;
            self.machine
                .look_ahead(transactions.get(next), transactions.get(next + self.shared.options.workers));
        }
        let attempt = self.machine.run(transaction, Shared::position(tx), mode, incarnation);
        let (place, ticks) = self.timeline.note(Noted {
            // The scheduler starts a transaction a handful of times.
            incarnation: incarnation as u8,
            parked: !matches!(attempt, Attempt::Ended(_)),
            ..Noted::new(Activity::Execute, Some(tx as u32), start)
        });
        match attempt {
            Attempt::Ended(mut ended) => {
                self.counters.executions += 1;
                ended.ticks = ticks;
                ended.span = (self.number, place);
                Attempt::Ended(ended)
            }
            stopped => {
                self.counters.parked += 1;
                stopped
            }
        }
    }

    fn execute(
        &mut self,
        tx: usize,
        incarnation: usize,
        at_head: bool,
        line: &Line<'_, '_>,
    ) -> Result<(), EngineError> {
        let mode = match (incarnation, at_head) {
            (0, _) if self.shared.options.mislead => Mode::Misled,
            (_, true) => Mode::Final,
            _ => Mode::Speculative,
        };
        let ended = match self.attempt(tx, mode, incarnation) {
            Attempt::Ended(ended) => ended,
            Attempt::Waits(ticket) => {
                self.shared.scheduler().park(tx, ticket);
                self.shared.notify(1);
                return Ok(());
            }
            Attempt::Blocked(by) => {
                self.shared.scheduler().block(tx, by as usize - 1);
                self.shared.notify(1);
                return Ok(());
            }
        };
        self.machine.yield_turn();
        if mode != Mode::Misled && !self.run.is_empty() {
            let head = self.shared.head();
            if head != tx {
                return self.keep_of_run(tx, ended, head, line);
            }
        }
        let ready = if self.shared.keeps_records() || !self.unreported.is_empty() {
            // What is reported may be committed here, and run again in this journal.
            let executed = self.take(tx, ended);
            self.report(line)?;
            Ready::Kept(executed)
        } else {
            Ready::Fresh(ended)
        };
        let finish = {
            let mut scheduler = self.shared.scheduler();
            if mode == Mode::Final && scheduler.head() == tx {
                scheduler.began_at_head(tx);
            }
            scheduler.finish(tx)
        };
        match (finish, ready) {
            (Finish::Commit, ready) => self.commit_from(tx, Some(ready), line),
            (Finish::Publish, Ready::Kept(executed)) => self.publish(tx, executed, line),
            (Finish::Publish, Ready::Fresh(ended)) => {
                let executed = self.take(tx, ended);
                self.publish(tx, executed, line)
            }
        }
    }

    /// Within a run the scheduler is told later, unless somebody waits for what is published.
    fn keep_of_run(
        &mut self,
        tx: usize,
        ended: Ended,
        head: usize,
        line: &Line<'_, '_>,
    ) -> Result<(), EngineError> {
        let executed = self.take(tx, ended);
        self.unreported.push(tx);
        if executed.accesses.only_moves() {
            lock(&self.shared.attempts[tx]).executed = Some(executed);
        } else {
            let news = self.show(tx, executed);
            self.tell_readers(tx, news);
        }
        if self.unreported.first() == Some(&head) { self.report(line) } else { Ok(()) }
    }

    /// What the last run observed and wrote, to be kept until its turn comes.
    pub(super) fn take(&mut self, tx: usize, ended: Ended) -> Box<Executed> {
        let mut executed = self.spares.take();
        self.machine.take(ended, &mut executed);
        self.shared.outlines[tx].note(&executed);
        executed
    }

    /// Makes the writes visible. Gives what higher transactions may have seen otherwise.
    fn show(&mut self, tx: usize, mut executed: Box<Executed>) -> News {
        self.counters.published += 1;
        let mut attempted = lock(&self.shared.attempts[tx]);
        let mut published = std::mem::take(&mut executed.room);
        let (cells, position) = (self.shared.cells, Shared::position(tx));
        let news = executed.accesses.publish(cells, position, &attempted.published, &mut published);
        attempted.published = published;
        attempted.executed = Some(executed);
        news
    }

    /// Makes the writes visible, and looks whether a higher transaction has read what they replace.
    fn publish(
        &mut self,
        tx: usize,
        executed: Box<Executed>,
        line: &Line<'_, '_>,
    ) -> Result<(), EngineError> {
        let misled = executed.ended.mode == Mode::Misled;
        let news = self.show(tx, executed);
        self.machine.yield_turn();
        if self.shared.scheduler().published(tx) {
            self.commit_from(tx, None, line)?;
        } else if misled {
            // Whoever runs it again needs the attempt's lock to store what it finds.
            let mut attempted = lock(&self.shared.attempts[tx]);
            if self.shared.scheduler().invalidate(tx) {
                if let Some(executed) = attempted.executed.take() {
                    self.abort(tx, &executed.ended, None);
                    self.spares.keep(executed, Published::default());
                }
                attempted.published.mark_estimates(self.shared.cells, Shared::position(tx));
                drop(attempted);
                self.shared.notify(1);
            }
        }
        self.tell_readers(tx, news);
        Ok(())
    }

    /// Looks whether what higher transactions read still holds, where they observed what changed. What one of those wrote
    /// is an estimate from then on, and its readers are looked at in turn.
    pub(super) fn tell_readers(&mut self, tx: usize, mut news: News) {
        let (mut from, mut executed) = (tx + 1, [0; TOLD_TOGETHER]);
        while let Some(end) = news.highest().map(|highest| highest as usize).filter(|end| from < *end) {
            // None of those that end from now on has begun before the news could be seen, or it is compared at its commit.
            let mut count = 0;
            for (place, reader) in executed.iter_mut().zip(self.shared.scheduler().executed(from..end)) {
                *place = reader;
                count += 1;
            }
            for reader in &executed[..count] {
                if self.shared.outlines[*reader].meets(&news) {
                    self.tell(*reader, &mut news);
                }
            }
            from = if count == TOLD_TOGETHER { executed[count - 1] + 1 } else { end };
        }
    }

    /// Looks whether what one transaction read still holds.
    fn tell(&mut self, reader: usize, news: &mut News) {
        let position = Shared::position(reader);
        self.machine.yield_turn();
        let start = self.timeline.now();
        let mut attempted = lock(&self.shared.attempts[reader]);
        let (cells, state_clear) = (self.shared.cells, self.shared.state_clear());
        let found = attempted
            .executed
            .as_ref()
            .map(|executed| executed.accesses.validate(cells, position, state_clear, false));
        self.timeline.note(Noted::new(Activity::Validate, Some(reader as u32), start));
        if let Some(Err(conflict)) = found
            && self.shared.scheduler().invalidate(reader)
        {
            if let Some(executed) = attempted.executed.take() {
                self.abort(reader, &executed.ended, Some(conflict));
                self.spares.keep(executed, Published::default());
            }
            news.add(&attempted.published.mark_estimates(cells, position));
            drop(attempted);
            self.shared.notify(0);
        }
    }

    pub(super) fn abort(&mut self, tx: usize, ended: &Ended, conflict: Option<Conflict>) {
        self.counters.conflicts += 1;
        if let Some(conflict) = conflict.filter(|conflict| conflict.by > 0 && ended.mode != Mode::Misled) {
            self.shared.conflicted(tx, conflict.by as usize - 1);
        }
        self.timeline.abort(ended.span, conflict);
    }
}
