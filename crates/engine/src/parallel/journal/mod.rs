//! The journal of a speculating worker. It does what revm's own journal does, and records of each account and slot
//! *what was observed of it*: a bound of the balance rather than the balance, a nonce, a code hash, existence, the version
//! of a slot. A load alone observes nothing. Records survive the revert of a frame: what was seen was seen.
//!
//! ARCHITECTURE.md holds the table of places where revm observes something, and what is recorded there.

mod access;
mod account;
mod load;
mod observe;
mod operations;
mod outcome;
mod places;
mod undo;

use alloy_primitives::{Address, B256, Log, U256, map::HashMap};
use revm::Database;
use revm::context::journal::warm_addresses::WarmAddresses;
use revm::context_interface::journaled_state::JournalLoadError;
use revm::primitives::hardfork::SpecId;
use revm::state::{Account, AccountInfo, Bytecode, EvmState, EvmStorageSlot, TransientStorage};

use super::cells::{Cells, Fields, Foreseen, Recent};
use super::interleave::Turns;
use super::observed;
use crate::error::Fault;
use crate::state::{StateReader, Ticket, reader::read_now};

pub use access::{Accesses, AccountAccess, Conflict, Ended, Executed, Published, SlotAccess, field_location};
pub use account::FieldAccount;
use load::code_of_worker;
use places::Places;
use undo::Undo;

/// Balances at or above this are observed exactly where something is added, so that no sum can overflow unseen.
pub(super) const HALF: U256 = U256::from_limbs([0, 0, 0, 1 << 63]);
/// In place of a slot's cell: the slot belongs to an account that this transaction created, and was not asked.
pub(super) const NO_CELL: u32 = u32::MAX;

/// An account that the transaction has met.
#[derive(Debug, Default)]
pub(super) struct Entry {
    pub address: Address,
    pub cell: u32,
    pub cold: bool,
    pub account: Account,
    /// What it was when this transaction first met it.
    pub seen: Fields,
    /// A lower transaction that is to run again wrote some of it: its position, and which fields.
    pub estimate: Option<(u32, u8)>,
    pub lowest: U256,
    pub highest: U256,
    pub observed: std::cell::Cell<u8>,
}

/// A slot that the transaction has met.
#[derive(Debug)]
pub(super) struct Slot {
    pub entry: u32,
    pub key: U256,
    pub cell: u32,
    /// Which write it saw; `None` for a slot of an account that this transaction created.
    pub version: Option<u32>,
    pub value: EvmStorageSlot,
}

/// Where a worker reads: the state before the block, and what the block's transactions share.
pub struct SharedView<'a> {
    /// The state before the block.
    pub reader: &'a dyn StateReader,
    /// The cells.
    pub cells: &'a Cells,
    /// Whose turn it is, where workers take turns.
    pub turns: Option<&'a Turns>,
    /// Which worker this is.
    pub worker: usize,
}

impl std::fmt::Debug for SharedView<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("SharedView")
    }
}

impl SharedView<'_> {
    /// A place where another worker may go first.
    #[inline]
    pub fn yield_turn(&self) {
        if let Some(turns) = self.turns {
            turns.pass(self.worker);
        }
    }
}

/// revm asks the journal for accounts and slots; only ancestors' hashes are asked here.
impl Database for SharedView<'_> {
    type Error = Fault;

    fn basic(&mut self, address: Address) -> Result<Option<AccountInfo>, Fault> {
        read_now(self.reader, |reader| reader.account(address))
    }

    fn code_by_hash(&mut self, code_hash: B256) -> Result<Bytecode, Fault> {
        read_now(self.reader, |reader| reader.code(code_hash))
    }

    fn storage(&mut self, address: Address, slot: U256) -> Result<U256, Fault> {
        read_now(self.reader, |reader| reader.storage(address, None, slot))
    }

    fn block_hash(&mut self, number: u64) -> Result<B256, Fault> {
        read_now(self.reader, |reader| reader.block_hash(number))
    }
}

/// How a transaction runs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Mode {
    /// Ahead of its turn: what it sees may change. The sender's nonce and funds are taken to be right.
    #[default]
    Speculative,
    /// With wrong values everywhere, to be thrown away.
    Misled,
    /// At its commit position: what it sees is final.
    Final,
}

/// The journal.
#[derive(Debug)]
pub struct FieldJournal<'a> {
    database: SharedView<'a>,
    /// revm wants to see its own map; it stays empty.
    state: EvmState,
    pub(super) position: u32,
    pub(super) mode: Mode,
    spec: SpecId,
    transfer_logs: bool,
    delayed_clear: bool,
    known: Places<Address>,
    /// As many as are known are in use; the rest is room.
    pub(super) entries: Vec<Entry>,
    known_slots: Places<(u32, U256)>,
    pub(super) slots: Vec<Slot>,
    /// Code that this worker has met in the block, by the account's cell, with its hash.
    codes: HashMap<u32, (B256, Bytecode)>,
    /// Accounts of the transactions that come next.
    pub(super) foreseen: Foreseen,
    /// Accounts and slots that this worker has found before.
    pub(super) recent_accounts: Recent,
    recent_slots: Recent,
    undo: Vec<Undo>,
    transient: TransientStorage,
    logs: Vec<Log>,
    depth: usize,
    warm: WarmAddresses,
    destroyed: Vec<u32>,
    /// The endowment of a creation that begins: its creator's balance is compared with it.
    pub(super) endowment: Option<U256>,
    /// What was credited at the very end to an account that the transaction did not look at.
    pub(super) reward: Option<U256>,
    /// The read that has no answer yet.
    pub(super) waiting: Option<Ticket>,
    /// The position of a lower transaction that is to run again and wrote what was just looked at; 0 for none.
    pub(super) blocked: std::cell::Cell<u32>,
    empty_code: Bytecode,
}

/// What a thread keeps between blocks: empty lists with the room that an earlier block needed.
#[derive(Default)]
struct Room {
    entries: Vec<Entry>,
    slots: Vec<Slot>,
    codes: HashMap<u32, (B256, Bytecode)>,
}

/// The most accounts, slots or codes for which room is kept.
const MAX_KEPT: usize = 1024;

thread_local! {
    static ROOM: std::cell::Cell<Room> = std::cell::Cell::new(Room::default());
}

impl Drop for FieldJournal<'_> {
    fn drop(&mut self) {
        let mut room = Room {
            entries: std::mem::take(&mut self.entries),
            slots: std::mem::take(&mut self.slots),
            codes: std::mem::take(&mut self.codes),
        };
        room.entries.truncate(MAX_KEPT);
        for entry in &mut room.entries {
            entry.account.info.code = None;
        }
        room.slots.clear();
        room.slots.shrink_to(MAX_KEPT);
        room.codes.clear();
        room.codes.shrink_to(MAX_KEPT);
        ROOM.set(room);
    }
}

type Load<T> = Result<T, JournalLoadError<Fault>>;

impl<'a> FieldJournal<'a> {
    /// A journal without a transaction.
    pub fn over(database: SharedView<'a>) -> Self {
        let Room { entries, slots, codes } = ROOM.take();
        Self {
            database,
            state: EvmState::default(),
            position: 0,
            mode: Mode::Speculative,
            spec: SpecId::default(),
            transfer_logs: true,
            delayed_clear: true,
            known: Places::default(),
            entries,
            known_slots: Places::default(),
            slots,
            codes,
            foreseen: Foreseen::default(),
            recent_accounts: Recent::default(),
            recent_slots: Recent::default(),
            undo: Vec::new(),
            transient: TransientStorage::default(),
            logs: Vec::new(),
            depth: 0,
            warm: WarmAddresses::new(),
            destroyed: Vec::new(),
            endowment: None,
            reward: None,
            waiting: None,
            blocked: std::cell::Cell::new(0),
            empty_code: code_of_worker(&Bytecode::default()),
        }
    }

    /// Begins a transaction, or a phase, at a position of the block.
    pub fn begin(&mut self, position: u32, mode: Mode) {
        self.position = position;
        self.mode = mode;
        self.known.clear();
        self.known_slots.clear();
        self.slots.clear();
        self.undo.clear();
        self.transient.clear();
        self.logs.clear();
        self.depth = 0;
        self.warm.clear_coinbase_and_access_list();
        self.destroyed.clear();
        self.endowment = None;
        self.reward = None;
        self.waiting = None;
        self.blocked.set(0);
    }

    fn state_clear(&self) -> bool {
        self.spec.is_enabled_in(SpecId::SPURIOUS_DRAGON)
    }

    /// Adds to a balance. False where it would overflow.
    pub(super) fn credit(&mut self, entry: u32, amount: U256) -> bool {
        let known = &mut self.entries[entry as usize];
        let Some(sum) = known.account.info.balance.checked_add(amount) else {
            self.observe(entry, observed::EXACT_BALANCE);
            return false;
        };
        known.account.info.balance = sum;
        if sum >= HALF {
            self.observe(entry, observed::EXACT_BALANCE);
        }
        true
    }

    /// Marks an account as touched.
    pub(super) fn touch_entry(&mut self, entry: u32) {
        let account = &mut self.entries[entry as usize].account;
        if !account.is_touched() {
            account.mark_touch();
            self.undo.push(Undo::Touched(entry));
        }
    }

    /// Sets a balance, with the way back.
    pub(super) fn set_balance_of(&mut self, entry: u32, balance: U256) {
        let info = &mut self.entries[entry as usize].account.info;
        if info.balance != balance {
            let old = info.balance;
            info.balance = balance;
            self.undo.push(Undo::Balance(entry, old));
        }
    }

    /// The account of an entry.
    pub fn account_of(&self, entry: u32) -> &Account {
        &self.entries[entry as usize].account
    }

    /// A speculating transaction takes its sender to have the right nonce and enough funds: a lower transaction may
    /// bring both about. What it takes for granted is recorded like anything else that it saw.
    pub(super) fn assume_sender(&mut self, entry: u32, nonce: u64, funds: U256) {
        self.observe(entry, observed::ASSUMED);
        if self.mode == Mode::Final {
            return;
        }
        let known = &mut self.entries[entry as usize];
        known.seen.nonce = nonce;
        known.account.info.nonce = nonce;
        if known.seen.balance < funds {
            known.seen.balance = funds;
            known.account.info.balance = funds;
        }
    }
}
