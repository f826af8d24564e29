//! A worker: asks the scheduler what to do, runs incarnations, and commits while it holds the baton.

use super::journal::{Conflict, Ended, Executed, Mode, Published, SharedView};
use super::machine::{Attempt, FieldMachine};
use super::record::{Activity, Counters, Ending, Span};
use super::scheduler::{Finish, Task};
use super::shared::{Sequencer, Shared, lock};
use super::timeline::Timeline;
use crate::error::{EngineError, Fault};
use crate::evm::{TransactError, rejection};

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
        let span = Span {
            transaction: Some(tx as u32),
            incarnation: incarnation as u32,
            start,
            ending,
            ..self.span(Activity::Execute)
        };
        let (place, nanoseconds) = self.timeline.note(span);
        match attempt {
            Attempt::Ended(mut ended) => {
                self.counters.executions += 1;
                ended.nanoseconds = nanoseconds;
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
        let finish = self.shared.scheduler().finish(tx);
        match finish {
            Finish::Commit if self.shared.keeps_records() => {
                let executed = self.machine.take(ended);
                self.commit_from(tx, Some(Ready::Kept(executed)), line)
            }
            Finish::Commit => self.commit_from(tx, Some(Ready::Fresh(ended)), line),
            Finish::Publish => {
                let executed = self.machine.take(ended);
                self.publish(tx, executed, line)
            }
        }
    }

    /// Makes the writes visible, and looks whether a higher transaction has read what they replace.
    fn publish(
        &mut self,
        tx: usize,
        mut executed: Box<Executed>,
        line: &Line<'_, '_>,
    ) -> Result<(), EngineError> {
        let misled = executed.ended.mode == Mode::Misled;
        let news = {
            let mut attempted = lock(&self.shared.attempts[tx]);
            let (published, news) =
                executed.accesses.publish(self.shared.cells, Shared::position(tx), &attempted.published);
            attempted.published = published;
            executed.is_published = true;
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
                    self.abort(tx, &executed.ended, None);
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
                let found = attempted.executed.as_ref().map(|executed| {
                    executed.accesses.validate(self.shared.cells, position, state_clear, false)
                });
                let transaction = Some(reader as u32);
                self.timeline.note(Span { transaction, start, ..self.span(Activity::Validate) });
                if let Some(Err(conflict)) = found
                    && self.shared.scheduler().invalidate(reader)
                {
                    if let Some(executed) = attempted.executed.take() {
                        self.abort(reader, &executed.ended, Some(conflict));
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

    fn abort(&mut self, tx: usize, ended: &Ended, conflict: Option<Conflict>) {
        self.counters.conflicts += 1;
        if let Some(conflict) = conflict.filter(|conflict| conflict.by > 0 && ended.mode != Mode::Misled) {
            let by = conflict.by as usize - 1;
            if by < tx {
                let mut scheduler = self.shared.scheduler();
                if !scheduler.knows_groups() {
                    // Not while others wait for the lock.
                    drop(scheduler);
                    let groups = self.shared.groups();
                    scheduler = self.shared.scheduler();
                    scheduler.set_groups(groups);
                }
                scheduler.conflicted(tx, by);
            }
        }
        self.timeline.abort(ended.span, conflict);
    }

    /// Commits from the head on, as far as transactions are ready: this worker holds the baton.
    fn commit_from(
        &mut self,
        mut tx: usize,
        mut ready: Option<Ready>,
        line: &Line<'_, '_>,
    ) -> Result<(), EngineError> {
        loop {
            let (stored, published) = {
                let mut attempted = lock(&self.shared.attempts[tx]);
                (attempted.executed.take(), std::mem::take(&mut attempted.published))
            };
            let ready = ready.take().or(stored.map(Ready::Kept));
            let news = self.commit(tx, ready, published, line)?;
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
        ready: Option<Ready>,
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
        let (mut ready, mut start) = self.settle_on(tx, ready, &published)?;
        let result =
            std::mem::replace(&mut ready.ended().result, Err(TransactError::Database(Fault::Cancelled)));
        let news = match result {
            Err(error) => match rejection::from_revm(error) {
                EngineError::Rejected(rejection) => {
                    let news = published.withdraw_all(self.shared.cells, position);
                    line.refuse(tx, rejection)?;
                    news
                }
                fault => return Err(fault),
            },
            Ok(result) => {
                if self.shared.options.record {
                    let cells = self.shared.cells;
                    let execution = ready.ended().nanoseconds;
                    let Self { timeline, machine, .. } = self;
                    timeline.keep(tx, execution, &result, |reads, writes| match &ready {
                        Ready::Fresh(_) => machine.journal().list_places(reads, writes),
                        Ready::Kept(executed) => executed.accesses.list_places(cells, reads, writes),
                    });
                    // Keeping the record is no part of the commit.
                    start = self.timeline.now();
                }
                let news = self.keep(tx, ready, &published)?;
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

    /// Makes what a transaction wrote part of the block.
    fn keep(&mut self, tx: usize, ready: Ready, published: &Published) -> Result<Option<u32>, Fault> {
        let position = Shared::position(tx);
        match ready {
            Ready::Fresh(ended) => {
                let (news, reward) = self.machine.journal().commit(ended.incarnation, published);
                let Some(amount) = reward else { return Ok(news) };
                Ok(news.max(self.shared.reward(amount, position)?))
            }
            Ready::Kept(mut executed) => self.shared.commit(&mut executed.accesses, position, published),
        }
    }

    /// The incarnation that counts, and when its commit began.
    fn settle_on(
        &mut self,
        tx: usize,
        ready: Option<Ready>,
        published: &Published,
    ) -> Result<(Ready, u64), EngineError> {
        let start = self.timeline.now();
        let position = Shared::position(tx);
        if let Some(mut ready) = ready {
            if ready.ended().mode == Mode::Final {
                return Ok((ready, start));
            }
            let state_clear = self.shared.state_clear();
            let writes = ready.ended().result.is_ok();
            let holds = match &ready {
                Ready::Fresh(_) => self.machine.journal().validate(writes),
                Ready::Kept(executed) => {
                    executed.accesses.validate(self.shared.cells, position, state_clear, true)
                }
            };
            if holds.is_ok() && writes && ready.ended().mode != Mode::Misled {
                return Ok((ready, start));
            }
            self.counters.late_conflicts += 1;
            self.abort(tx, ready.ended(), holds.err());
            let estimates = published.mark_estimates(self.shared.cells, position);
            self.tell_readers(tx, estimates);
        }
        let incarnation = self.shared.scheduler().repeat_at_head();
        let Attempt::Ended(ended) = self.attempt(tx, Mode::Final, incarnation) else {
            return Err(Fault::StateRead("a final run does not stop for others".into()).into());
        };
        let ready = if self.shared.keeps_records() {
            Ready::Kept(self.machine.take(ended))
        } else {
            Ready::Fresh(ended)
        };
        Ok((ready, self.timeline.now()))
    }
}

/// An incarnation that is next in order.
enum Ready {
    /// What it observed and wrote is still in this worker's journal.
    Fresh(Ended),
    /// It was taken out and kept.
    Kept(Box<Executed>),
}

impl Ready {
    fn ended(&mut self) -> &mut Ended {
        match self {
            Self::Fresh(ended) => ended,
            Self::Kept(executed) => &mut executed.ended,
        }
    }
}
