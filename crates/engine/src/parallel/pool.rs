//! The threads and the memory that stay from block to block. A pool for each number of workers is made when it is first
//! asked for; the caller's own thread is worker 0, so a pool has one thread fewer.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use rayon_core::{ThreadPool, ThreadPoolBuilder};

use super::cells::Cells;
use crate::error::Fault;

/// The most sets of cells whose memory is kept for later blocks.
const MAX_KEPT_CELLS: usize = 16;
/// Stack of a worker: a call depth of 1024 needs little of it, since revm's frames are on the heap.
const STACK_BYTES: usize = 8 << 20;

static POOLS: Mutex<Option<Pools>> = Mutex::new(None);
#[allow(clippy::vec_box)]
static CELLS: Mutex<Vec<Box<Cells>>> = Mutex::new(Vec::new());

/// Pools of the process with this id: threads do not survive a fork.
struct Pools {
    process: u32,
    by_workers: HashMap<usize, Arc<ThreadPool>>,
}

/// The pool for a number of workers.
pub fn pool(workers: usize) -> Result<Arc<ThreadPool>, Fault> {
    let process = std::process::id();
    let mut pools = POOLS.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(stale) = pools.take_if(|pools| pools.process != process) {
        // The threads of a parent process are not there; joining them would wait for ever.
        std::mem::forget(stale);
    }
    let pools = pools.get_or_insert_with(|| Pools { process, by_workers: HashMap::new() });
    if let Some(pool) = pools.by_workers.get(&workers) {
        return Ok(pool.clone());
    }
    let builder = ThreadPoolBuilder::new()
        .num_threads(workers.saturating_sub(1).max(1))
        .stack_size(STACK_BYTES)
        .thread_name(|number| format!("solder-{}", number + 1));
    let pool = builder.build().map_err(|error| Fault::Interpreter(format!("no threads: {error}")))?;
    Ok(pools.by_workers.entry(workers).or_insert(Arc::new(pool)).clone())
}

/// Cells in memory that an earlier block left; given back when dropped.
pub struct KeptCells(Option<Box<Cells>>);

impl KeptCells {
    /// Empty cells.
    pub fn take() -> Self {
        Self(Some(CELLS.lock().unwrap_or_else(PoisonError::into_inner).pop().unwrap_or_default()))
    }
}

impl std::ops::Deref for KeptCells {
    type Target = Cells;

    fn deref(&self) -> &Cells {
        static NONE: std::sync::LazyLock<Cells> = std::sync::LazyLock::new(Cells::default);
        self.0.as_deref().unwrap_or(&NONE)
    }
}

impl Drop for KeptCells {
    fn drop(&mut self) {
        let Some(mut cells) = self.0.take() else { return };
        cells.clear();
        let mut kept = CELLS.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.len() < MAX_KEPT_CELLS {
            kept.push(cells);
        }
    }
}
