//! Machines that are broken on purpose.

use solder_engine::parallel::scheduler::{Finish, Scheduler, Task};

use crate::world::Machine;

/// A machine that breaks one promise.
#[derive(Clone, Debug)]
pub struct Broken {
    pub machine: Scheduler,
    pub how: How,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum How {
    /// The head moved to a transaction while it was published, and nobody takes it.
    PublishedForgetsHead,
    /// The next one is ready, and the worker that committed does not hear of it.
    CommittedForgetsNext,
    /// Every execution that ends believes that it is next.
    FinishIgnoresBaton,
    /// An answered read wakes nobody.
    ResumeIsLost,
    /// Only transactions that never ran count as work.
    HasTaskForgetsRedo,
    /// "Done" is latched when the last transaction is started.
    DoneTooEarly,
    /// The head is given to whoever committed what is below, and to the next who asks.
    TakesHeadTwice,
    /// What was claimed and is given back is not handed out again.
    KeepsClaim,
    /// More is claimed than is ready.
    ClaimsOneMore,
}

impl Machine for Broken {
    fn inner(&self) -> &Scheduler {
        &self.machine
    }
    fn inner_mut(&mut self) -> &mut Scheduler {
        &mut self.machine
    }
    fn has_task(&self) -> bool {
        match self.how {
            How::HasTaskForgetsRedo => self.machine.is_done() || self.machine.clone().next_task_is_new(),
            _ => self.machine.has_task(),
        }
    }
    fn next_task(&mut self, worker: usize) -> Task {
        match (self.how, self.machine.next_task(worker)) {
            (How::DoneTooEarly, Task::Idle) => Task::Done,
            (_, task) => task,
        }
    }
    fn finish(&mut self, tx: usize) -> Finish {
        let finish = self.machine.finish(tx);
        if self.how == How::FinishIgnoresBaton { Finish::Commit } else { finish }
    }
    fn published(&mut self, tx: usize) -> bool {
        self.machine.published(tx) && self.how != How::PublishedForgetsHead
    }
    fn committed(&mut self) -> Option<usize> {
        self.machine.committed().filter(|_| self.how != How::CommittedForgetsNext)
    }
    fn claim(&mut self) -> usize {
        let end = self.machine.claim();
        if self.how == How::ClaimsOneMore { end + 1 } else { end }
    }
    fn committed_below(&mut self, tx: usize) {
        if self.how != How::KeepsClaim {
            self.machine.committed_below(tx);
        }
    }
    fn take_head(&mut self) -> Option<(usize, usize)> {
        let before = self.machine.clone();
        let taken = self.machine.take_head(&|_| true);
        if self.how == How::TakesHeadTwice && taken.is_some() {
            self.machine = before;
        }
        taken
    }
    fn resume(&mut self, tx: usize) {
        if self.how != How::ResumeIsLost {
            self.machine.resume(tx);
        }
    }
}

/// For [`How::HasTaskForgetsRedo`].
trait NextTaskIsNew {
    fn next_task_is_new(self) -> bool;
}

impl NextTaskIsNew for Scheduler {
    fn next_task_is_new(mut self) -> bool {
        matches!(self.next_task(0), Task::Execute { incarnation: 0, .. })
    }
}
