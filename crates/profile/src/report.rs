//! The bill as data, ready for JSON: gas by name, parts, shares, Amdahl's estimate, totals by contract and function, and
//! the tree. Nanoseconds are without the meter's own; the parts' nanoseconds and the residual add up to the time.

use std::collections::BTreeMap;

use alloy_primitives::{Address, hex};
use serde::Serialize;
use solder_engine::trace::meter::{Node, NodeKind, PARTS, Part, PartKind, TransactionBill};

use crate::run::BlockBill;

/// How much faster a coprocessor is taken to be, beside one that takes no time.
const COPROCESSOR_SPEEDUP: f64 = 10.0;

/// A block or a transaction.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    /// Gas by name; see the documents.
    pub gas: BTreeMap<&'static str, u64>,
    /// Time of all parts.
    pub nanoseconds: i64,
    /// The meter's own, on top.
    pub meter_nanoseconds: i64,
    /// Where it went.
    pub parts: Vec<PartReport>,
    /// Shares of structured work.
    pub structured: Shares,
    /// What a coprocessor for a part would save.
    pub amdahl: Vec<Estimate>,
    /// By the contract whose code ran, most gas first.
    pub contracts: Vec<Total>,
    /// By contract and function, most gas first.
    pub functions: Vec<Total>,
    /// Each transaction's call tree, where asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tree: Option<Vec<Vec<TreeNode>>>,
}

/// A part of the bill.
#[derive(Clone, Debug, Serialize)]
pub struct PartReport {
    /// Its name.
    pub name: &'static str,
    /// `structured` or `glue`.
    pub kind: &'static str,
    /// Before the refund.
    pub gas: u64,
    /// Only the residual's may be negative.
    pub nanoseconds: i64,
    /// How often.
    pub count: u64,
}

/// Shares of structured work, between 0 and 1.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Shares {
    /// Of the gas before the refund.
    pub gas: f64,
    /// Of the time.
    pub time: f64,
    /// Of the time without the recovery of signatures, which a replay does not do.
    pub time_without_signatures: f64,
}

/// Amdahl's estimate for one part, or for all structured ones.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Estimate {
    /// The part's name, or `structured`.
    pub part: &'static str,
    /// Its share of the time.
    pub share: f64,
    /// Of the whole, if the part took no time.
    pub speedup_limit: f64,
    /// Of the whole, if the part became ten times faster.
    pub speedup_at_10x: f64,
    /// What is saved then, at most.
    pub saved_nanoseconds: i64,
}

/// What one contract or function cost itself, without those it called.
#[derive(Clone, Debug, Serialize)]
pub struct Total {
    /// Whose code.
    pub address: String,
    /// Which function; none where the input is shorter, and in totals of contracts.
    pub selector: Option<String>,
    /// How it was entered: `call`, `create`, `precompile`.
    pub kind: &'static str,
    /// How often.
    pub calls: u64,
    /// Gas before the refund.
    pub gas: u64,
    /// Of it, structured.
    pub structured_gas: u64,
    /// Time.
    pub nanoseconds: i64,
    /// Of it, structured.
    pub structured_nanoseconds: i64,
}

/// A node of a transaction's tree.
#[derive(Clone, Debug, Serialize)]
pub struct TreeNode {
    /// Its caller's place in the list.
    pub parent: u32,
    /// How it was reached.
    pub kind: &'static str,
    /// Whose code.
    pub address: String,
    /// Which function.
    pub selector: Option<String>,
    /// How often.
    pub calls: u64,
    /// Its own parts: name, gas, nanoseconds.
    pub parts: Vec<(&'static str, u64, i64)>,
}

fn kind_name(kind: PartKind) -> &'static str {
    match kind {
        PartKind::Structured => "structured",
        PartKind::Glue => "glue",
    }
}

/// Sums over nodes and transactions.
#[derive(Clone, Debug, Default)]
struct Sums {
    gas: [u64; PARTS],
    ticks: [u64; PARTS],
    count: [u64; PARTS],
    residual: i64,
    /// Gas before the first instruction, by part.
    intrinsic: [u64; PARTS],
    gas_used: u64,
    refund: u64,
    floor_top_up: u64,
    meter: u64,
    transactions: u64,
}

impl Sums {
    fn add(&mut self, bill: &TransactionBill) {
        for (place, node) in bill.nodes.iter().enumerate() {
            for part in 0..PARTS {
                self.gas[part] += node.parts[part].gas;
                self.ticks[part] += node.parts[part].ticks;
                self.count[part] += node.parts[part].count;
                // What the transaction itself lost by a halt is execution.
                if place == 0 && part != Part::Halted as usize {
                    self.intrinsic[part] += node.parts[part].gas;
                }
            }
            self.residual += node.residual_ticks;
        }
        self.gas_used += bill.gas_used;
        self.refund += bill.refund;
        self.floor_top_up += bill.floor_top_up;
        self.meter += bill.meter_ticks;
        self.transactions += 1;
    }

    fn gas(&self) -> BTreeMap<&'static str, u64> {
        let spent: u64 = self.gas.iter().sum();
        let execution = spent - self.intrinsic.iter().sum::<u64>();
        let of = |part: Part| self.gas[part as usize];
        let mut gas: BTreeMap<_, _> = Part::ALL.into_iter().map(|part| (part.name(), of(part))).collect();
        gas.insert("signature", of(Part::Signature));
        gas.insert("base", of(Part::Signature) + of(Part::Base));
        gas.insert("creation", self.intrinsic[Part::Create as usize]);
        gas.insert("total", self.gas_used);
        gas.insert("execution", execution);
        gas.insert("other", execution - of(Part::Sload) - of(Part::Sstore) - of(Part::Log));
        gas.insert("refund", self.refund);
        gas.insert("floor_top_up", self.floor_top_up);
        gas
    }
}

/// What a report is made with.
#[derive(Clone, Copy, Debug)]
pub struct ReportOptions {
    /// Nanoseconds that recovering one signature takes on this machine.
    pub recovery_nanoseconds: f64,
    /// Whether to give each transaction's tree.
    pub tree: bool,
}

/// The report of a whole block.
pub fn of_block(bill: &BlockBill, options: ReportOptions) -> Report {
    let inside: u64 = bill.transactions.iter().map(|bill| bill.ticks).sum();
    let around = bill.ticks.saturating_sub(inside);
    report(&bill.transactions, Some(around), bill.nanoseconds_per_tick, options)
}

/// The report of one transaction.
pub fn of_transaction(bill: &TransactionBill, nanoseconds_per_tick: f64, options: ReportOptions) -> Report {
    report(std::slice::from_ref(bill), None, nanoseconds_per_tick, options)
}

fn report(bills: &[TransactionBill], around: Option<u64>, tick: f64, options: ReportOptions) -> Report {
    let mut sums = Sums::default();
    bills.iter().for_each(|bill| sums.add(bill));
    let nanoseconds = |ticks: f64| (ticks * tick).round() as i64;
    let recovery = (sums.transactions as f64 * options.recovery_nanoseconds).round() as i64;
    let mut parts: Vec<PartReport> = Part::ALL
        .into_iter()
        .map(|part| PartReport {
            name: part.name(),
            kind: kind_name(part.kind()),
            gas: sums.gas[part as usize],
            nanoseconds: match part {
                Part::Signature => recovery,
                part => nanoseconds(sums.ticks[part as usize] as f64),
            },
            count: sums.count[part as usize],
        })
        .filter(|part| part.gas > 0 || part.nanoseconds > 0 || part.count > 0)
        .collect();
    let time_only = |name, ticks, count| PartReport {
        name,
        kind: kind_name(PartKind::Glue),
        gas: 0,
        nanoseconds: nanoseconds(ticks),
        count,
    };
    if let Some(around) = around {
        parts.push(time_only("block", around as f64, 1));
    }
    parts.push(time_only("residual", sums.residual as f64, sums.transactions));
    let total = parts.iter().map(|part| part.nanoseconds).sum::<i64>();
    Report {
        gas: sums.gas(),
        nanoseconds: total,
        meter_nanoseconds: nanoseconds(sums.meter as f64),
        structured: shares(&parts, total, recovery),
        amdahl: amdahl(&parts, total),
        contracts: totals(bills, tick, false),
        functions: totals(bills, tick, true),
        tree: options.tree.then(|| bills.iter().map(|bill| tree(bill, tick)).collect()),
        parts,
    }
}

fn shares(parts: &[PartReport], total: i64, recovery: i64) -> Shares {
    let structured = || parts.iter().filter(|part| part.kind == kind_name(PartKind::Structured));
    let gas = parts.iter().map(|part| part.gas).sum::<u64>();
    let time: i64 = structured().map(|part| part.nanoseconds).sum();
    let share = |of: f64, all: f64| if all > 0.0 { of / all } else { 0.0 };
    Shares {
        gas: share(structured().map(|part| part.gas).sum::<u64>() as f64, gas as f64),
        time: share(time as f64, total as f64),
        time_without_signatures: share((time - recovery) as f64, (total - recovery) as f64),
    }
}

/// Each structured part by itself, most time first, then all of them.
fn amdahl(parts: &[PartReport], total: i64) -> Vec<Estimate> {
    let estimate = |part, saved: i64| {
        let share = if total > 0 { (saved as f64 / total as f64).clamp(0.0, 1.0) } else { 0.0 };
        Estimate {
            part,
            share,
            speedup_limit: 1.0 / (1.0 - share).max(f64::EPSILON),
            speedup_at_10x: 1.0 / (1.0 - share + share / COPROCESSOR_SPEEDUP),
            saved_nanoseconds: saved,
        }
    };
    let structured =
        || parts.iter().filter(|part| part.kind == kind_name(PartKind::Structured) && part.nanoseconds > 0);
    let mut estimates: Vec<_> = structured().map(|part| estimate(part.name, part.nanoseconds)).collect();
    estimates.sort_by_key(|estimate| std::cmp::Reverse(estimate.saved_nanoseconds));
    estimates.push(estimate("structured", structured().map(|part| part.nanoseconds).sum()));
    estimates
}

fn selector_text(selector: Option<[u8; 4]>) -> Option<String> {
    selector.map(hex::encode_prefixed)
}

/// How a function was entered matters only where it is no call.
fn entry(kind: NodeKind) -> &'static str {
    match kind {
        NodeKind::Create => "create",
        NodeKind::Precompile => "precompile",
        _ => "call",
    }
}

fn totals(bills: &[TransactionBill], tick: f64, by_function: bool) -> Vec<Total> {
    let mut found: BTreeMap<(Address, &'static str, Option<[u8; 4]>), Total> = BTreeMap::new();
    for node in bills.iter().flat_map(|bill| bill.nodes.iter().skip(1)) {
        let selector = node.selector.filter(|_| by_function && entry(node.kind) == "call");
        let total = found.entry((node.code, entry(node.kind), selector)).or_insert_with(|| Total {
            address: node.code.to_string(),
            selector: selector_text(selector),
            kind: entry(node.kind),
            calls: 0,
            gas: 0,
            structured_gas: 0,
            nanoseconds: 0,
            structured_nanoseconds: 0,
        });
        total.calls += node.calls;
        for part in Part::ALL {
            let tally = node.part(part);
            let nanoseconds = (tally.ticks as f64 * tick).round() as i64;
            total.gas += tally.gas;
            total.nanoseconds += nanoseconds;
            if part.kind() == PartKind::Structured {
                total.structured_gas += tally.gas;
                total.structured_nanoseconds += nanoseconds;
            }
        }
        total.nanoseconds += (node.residual_ticks as f64 * tick).round() as i64;
    }
    let mut totals: Vec<_> = found.into_values().collect();
    totals.sort_by(|left, right| right.gas.cmp(&left.gas).then_with(|| left.address.cmp(&right.address)));
    totals
}

fn tree(bill: &TransactionBill, tick: f64) -> Vec<TreeNode> {
    let parts = |node: &Node| {
        let with = |part: Part| {
            let tally = node.part(part);
            (part.name(), tally.gas, (tally.ticks as f64 * tick).round() as i64)
        };
        let residual = ("residual", 0, (node.residual_ticks as f64 * tick).round() as i64);
        let own = Part::ALL.into_iter().map(with).chain([residual]);
        own.filter(|(_, gas, nanoseconds)| *gas > 0 || *nanoseconds != 0).collect()
    };
    let node = |node: &Node| TreeNode {
        parent: node.parent,
        kind: node.kind.name(),
        address: node.code.to_string(),
        selector: selector_text(node.selector),
        calls: node.calls,
        parts: parts(node),
    };
    bill.nodes.iter().map(node).collect()
}
