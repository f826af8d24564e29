//! What the phases around the transactions need of whoever runs them, serial or parallel.

use alloy_primitives::{Address, U256};
use revm::context::result::ExecutionResult;

use crate::chain::Transaction;
use crate::error::Fault;
use crate::evm::{Machine, TransactError};
use crate::parallel::ParallelBlock;

/// Runs steps of a block that are no transactions.
pub(crate) trait Phases<'a> {
    /// Runs a call of the protocol itself: no sender is charged, no nonce moves.
    fn system_call(&mut self, call: &'a Transaction) -> Result<ExecutionResult, TransactError>;
    /// Whether there is code at an address.
    fn has_code(&mut self, address: Address) -> Result<bool, Fault>;
    /// Credits an account, which touches it.
    fn credit(&mut self, address: Address, amount: U256) -> Result<(), Fault>;
    /// Takes the whole balance of an account.
    fn drain(&mut self, address: Address) -> Result<U256, Fault>;
    /// Ends a phase, as a transaction ends.
    fn settle(&mut self) -> Result<(), Fault>;
    /// Moves on to the next block access index.
    fn next_access_index(&mut self);
}

impl<'a, INSP> Phases<'a> for Machine<'a, INSP> {
    fn system_call(&mut self, call: &'a Transaction) -> Result<ExecutionResult, TransactError> {
        Machine::system_call(self, call)
    }

    fn has_code(&mut self, address: Address) -> Result<bool, Fault> {
        Machine::has_code(self, address)
    }

    fn credit(&mut self, address: Address, amount: U256) -> Result<(), Fault> {
        Machine::credit(self, address, amount)
    }

    fn drain(&mut self, address: Address) -> Result<U256, Fault> {
        Machine::drain(self, address)
    }

    fn settle(&mut self) -> Result<(), Fault> {
        Machine::settle(self);
        Ok(())
    }

    fn next_access_index(&mut self) {
        Machine::next_access_index(self);
    }
}

impl<'a> Phases<'a> for ParallelBlock<'a> {
    fn system_call(&mut self, call: &'a Transaction) -> Result<ExecutionResult, TransactError> {
        ParallelBlock::system_call(self, call)
    }

    fn has_code(&mut self, address: Address) -> Result<bool, Fault> {
        ParallelBlock::has_code(self, address)
    }

    fn credit(&mut self, address: Address, amount: U256) -> Result<(), Fault> {
        ParallelBlock::credit(self, address, amount)
    }

    fn drain(&mut self, address: Address) -> Result<U256, Fault> {
        ParallelBlock::drain(self, address)
    }

    fn settle(&mut self) -> Result<(), Fault> {
        ParallelBlock::settle(self)
    }

    fn next_access_index(&mut self) {
        ParallelBlock::next_access_index(self);
    }
}
