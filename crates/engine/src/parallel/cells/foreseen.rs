//! The accounts of transactions that come next: who sends and who receives. All are looked for before any of these
//! transactions runs, so that the waits for memory overlap: first the index, then the state before the block, then the
//! cells.

use alloy_primitives::Address;

use super::{AccountCell, Cells, Named, Recent};
use crate::ahead;
use crate::chain::Transaction;
use crate::state::StateReader;
use crate::state::reader::AccountAnswer;

/// The most transactions that are looked at together.
const MAX_TOGETHER: usize = 16;

/// An account and the number of its cell.
#[derive(Clone, Copy, Debug)]
struct Sought {
    position: u32,
    address: Address,
    hash: u64,
    number: Option<u32>,
}

/// Accounts that were looked for.
#[derive(Debug, Default)]
pub struct Foreseen {
    sought: Vec<Sought>,
    /// Those that have no cell yet, by place, and what the state says of them.
    missing: Vec<usize>,
    addresses: Vec<Address>,
    answers: Vec<AccountAnswer>,
}

impl Foreseen {
    /// The number of an account's cell, where it was looked for on behalf of the transaction at `position`.
    #[inline]
    pub fn number(&self, position: u32, address: Address) -> Option<u32> {
        if position > self.sought.last()?.position {
            return None;
        }
        let found = self.sought.iter().find(|it| it.position == position && it.address == address)?;
        found.number
    }

    /// Looks for the senders and recipients of transactions, by position, on behalf of a worker. What fails is asked again
    /// by whoever needs it.
    pub fn look_for<'t>(
        &mut self,
        transactions: impl Iterator<Item = (u32, &'t Transaction)>,
        cells: &Cells,
        worker: usize,
        recent: &mut Recent,
        reader: &dyn StateReader,
    ) {
        self.sought.clear();
        for (position, transaction) in transactions.take(MAX_TOGETHER) {
            ahead::fetch(transaction);
            for address in [Some(&transaction.sender), transaction.to.to()].into_iter().flatten() {
                let hash = cells.accounts.hash(*address);
                let number = cells.accounts.recent(recent, *address, hash);
                if number.is_none() {
                    cells.claim_place(hash);
                }
                self.sought.push(Sought { position, address: *address, hash, number });
            }
        }
        for at in 0..self.sought.len() {
            let Sought { address, hash, number, .. } = self.sought[at];
            if number.is_some() {
                continue;
            }
            self.sought[at].number = cells.find_account(address, hash);
            if let Some(number) = self.sought[at].number {
                recent.keep(hash, number);
            }
            let is_known = self.sought[..at].iter().any(|earlier| earlier.hash == hash);
            if self.sought[at].number.is_none() && !is_known {
                self.missing.push(at);
                self.addresses.push(address);
            }
        }
        cells.fetch_new(worker, self.missing.len());
        reader.accounts(&self.addresses, &mut self.answers);
        for (at, answer) in self.missing.drain(..).zip(self.answers.drain(..)) {
            let Sought { position, address, hash, .. } = self.sought[at];
            self.sought[at].number = Some(cells.make_account(worker, address, hash, answer, position));
        }
        self.addresses.clear();
    }
}

impl Cells {
    /// Asks for the memory where the sender and the recipient of a transaction will be looked for.
    #[inline]
    pub fn claim_places(&self, recent: &Recent, transaction: &Transaction) {
        for address in [Some(&transaction.sender), transaction.to.to()].into_iter().flatten() {
            let hash = self.accounts.hash(*address);
            if recent.find(hash).is_none() {
                self.claim_place(hash);
            }
        }
    }

    /// Asks for the place of the index where an account is looked for, and probably inserted.
    #[inline]
    fn claim_place(&self, hash: u64) {
        if let Some(place) = self.accounts.index.first_place(hash) {
            ahead::claim(place);
        }
    }

    /// The number of an account's cell, if there is one.
    #[inline]
    fn find_account(&self, address: Address, hash: u64) -> Option<u32> {
        self.accounts.index.find(hash, |number| self.account_cell(number).is_named(address))
    }

    /// Asks for the cells that the worker takes next.
    fn fetch_new(&self, worker: usize, count: usize) {
        let kind = &self.accounts;
        let taken = kind.taken[worker].load(std::sync::atomic::Ordering::Relaxed);
        for count in 0..count as u32 {
            if let Some(cell) = kind.cells.find(kind.number_of(worker as u32, taken + count)) {
                cell.claim();
            }
        }
    }

    /// The number of an account's cell, made with what the state said if there is none.
    fn make_account(
        &self,
        worker: usize,
        address: Address,
        hash: u64,
        answer: AccountAnswer,
        position: u32,
    ) -> u32 {
        let mut answer = Some(answer);
        let begin = |cell: &AccountCell| cell.begin_with(address, answer.take(), position);
        self.accounts.number_at(worker, address, hash, begin).0
    }
}
