//! Says what is running when nothing moves any more: a deadlock has no other symptom.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// What runs now, since when.
#[derive(Clone, Debug)]
pub struct Watch(Arc<Mutex<(Instant, String)>>);

impl Default for Watch {
    fn default() -> Self {
        Self(Arc::new(Mutex::new((Instant::now(), String::new()))))
    }
}

impl Watch {
    /// Something new runs.
    pub fn enter(&self, what: String) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = (Instant::now(), what);
    }

    /// What runs, if it does so for longer than `limit`.
    pub fn stuck(&self, limit: Duration) -> Option<String> {
        let now = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        (now.0.elapsed() > limit).then(|| now.1.clone())
    }

    /// Ends the process when something runs for longer than `limit`: its threads cannot be stopped.
    pub fn guard(&self, limit: Duration) {
        let watch = self.clone();
        std::thread::spawn(move || {
            loop {
                std::thread::sleep(limit / 10);
                if let Some(what) = watch.stuck(limit) {
                    eprintln!("STUCK for {} seconds: fuzz {what}", limit.as_secs());
                    std::process::exit(3);
                }
            }
        });
    }
}
