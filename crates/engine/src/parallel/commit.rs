//! What a worker does while it holds the baton: it commits what is next in order.

use std::sync::atomic::Ordering;

use super::journal::{Ended, Executed, Mode, Published};
use super::machine::Attempt;
use super::news::News;
use super::record::Activity;
use super::shared::{Sequencer, Shared, Turn, lock};
use super::timeline::Noted;
use super::worker::{Line, Worker};
use crate::ahead;
use crate::error::{EngineError, Fault};
use crate::evm::{TransactError, rejection};

/// How far ahead of a commit the outlines of claimed transactions are fetched, then their lists, then their cells.
const OUTLINES_AHEAD: usize = 5;
const LISTS_AHEAD: usize = 3;
const CELLS_AHEAD: usize = 2;

impl Worker<'_> {
    /// Commits from the head on, as far as transactions are ready or nobody has begun them: this worker holds the baton.
    pub(super) fn commit_from(
        &mut self,
        mut tx: usize,
        mut ready: Option<Ready>,
        line: &Line<'_, '_>,
    ) -> Result<(), EngineError> {
        let mut line = lock(line);
        let mut begun = None;
        self.claim = tx..tx + 1;
        loop {
            let (stored, published) = if begun == Some(0) || ready.as_ref().is_some_and(Ready::is_first) {
                // Nobody has run it before.
                (None, Published::default())
            } else {
                let mut attempted = lock(&self.shared.attempts[tx]);
                (attempted.executed.take(), std::mem::take(&mut attempted.published))
            };
            let ready = ready.take().or(stored.map(Ready::Kept));
            let news = self.commit(tx, ready, begun, published, &mut **line)?;
            if tx + 1 < self.claim.end {
                self.go_on_in_claim(tx, news);
                (tx, begun) = (tx + 1, None);
                continue;
            }
            let (turn, is_told) = self.shared.committed(line, &news, self.may_go_on());
            if is_told {
                self.tell_readers(tx, news);
            }
            self.machine.yield_turn();
            (line, tx, begun) = match turn {
                Turn::Commit(line, claim) => {
                    let next = claim.start;
                    self.claim = claim;
                    self.fetch_first(next);
                    (line, next, None)
                }
                Turn::Run(line, next, incarnation) => {
                    self.claim = next..next + 1;
                    self.foresee_chain(next);
                    (line, next, Some(incarnation))
                }
                Turn::Over => return Ok(()),
            };
        }
    }

    /// One of those that were claimed is committed. Where that is news to others, they are given back: somebody else may
    /// run them again meanwhile.
    fn go_on_in_claim(&mut self, tx: usize, news: News) {
        self.shared.advance(tx + 1);
        if news.highest().is_some() {
            self.give_back(tx + 1);
            self.tell_readers(tx, news);
        }
        self.fetch_next(tx + 1);
        self.machine.yield_turn();
    }

    /// Tells the scheduler that all below `tx` is committed, and keeps nothing claimed above.
    fn give_back(&mut self, tx: usize) {
        let only = tx..tx + 1;
        if self.claim != only {
            self.shared.scheduler().committed_below(tx);
            self.shared.notify(0);
            self.claim = only;
        }
    }

    /// Asks for the memory of what was claimed, the first ones at once.
    fn fetch_first(&self, tx: usize) {
        (0..=OUTLINES_AHEAD).for_each(|ahead| self.fetch_outline(tx + ahead));
        (0..=LISTS_AHEAD).for_each(|ahead| self.fetch_lists(tx + ahead));
        (0..=CELLS_AHEAD).for_each(|ahead| self.fetch_cells(tx + ahead));
    }

    /// The same for those that come next, each step for another one, so that what a step needs is there.
    fn fetch_next(&self, tx: usize) {
        self.fetch_outline(tx + OUTLINES_AHEAD);
        self.fetch_lists(tx + LISTS_AHEAD);
        self.fetch_cells(tx + CELLS_AHEAD);
    }

    fn fetch_outline(&self, tx: usize) {
        if tx < self.claim.end {
            ahead::fetch(&self.shared.outlines[tx]);
            ahead::claim(&self.shared.attempts[tx]);
            ahead::fetch(&self.shared.transactions[tx]);
        }
    }

    fn fetch_lists(&self, tx: usize) {
        if tx < self.claim.end {
            self.shared.outlines[tx].fetch_lists();
        }
    }

    fn fetch_cells(&self, tx: usize) {
        if tx < self.claim.end {
            self.shared.outlines[tx].fetch_cells(self.shared.cells);
        }
    }

    /// Whether a worker that committed may run what nobody has begun: not while others wait for what it has begun itself.
    fn may_go_on(&self) -> bool {
        let is_free = self.run.is_empty() && self.unreported.is_empty();
        is_free && !self.shared.options.mislead && !self.shared.stop.load(Ordering::Relaxed)
    }

    /// Makes the head part of the block: as it was executed if that holds, else executed here, for which a number of the
    /// attempt may have been taken already.
    fn commit(
        &mut self,
        tx: usize,
        ready: Option<Ready>,
        begun: Option<usize>,
        published: Published,
        line: &mut (dyn Sequencer + '_),
    ) -> Result<News, EngineError> {
        if self.shared.rules.cancel.load(Ordering::Relaxed) {
            return Err(Fault::Cancelled.into());
        }
        let (transaction, position) = (&self.shared.transactions[tx], Shared::position(tx));
        if let Err(rejection) = line.admit(tx, transaction) {
            let news = published.withdraw_all(self.shared.cells, position);
            line.refuse(tx, rejection)?;
            return Ok(news);
        }
        let (mut ready, mut start) = self.settle_on(tx, ready, begun, &published)?;
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
                    let execution = ready.ended().ticks;
                    let Self { timeline, machine, .. } = self;
                    timeline.keep(tx, execution, &result, |places| match &ready {
                        Ready::Fresh(_) => machine.journal().list_places(places),
                        Ready::Kept(executed) => executed.accesses.list_places(cells, places),
                    });
                    // Keeping the record is no part of the commit.
                    start = self.timeline.now();
                }
                let news = self.keep(tx, ready, published)?;
                line.accept(tx, transaction, result, &|| self.shared.changes())?;
                self.shared.next_access_index();
                news
            }
        };
        let (_, ticks) = self.timeline.note(Noted::new(Activity::Commit, Some(tx as u32), start));
        self.timeline.committed(tx, ticks);
        Ok(news)
    }

    /// Makes what a transaction wrote part of the block.
    fn keep(&mut self, tx: usize, ready: Ready, published: Published) -> Result<News, Fault> {
        let position = Shared::position(tx);
        match ready {
            Ready::Fresh(ended) => {
                let (news, reward) = self.machine.journal().commit(ended.incarnation, &published);
                if let Some(amount) = reward {
                    self.shared.reward(amount, position)?;
                }
                Ok(news)
            }
            Ready::Kept(mut executed) => {
                let news = self.shared.commit(&mut executed.accesses, position, &published);
                self.spares.keep(executed, published);
                news
            }
        }
    }

    /// The incarnation that counts, and when its commit began.
    fn settle_on(
        &mut self,
        tx: usize,
        ready: Option<Ready>,
        begun: Option<usize>,
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
            self.give_back(tx);
            self.abort(tx, ready.ended(), holds.err());
            let estimates = published.mark_estimates(self.shared.cells, position);
            self.tell_readers(tx, estimates);
        }
        self.give_back(tx);
        let incarnation = begun.unwrap_or_else(|| self.shared.scheduler().repeat_at_head());
        let Attempt::Ended(ended) = self.attempt(tx, Mode::Final, incarnation) else {
            return Err(Fault::StateRead("a final run does not stop for others".into()).into());
        };
        let ready =
            if self.shared.keeps_records() { Ready::Kept(self.take(tx, ended)) } else { Ready::Fresh(ended) };
        Ok((ready, self.timeline.now()))
    }
}

/// An incarnation that is next in order.
pub(super) enum Ready {
    /// What it observed and wrote is still in this worker's journal.
    Fresh(Ended),
    /// It was taken out and kept.
    Kept(Box<Executed>),
}

impl Ready {
    /// Whether it is the transaction's first attempt, ended in this worker's journal: nothing is kept of others.
    fn is_first(&self) -> bool {
        matches!(self, Self::Fresh(ended) if ended.incarnation == 0)
    }

    fn ended(&mut self) -> &mut Ended {
        match self {
            Self::Fresh(ended) => ended,
            Self::Kept(executed) => &mut executed.ended,
        }
    }
}
