//! Wall time beside CPU time. The CPU time is that of all threads: of the caller while it works, and of the others
//! until they are quiet, so that a worker that spins on after a block is charged to the engine that left it spinning,
//! and not to the one that runs next.

use std::ops::Add;
use std::time::{Duration, Instant};

use rustix::time::{ClockId, clock_gettime};

/// How long to look away between two looks at the other threads.
const PAUSE: Duration = Duration::from_micros(60);
/// CPU seconds between two looks that still count as quiet.
const QUIET: f64 = 2e-6;
/// Looks before going on all the same: a thread that never rests is charged with what it used until then.
const LOOKS: usize = 200;

/// Wall and CPU time.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Seconds {
    /// Of the clock on the wall.
    pub wall: f64,
    /// Of all threads together.
    pub cpu: f64,
}

impl Seconds {
    /// What any measurement is less than.
    pub const MAX: Self = Self { wall: f64::INFINITY, cpu: f64::INFINITY };
    /// Nothing.
    pub const ZERO: Self = Self { wall: 0.0, cpu: 0.0 };

    /// The lesser of each.
    pub fn min(self, other: Self) -> Self {
        Self { wall: self.wall.min(other.wall), cpu: self.cpu.min(other.cpu) }
    }

    /// Baseline over ours, wall and CPU.
    pub fn ratio(self, ours: Self) -> Self {
        Self { wall: self.wall / ours.wall, cpu: self.cpu / ours.cpu }
    }
}

impl Add for Seconds {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self { wall: self.wall + other.wall, cpu: self.cpu + other.cpu }
    }
}

impl std::iter::Sum for Seconds {
    fn sum<I: Iterator<Item = Self>>(values: I) -> Self {
        values.fold(Self::ZERO, Add::add)
    }
}

fn read(clock: ClockId) -> f64 {
    let time = clock_gettime(clock);
    time.tv_sec as f64 + time.tv_nsec as f64 * 1e-9
}

/// CPU seconds of this process that are not the caller's.
fn others() -> f64 {
    read(ClockId::ProcessCPUTime) - read(ClockId::ThreadCPUTime)
}

/// Waits until no other thread works, and gives their CPU seconds so far.
fn others_when_quiet() -> f64 {
    let mut last = others();
    for _ in 0..LOOKS {
        std::thread::sleep(PAUSE);
        let now = others();
        if now - last < QUIET {
            return now;
        }
        last = now;
    }
    last
}

/// Runs `work` under both clocks, on a process that was quiet before.
pub fn timed<T>(work: impl FnOnce() -> T) -> (Seconds, T) {
    let others = others_when_quiet();
    let own = read(ClockId::ThreadCPUTime);
    let begin = Instant::now();
    let result = work();
    let wall = begin.elapsed().as_secs_f64();
    let own = read(ClockId::ThreadCPUTime) - own;
    let others = (others_when_quiet() - others).max(0.0);
    (Seconds { wall, cpu: own + others }, result)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Works until this thread has used that much CPU.
    fn burn(time: f64) {
        let begin = read(ClockId::ThreadCPUTime);
        while read(ClockId::ThreadCPUTime) - begin < time {
            std::hint::spin_loop();
        }
    }

    /// On a busy machine a thread that waits for a processor looks like one that has ended: any of some tries will do.
    #[test]
    fn threads_are_charged_even_after_the_work_returned() {
        let charged = (0..50).any(|_| {
            let (seconds, thread) = timed(|| {
                burn(2e-3);
                std::thread::spawn(|| burn(5e-3))
            });
            thread.join().unwrap();
            seconds.cpu >= 6.9e-3
        });
        assert!(charged);
    }

    #[test]
    fn minima_and_ratios_are_taken_apart() {
        let (one, two) = (Seconds { wall: 1.0, cpu: 4.0 }, Seconds { wall: 2.0, cpu: 2.0 });
        assert_eq!(one.min(two), Seconds { wall: 1.0, cpu: 2.0 });
        assert_eq!(one.ratio(two), Seconds { wall: 0.5, cpu: 2.0 });
        assert_eq!([one, two].into_iter().sum::<Seconds>(), Seconds { wall: 3.0, cpu: 6.0 });
    }
}
