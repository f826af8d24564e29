//! How far apart the cores are at the moment: how long a cache line takes from one to the other and back. On shared hosts it
//! changes from second to second (tens of nanoseconds within a cache complex, hundreds between two), and what workers
//! share costs that much more: a figure of two workers says little without it.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

/// Round trips of which the mean is taken, and such means of which the least is.
const TRIPS: u64 = 100;
const MEANS: u64 = 4;
/// Looks at the line before the processor is given away: there may be one core only.
const SPINS: u32 = 20_000;

/// Nanoseconds of one round trip between two threads.
pub fn nanoseconds() -> f64 {
    let line = AtomicU64::new(0);
    let wait = |value: u64| {
        let mut looks = 0;
        while line.load(Ordering::Acquire) != value {
            std::hint::spin_loop();
            looks += 1;
            if looks % SPINS == 0 {
                std::thread::yield_now();
            }
        }
    };
    std::thread::scope(|scope| {
        scope.spawn(|| {
            for trip in 0..TRIPS * MEANS {
                wait(2 * trip + 1);
                line.store(2 * trip + 2, Ordering::Release);
            }
        });
        let mut least = f64::INFINITY;
        for mean in 0..MEANS {
            let start = Instant::now();
            for trip in mean * TRIPS..(mean + 1) * TRIPS {
                line.store(2 * trip + 1, Ordering::Release);
                wait(2 * trip + 2);
            }
            least = least.min(start.elapsed().as_nanos() as f64 / TRIPS as f64);
        }
        least
    })
}
