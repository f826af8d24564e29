//! The meter: where a transaction's gas and time go, exactly, at a price that a replay can bear. Instructions with a
//! static price are counted; those with a price or a duration of their own are read off the gas counter and the clock
//! one by one; what a frame's gas counter lost must equal what was counted, or the run ends with a fault.
//!
//! ```text
//! begin -> [enter -> run -> (enter .. leave)* -> run -> leave] -> end
//!            frame_init      a call inside
//! ```
//! Gas that a call hands over is not its own: its part is what the caller's counter lost, minus the gas that the
//! callee may spend. The stipend of a call with value is in the latter, so such a call's part is 2,300 less than its
//! price, and the callee's parts are what it really used.

pub mod clock;
pub mod part;
pub mod record;
mod run;

use alloy_primitives::{Address, map::HashMap};
use revm::interpreter::instructions::GasTable;

pub use clock::{Costs, OpcodeCosts, OpcodeTimes, Ticks};
pub use part::{PART_OF, PARTS, Part, PartKind, is_counted};
pub use record::{Node, NodeKind, Tally, TransactionBill};
pub(crate) use run::{Runs, left};

use part::{HOOK_OF, Hook};

/// Takes the bills of a block's transactions.
pub trait MeterSink: Sync {
    /// What is known of the machine.
    fn costs(&self) -> &Costs;
    /// Called when a transaction has ended.
    fn bill(&self, bill: TransactionBill);
    /// Whether to clock every instruction: a run that finds what each costs on the average, too slow to say more.
    fn clocks_each(&self) -> bool {
        false
    }
    /// Takes the times of a transaction's instructions, where each is clocked.
    fn opcode_times(&self, _times: &OpcodeTimes) {}
}

/// Prices that the meter must know to split a call.
#[derive(Clone, Copy, Debug)]
pub(crate) struct CallPrices {
    /// A call that reaches nothing new.
    pub call: u64,
    /// Added where value is sent, the stipend taken off.
    pub value: u64,
}

/// Who is called.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Callee {
    pub kind: NodeKind,
    /// Whose code runs; the creator's address for init code.
    pub code: Address,
    pub selector: Option<[u8; 4]>,
    /// What it may spend.
    pub gas: u64,
}

/// What tells a node from its siblings: caller, code, function, kind.
type Place = (u32, Address, Option<[u8; 4]>, NodeKind);

/// A frame that runs.
struct Open {
    /// How often each instruction ran.
    counts: Box<[u64; 256]>,
    node: u32,
    /// What its gas counter held at first.
    gas: u64,
    /// Gas read off the counter at single instructions, so far.
    priced: u64,
    /// What its callees spent.
    callees: u64,
    /// Ticks in its own code.
    ticks: u64,
    /// Of them, measured one by one.
    clocked: u64,
    /// How many were.
    readings: u64,
    /// The instruction by which it halted.
    unpaid: Option<u8>,
}

impl Open {
    fn new() -> Self {
        let counts = Box::new([0; 256]);
        Self {
            counts,
            node: 0,
            gas: 0,
            priced: 0,
            callees: 0,
            ticks: 0,
            clocked: 0,
            readings: 0,
            unpaid: None,
        }
    }

    /// Begins anew; a frame that ended has emptied its counts.
    fn begin(&mut self, node: u32, gas: u64) {
        let Self {
            counts: _,
            node: own_node,
            gas: own_gas,
            priced,
            callees,
            ticks,
            clocked,
            readings,
            unpaid,
        } = self;
        (*own_node, *own_gas, *unpaid) = (node, gas, None);
        (*priced, *callees, *ticks, *clocked, *readings) = (0, 0, 0, 0, 0);
    }
}

/// How a frame ended.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ended {
    /// What its code left on the counter.
    pub after_code: u64,
    /// What goes back to the caller; less by the price of storing code.
    pub returned: u64,
    /// What its memory cost.
    pub memory: u64,
    /// Whether it lost everything it had.
    pub halted: bool,
}

/// The recorder of one block.
pub struct Meter<'c> {
    costs: &'c Costs,
    prices: CallPrices,
    static_gas: [u64; 256],
    open: Vec<Open>,
    /// Frames in `open` that run; the rest is kept for its memory.
    depth: usize,
    nodes: Vec<Node>,
    places: HashMap<Place, u32>,
    /// Where each instruction is clocked.
    pub(crate) each: Option<Box<OpcodeTimes>>,
    last: u64,
    began: u64,
    meter_ticks: f64,
    /// What a frame's counter lost beside what was counted: a bug.
    mismatch: Option<(u64, u64)>,
}

impl<'c> Meter<'c> {
    pub(crate) fn new(costs: &'c Costs, clock_each: bool) -> Self {
        Self {
            costs,
            prices: CallPrices { call: 0, value: 0 },
            static_gas: [0; 256],
            open: Vec::new(),
            depth: 0,
            nodes: Vec::new(),
            places: HashMap::default(),
            each: clock_each.then(Box::default),
            last: 0,
            began: 0,
            meter_ticks: 0.0,
            mismatch: None,
        }
    }

    /// Ticks since the last reading that ended something.
    #[inline]
    fn lap(&mut self) -> u64 {
        let now = self.costs.ticks.now();
        let passed = now - self.last;
        self.last = now;
        passed
    }

    /// What passed since the last lap was the meter's own work.
    #[inline]
    fn own_lap(&mut self) {
        self.meter_ticks += self.lap() as f64;
    }

    /// Sets a fork's prices.
    pub(crate) fn set_prices(&mut self, prices: CallPrices, gas_table: &GasTable) {
        self.prices = prices;
        for (op, gas) in self.static_gas.iter_mut().enumerate() {
            *gas = if HOOK_OF[op] == Hook::Count { u64::from(gas_table[op]) } else { 0 };
        }
    }

    /// A transaction begins.
    pub(crate) fn begin(&mut self, sender: Address) {
        self.nodes.clear();
        self.places.clear();
        // Frames that a fault or a refusal left open.
        self.open.truncate(if self.depth == 0 { self.open.len() } else { 0 });
        self.depth = 0;
        self.meter_ticks = 0.0;
        self.mismatch = None;
        self.nodes.push(Node::new(0, NodeKind::Transaction, sender, None));
        self.nodes[0].calls = 1;
        self.began = self.costs.ticks.now();
        self.last = self.began;
    }

    /// Whether a fork's prices are set.
    pub(crate) fn has_prices(&self) -> bool {
        self.prices.call > 0
    }

    /// Time that passed goes to a part of the innermost frame, or of the transaction.
    #[inline]
    pub(crate) fn spend(&mut self, part: Part) {
        let passed = self.lap();
        let node = self.current();
        self.nodes[node as usize].part_mut(part).ticks += passed;
    }

    /// The node of the innermost frame.
    fn current(&self) -> u32 {
        if self.depth == 0 { 0 } else { self.open[self.depth - 1].node }
    }

    /// The node of a callee, made where it is new.
    fn node_below(&mut self, kind: NodeKind, callee: Callee) -> u32 {
        let Callee { code, selector, .. } = callee;
        let parent = self.current();
        let next = self.nodes.len() as u32;
        let place = *self.places.entry((parent, code, selector, kind)).or_insert(next);
        if place == next {
            self.nodes.push(Node::new(parent, kind, code, selector));
        }
        self.nodes[place as usize].calls += 1;
        place
    }

    /// A frame was set up: that was its caller's call.
    pub(crate) fn enter(&mut self, callee: Callee) {
        self.spend(if callee.kind == NodeKind::Create { Part::Create } else { Part::Call });
        let node = self.node_below(callee.kind, callee);
        if self.open.len() == self.depth {
            self.open.push(Open::new());
        }
        self.open[self.depth].begin(node, callee.gas);
        self.depth += 1;
        self.own_lap();
    }

    /// A call came back at once: a precompile ran, or there was no code, or it could not be made.
    pub(crate) fn at_once(&mut self, callee: Callee, precompile: bool, returned: u64) {
        let spent = callee.gas.saturating_sub(returned);
        let passed = self.lap();
        if precompile {
            let node = self.node_below(NodeKind::Precompile, callee);
            let tally = self.nodes[node as usize].part_mut(Part::Precompile);
            tally.gas += spent;
            tally.ticks += passed;
            tally.count += 1;
        } else {
            let node = self.current();
            let node = &mut self.nodes[node as usize];
            node.part_mut(Part::Call).ticks += passed;
            // A creation at an occupied address loses what it was given.
            node.part_mut(Part::Halted).gas += spent;
        }
        if self.depth > 0 {
            self.open[self.depth - 1].callees += spent;
        }
        self.own_lap();
    }

    /// The innermost frame ended.
    pub(crate) fn leave(&mut self, ended: Ended) {
        self.depth -= 1;
        let open = &mut self.open[self.depth];
        let node = &mut self.nodes[open.node as usize];
        let Ended { after_code, returned, memory, halted } = ended;
        let (mut counted, mut explained, mut instructions) = (0, 0.0, 0);
        for (op, count) in open.counts.iter_mut().enumerate() {
            if *count == 0 {
                continue;
            }
            let part = &mut node.parts[PART_OF[op] as usize];
            part.count += *count;
            instructions += *count;
            let paid = *count - u64::from(open.unpaid.is_some_and(|unpaid| usize::from(unpaid) == op));
            let gas = paid * self.static_gas[op];
            part.gas += gas;
            counted += gas;
            let ticks = *count as f64 * self.costs.opcodes.0[op];
            part.ticks += ticks as u64;
            explained += ticks;
            *count = 0;
        }
        let spent = open.gas.saturating_sub(returned);
        let deposit = if halted { 0 } else { after_code.saturating_sub(returned) };
        let own = spent.saturating_sub(open.callees);
        let known = counted + open.priced + deposit;
        let grown = if halted { memory.min(own.saturating_sub(known)) } else { memory };
        node.part_mut(Part::Memory).gas += grown;
        if deposit > 0 {
            let tally = node.part_mut(Part::CodeDeposit);
            tally.gas += deposit;
            tally.count += 1;
        }
        if halted && own >= known + grown {
            let lost = node.part_mut(Part::Halted);
            lost.gas += own - known - grown;
            lost.count += 1;
        } else if own != known + grown {
            self.mismatch.get_or_insert((own, known + grown));
        }
        let readings = open.readings as f64;
        let overhead = readings * self.costs.outside + instructions as f64 * self.costs.counting;
        self.meter_ticks += overhead + readings * self.costs.inside;
        let rest = open.ticks as f64 - open.clocked as f64 - overhead - explained;
        node.residual_ticks += rest as i64;
        if self.depth > 0 {
            self.open[self.depth - 1].callees += spent;
        }
        self.own_lap();
    }

    /// The transaction ended; what was spent and what of it came back.
    pub(crate) fn end(&mut self, index: usize, gas: &revm::context::result::ResultGas) -> TransactionBill {
        self.depth = 0;
        self.spend(Part::Base);
        let settled = gas.total_gas_spent() - gas.inner_refunded();
        TransactionBill {
            index,
            gas_used: gas.tx_gas_used(),
            refund: gas.inner_refunded(),
            floor_top_up: gas.tx_gas_used() - settled,
            nodes: std::mem::take(&mut self.nodes),
            ticks: self.last - self.began,
            meter_ticks: self.meter_ticks as u64,
        }
    }

    /// What a frame lost and what was counted, where they differ.
    pub(crate) fn mismatch(&self) -> Option<(u64, u64)> {
        self.mismatch
    }
}
