//! The whole state in memory. Code is analysed once, when it is put in, and shared from then on.

use alloy_primitives::{
    Address, B256, Bytes, U256, keccak256,
    map::{AddressIndexMap, B256Map, U256Map},
};
use revm::primitives::KECCAK_EMPTY;
use revm::state::{AccountId, AccountInfo, Bytecode};

use super::reader::AccountAnswer;
use super::{ChangeSet, Read, StateReader, Ticket};
use crate::ahead;
use crate::error::Fault;

/// One account with its storage.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct StateAccount {
    /// Balance, nonce, code hash and analysed code.
    pub info: AccountInfo,
    /// Non-zero slots.
    pub storage: U256Map<U256>,
}

impl StateAccount {
    /// An account with code that is analysed now.
    pub fn new(nonce: u64, balance: U256, code: Bytes) -> Self {
        let (code_hash, code) = analyse(code);
        let info = AccountInfo { nonce, balance, code_hash, code: Some(code), ..Default::default() };
        Self { info, storage: U256Map::default() }
    }
}

/// Hashes and analyses code. Bytes that only look like a delegation but are malformed stay plain code.
pub fn analyse(code: Bytes) -> (B256, Bytecode) {
    if code.is_empty() {
        return (KECCAK_EMPTY, Bytecode::default());
    }
    let hash = keccak256(&code);
    let bytecode = Bytecode::new_raw_checked(code.clone()).unwrap_or_else(|_| Bytecode::new_legacy(code));
    (hash, bytecode)
}

/// What `BLOCKHASH` answers for a block whose hash is not known here.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum UnknownBlockHash {
    /// A fault: this state should know its ancestors.
    #[default]
    Fault,
    /// keccak256 of the number in decimal: the rule of the official state tests and of the replay blocks.
    HashOfNumber,
}

/// A state in memory. Cloning copies it; code is shared.
#[derive(Clone, Debug, Default)]
pub struct MemoryState {
    accounts: AddressIndexMap<StateAccount>,
    codes: B256Map<Bytecode>,
    block_hashes: std::collections::BTreeMap<u64, B256>,
    unknown_block_hash: UnknownBlockHash,
}

impl MemoryState {
    /// An empty state.
    pub fn new(unknown_block_hash: UnknownBlockHash) -> Self {
        Self { unknown_block_hash, ..Default::default() }
    }

    /// Puts an account in, replacing what was there. Zero slots are dropped.
    pub fn insert(&mut self, address: Address, mut account: StateAccount) {
        account.storage.retain(|_, value| !value.is_zero());
        if let Some(code) = account.info.code.as_ref().filter(|_| account.info.code_hash != KECCAK_EMPTY) {
            self.codes.entry(account.info.code_hash).or_insert_with(|| code.clone());
        }
        self.accounts.insert(address, account);
    }

    /// Takes an account out. Its code stays known.
    pub fn remove(&mut self, address: &Address) {
        self.accounts.swap_remove(address);
    }

    /// The hashes of ancestors that are known, by number.
    pub fn block_hashes(&self) -> impl Iterator<Item = (&u64, &B256)> {
        self.block_hashes.iter()
    }

    /// What `BLOCKHASH` answers for other blocks.
    pub fn unknown_block_hash(&self) -> UnknownBlockHash {
        self.unknown_block_hash
    }

    /// Remembers the hash of an ancestor.
    pub fn insert_block_hash(&mut self, number: u64, hash: B256) {
        self.block_hashes.insert(number, hash);
    }

    /// An account, if it exists.
    pub fn get(&self, address: &Address) -> Option<&StateAccount> {
        self.accounts.get(address)
    }

    /// Code by its hash.
    pub fn get_code(&self, hash: &B256) -> Option<&Bytecode> {
        self.codes.get(hash)
    }

    /// All accounts, in no order.
    pub fn iter(&self) -> impl Iterator<Item = (&Address, &StateAccount)> {
        self.accounts.iter()
    }

    /// How many accounts exist.
    pub fn len(&self) -> usize {
        self.accounts.len()
    }

    /// Whether no account exists.
    pub fn is_empty(&self) -> bool {
        self.accounts.is_empty()
    }

    /// Makes the changes of a block.
    pub fn apply(&mut self, changes: &ChangeSet) {
        for change in &changes.accounts {
            let Some(after) = &change.after else {
                self.accounts.swap_remove(&change.address);
                continue;
            };
            if let Some((hash, code)) = change.code.as_ref().map(|code| (after.code_hash, code)) {
                self.codes.entry(hash).or_insert_with(|| code.clone());
            }
            let account = self.accounts.entry(change.address).or_default();
            if account.info.code_hash != after.code_hash || account.info.code.is_none() {
                account.info.code = if after.code_hash == KECCAK_EMPTY {
                    Some(Bytecode::default())
                } else {
                    self.codes.get(&after.code_hash).cloned()
                };
            }
            account.info.nonce = after.nonce;
            account.info.balance = after.balance;
            account.info.code_hash = after.code_hash;
            if change.reset {
                account.storage.clear();
            }
            for slot in &change.storage {
                if slot.after.is_zero() {
                    account.storage.remove(&slot.slot);
                } else {
                    account.storage.insert(slot.slot, slot.after);
                }
            }
        }
    }
}

/// Accounts that are looked for together.
const TOGETHER: usize = 32;

impl MemoryState {
    /// The account at a place of the map.
    #[inline]
    fn info_at(&self, place: usize) -> Option<AccountInfo> {
        let (_, account) = self.accounts.get_index(place)?;
        let AccountInfo { balance, nonce, code_hash, code, .. } = &account.info;
        // All accounts without code share one: workers would count its users in one place.
        let code = if *code_hash == KECCAK_EMPTY { None } else { code.clone() };
        let account_id = AccountId::new(place);
        Some(AccountInfo { balance: *balance, nonce: *nonce, code_hash: *code_hash, account_id, code })
    }
}

impl StateReader for MemoryState {
    fn account(&self, address: Address) -> Result<Read<Option<AccountInfo>>, Fault> {
        Ok(Read::Ready(self.accounts.get_index_of(&address).and_then(|place| self.info_at(place))))
    }

    /// The waits for memory overlap as long as nothing is done in between.
    fn accounts(&self, addresses: &[Address], answers: &mut Vec<AccountAnswer>) {
        let mut places = [None; TOGETHER];
        for addresses in addresses.chunks(TOGETHER) {
            for (place, address) in places.iter_mut().zip(addresses) {
                *place = self.accounts.get_index_of(address);
            }
            for (_, account) in places.iter().flatten().filter_map(|place| self.accounts.get_index(*place)) {
                ahead::fetch(&account.info);
            }
            let found = places[..addresses.len()].iter();
            answers.extend(
                found.map(|place| Ok(Read::Ready(place.and_then(|place: usize| self.info_at(place))))),
            );
        }
    }

    fn storage(&self, address: Address, hint: Option<AccountId>, slot: U256) -> Result<Read<U256>, Fault> {
        let hinted = hint.and_then(|hint| self.accounts.get_index(hint.get()));
        let account = match hinted {
            Some((found, account)) if *found == address => Some(account),
            _ => self.accounts.get(&address),
        };
        let value = account.and_then(|account| account.storage.get(&slot));
        Ok(Read::Ready(value.copied().unwrap_or_default()))
    }

    fn code(&self, hash: B256) -> Result<Read<Bytecode>, Fault> {
        if hash == KECCAK_EMPTY {
            return Ok(Read::Ready(Bytecode::default()));
        }
        let code = self.codes.get(&hash).cloned();
        code.map(Read::Ready).ok_or_else(|| Fault::StateRead(format!("no code with hash {hash}")))
    }

    fn block_hash(&self, number: u64) -> Result<Read<B256>, Fault> {
        match (self.block_hashes.get(&number), self.unknown_block_hash) {
            (Some(hash), _) => Ok(Read::Ready(*hash)),
            (None, UnknownBlockHash::HashOfNumber) => Ok(Read::Ready(keccak256(number.to_string()))),
            (None, UnknownBlockHash::Fault) => Err(Fault::StateRead(format!("no hash of block {number}"))),
        }
    }

    fn slots(&self, address: Address) -> Result<Read<Vec<(U256, U256)>>, Fault> {
        let account = self.accounts.get(&address);
        let slots = account.map(|account| account.storage.iter().map(|(k, v)| (*k, *v)).collect());
        Ok(Read::Ready(slots.unwrap_or_default()))
    }

    fn wait(&self, _ticket: Ticket) -> Result<(), Fault> {
        Err(Fault::StateRead("memory never issues tickets".into()))
    }
}
