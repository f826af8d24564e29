//! Taking turns: one worker runs at a time, and who goes next at each step is drawn from a seed. The same seed gives
//! the same run, so that a failure that threads would show once in a thousand runs can be repeated.

use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

/// Who is there, and whose turn it is.
#[derive(Debug)]
struct Table {
    random: u64,
    turn: usize,
    arrived: usize,
    present: Vec<bool>,
}

/// The turns of a block's workers.
#[derive(Debug)]
pub struct Turns {
    table: Mutex<Table>,
    /// One for each worker: only the one whose turn it is wakes up.
    bells: Vec<Condvar>,
}

impl Turns {
    /// Turns for `workers`, drawn from `seed`.
    pub fn new(workers: usize, seed: u64) -> Self {
        let random = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
        let mut table = Table { random, turn: 0, arrived: 0, present: vec![true; workers] };
        table.turn = table.draw();
        Self { table: Mutex::new(table), bells: (0..workers).map(|_| Condvar::new()).collect() }
    }

    fn table(&self) -> MutexGuard<'_, Table> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn wait(&self, mut table: MutexGuard<'_, Table>, worker: usize) {
        while table.arrived < table.present.len() || table.turn != worker {
            table = self.bells[worker].wait(table).unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// A worker arrives. It returns when all have arrived and it is its turn.
    pub fn enter(&self, worker: usize) {
        let mut table = self.table();
        table.arrived += 1;
        if table.arrived == table.present.len() {
            self.bells[table.turn].notify_one();
        }
        self.wait(table, worker);
    }

    /// Another worker may go first. Before all have arrived and after all but one have left there is nobody to wait for.
    pub fn pass(&self, worker: usize) {
        let mut table = self.table();
        if table.arrived < table.present.len() || !table.present[worker] {
            return;
        }
        table.turn = table.draw();
        if table.turn != worker {
            self.bells[table.turn].notify_one();
            self.wait(table, worker);
        }
    }

    /// A worker has nothing more to do.
    pub fn leave(&self, worker: usize) {
        let mut table = self.table();
        table.present[worker] = false;
        table.turn = table.draw();
        self.bells[table.turn].notify_one();
    }
}

impl Table {
    /// One of those who are present (xorshift).
    fn draw(&mut self) -> usize {
        self.random ^= self.random << 13;
        self.random ^= self.random >> 7;
        self.random ^= self.random << 17;
        let present = self.present.iter().filter(|is_present| **is_present).count();
        if present == 0 {
            return 0;
        }
        let chosen = (self.random >> 33) as usize % present;
        let mut those = self.present.iter().enumerate().filter(|(_, is_present)| **is_present);
        those.nth(chosen).map_or(0, |(worker, _)| worker)
    }
}
