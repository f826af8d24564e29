//! The code of the fixed contracts. What they do is told by words of the call data.

use alloy_primitives::{Address, B256, Bytes, U256, keccak256};
use revm::bytecode::opcode as op;
use solder_engine::Fork;

use crate::assembler::{Assembler, deploying};
use crate::cast::Part;
use crate::program;
use crate::random::Random;

/// The code that plays a part.
pub fn code(part: Part, fork: Fork, random: &mut Random) -> Bytes {
    match part {
        Part::Observer => observer(fork),
        Part::Payer => payer(fork),
        Part::Destroyer => destroyer(),
        Part::Factory => factory(fork),
        Part::Counter => counter(),
        Part::Dispatcher => dispatcher(fork),
        Part::Gate => gate(),
        Part::Toucher => toucher(fork),
        Part::Meter => meter(),
        Part::Creator => creator(fork),
        Part::Transient => transient(fork),
        Part::Program(_) => program::contract(fork, random),
    }
}

/// Ends in failure: with a word of reason where the fork has such, else with all gas gone.
fn failing(fork: Fork) -> impl Fn(&mut Assembler) {
    move |code| {
        if fork >= Fork::Byzantium {
            code.number(32).number(0).op(&[op::REVERT]);
        } else {
            code.op(&[op::INVALID]);
        }
    }
}

/// `[target, fails]`: logs balance, code size, code hash, the first bytes of code, and its own balance.
fn observer(fork: Fork) -> Bytes {
    let mut code = Assembler::new();
    code.argument(0).op(&[op::BALANCE]).store_at(0);
    code.argument(0).op(&[op::EXTCODESIZE]).store_at(32);
    if fork >= Fork::Constantinople {
        code.argument(0).op(&[op::EXTCODEHASH]).store_at(64);
    }
    code.number(32).number(0).number(96).argument(0).op(&[op::EXTCODECOPY]);
    if fork >= Fork::Istanbul {
        code.op(&[op::SELFBALANCE]).store_at(128);
    }
    code.log(160).argument(1).when(failing(fork));
    code.finish()
}

/// Calls `arguments[target]` with `arguments[value]` and a little gas or all of it; leaves success on the stack.
fn call(code: &mut Assembler, target: u64, value: u64, gas: Option<u64>) {
    code.number(0).number(0).number(0).number(0).argument(value).argument(target);
    match gas {
        Some(gas) => code.number(gas),
        None => half_of_gas(code),
    }
    .op(&[op::CALL]);
}

/// Half of the gas that is left: on every fork a call that it can pay for, and no recursion without end.
pub fn half_of_gas(code: &mut Assembler) -> &mut Assembler {
    code.number(2).op(&[op::GAS, op::DIV])
}

/// `[target, value, fails]`: sends, logs success and what is left.
fn payer(fork: Fork) -> Bytes {
    let mut code = Assembler::new();
    call(&mut code, 0, 1, Some(0));
    code.store_at(0).op(&[op::ADDRESS, op::BALANCE]).store_at(32).log(64);
    code.argument(2).when(failing(fork));
    code.finish()
}

/// `[mode, beneficiary]`: 0 counts in slot 1 and logs slots 1 and 2; 1 destroys itself; 2 counts, then destroys itself;
/// 3 destroys itself to itself; 4 writes slot 2 and clears slot 1. Takes money without a word.
pub fn destroyer() -> Bytes {
    let mut code = Assembler::new();
    code.op(&[op::CALLVALUE]).when(|code| {
        code.op(&[op::STOP]);
    });
    let count = |code: &mut Assembler| {
        code.number(1).number(1).op(&[op::SLOAD, op::ADD]).number(1).op(&[op::SSTORE]);
    };
    code.case(0, 0, |code| {
        count(code);
        code.number(1).op(&[op::SLOAD]).store_at(0);
        code.number(2).op(&[op::SLOAD]).store_at(32).log(64);
    });
    code.case(0, 1, |code| {
        code.argument(1).op(&[op::SELFDESTRUCT]);
    });
    code.case(0, 2, |code| {
        count(code);
        code.argument(1).op(&[op::SELFDESTRUCT]);
    });
    code.case(0, 3, |code| {
        code.op(&[op::ADDRESS, op::SELFDESTRUCT]);
    });
    code.case(0, 4, |code| {
        code.number(9).number(2).op(&[op::SSTORE]);
        code.number(0).number(1).op(&[op::SSTORE]);
    });
    code.finish()
}

/// What the factory deploys: the constructor writes the slots that the state before the block may hold too.
pub fn child_init_code() -> Bytes {
    let constructor = |code: &mut Assembler| {
        code.number(5).number(1).op(&[op::SSTORE]);
        code.op(&[op::CALLVALUE]).number(2).op(&[op::SSTORE]);
    };
    deploying(constructor, destroyer())
}

/// Where the factory's child of a salt lives, from Constantinople on.
pub fn child_address(factory: Address, salt: u64) -> Address {
    factory.create2(B256::from(U256::from(salt)), keccak256(child_init_code()))
}

/// Bits of the factory's mode: what it does with its child, in this order.
pub mod factory_mode {
    /// Creates it.
    pub const CREATE: u64 = 1;
    /// Lets it count.
    pub const COUNT: u64 = 2;
    /// Lets it destroy itself.
    pub const DESTROY: u64 = 4;
    /// Sends it a wei afterwards.
    pub const REVIVE: u64 = 8;
    /// Creates it again.
    pub const AGAIN: u64 = 16;
    /// Fails in the end.
    pub const FAIL: u64 = 32;
}

/// `[mode, salt, endowment, beneficiary]`, see [`factory_mode`]. Logs the child's address and what succeeded.
fn factory(fork: Fork) -> Bytes {
    const INIT_CODE: u64 = 256;
    let init_code = child_init_code();
    let length = init_code.len() as u64;
    let mut code = Assembler::new();
    code.copy(init_code, INIT_CODE);
    let bit = |code: &mut Assembler, bit: u64| {
        code.argument(0).number(bit).op(&[op::AND]);
    };
    let create = |code: &mut Assembler| {
        if fork >= Fork::Constantinople {
            code.argument(1);
        }
        code.number(length).number(INIT_CODE).argument(2);
        code.op(&[if fork >= Fork::Constantinople { op::CREATE2 } else { op::CREATE }]);
    };
    // The child: as created, or the one that CREATE2 would give (word 4), if it is not created now.
    code.argument(4).store_at(0);
    bit(&mut code, factory_mode::CREATE);
    code.when(|code| {
        create(code);
        code.op(&[op::DUP1]).store_at(32);
        code.op(&[op::DUP1]).when(|code| {
            code.op(&[op::DUP1]).store_at(0);
        });
        code.op(&[op::POP]);
    });
    let call_child = |code: &mut Assembler, mode: u64| {
        code.number(mode).store_at(64).argument(3).store_at(96);
        code.number(0).number(0).number(64).number(64).number(0).number(0).op(&[op::MLOAD]);
        half_of_gas(code).op(&[op::CALL]);
        code.number(128).op(&[op::MLOAD, op::ADD]).store_at(128);
    };
    for (flag, mode) in [(factory_mode::COUNT, 0), (factory_mode::DESTROY, 1)] {
        bit(&mut code, flag);
        code.when(|code| call_child(code, mode));
    }
    bit(&mut code, factory_mode::REVIVE);
    code.when(|code| {
        code.number(0).number(0).number(0).number(0).number(1).number(0).op(&[op::MLOAD]);
        code.number(0).op(&[op::CALL]).store_at(160);
    });
    bit(&mut code, factory_mode::AGAIN);
    code.when(|code| {
        create(code);
        code.store_at(192);
    });
    code.log(224);
    bit(&mut code, factory_mode::FAIL);
    code.when(failing(fork));
    code.finish()
}

/// `[slot, clears, blinks]`: adds one; then perhaps writes zero; then perhaps goes to 7 and back in another slot.
fn counter() -> Bytes {
    let mut code = Assembler::new();
    code.number(1).argument(0).op(&[op::SLOAD, op::ADD, op::DUP1]).store_at(0);
    code.argument(0).op(&[op::SSTORE]);
    code.argument(1).when(|code| {
        code.number(0).argument(0).op(&[op::SSTORE]);
    });
    code.argument(2).when(|code| {
        code.number(7).number(11).op(&[op::SSTORE]).number(0).number(11).op(&[op::SSTORE]);
    });
    code.log(32);
    code.finish()
}

/// `[kind, target, value, fails, data...]`: calls on by CALL, CALLCODE, DELEGATECALL or STATICCALL, logs success and
/// the first word that came back.
fn dispatcher(fork: Fork) -> Bytes {
    const HEAD: u64 = 128;
    let mut code = Assembler::new();
    code.number(HEAD).op(&[op::CALLDATASIZE, op::SUB]);
    code.number(HEAD).number(HEAD).op(&[op::CALLDATACOPY]);
    for (kind, opcode, since) in [
        (0, op::CALL, Fork::Frontier),
        (1, op::CALLCODE, Fork::Frontier),
        (2, op::DELEGATECALL, Fork::Homestead),
        (3, op::STATICCALL, Fork::Byzantium),
    ] {
        code.argument(0).number(kind).op(&[op::EQ]).when(|code| {
            if fork < since {
                return;
            }
            code.number(32).number(32).number(HEAD).op(&[op::CALLDATASIZE, op::SUB]).number(HEAD);
            if kind < 2 {
                code.argument(2);
            }
            code.argument(1);
            half_of_gas(code).op(&[opcode]).store_at(0);
        });
    }
    code.log(64).argument(3).when(failing(fork));
    code.finish()
}

/// `[target, threshold]`: writes one slot or another by a comparison, and one by whether a transfer succeeds.
fn gate() -> Bytes {
    let mut code = Assembler::new();
    code.argument(1).argument(0).op(&[op::BALANCE, op::GT]).when(|code| {
        code.op(&[op::CALLER]).number(3).op(&[op::SSTORE]);
    });
    call(&mut code, 0, 1, Some(0));
    code.op(&[op::ISZERO]).when(|code| {
        code.number(1).number(4).op(&[op::SLOAD, op::ADD]).number(4).op(&[op::SSTORE]);
    });
    code.finish()
}

/// `[target, fails, gas]`: calls without value.
fn toucher(fork: Fork) -> Bytes {
    let mut code = Assembler::new();
    code.number(0).number(0).number(0).number(0).number(0).argument(0).argument(2).op(&[op::CALL]);
    code.store_at(0).log(32).argument(1).when(failing(fork));
    code.finish()
}

/// `[target, value]`: logs what the call cost and whether it succeeded.
fn meter() -> Bytes {
    let mut code = Assembler::new();
    code.op(&[op::GAS]);
    call(&mut code, 0, 1, Some(0));
    code.store_at(0).op(&[op::GAS, op::SWAP1, op::SUB]).store_at(32).log(64);
    code.finish()
}

/// `[endowment, length, fails]`: creates with init code of zeros (which stops at once); logs the address and its own
/// nonce by way of the next address.
fn creator(fork: Fork) -> Bytes {
    let mut code = Assembler::new();
    code.argument(1).number(64).argument(0).op(&[op::CREATE]).store_at(0);
    code.op(&[op::ADDRESS, op::BALANCE]).store_at(32).log(64);
    code.argument(2).when(failing(fork));
    code.finish()
}

/// `[key, value]`: logs transient storage before and after writing it.
fn transient(fork: Fork) -> Bytes {
    let mut code = Assembler::new();
    if fork >= Fork::Cancun {
        code.argument(0).op(&[op::TLOAD]).store_at(0);
        code.argument(1).argument(0).op(&[op::TSTORE]);
        code.argument(0).op(&[op::TLOAD]).store_at(32).log(64);
    }
    code.finish()
}
