//! The clock of the meter and what reading it costs. The processor's time-stamp counter where it is reliable
//! (`quanta` decides), the system's clock elsewhere.

use quanta::Clock;

/// What the meter knows of the machine beforehand, in ticks of its clock.
#[derive(Clone, Debug)]
pub struct Costs {
    /// The clock itself.
    pub ticks: Ticks,
    /// Ticks that pass between two readings with nothing in between: they are inside each measured time.
    pub inside: f64,
    /// Ticks that clocking an instruction adds to its frame beside what it measures.
    pub outside: f64,
    /// Ticks that counting an instruction takes.
    pub counting: f64,
    /// The longest that a counted instruction can take: above it, the thread was interrupted.
    pub longest: u64,
    /// Ticks of each instruction that is counted and not clocked.
    pub opcodes: OpcodeCosts,
}

impl Default for Costs {
    /// Nothing is known: measured times are taken as they are, counted instructions explain nothing.
    fn default() -> Self {
        let opcodes = OpcodeCosts::default();
        Self { ticks: Ticks::default(), inside: 0.0, outside: 0.0, counting: 0.0, longest: u64::MAX, opcodes }
    }
}

/// Ticks of each instruction; zero where nothing is known.
#[derive(Clone, Copy, Debug)]
pub struct OpcodeCosts(pub [f64; 256]);

impl Default for OpcodeCosts {
    fn default() -> Self {
        Self([0.0; 256])
    }
}

/// Ticks, and how long one is.
#[derive(Clone, Debug)]
pub struct Ticks {
    clock: Clock,
}

impl Default for Ticks {
    fn default() -> Self {
        Self { clock: Clock::new() }
    }
}

impl Ticks {
    /// Now.
    #[inline(always)]
    pub fn now(&self) -> u64 {
        self.clock.raw()
    }

    /// Nanoseconds of a tick.
    pub fn nanoseconds(&self) -> f64 {
        const MANY: u64 = 1 << 40;
        self.clock.delta_as_nanos(0, MANY) as f64 / MANY as f64
    }
}

/// Every instruction clocked, one by one: the ticks from the reading before it to the one after it, the meter's own
/// included.
#[derive(Clone, Debug)]
pub struct OpcodeTimes {
    /// How often.
    pub counts: [u64; 256],
    /// Ticks.
    pub ticks: [u64; 256],
}

impl Default for OpcodeTimes {
    fn default() -> Self {
        Self { counts: [0; 256], ticks: [0; 256] }
    }
}
