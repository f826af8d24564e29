//! A snapshot: one flat shared base, a few layers over it, and the block that it stands before. It never changes; what is
//! set gives a new one that shares everything else. Sending it to another thread costs nothing.

use std::collections::BTreeMap;
use std::sync::{Arc, OnceLock};

use alloy_primitives::{Address, B256, Bytes, U256};
use revm::primitives::KECCAK_EMPTY;
use revm::state::{AccountId, AccountInfo, Bytecode};
use solder_engine::state::memory::analyse;
use solder_engine::state::reader::read_now;
use solder_engine::state::{AccountChange, AccountFields, Read, SlotChange, StateAccount, Ticket};
use solder_engine::trie::state_root;
use solder_engine::{ChangeSet, Fault, MemoryState, StateReader};

use crate::environment::Environment;
use crate::layer::{Layer, LayerAccount, Layers, from_change, is_idle};
use crate::prefetch::Source;

/// What is below the layers.
#[derive(Clone)]
pub enum Base {
    /// The whole state, in memory.
    Memory(Arc<MemoryState>),
    /// A state of which only what is asked for is known here (a node, a store).
    Reader(Arc<dyn Source>),
}

impl Base {
    #[inline]
    fn reader(&self) -> &dyn StateReader {
        match self {
            Self::Memory(memory) => &**memory,
            Self::Reader(reader) => &**reader,
        }
    }

    fn is(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Memory(one), Self::Memory(two)) => Arc::ptr_eq(one, two),
            (Self::Reader(one), Self::Reader(two)) => Arc::ptr_eq(one, two),
            _ => false,
        }
    }
}

/// A state at one moment.
#[derive(Clone)]
pub struct Snapshot {
    base: Base,
    layers: Layers,
    environment: Arc<Environment>,
    /// The flat form and its root, made when they are first asked for.
    flat: Arc<OnceLock<Arc<MemoryState>>>,
    root: Arc<OnceLock<B256>>,
}

/// A field of an account to set.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Edit {
    /// Wei.
    Balance(U256),
    /// Nonce.
    Nonce(u64),
    /// Code, analysed when it is set.
    Code(Bytes),
    /// One slot.
    Slot(U256, U256),
    /// Forget every slot.
    ClearStorage,
}

impl Snapshot {
    /// A state in memory.
    pub fn new(memory: Arc<MemoryState>, environment: Environment) -> Self {
        Self::over(Base::Memory(memory), environment)
    }

    /// Any base.
    pub fn over(base: Base, environment: Environment) -> Self {
        Self {
            base,
            layers: Layers::default(),
            environment: Arc::new(environment),
            flat: Arc::default(),
            root: Arc::default(),
        }
    }

    /// The same over a base of which the state root is known.
    pub fn with_root(self, root: B256) -> Self {
        Self { root: Arc::new(OnceLock::from(root)), ..self }
    }

    /// What is below the layers.
    pub fn base(&self) -> &Base {
        &self.base
    }

    /// The same layers over another base.
    pub(crate) fn on(&self, base: Base) -> Self {
        Self { base, ..self.clone() }
    }

    /// The block that calls believe to be in.
    pub fn environment(&self) -> &Environment {
        &self.environment
    }

    /// The same state in another block.
    pub fn with_environment(&self, environment: Environment) -> Self {
        Self { environment: Arc::new(environment), ..self.clone() }
    }

    /// How many layers lie over the base.
    pub fn depth(&self) -> usize {
        self.layers.len()
    }

    fn with_layer(&self, layer: Layer) -> Self {
        Self {
            base: self.base.clone(),
            layers: self.layers.with(layer),
            environment: self.environment.clone(),
            flat: Arc::default(),
            root: Arc::default(),
        }
    }

    /// The state with fields set, by address.
    pub fn edit(&self, edits: &BTreeMap<Address, Vec<Edit>>) -> Result<Self, Fault> {
        if let Base::Reader(reader) = &self.base {
            self.know(&**reader, edits.keys())?;
        }
        let mut accounts = Vec::with_capacity(edits.len());
        for (address, edits) in edits {
            let mut info = self
                .info(*address)?
                .unwrap_or_else(|| AccountInfo { code: Some(Bytecode::default()), ..Default::default() });
            let mut slots: BTreeMap<U256, U256> = BTreeMap::new();
            let mut reset = false;
            for edit in edits {
                match edit {
                    Edit::Balance(balance) => info.balance = *balance,
                    Edit::Nonce(nonce) => info.nonce = *nonce,
                    Edit::Code(code) => {
                        let (hash, code) = analyse(code.clone());
                        (info.code_hash, info.code) = (hash, Some(code));
                    }
                    Edit::Slot(slot, value) => drop(slots.insert(*slot, *value)),
                    Edit::ClearStorage => {
                        slots.clear();
                        reset = true;
                    }
                }
            }
            let slots = slots.into_iter().collect();
            accounts.push(LayerAccount { address: *address, info: Some(info), reset, slots });
        }
        Ok(self.with_layer(Layer::new(accounts)))
    }

    /// Asks for accounts together, where each by itself would be a wait.
    fn know<'a>(
        &self,
        reader: &dyn Source,
        addresses: impl Iterator<Item = &'a Address>,
    ) -> Result<(), Fault> {
        let mut missed = Vec::new();
        for address in addresses {
            if let Read::Pending(ticket) = self.account(*address)? {
                missed.push(ticket);
            }
        }
        missed.iter().try_for_each(|ticket| reader.wait(*ticket))
    }

    /// The state after `changes`.
    pub fn apply(&self, changes: &ChangeSet) -> Result<Self, Fault> {
        if is_idle(changes) {
            return Ok(self.clone());
        }
        let mut accounts = Vec::with_capacity(changes.accounts.len());
        for change in changes.changed() {
            let info = match &change.after {
                None => None,
                Some(after) => Some(AccountInfo {
                    balance: after.balance,
                    nonce: after.nonce,
                    code_hash: after.code_hash,
                    code: Some(self.code_after(change, after)?),
                    ..Default::default()
                }),
            };
            accounts.push(from_change(change, info));
        }
        Ok(self.with_layer(Layer::new(accounts)))
    }

    fn code_after(&self, change: &AccountChange, after: &AccountFields) -> Result<Bytecode, Fault> {
        if after.code_hash == KECCAK_EMPTY {
            return Ok(Bytecode::default());
        }
        if let Some(code) = &change.code {
            return Ok(code.clone());
        }
        if let Some(info) = self.info(change.address)?
            && info.code_hash == after.code_hash
            && let Some(code) = info.code
        {
            return Ok(code);
        }
        read_now(self, |reader| reader.code(after.code_hash))
    }

    /// An account with its code.
    pub fn info(&self, address: Address) -> Result<Option<AccountInfo>, Fault> {
        let Some(mut info) = read_now(self, |reader| reader.account(address))? else { return Ok(None) };
        info.account_id = None;
        if info.code.is_none() {
            info.code = Some(read_now(self, |reader| reader.code(info.code_hash))?);
        }
        Ok(Some(info))
    }

    /// A slot.
    pub fn slot(&self, address: Address, slot: U256) -> Result<U256, Fault> {
        read_now(self, |reader| reader.storage(address, None, slot))
    }

    /// The whole state as one flat one; a fault where the base is not in memory.
    pub fn memory(&self) -> Result<Arc<MemoryState>, Fault> {
        let Base::Memory(base) = &self.base else {
            return Err(Fault::StateRead("only a part of this state is known here".into()));
        };
        if self.layers.is_empty() {
            return Ok(base.clone());
        }
        Ok(self.flat.get_or_init(|| Arc::new(self.flattened(base))).clone())
    }

    fn flattened(&self, base: &MemoryState) -> MemoryState {
        let mut flat = base.clone();
        for over in self.layers.merged().accounts() {
            let Some(info) = &over.info else {
                flat.remove(&over.address);
                continue;
            };
            let mut account = match flat.get(&over.address) {
                Some(account) if !over.reset => account.clone(),
                _ => StateAccount::default(),
            };
            account.info = info.clone();
            account.storage.extend(over.slots.iter().copied());
            flat.insert(over.address, account);
        }
        flat
    }

    /// The state root, computed once.
    pub fn root(&self) -> Result<B256, Fault> {
        if let Some(root) = self.root.get() {
            return Ok(*root);
        }
        let memory = self.memory()?;
        Ok(*self.root.get_or_init(|| state_root(&memory)))
    }

    /// What has to change in this state to make it `other`. Only what lies over a common base is compared.
    pub fn diff(&self, other: &Self) -> Result<ChangeSet, Fault> {
        let mut touched: BTreeMap<Address, Vec<U256>> = BTreeMap::new();
        for snapshot in [self, other] {
            if self.base.is(&other.base) {
                for account in snapshot.layers.merged().accounts() {
                    let slots = touched.entry(account.address).or_default();
                    slots.extend(account.slots.iter().map(|(slot, _)| *slot));
                    if account.reset {
                        slots.extend(snapshot.base_slots(account.address)?);
                    }
                }
            } else {
                for (address, account) in snapshot.memory()?.iter() {
                    touched.entry(*address).or_default().extend(account.storage.keys().copied());
                }
            }
        }
        let mut changes = ChangeSet::default();
        for (address, mut slots) in touched {
            slots.sort_unstable();
            slots.dedup();
            let change = self.change(other, address, slots)?;
            if change.is_changed() {
                changes.accounts.push(change);
            }
        }
        Ok(changes)
    }

    fn change(&self, other: &Self, address: Address, slots: Vec<U256>) -> Result<AccountChange, Fault> {
        let (before, after) = (self.info(address)?, other.info(address)?);
        let code_changed = after.as_ref().is_some_and(|after| {
            after.code_hash != KECCAK_EMPTY
                && before.as_ref().map(|info| info.code_hash) != Some(after.code_hash)
        });
        let code = after.as_ref().filter(|_| code_changed).and_then(|info| info.code.clone());
        let mut storage = Vec::new();
        for slot in slots {
            let (before, after) = (self.slot(address, slot)?, other.slot(address, slot)?);
            if before != after {
                storage.push(SlotChange { slot, before, after });
            }
        }
        let fields = |info: AccountInfo| AccountFields {
            nonce: info.nonce,
            balance: info.balance,
            code_hash: info.code_hash,
        };
        let reset = before.is_some() && after.is_none();
        Ok(AccountChange {
            address,
            before: before.map(fields),
            after: after.map(fields),
            reset,
            code,
            storage,
        })
    }

    fn base_slots(&self, address: Address) -> Result<Vec<U256>, Fault> {
        let slots = read_now(self.base.reader(), |reader| reader.slots(address))?;
        Ok(slots.into_iter().map(|(slot, _)| slot).collect())
    }
}

impl StateReader for Snapshot {
    #[inline]
    fn account(&self, address: Address) -> Result<Read<Option<AccountInfo>>, Fault> {
        if !self.layers.is_empty()
            && let Some(over) = self.layers.account(&address)
        {
            return Ok(Read::Ready(over.info.clone()));
        }
        if let Base::Memory(memory) = &self.base {
            return match memory.get(&address) {
                None => Ok(Read::Ready(None)),
                // Without the code, whose count of users all workers would write.
                Some(StateAccount { info, .. }) if info.code_hash == KECCAK_EMPTY => {
                    let (balance, nonce, code_hash) = (info.balance, info.nonce, info.code_hash);
                    Ok(Read::Ready(Some(AccountInfo {
                        balance,
                        nonce,
                        code_hash,
                        account_id: None,
                        code: None,
                    })))
                }
                Some(_) => memory.account(address),
            };
        }
        self.base.reader().account(address)
    }

    #[inline]
    fn storage(&self, address: Address, hint: Option<AccountId>, slot: U256) -> Result<Read<U256>, Fault> {
        if !self.layers.is_empty()
            && let Some(value) = self.layers.slot(&address, &slot)
        {
            return Ok(Read::Ready(value));
        }
        self.base.reader().storage(address, hint, slot)
    }

    fn code(&self, hash: B256) -> Result<Read<Bytecode>, Fault> {
        if hash == KECCAK_EMPTY {
            return Ok(Read::Ready(Bytecode::default()));
        }
        for layer in self.layers.iter() {
            let infos = layer.accounts().iter().filter_map(|account| account.info.as_ref());
            if let Some(code) = infos.filter(|info| info.code_hash == hash).find_map(|info| info.code.clone())
            {
                return Ok(Read::Ready(code));
            }
        }
        self.base.reader().code(hash)
    }

    fn block_hash(&self, number: u64) -> Result<Read<B256>, Fault> {
        self.base.reader().block_hash(number)
    }

    fn slots(&self, address: Address) -> Result<Read<Vec<(U256, U256)>>, Fault> {
        if self.layers.account(&address).is_none() {
            return self.base.reader().slots(address);
        }
        let merged = self.layers.merged();
        let Some(over) = merged.get(&address) else { return self.base.reader().slots(address) };
        let mut slots: BTreeMap<U256, U256> = BTreeMap::new();
        if !over.reset {
            match self.base.reader().slots(address)? {
                Read::Ready(below) => slots.extend(below),
                pending @ Read::Pending(_) => return Ok(pending),
            }
        }
        slots.extend(over.slots.iter().copied());
        Ok(Read::Ready(slots.into_iter().filter(|(_, value)| !value.is_zero()).collect()))
    }

    fn wait(&self, ticket: Ticket) -> Result<(), Fault> {
        self.base.reader().wait(ticket)
    }
}
