//! What executions that ended leave to later ones: their memory. Whoever commits an execution keeps its lists for one of
//! its own; freed, they would go back to the worker that made them, line by line.

use std::cell::Cell;

use super::journal::{Executed, Published};

/// The most that a worker keeps.
const MAX_SPARES: usize = 512;

// In boxes, since one goes from worker to worker.
#[allow(clippy::vec_box)]
type Store = Vec<Box<Executed>>;

thread_local! {
    static KEPT: Cell<Store> = const { Cell::new(Vec::new()) };
}

/// A worker's store of empty executions; the thread keeps it between blocks.
pub struct Spares(Store);

impl Spares {
    /// What the thread has.
    pub fn of_thread() -> Self {
        Self(KEPT.take())
    }

    /// An empty execution.
    pub fn take(&mut self) -> Box<Executed> {
        self.0.pop().unwrap_or_default()
    }

    /// Takes an execution back that nobody needs any more, and the list of what it had published.
    pub fn keep(&mut self, mut executed: Box<Executed>, mut published: Published) {
        if self.0.len() < MAX_SPARES {
            executed.clear();
            published.clear();
            executed.room = published;
            self.0.push(executed);
        }
    }
}

impl Drop for Spares {
    fn drop(&mut self) {
        KEPT.set(std::mem::take(&mut self.0));
    }
}
