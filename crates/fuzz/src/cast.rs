//! Who takes part in a hostile block: few accounts, so that they meet.

use alloy_primitives::Address;

use crate::contracts::child_address;
use crate::random::Random;

/// Accounts of one kind, by number.
const fn account(kind: u8, number: u8) -> Address {
    let mut bytes = [0u8; 20];
    bytes[0] = kind;
    bytes[1] = kind;
    bytes[19] = number;
    Address::new(bytes)
}

/// Rich, without code.
pub const SENDERS: [Address; 6] = [
    account(0xa1, 0),
    account(0xa1, 1),
    account(0xa1, 2),
    account(0xa1, 3),
    account(0xa1, 4),
    account(0xa1, 5),
];
/// Without code; nothing to spend, or very little, before somebody pays them.
pub const POOR: [Address; 4] = [account(0xb2, 0), account(0xb2, 1), account(0xb2, 2), account(0xb2, 3)];
/// Empty accounts: there before Spurious Dragon, and sometimes after.
pub const EMPTY: [Address; 3] = [account(0xe5, 0), account(0xe5, 1), account(0xe5, 2)];
/// Nobody has been there.
pub const ABSENT: [Address; 3] = [account(0xf6, 0), account(0xf6, 1), account(0xf6, 2)];
/// Produces the block, where nobody else does.
pub const PRODUCER: Address = account(0xcb, 0);
/// Almost as rich as can be: a credit may overflow.
pub const FULL: Address = account(0xfe, 0);

/// A fixed contract, by its part in the play.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// Logs everything that can be observed of an account.
    Observer,
    /// Sends what it is told to.
    Payer,
    /// Has storage; destroys itself when told to.
    Destroyer,
    /// Creates destroyers, again and again at the same address.
    Factory,
    /// A hot slot.
    Counter,
    /// Calls on in each of the four ways.
    Dispatcher,
    /// Does one thing or another by a comparison of a balance.
    Gate,
    /// Calls without value, and perhaps fails.
    Toucher,
    /// Measures what a call costs.
    Meter,
    /// Creates with an endowment that it may not have.
    Creator,
    /// Transient storage.
    Transient,
    /// A random program.
    Program(u8),
}

/// How many random programs there are.
pub const PROGRAMS: u8 = 4;
/// How many destroyers.
const DESTROYERS: u8 = 3;

/// Every contract with its address.
pub fn contracts() -> Vec<(Address, Part)> {
    let single = [
        Part::Observer,
        Part::Payer,
        Part::Factory,
        Part::Counter,
        Part::Dispatcher,
        Part::Gate,
        Part::Toucher,
        Part::Meter,
        Part::Creator,
        Part::Transient,
    ];
    let mut all: Vec<_> =
        single.iter().enumerate().map(|(number, part)| (account(0xd4, number as u8), *part)).collect();
    all.extend((0..DESTROYERS).map(|number| (destroyer(number), Part::Destroyer)));
    all.extend((0..PROGRAMS).map(|number| (account(0xd6, number), Part::Program(number))));
    all
}

/// One of the destroyers.
pub const fn destroyer(number: u8) -> Address {
    account(0xd5, number % DESTROYERS)
}

/// One of the random programs.
pub const fn program(number: u8) -> Address {
    account(0xd6, number % PROGRAMS)
}

/// Where a part is played.
pub fn address_of(part: Part) -> Address {
    contracts().iter().find(|(_, other)| *other == part).map_or(PRODUCER, |(address, _)| *address)
}

/// A precompile, or an address that will be one some day.
pub const fn precompile(number: u8) -> Address {
    let mut bytes = [0u8; 20];
    bytes[19] = number;
    Address::new(bytes)
}

/// Somebody, anybody.
pub fn anybody(random: &mut Random, coinbase: Address) -> Address {
    match random.below(20) {
        0..=3 => random.pick(&SENDERS),
        4..=6 => random.pick(&POOR),
        7 | 8 => random.pick(&EMPTY),
        9 | 10 => random.pick(&ABSENT),
        11..=13 => coinbase,
        14 => precompile(random.pick(&[1, 2, 3, 4, 6, 9, 0x0a, 0x0b, 0x11, 0x12, 0xff])),
        15 | 16 => destroyer(random.below(3) as u8),
        17 if random.chance(40) => FULL,
        17 | 18 => child_address(address_of(Part::Factory), random.below(2) as u64),
        _ => {
            let all = contracts();
            all[random.below(all.len())].0
        }
    }
}

/// A name for people.
pub fn name(address: Address) -> String {
    let part = contracts().into_iter().find(|(other, _)| *other == address);
    if let Some((_, part)) = part {
        return format!("{part:?}({})", address.0[19]);
    }
    let groups: [(&str, &[Address]); 6] = [
        ("sender", &SENDERS),
        ("poor", &POOR),
        ("empty", &EMPTY),
        ("absent", &ABSENT),
        ("producer", &[PRODUCER]),
        ("full", &[FULL]),
    ];
    for (group, members) in groups {
        if let Some(number) = members.iter().position(|member| *member == address) {
            return format!("{group}({number})");
        }
    }
    address.to_string()
}
