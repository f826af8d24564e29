//! A tiny assembler. Jumps are structured (a body that runs or does not), so that no label can be left open, and
//! nothing newer than Frontier is used unasked: a zero is pushed as a byte.

use alloy_primitives::{Address, Bytes, U256};
use revm::bytecode::opcode as op;

/// Code as it grows.
#[derive(Clone, Debug, Default)]
pub struct Assembler {
    code: Vec<u8>,
    /// Data behind the code, with the place of the two bytes that hold its offset.
    data: Vec<(usize, Bytes)>,
}

impl Assembler {
    /// No code yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Appends instructions as they are.
    pub fn op(&mut self, opcodes: &[u8]) -> &mut Self {
        self.code.extend_from_slice(opcodes);
        self
    }

    /// Pushes a word by its shortest PUSH.
    pub fn push(&mut self, word: U256) -> &mut Self {
        let bytes = word.to_be_bytes::<32>();
        let zeros = bytes.iter().take_while(|byte| **byte == 0).count().min(31);
        self.code.push(op::PUSH1 + (31 - zeros) as u8);
        self.op(&bytes[zeros..])
    }

    /// Pushes a small number.
    pub fn number(&mut self, number: u64) -> &mut Self {
        self.push(U256::from(number))
    }

    /// Pushes an address.
    pub fn address(&mut self, address: Address) -> &mut Self {
        self.op(&[op::PUSH20]).op(address.as_slice())
    }

    /// Pushes word `index` of the call data.
    pub fn argument(&mut self, index: u64) -> &mut Self {
        self.number(32 * index).op(&[op::CALLDATALOAD])
    }

    /// Stores the top at a place in memory.
    pub fn store_at(&mut self, offset: u64) -> &mut Self {
        self.number(offset).op(&[op::MSTORE])
    }

    /// Runs `body` if the top is not zero.
    pub fn when(&mut self, body: impl FnOnce(&mut Self)) -> &mut Self {
        self.op(&[op::ISZERO, op::PUSH2, 0, 0, op::JUMPI]);
        let hole = self.code.len() - 3;
        body(self);
        let target = self.code.len() as u16;
        self.code[hole..hole + 2].copy_from_slice(&target.to_be_bytes());
        self.op(&[op::JUMPDEST])
    }

    /// Runs `body` and stops if word `index` of the call data is `value`.
    pub fn case(&mut self, index: u64, value: u64, body: impl FnOnce(&mut Self)) -> &mut Self {
        self.argument(index).number(value).op(&[op::EQ]);
        self.when(|code| {
            body(code);
            code.op(&[op::STOP]);
        })
    }

    /// Copies `bytes` to memory.
    pub fn copy(&mut self, bytes: Bytes, offset: u64) -> &mut Self {
        self.number(bytes.len() as u64).op(&[op::PUSH2, 0, 0]);
        self.data.push((self.code.len() - 2, bytes));
        self.number(offset).op(&[op::CODECOPY])
    }

    /// Logs memory from 0 to `length`.
    pub fn log(&mut self, length: u64) -> &mut Self {
        self.number(length).number(0).op(&[op::LOG0])
    }

    /// The code, the data behind it.
    pub fn finish(mut self) -> Bytes {
        self.code.push(op::STOP);
        for (hole, bytes) in std::mem::take(&mut self.data) {
            let offset = self.code.len() as u16;
            self.code[hole..hole + 2].copy_from_slice(&offset.to_be_bytes());
            self.code.extend_from_slice(&bytes);
        }
        self.code.into()
    }
}

/// Init code that runs `constructor` and deploys `runtime`.
pub fn deploying(constructor: impl FnOnce(&mut Assembler), runtime: Bytes) -> Bytes {
    let mut code = Assembler::new();
    constructor(&mut code);
    let length = runtime.len() as u64;
    code.copy(runtime, 0).number(length).number(0).op(&[op::RETURN]);
    code.finish()
}

/// Call data of words.
pub fn words(words: &[U256]) -> Bytes {
    words.iter().flat_map(|word| word.to_be_bytes::<32>()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pushes_are_shortest() {
        let mut code = Assembler::new();
        code.number(0).number(0x100).push(U256::MAX);
        let mut expected = vec![op::PUSH1, 0, op::PUSH2, 1, 0, op::PUSH32];
        expected.extend([0xff; 32]);
        expected.push(op::STOP);
        assert_eq!(*code.finish(), *expected);
    }

    #[test]
    fn a_body_is_jumped_over_and_data_lies_behind() {
        let mut code = Assembler::new();
        code.number(1).when(|code| {
            code.copy(Bytes::from_static(&[7, 8]), 5);
        });
        let code = code.finish();
        assert_eq!(code[6], op::JUMPI);
        let target = usize::from(u16::from_be_bytes([code[4], code[5]]));
        assert_eq!(code[target], op::JUMPDEST);
        assert_eq!(code[code.len() - 2..], [7, 8]);
        let offset = usize::from(u16::from_be_bytes([code[10], code[11]]));
        assert_eq!(offset, code.len() - 2);
    }
}
