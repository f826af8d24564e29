//! The threads and the memory that stay from block to block. The caller's own thread is worker 0; a team holds the
//! others, asleep between blocks. Written here because a general pool's hand-over costs more than a small block: the
//! caller begins at once, whoever wakes in time joins, and nobody waits for one who did not.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use super::cells::Cells;
use crate::error::Fault;

/// The most sets of cells whose memory is kept for later blocks.
const MAX_KEPT_CELLS: usize = 16;
/// The most teams of one size: as many blocks can run at once with helpers; further ones run on their own thread.
const MAX_TEAMS: usize = 8;
/// Stack of a worker: a call depth of 1024 needs little of it, since revm's frames are on the heap.
const STACK_BYTES: usize = 8 << 20;
/// Looks at whether the others have left before giving the processor away.
const LEAVING_SPINS: usize = 200;

static TEAMS: Mutex<Option<Teams>> = Mutex::new(None);
#[allow(clippy::vec_box)]
static CELLS: Mutex<Vec<Box<Cells>>> = Mutex::new(Vec::new());

/// Teams of the process with this id: threads do not survive a fork.
struct Teams {
    process: u32,
    by_workers: HashMap<usize, Vec<Arc<Team>>>,
}

/// What helpers run: their number, from 1.
type Work<'a> = dyn Fn(usize) + Sync + 'a;

/// A block's work, for as long as [`Team::run`] lasts.
#[derive(Clone, Copy)]
struct Job(*const Work<'static>);

// SAFETY: the closure behind the pointer is `Sync`, and `Team::run` outlives every use of it.
unsafe impl Send for Job {}

#[derive(Default)]
struct Table {
    job: Option<Job>,
    places: usize,
    joined: usize,
}

/// Threads that help with one block at a time.
pub struct Team {
    busy: AtomicBool,
    table: Mutex<Table>,
    bell: Condvar,
    active: AtomicUsize,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Team {
    fn start(helpers: usize) -> Result<Arc<Self>, Fault> {
        let team = Arc::new(Self {
            busy: AtomicBool::new(true),
            table: Mutex::default(),
            bell: Condvar::new(),
            active: AtomicUsize::new(0),
        });
        for number in 1..=helpers {
            let team = team.clone();
            let thread = std::thread::Builder::new().name(format!("solder-{number}")).stack_size(STACK_BYTES);
            let started = thread.spawn(move || team.help());
            started.map_err(|error| Fault::Interpreter(format!("no thread: {error}")))?;
        }
        Ok(team)
    }

    /// A helper's life: sleep, join a block, leave it.
    fn help(&self) {
        loop {
            let (job, number) = {
                let mut table = lock(&self.table);
                loop {
                    match table.job {
                        Some(job) if table.places > 0 => {
                            table.places -= 1;
                            table.joined += 1;
                            self.active.fetch_add(1, Ordering::SeqCst);
                            break (job, table.joined);
                        }
                        _ => table = self.bell.wait(table).unwrap_or_else(PoisonError::into_inner),
                    }
                }
            };
            // SAFETY: `run` keeps the closure alive until `active` is zero, and it counts this helper.
            let work = unsafe { &*job.0 };
            work(number);
            self.active.fetch_sub(1, Ordering::SeqCst);
        }
    }

    /// Runs `work` on up to `helpers` threads of the team, and `own` on the caller's. `work` must not panic.
    fn run(&self, helpers: usize, work: &Work<'_>, own: impl FnOnce()) {
        // SAFETY: only the lifetime changes. The pointer is taken back below, before `work` goes out of scope, and
        // nobody who took it is still active then; the guard does so if `own` unwinds, too.
        let job = Job(unsafe { std::mem::transmute::<*const Work<'_>, *const Work<'static>>(work) });
        {
            let mut table = lock(&self.table);
            (table.job, table.places, table.joined) = (Some(job), helpers, 0);
        }
        let _leaving = Leaving(self);
        if helpers == 1 {
            self.bell.notify_one();
        } else {
            self.bell.notify_all();
        }
        own();
    }
}

/// Takes the job back and waits for those who joined.
struct Leaving<'t>(&'t Team);

impl Drop for Leaving<'_> {
    fn drop(&mut self) {
        lock(&self.0.table).job = None;
        let mut spins = 0;
        while self.0.active.load(Ordering::SeqCst) > 0 {
            spins += 1;
            if spins < LEAVING_SPINS {
                std::hint::spin_loop();
            } else {
                std::thread::yield_now();
            }
        }
        self.0.busy.store(false, Ordering::SeqCst);
    }
}

/// Runs `own` as worker 0 and `work` as the others, on a team that is free. Where all are busy, `own` runs alone.
pub fn run(workers: usize, work: &Work<'_>, own: impl FnOnce()) -> Result<(), Fault> {
    match free_team(workers)? {
        Some(team) => team.run(workers - 1, work, own),
        None => own(),
    }
    Ok(())
}

/// A team that nobody uses, which the caller now does.
fn free_team(workers: usize) -> Result<Option<Arc<Team>>, Fault> {
    let process = std::process::id();
    let mut teams = lock(&TEAMS);
    if let Some(stale) = teams.take_if(|teams| teams.process != process) {
        // The threads of a parent process are not here.
        std::mem::forget(stale);
    }
    let teams = teams.get_or_insert_with(|| Teams { process, by_workers: HashMap::new() });
    let list = teams.by_workers.entry(workers).or_default();
    if let Some(free) = list.iter().find(|team| !team.busy.swap(true, Ordering::SeqCst)) {
        return Ok(Some(free.clone()));
    }
    if list.len() == MAX_TEAMS {
        return Ok(None);
    }
    let team = Team::start(workers - 1)?;
    list.push(team.clone());
    Ok(Some(team))
}

/// Cells in memory that an earlier block left; given back when dropped.
pub struct KeptCells(Option<Box<Cells>>);

impl KeptCells {
    /// Empty cells for `workers` that will meet about that many accounts and slots.
    pub fn take(workers: usize, accounts: usize, slots: usize) -> Self {
        let mut cells = CELLS.lock().unwrap_or_else(PoisonError::into_inner).pop().unwrap_or_default();
        cells.begin(workers, accounts, slots);
        Self(Some(cells))
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
