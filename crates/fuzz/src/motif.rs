//! What is hostile: short plans of transactions that belong together. A block mixes several of them.

use alloy_primitives::{Address, B256, Bytes, U256};
use revm::context_interface::transaction::AccessListItem;
use solder_engine::Fork;

use crate::assembler::words;
use crate::cast::{self, Part, address_of, anybody, destroyer};
use crate::contracts::{child_address, factory_mode};
use crate::program;
use crate::random::Random;
use crate::step::{Amount, Delegation, Kind, Spoil, Step};

/// What plans are made of.
pub struct Stage<'r> {
    /// Whose rules hold.
    pub fork: Fork,
    /// Who produces the block.
    pub coinbase: Address,
    /// Choices.
    pub random: &'r mut Random,
}

/// A plan, by name.
pub type Motif = (&'static str, fn(&mut Stage<'_>) -> Vec<Step>);

/// Every plan there is.
pub const ALL: &[Motif] = &[
    ("transfers", transfers),
    ("nonce chain", nonce_chain),
    ("just in time", just_in_time),
    ("paid by a contract", paid_by_a_contract),
    ("paid by a reward", paid_by_a_reward),
    ("paid by a destruction", paid_by_a_destruction),
    ("destroyed and revived", destroyed_and_revived),
    ("created again", created_again),
    ("destroyed where it was created", destroyed_where_created),
    ("beneficiary sends later", beneficiary_sends_later),
    ("destroyed account sends", destroyed_account_sends),
    ("hot slot", hot_slot),
    ("programs", programs),
    ("creations", creations),
    ("observers", observers),
    ("coinbase", coinbase_in_every_role),
    ("touched empty", touched_empty),
    ("endowments", endowments),
    ("gates", gates),
    ("overflow", overflow),
    ("dispatched", dispatched),
    ("delegation chain", delegation_chain),
    ("delegated at once", delegated_at_once),
    ("touched then authority", touched_then_authority),
    ("kinds", kinds),
    ("transient", transient),
    ("invalid", invalid),
];

fn word(address: Address) -> U256 {
    address.into_word().into()
}

fn wei(amount: u64) -> Amount {
    Amount::Wei(U256::from(amount))
}

impl Stage<'_> {
    fn sender(&mut self) -> Address {
        self.random.pick(&cast::SENDERS)
    }

    fn anybody(&mut self) -> Address {
        anybody(self.random, self.coinbase)
    }

    fn flag(&mut self, percent: usize) -> U256 {
        U256::from(u64::from(self.random.chance(percent)))
    }

    /// Looks at somebody, sometimes in vain.
    fn observe(&mut self, target: Address) -> Step {
        let (from, fails) = (self.sender(), self.flag(20));
        Step::call(from, address_of(Part::Observer), words(&[word(target), fails]))
    }
}

fn transfers(stage: &mut Stage<'_>) -> Vec<Step> {
    let count = 2 + stage.random.below(5);
    let step = |stage: &mut Stage<'_>| {
        let from = stage.sender();
        let to = if stage.random.chance(15) { from } else { stage.anybody() };
        let amount = wei([0, 1, 1_000_000][stage.random.below(3)]);
        Step::transfer(from, to, amount)
    };
    (0..count).map(|_| step(stage)).collect()
}

fn nonce_chain(stage: &mut Stage<'_>) -> Vec<Step> {
    let from = stage.sender();
    let count = 3 + stage.random.below(6);
    let mut steps = Vec::new();
    for _ in 0..count {
        let to = stage.anybody();
        steps.push(if stage.random.chance(30) {
            Step::create(from, program::init_code(stage.fork, stage.random))
        } else {
            Step::transfer(from, to, wei(1))
        });
    }
    steps
}

/// A poor account is paid, and spends all of it, exactly or one wei too much.
fn just_in_time(stage: &mut Stage<'_>) -> Vec<Step> {
    let poor = stage.random.pick(&cast::POOR);
    let (from, back) = (stage.sender(), stage.anybody());
    let mut steps = vec![Step::transfer(from, poor, wei(40_000_000_000_000))];
    if stage.random.chance(50) {
        steps.push(stage.observe(poor));
    }
    steps.extend(spend_all(stage, poor, back));
    steps
}

/// Spends everything, sometimes one wei more, and then once again what is not there any more.
fn spend_all(stage: &mut Stage<'_>, from: Address, to: Address) -> Vec<Step> {
    let mut steps = Vec::new();
    if stage.random.chance(30) {
        steps.push(Step::transfer(from, to, Amount::All { over: 1 }).spoiled(Spoil::Perhaps));
    }
    steps.push(Step::transfer(from, to, Amount::All { over: 0 }));
    if stage.random.chance(30) {
        steps.push(Step::transfer(from, to, wei(1)).spoiled(Spoil::Perhaps));
    }
    steps
}

fn paid_by_a_contract(stage: &mut Stage<'_>) -> Vec<Step> {
    let poor = stage.random.pick(&cast::POOR);
    let (from, to) = (stage.sender(), stage.anybody());
    let amount = U256::from(30_000_000_000_000u64);
    let fails = stage.flag(20);
    let mut steps = vec![Step::call(from, address_of(Part::Payer), words(&[word(poor), amount, fails]))];
    steps.extend(spend_all(stage, poor, to));
    steps
}

/// The producer spends what the fees before it gave.
fn paid_by_a_reward(stage: &mut Stage<'_>) -> Vec<Step> {
    let mut steps = Vec::new();
    for _ in 0..1 + stage.random.below(3) {
        let (from, to) = (stage.sender(), stage.anybody());
        steps.push(Step { tip: 1_000_000_000, ..Step::transfer(from, to, wei(3)) });
    }
    let (coinbase, to) = (stage.coinbase, stage.anybody());
    let spend = Step { gas: 21_000, ..Step::transfer(coinbase, to, Amount::All { over: 0 }) };
    steps.push(spend.spoiled(Spoil::Perhaps));
    steps
}

fn paid_by_a_destruction(stage: &mut Stage<'_>) -> Vec<Step> {
    let poor = stage.random.pick(&cast::POOR);
    let (from, to) = (stage.sender(), stage.anybody());
    let victim = destroyer(stage.random.below(3) as u8);
    let mode = U256::from(1 + stage.random.below(2));
    let mut steps = vec![
        Step::transfer(from, victim, wei(50_000_000_000_000)),
        Step::call(from, victim, words(&[mode, word(poor)])),
    ];
    steps.extend(spend_all(stage, poor, to));
    steps
}

/// Destroyed, looked at, revived by a transfer, looked at, called.
fn destroyed_and_revived(stage: &mut Stage<'_>) -> Vec<Step> {
    let victim = destroyer(stage.random.below(3) as u8);
    let mut steps = Vec::new();
    for _ in 0..1 + stage.random.below(2) {
        let (from, heir) = (stage.sender(), stage.anybody());
        let heir = if stage.random.chance(20) { victim } else { heir };
        if stage.random.chance(60) {
            let mode = U256::from([0, 4][stage.random.below(2)]);
            steps.push(Step::call(from, victim, words(&[mode])));
        }
        let mode = U256::from(1 + stage.random.below(3));
        steps.push(Step::call(from, victim, words(&[mode, word(heir)])));
        steps.push(stage.observe(victim));
        let reviver = stage.sender();
        steps.push(Step::transfer(reviver, victim, wei(stage.random.below(2) as u64)));
        steps.push(stage.observe(victim));
        steps.push(Step::call(reviver, victim, words(&[U256::ZERO])));
    }
    steps
}

fn factory(stage: &mut Stage<'_>, mode: u64, salt: u64) -> Step {
    let (from, heir) = (stage.sender(), stage.anybody());
    let place = address_of(Part::Factory);
    let endowment = U256::from(stage.random.below(3));
    let arguments =
        [U256::from(mode), U256::from(salt), endowment, word(heir), word(child_address(place, salt))];
    Step { gas: 900_000, ..Step::call(from, place, words(&arguments)) }
}

/// A child is created, counts, is destroyed and is created again at the same address, over several transactions.
fn created_again(stage: &mut Stage<'_>) -> Vec<Step> {
    let salt = stage.random.below(2) as u64;
    let child = child_address(address_of(Part::Factory), salt);
    let mut steps = Vec::new();
    for _ in 0..1 + stage.random.below(3) {
        steps.push(factory(stage, factory_mode::CREATE, salt));
        if stage.random.chance(60) {
            steps.push(factory(stage, factory_mode::COUNT, salt));
        }
        if stage.random.chance(40) {
            steps.push(stage.observe(child));
        }
        steps.push(factory(stage, factory_mode::DESTROY, salt));
        if stage.random.chance(40) {
            let from = stage.sender();
            steps.push(Step::transfer(from, child, wei(1)));
        }
        if stage.random.chance(40) {
            steps.push(stage.observe(child));
        }
    }
    steps
}

/// The same within one transaction, in all combinations.
fn destroyed_where_created(stage: &mut Stage<'_>) -> Vec<Step> {
    let salt = stage.random.below(2) as u64;
    let count = 1 + stage.random.below(4);
    (0..count)
        .map(|_| {
            let mode = stage.random.below(64) as u64;
            let fails = if stage.random.chance(85) { 0 } else { factory_mode::FAIL };
            factory(stage, mode & !factory_mode::FAIL | fails, salt)
        })
        .collect()
}

/// The beneficiary of a destruction is a sender of a later transaction.
fn beneficiary_sends_later(stage: &mut Stage<'_>) -> Vec<Step> {
    let (from, heir) = (stage.sender(), stage.sender());
    let victim = destroyer(stage.random.below(3) as u8);
    let to = stage.anybody();
    vec![
        Step::call(from, victim, words(&[U256::from(1), word(heir)])),
        Step::transfer(heir, to, wei(5)),
        stage.observe(heir),
        Step::transfer(heir, victim, wei(5)),
    ]
}

/// Once its code is gone, a contract's address may send.
fn destroyed_account_sends(stage: &mut Stage<'_>) -> Vec<Step> {
    let victim = destroyer(stage.random.below(3) as u8);
    let (from, to) = (stage.sender(), stage.anybody());
    let mut steps = vec![Step::call(from, victim, words(&[U256::from(1), word(from)]))];
    if stage.random.chance(30) {
        steps.insert(0, Step::transfer(victim, to, wei(1)).spoiled(Spoil::Perhaps));
    }
    steps.push(Step::transfer(from, victim, wei(90_000_000_000_000)));
    steps.push(Step::transfer(victim, to, wei(1)).spoiled(Spoil::Perhaps));
    steps.push(Step::create(victim, program::init_code(stage.fork, stage.random)).spoiled(Spoil::Perhaps));
    steps
}

fn hot_slot(stage: &mut Stage<'_>) -> Vec<Step> {
    let count = 3 + stage.random.below(6);
    let slot = U256::from(stage.random.below(2));
    (0..count)
        .map(|_| {
            let from = stage.sender();
            let arguments = [slot, stage.flag(15), stage.flag(15)];
            Step::call(from, address_of(Part::Counter), words(&arguments))
        })
        .collect()
}

fn programs(stage: &mut Stage<'_>) -> Vec<Step> {
    let count = 3 + stage.random.below(8);
    (0..count)
        .map(|_| {
            let (from, somebody) = (stage.sender(), stage.anybody());
            let place = cast::program(stage.random.below(usize::from(cast::PROGRAMS)) as u8);
            let data = program::entry(stage.random, somebody);
            let amount = wei(stage.random.below(3) as u64);
            let gas = if stage.random.chance(10) { 60_000 } else { 600_000 };
            Step { amount, gas, ..Step::call(from, place, data) }
        })
        .collect()
}

fn creations(stage: &mut Stage<'_>) -> Vec<Step> {
    let count = 1 + stage.random.below(3);
    (0..count)
        .map(|_| {
            let from = stage.sender();
            let amount = wei(stage.random.below(3) as u64);
            Step { amount, ..Step::create(from, program::init_code(stage.fork, stage.random)) }
        })
        .collect()
}

fn observers(stage: &mut Stage<'_>) -> Vec<Step> {
    let target = stage.anybody();
    let mut steps = Vec::new();
    for _ in 0..2 + stage.random.below(3) {
        steps.push(stage.observe(target));
        let from = stage.sender();
        steps.push(Step::transfer(from, target, wei(stage.random.below(2) as u64)));
    }
    steps
}

fn coinbase_in_every_role(stage: &mut Stage<'_>) -> Vec<Step> {
    let coinbase = stage.coinbase;
    let mut steps = Vec::new();
    for _ in 0..2 + stage.random.below(4) {
        let from = stage.sender();
        let tip = u128::from(stage.random.bits() % 3);
        let step = match stage.random.below(7) {
            0 => stage.observe(coinbase),
            1 => Step::transfer(from, coinbase, wei(stage.random.below(3) as u64)),
            2 => {
                let victim = destroyer(stage.random.below(3) as u8);
                Step::call(from, victim, words(&[U256::from(1), word(coinbase)]))
            }
            3 => Step::transfer(coinbase, from, wei(1)).spoiled(Spoil::Perhaps),
            4 => Step::call(from, address_of(Part::Meter), words(&[word(coinbase), U256::ZERO])),
            5 => Step::call(from, address_of(Part::Payer), words(&[word(coinbase), U256::from(2)])),
            _ => Step::call(from, coinbase, program::entry(stage.random, coinbase)),
        };
        steps.push(Step { tip, ..step });
    }
    steps
}

/// Accounts that are empty, or absent, are called without value, by calls that fail too.
fn touched_empty(stage: &mut Stage<'_>) -> Vec<Step> {
    let mut steps = Vec::new();
    for _ in 0..2 + stage.random.below(4) {
        let from = stage.sender();
        let target = match stage.random.below(4) {
            0 => cast::precompile(3),
            1 => stage.random.pick(&cast::ABSENT),
            2 => cast::precompile(stage.random.pick(&[0x0a, 0x12, 0xff])),
            _ => stage.random.pick(&cast::EMPTY),
        };
        let gas = U256::from([0, 1_000, 50_000][stage.random.below(3)]);
        let step = match stage.random.below(5) {
            0 => Step::transfer(from, target, wei(0)),
            1 => {
                let victim = destroyer(stage.random.below(3) as u8);
                Step::call(from, victim, words(&[U256::from(1), word(target)]))
            }
            _ => Step::call(from, address_of(Part::Toucher), words(&[word(target), stage.flag(40), gas])),
        };
        steps.push(step);
        steps.push(match stage.random.below(2) {
            0 => stage.observe(target),
            _ => {
                let value = U256::from(stage.random.below(2));
                Step::call(from, address_of(Part::Meter), words(&[word(target), value]))
            }
        });
    }
    steps
}

/// The creator has too little, then enough.
fn endowments(stage: &mut Stage<'_>) -> Vec<Step> {
    let creator = address_of(Part::Creator);
    let mut steps = Vec::new();
    for _ in 0..2 + stage.random.below(3) {
        let from = stage.sender();
        if stage.random.chance(50) {
            steps.push(Step::transfer(from, creator, wei(2)));
        }
        let endowment = U256::from(stage.random.below(4));
        let length = U256::from(stage.random.below(2) * 32);
        steps.push(Step::call(from, creator, words(&[endowment, length, stage.flag(15)])));
    }
    steps
}

/// Comparisons whose outcome transfers may or may not change.
fn gates(stage: &mut Stage<'_>) -> Vec<Step> {
    let gate = address_of(Part::Gate);
    let target = stage.random.pick(&[cast::POOR[0], cast::POOR[1], cast::ABSENT[0], stage.coinbase]);
    let mut steps = Vec::new();
    for _ in 0..2 + stage.random.below(4) {
        let from = stage.sender();
        steps.push(match stage.random.below(4) {
            0 => Step::transfer(from, gate, wei(1)),
            1 => Step::transfer(from, target, wei(2)),
            _ => Step::call(from, gate, words(&[word(target), U256::from(stage.random.below(4))])),
        });
    }
    steps
}

/// Credits to an account that is almost as rich as can be.
fn overflow(stage: &mut Stage<'_>) -> Vec<Step> {
    let from = stage.sender();
    let victim = destroyer(stage.random.below(3) as u8);
    let payer = address_of(Part::Payer);
    let mut steps = Vec::new();
    for _ in 0..2 + stage.random.below(4) {
        let amount = stage.random.below(8) as u64;
        steps.push(match stage.random.below(5) {
            0 => Step::transfer(from, cast::FULL, wei(amount)),
            1 => Step::call(from, payer, words(&[word(cast::FULL), U256::from(amount)])),
            2 => Step::call(from, victim, words(&[U256::from(1), word(cast::FULL)])),
            3 => Step::transfer(cast::FULL, victim, wei(amount)).spoiled(Spoil::Perhaps),
            _ => stage.observe(cast::FULL),
        });
    }
    steps
}

fn dispatched(stage: &mut Stage<'_>) -> Vec<Step> {
    let count = 2 + stage.random.below(4);
    (0..count)
        .map(|_| {
            let (from, somebody) = (stage.sender(), stage.anybody());
            let (target, data) = match stage.random.below(6) {
                0 => (address_of(Part::Counter), words(&[U256::from(1)])),
                1 => (destroyer(0), words(&[U256::from(stage.random.below(5)), word(somebody)])),
                2 => (address_of(Part::Observer), words(&[word(somebody), stage.flag(20)])),
                3 => (address_of(Part::Payer), words(&[word(somebody), U256::from(1)])),
                4 => (cast::program(0), program::entry(stage.random, somebody)),
                _ => (somebody, words(&[U256::ZERO])),
            };
            let kind = U256::from(stage.random.below(4));
            let value = U256::from(stage.random.below(2));
            let mut bytes = words(&[kind, word(target), value, stage.flag(20)]).to_vec();
            bytes.extend_from_slice(&data);
            Step::call(from, address_of(Part::Dispatcher), bytes.into())
        })
        .collect()
}

fn delegate(authority: Address, target: Address) -> Delegation {
    Delegation { authority, target, nonce_off: 0, forged: false }
}

/// Where one may delegate to.
fn delegate_target(stage: &mut Stage<'_>) -> Address {
    match stage.random.below(9) {
        0 => address_of(Part::Counter),
        1 => address_of(Part::Observer),
        2 => destroyer(stage.random.below(3) as u8),
        3 => cast::program(stage.random.below(4) as u8),
        4 => stage.random.pick(&cast::POOR),
        5 => cast::precompile(4),
        6 => stage.coinbase,
        7 => address_of(Part::Dispatcher),
        _ => address_of(Part::Payer),
    }
}

/// X, then Y, calls in between, and back to none; the authority may be a sender, poor, or the producer.
fn delegation_chain(stage: &mut Stage<'_>) -> Vec<Step> {
    if stage.fork < Fork::Prague {
        return Vec::new();
    }
    let authority = match stage.random.below(4) {
        0 => stage.coinbase,
        1 => stage.sender(),
        2 => stage.random.pick(&cast::EMPTY),
        _ => stage.random.pick(&cast::POOR),
    };
    let mut steps = Vec::new();
    for _ in 0..2 + stage.random.below(3) {
        let from = if stage.random.chance(25) { authority } else { stage.sender() };
        let target = if stage.random.chance(25) { Address::ZERO } else { delegate_target(stage) };
        let somebody = stage.anybody();
        let to = if stage.random.chance(50) { authority } else { somebody };
        let data = program::entry(stage.random, somebody);
        let step = Step::call(from, to, data).of_kind(Kind::SetCode(vec![delegate(authority, target)]));
        let is_sender = cast::SENDERS.contains(&from);
        steps.push(if is_sender { step } else { step.spoiled(Spoil::Perhaps) });
        let from = stage.sender();
        if stage.random.chance(60) {
            let data = program::entry(stage.random, somebody);
            steps.push(Step::call(from, authority, data));
        }
        if stage.random.chance(40) {
            steps.push(stage.observe(authority));
        }
        if stage.random.chance(30) {
            steps.push(Step::transfer(authority, from, wei(1)).spoiled(Spoil::Perhaps));
        }
    }
    steps
}

/// Lists with repetitions, wrong nonces and forged entries.
fn delegated_at_once(stage: &mut Stage<'_>) -> Vec<Step> {
    if stage.fork < Fork::Prague {
        return Vec::new();
    }
    let count = 1 + stage.random.below(2);
    (0..count)
        .map(|_| {
            let (from, to) = (stage.sender(), stage.anybody());
            let list = (0..1 + stage.random.below(4))
                .map(|_| {
                    let authority = match stage.random.below(5) {
                        0 => from,
                        1 => stage.coinbase,
                        2 => to,
                        _ => stage.random.pick(&cast::POOR),
                    };
                    let nonce_off = u64::from(stage.random.chance(15));
                    let forged = stage.random.chance(10);
                    let target = if stage.random.chance(20) { Address::ZERO } else { delegate_target(stage) };
                    Delegation { authority, target, nonce_off, forged }
                })
                .collect();
            Step::call(from, to, program::entry(stage.random, to)).of_kind(Kind::SetCode(list))
        })
        .collect()
}

/// Touched while empty by one transaction, an authority in another: it still did not exist.
fn touched_then_authority(stage: &mut Stage<'_>) -> Vec<Step> {
    if stage.fork < Fork::Prague {
        return Vec::new();
    }
    let authority = stage.random.pick(&[cast::ABSENT[0], cast::ABSENT[1], cast::EMPTY[0], cast::EMPTY[1]]);
    let (first, second) = (stage.sender(), stage.sender());
    let target = delegate_target(stage);
    vec![
        Step::transfer(first, authority, wei(0)),
        Step::call(second, first, Bytes::new()).of_kind(Kind::SetCode(vec![delegate(authority, target)])),
        stage.observe(authority),
    ]
}

/// The other kinds of transactions.
fn kinds(stage: &mut Stage<'_>) -> Vec<Step> {
    let mut steps = Vec::new();
    for _ in 0..2 + stage.random.below(3) {
        let (from, to) = (stage.sender(), stage.anybody());
        let data = program::entry(stage.random, to);
        let step = Step::call(from, if stage.random.chance(50) { cast::program(1) } else { to }, data);
        let kind = match stage.random.below(4) {
            0 if stage.fork >= Fork::Berlin => {
                let storage_keys = vec![B256::ZERO, B256::with_last_byte(1)];
                let address = if stage.random.chance(50) { cast::program(1) } else { to };
                Kind::AccessList(vec![AccessListItem { address, storage_keys }])
            }
            1 if stage.fork >= Fork::London => Kind::Dynamic(u128::from(stage.random.bits() % 3)),
            2 if stage.fork >= Fork::Cancun => Kind::Blob(1 + stage.random.below(2) as u8),
            _ => Kind::Legacy,
        };
        let step = step.of_kind(kind);
        // A block takes few blobs.
        let spoil = if matches!(step.kind, Kind::Blob(_)) { Spoil::Perhaps } else { Spoil::Nothing };
        steps.push(step.spoiled(spoil));
    }
    steps
}

fn transient(stage: &mut Stage<'_>) -> Vec<Step> {
    let count = 1 + stage.random.below(3);
    (0..count)
        .map(|_| {
            let from = stage.sender();
            let arguments = [U256::from(stage.random.below(2)), U256::from(stage.random.below(3))];
            Step::call(from, address_of(Part::Transient), words(&arguments))
        })
        .collect()
}

/// Invalid by itself.
fn invalid(stage: &mut Stage<'_>) -> Vec<Step> {
    let (from, to) = (stage.sender(), stage.anybody());
    let spoil = stage.random.pick(&[
        Spoil::NonceLow,
        Spoil::NonceHigh,
        Spoil::Price,
        Spoil::BlockGas,
        Spoil::IntrinsicGas,
    ]);
    let step = Step::transfer(from, to, wei(1));
    let dynamic = stage.fork >= Fork::London && stage.random.chance(50);
    let step = if dynamic { step.of_kind(Kind::Dynamic(1)) } else { step };
    vec![step.spoiled(spoil)]
}
