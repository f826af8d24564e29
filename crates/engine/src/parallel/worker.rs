//! A worker: asks the scheduler what to do, runs incarnations, and commits while it holds the baton.

use super::journal::{Conflict, Executed, Mode, Published, SharedView};
use super::machine::{Attempt, FieldMachine};
use super::record::{Activity, Counters, Ending, Span};
use super::scheduler::{Finish, Task};
use super::shared::{Sequencer, Shared, lock};
use super::timeline::Timeline;
use crate::error::{EngineError, Fault};
use crate::evm::rejection;

/// A worker of one block.
pub struct Worker<'s> {
    shared: &'s Shared<'s>,
    number: usize,
    /// Its interpreter.
    pub machine: FieldMachine<'s>,
    /// What it counted.
    pub counters: Counters,
    /// What it did, where the schedule is recorded.
    pub timeline: Timeline,
}

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
        let timeline = Timeline::new(shared.options.record, shared.began);
        Self { shared, number, machine, counters: Counters::default(), timeline }
    }

    /// Works until the block is complete or abandoned.
    pub fn work(&mut self, line: &Line<'_, '_>) {
        use std::sync::atomic::Ordering;
        loop {
            self.machine.yield_turn();
            if self.shared.stop.load(Ordering::Relaxed) {
                return;
            }
            let seen = self.shared.events();
            let task = self.shared.scheduler().next_task(self.number);
            let done = match task {
                Task::Execute { tx, incarnation, at_head } => self.execute(tx, incarnation, at_head, line),
                Task::Commit { tx } => self.commit_from(tx, None, line),
                Task::Await { tx, ticket } => self.wait_for(tx, ticket),
                Task::Idle => {
                    // Where workers take turns, the others are waiting for this one.
                    if self.shared.turns.is_none() {
                        self.shared.idle(seen);
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

    fn wait_for(&mut self, tx: usize, ticket: crate::state::Ticket) -> Result<(), EngineError> {
        let start = self.timeline.now();
        self.shared.reader.wait(ticket)?;
        self.timeline.note(Span { transaction: Some(tx as u32), start, ..self.span(Activity::Await) });
        self.shared.scheduler().resume(tx);
        self.shared.notify(1);
        Ok(())
    }

    fn span(&self, activity: Activity) -> Span {
        Span {
            worker: self.number as u32,
            activity,
            transaction: None,
            incarnation: 0,
            start: 0,
            end: 0,
            ending: Ending::Kept,
        }
    }

    /// Runs an attempt and records it.
    fn attempt(&mut self, tx: usize, mode: Mode, incarnation: usize) -> Attempt {
        let start = self.timeline.now();
        let transaction = &self.shared.transactions[tx];
        let attempt = self.machine.run(transaction, Shared::position(tx), mode, incarnation);
        let ending = match &attempt {
            Attempt::Ended(_) => Ending::Kept,
            Attempt::Waits(_) | Attempt::Blocked(_) => Ending::Parked,
        };
        let span = Span { transaction: Some(tx as u32), incarnation: incarnation as u32, start, ending, ..self.span(Activity::Execute) };
        let (place, nanoseconds) = self.timeline.note(span);
        match attempt {
            Attempt::Ended(mut executed) => {
                self.counters.executions += 1;
                executed.nanoseconds = nanoseconds;
                executed.span = (self.number, place);
                Attempt::Ended(executed)
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
        let executed = match self.attempt(tx, mode, incarnation) {
            Attempt::Ended(executed) => executed,
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
        let finish = self.shared.scheduler().finish(tx);
        match finish {
            Finish::Commit => self.commit_from(tx, Some(executed), line),
            Finish::Publish => self.publish(tx, executed, line),
        }
    }

    /// Makes the writes visible, and looks whether a higher transaction has read what they replace.
    fn publish(&mut self, tx: usize, executed: Executed, line: &Line<'_, '_>) -> Result<(), EngineError> {
        let misled = executed.misled;
        let news = {
            let mut attempted = lock(&self.shared.attempts[tx]);
            let (published, news) =
                executed.accesses.publish(self.shared.cells, Shared::position(tx), &attempted.published);
            attempted.published = published;
            attempted.executed = Some(executed);
            news
        };
        self.counters.published += 1;
        self.machine.yield_turn();
        if self.shared.scheduler().published(tx) {
            self.commit_from(tx, None, line)?;
        } else if misled {
            // Whoever runs it again needs the attempt's lock to store what it finds.
            let mut attempted = lock(&self.shared.attempts[tx]);
            if self.shared.scheduler().invalidate(tx) {
                if let Some(executed) = attempted.executed.take() {
                    self.abort(tx, &executed, None);
                }
                attempted.published.mark_estimates(self.shared.cells, Shared::position(tx));
                drop(attempted);
                self.shared.notify(1);
            }
        }
        self.tell_readers(tx, news);
        Ok(())
    }

    /// Looks whether what higher transactions read still holds, up to the position `highest`. What one of those wrote
    /// is an estimate from then on, and its readers are looked at in turn.
    fn tell_readers(&mut self, tx: usize, highest: Option<u32>) {
        let Some(highest) = highest else { return };
        let (mut reader, mut end) = (tx + 1, highest as usize);
        let state_clear = self.shared.state_clear();
        while reader < end.min(self.shared.transactions.len()) {
            let position = Shared::position(reader);
            if self.shared.scheduler().is_executed(reader) {
                self.machine.yield_turn();
                let start = self.timeline.now();
                let mut attempted = lock(&self.shared.attempts[reader]);
                let found = attempted
                    .executed
                    .as_ref()
                    .map(|executed| executed.accesses.validate(self.shared.cells, position, state_clear, false));
                let transaction = Some(reader as u32);
                self.timeline.note(Span { transaction, start, ..self.span(Activity::Validate) });
                if let Some(Err(conflict)) = found
                    && self.shared.scheduler().invalidate(reader)
                {
                    if let Some(executed) = attempted.executed.take() {
                        self.abort(reader, &executed, Some(conflict));
                    }
                    let estimates = attempted.published.mark_estimates(self.shared.cells, position);
                    end = end.max(estimates.unwrap_or_default() as usize);
                    drop(attempted);
                    self.shared.notify(0);
                }
            }
            reader += 1;
        }
    }

    fn abort(&mut self, tx: usize, executed: &Executed, conflict: Option<Conflict>) {
        self.counters.conflicts += 1;
        if let Some(conflict) = conflict.filter(|conflict| conflict.by > 0 && !executed.misled) {
            let by = conflict.by as usize - 1;
            if by < tx {
                self.shared.scheduler().conflicted(tx, by, || self.shared.groups());
            }
        }
        self.timeline.abort(executed.span, conflict);
    }

    /// Commits from the head on, as far as transactions are ready: this worker holds the baton.
    fn commit_from(
        &mut self,
        mut tx: usize,
        mut executed: Option<Executed>,
        line: &Line<'_, '_>,
    ) -> Result<(), EngineError> {
        loop {
            let (stored, published) = {
                let mut attempted = lock(&self.shared.attempts[tx]);
                (attempted.executed.take(), std::mem::take(&mut attempted.published))
            };
            let news = self.commit(tx, executed.take().or(stored), published, line)?;
            let next = self.shared.scheduler().committed();
            self.shared.notify(usize::from(next.is_none()));
            self.tell_readers(tx, news);
            self.machine.yield_turn();
            match next {
                Some(next) => tx = next,
                None => return Ok(()),
            }
        }
    }

    /// Makes the head part of the block: as it was executed if that holds, else executed here once more.
    fn commit(
        &mut self,
        tx: usize,
        executed: Option<Executed>,
        published: Published,
        line: &Line<'_, '_>,
    ) -> Result<Option<u32>, EngineError> {
        use std::sync::atomic::Ordering;
        if self.shared.rules.cancel.load(Ordering::Relaxed) {
            return Err(Fault::Cancelled.into());
        }
        let mut line = lock(line);
        let (transaction, position) = (&self.shared.transactions[tx], Shared::position(tx));
        if let Err(rejection) = line.admit(tx, transaction) {
            let news = published.withdraw_all(self.shared.cells, position);
            line.refuse(tx, rejection)?;
            return Ok(news);
        }
        let (mut executed, start) = self.settle_on(tx, executed, &published)?;
        let news = match executed.result {
            Err(error) => match rejection::from_revm(error) {
                EngineError::Rejected(rejection) => {
                    let news = published.withdraw_all(self.shared.cells, position);
                    line.refuse(tx, rejection)?;
                    news
                }
                fault => return Err(fault),
            },
            Ok(result) => {
                self.timeline.keep(tx, self.shared, &executed.accesses, executed.nanoseconds, &result);
                let news = self.shared.commit(&mut executed.accesses, position, &published)?;
                line.accept(tx, transaction, result, &|| self.shared.changes())?;
                self.shared.next_access_index();
                news
            }
        };
        let span = Span { transaction: Some(tx as u32), start, ..self.span(Activity::Commit) };
        let (_, nanoseconds) = self.timeline.note(span);
        self.timeline.committed(tx, nanoseconds);
        Ok(news)
    }

    /// The incarnation that counts, and when its commit began.
    fn settle_on(
        &mut self,
        tx: usize,
        executed: Option<Executed>,
        published: &Published,
    ) -> Result<(Executed, u64), EngineError> {
        let start = self.timeline.now();
        let position = Shared::position(tx);
        if let Some(executed) = executed {
            if executed.is_final {
                return Ok((executed, start));
            }
            let state_clear = self.shared.state_clear();
            let holds = executed.accesses.validate(self.shared.cells, position, state_clear, true);
            if holds.is_ok() && executed.result.is_ok() && !executed.misled {
                return Ok((executed, start));
            }
            self.counters.late_conflicts += 1;
            self.abort(tx, &executed, holds.err());
            let estimates = published.mark_estimates(self.shared.cells, position);
            self.tell_readers(tx, estimates);
        }
        let incarnation = self.shared.scheduler().repeat_at_head();
        match self.attempt(tx, Mode::Final, incarnation) {
            Attempt::Ended(executed) => Ok((executed, self.timeline.now())),
            _ => Err(Fault::StateRead("a final run does not park".into()).into()),
        }
    }
}

