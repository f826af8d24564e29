//! What the meter says of a transaction: a calling-context tree with a bill at each node.

use alloy_primitives::Address;

use super::part::{PARTS, Part};

/// A share of the bill.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Gas, before the refund.
    pub gas: u64,
    /// Ticks of the clock; the meter's own are taken off.
    pub ticks: u64,
    /// How often: instructions, bytes of input, entries, frames.
    pub count: u64,
}

/// How a node was reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum NodeKind {
    /// The transaction itself.
    Transaction,
    /// By CALL, or as the transaction's own call.
    Call,
    /// By CALLCODE.
    CallCode,
    /// By DELEGATECALL.
    DelegateCall,
    /// By STATICCALL.
    StaticCall,
    /// Init code.
    Create,
    /// A precompiled contract.
    Precompile,
}

impl NodeKind {
    /// Its name in reports.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Transaction => "transaction",
            Self::Call => "call",
            Self::CallCode => "callcode",
            Self::DelegateCall => "delegatecall",
            Self::StaticCall => "staticcall",
            Self::Create => "create",
            Self::Precompile => "precompile",
        }
    }
}

/// All calls of one function of one contract from one place in the tree.
#[derive(Clone, Debug)]
pub struct Node {
    /// The caller's place in the list; the root is its own.
    pub parent: u32,
    /// How it was reached.
    pub kind: NodeKind,
    /// Whose code ran (for init code: whose it will be, by the creator; the root: the sender).
    pub code: Address,
    /// The first four bytes of the input, where there are as many.
    pub selector: Option<[u8; 4]>,
    /// How often it was entered.
    pub calls: u64,
    /// What it cost itself, without the nodes below it.
    pub parts: [Tally; PARTS],
    /// Ticks that neither a clocked instruction nor the counts explain; negative where the counts explain too much.
    pub residual_ticks: i64,
}

impl Node {
    pub(super) fn new(parent: u32, kind: NodeKind, code: Address, selector: Option<[u8; 4]>) -> Self {
        let parts = [Tally::default(); PARTS];
        Self { parent, kind, code, selector, calls: 0, parts, residual_ticks: 0 }
    }

    /// A part's share.
    pub fn part(&self, part: Part) -> &Tally {
        &self.parts[part as usize]
    }

    pub(super) fn part_mut(&mut self, part: Part) -> &mut Tally {
        &mut self.parts[part as usize]
    }
}

/// The bill of a transaction: the parts of all nodes, minus `refund`, plus `floor_top_up`, are `gas_used`.
#[derive(Clone, Debug)]
pub struct TransactionBill {
    /// Its place in the block.
    pub index: usize,
    /// What the receipt says.
    pub gas_used: u64,
    /// What was given back, after its cap.
    pub refund: u64,
    /// What the floor price of call data adds.
    pub floor_top_up: u64,
    /// The tree, callers before those they call.
    pub nodes: Vec<Node>,
    /// Wall time, the meter's own bookkeeping included.
    pub ticks: u64,
    /// Of it, the meter's own bookkeeping: measured between frames, estimated within.
    pub meter_ticks: u64,
}

impl TransactionBill {
    /// Adds to the transaction itself.
    pub(crate) fn charge(&mut self, part: Part, gas: u64, count: u64) {
        let Some(root) = self.nodes.first_mut() else { return };
        let tally = root.part_mut(part);
        tally.gas += gas;
        tally.count += count;
    }

    /// Gas of all parts, before the refund.
    pub fn gas_of_parts(&self) -> u64 {
        self.nodes.iter().flat_map(|node| &node.parts).map(|tally| tally.gas).sum()
    }
}
