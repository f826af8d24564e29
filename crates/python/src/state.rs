//! `State` and `Account`: state as a value. What runs on it is in `simulate`.

use std::collections::BTreeMap;
use std::sync::Arc;

use alloy_primitives::{B256, Bytes, U256, map::U256Map};
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict};
use solder_engine::state::{StateAccount, memory::UnknownBlockHash, reader::read_now};
use solder_engine::{Chain, Fault, Fork, MemoryState};
use solder_simulate::{Base, Edit, Environment, Snapshot, file};

use crate::chain::PyChain;
use crate::changes::PyChangeSet;
use crate::convert::{any_address, any_bytes, any_hash, bytes, int, u64_of, u256};
use crate::errors::Failure;
use crate::run::detached;
use crate::simulate::arguments::{block_overrides, state_overrides};

/// The accounts of a chain at one moment, and the block that calls on it believe to be in. It never changes.
#[pyclass(frozen, subclass, name = "State", module = "solder._native")]
pub struct PyState {
    pub inner: Arc<Snapshot>,
}

impl PyState {
    /// The whole state as a flat one.
    pub fn memory(&self, py: Python<'_>) -> PyResult<Arc<MemoryState>> {
        if self.inner.depth() == 0 {
            return Ok(self.inner.memory().map_err(Failure::from)?);
        }
        let state = self.inner.clone();
        detached(py, move |_| Ok(state.memory()?))
    }

    /// Reads from the state; where that may take a node's time, without the GIL.
    pub fn read<T: Send + 'static>(
        &self,
        py: Python<'_>,
        work: impl FnOnce(&Snapshot) -> Result<T, Fault> + Send + 'static,
    ) -> PyResult<T> {
        if matches!(self.inner.base(), Base::Memory(_)) {
            return Ok(work(&self.inner).map_err(Failure::from)?);
        }
        let state = self.inner.clone();
        detached(py, move |_| Ok(work(&state)?))
    }

    /// A state of the same Python class as `this`.
    pub fn like<'py>(this: &Bound<'py, Self>, snapshot: Snapshot) -> PyResult<Bound<'py, PyAny>> {
        let py = this.py();
        let state = Bound::new(py, Self { inner: Arc::new(snapshot) })?;
        let class = this.get_type();
        if class.is(py.get_type::<Self>()) { Ok(state.into_any()) } else { class.call1((state,)) }
    }

    fn edited<'py>(
        this: &Bound<'py, Self>,
        owner: &Bound<'py, PyAny>,
        edits: Vec<Edit>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let edits = BTreeMap::from([(any_address(owner, "address")?, edits)]);
        Self::like(this, this.get().read(this.py(), move |state| state.edit(&edits))?)
    }
}

#[pymethods]
impl PyState {
    /// From `{address: {"nonce": int, "balance": int, "code": bytes, "storage": {int: int}}}`; every field may be
    /// left out. `block_hashes` answers BLOCKHASH: `{number: hash}`. `chain` and `fork` say whose rules hold, `block` has
    /// the fields of the block. A state instead of a dict is taken as it is.
    #[new]
    #[pyo3(signature = (accounts = None, block_hashes = None, *, chain = None, fork = None, block = None))]
    fn new(
        accounts: Option<&Bound<'_, PyAny>>,
        block_hashes: Option<&Bound<'_, PyDict>>,
        chain: Option<&PyChain>,
        fork: Option<&str>,
        block: Option<&Bound<'_, PyDict>>,
    ) -> PyResult<Self> {
        if let Some(state) = accounts.and_then(|accounts| accounts.cast::<Self>().ok()) {
            return Ok(Self { inner: state.get().inner.clone() });
        }
        let mut state = MemoryState::new(UnknownBlockHash::Fault);
        let accounts = accounts.map(|accounts| {
            accounts.cast::<PyDict>().map_err(|_| Failure::field("accounts", "neither a dict nor a State"))
        });
        for (key, value) in accounts.transpose()?.into_iter().flatten() {
            let owner = any_address(&key, "address")?;
            state.insert(owner, account(&value, &owner.to_string())?);
        }
        for (number, hash) in block_hashes.into_iter().flatten() {
            let hash = any_hash(&hash, "block_hashes")?;
            state.insert_block_hash(u64_of(&number, "block_hashes")?, hash);
        }
        let environment = environment(chain, fork, block)?;
        Ok(Self { inner: Arc::new(Snapshot::new(Arc::new(state), environment)) })
    }

    fn __len__(&self, py: Python<'_>) -> PyResult<usize> {
        Ok(self.memory(py)?.len())
    }

    fn __contains__(&self, owner: &Bound<'_, PyAny>) -> PyResult<bool> {
        let address = any_address(owner, "address")?;
        Ok(self.read(owner.py(), move |state| state.info(address))?.is_some())
    }

    /// An account, or None where none exists.
    fn account(&self, owner: &Bound<'_, PyAny>) -> PyResult<Option<PyAccount>> {
        let address = any_address(owner, "address")?;
        let found = self.read(owner.py(), move |state| state.info(address))?;
        Ok(found.map(|info| PyAccount {
            nonce: info.nonce,
            balance: info.balance,
            code_hash: info.code_hash,
            code: info.code.map(|code| code.original_bytes()),
        }))
    }

    /// The value of a slot; 0 where it was never set.
    fn storage<'py>(
        &self,
        py: Python<'py>,
        owner: &Bound<'py, PyAny>,
        slot: &Bound<'py, PyAny>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let slot = u256(slot, "slot")?;
        let address = any_address(owner, "address")?;
        int(py, self.read(py, move |state| state.slot(address, slot))?)
    }

    /// All non-zero slots of an account.
    fn slots<'py>(&self, py: Python<'py>, owner: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyDict>> {
        let owner = any_address(owner, "address")?;
        let slots = PyDict::new(py);
        let all = self.read(py, move |state| read_now(state, |reader| reader.slots(owner)))?;
        for (slot, value) in all {
            slots.set_item(int(py, slot)?, int(py, value)?)?;
        }
        Ok(slots)
    }

    /// Every address, sorted.
    fn accounts<'py>(&self, py: Python<'py>) -> PyResult<Vec<Bound<'py, PyBytes>>> {
        let memory = self.memory(py)?;
        let mut all: Vec<_> = memory.iter().map(|(owner, _)| *owner).collect();
        all.sort_unstable();
        Ok(all.iter().map(|owner| bytes(py, owner)).collect())
    }

    /// The state root.
    fn root<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyBytes>> {
        let state = self.inner.clone();
        let root = detached(py, move |_| Ok(state.root()?))?;
        Ok(bytes(py, root))
    }

    /// The rules that hold.
    #[getter]
    fn chain(&self) -> PyChain {
        PyChain { inner: self.inner.environment().chain.clone() }
    }

    /// The fork that holds.
    #[getter]
    fn fork(&self) -> &'static str {
        self.inner.environment().fork.name()
    }

    /// The block that calls believe to be in.
    #[getter]
    fn block<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let header = &self.inner.environment().header;
        let fields = PyDict::new(py);
        fields.set_item("number", header.number)?;
        fields.set_item("timestamp", header.timestamp)?;
        fields.set_item("beneficiary", bytes(py, header.beneficiary))?;
        fields.set_item("gas_limit", header.gas_limit)?;
        fields.set_item("base_fee_per_gas", header.base_fee_per_gas)?;
        fields.set_item("prevrandao", bytes(py, header.mix_hash))?;
        fields.set_item("difficulty", int(py, header.difficulty)?)?;
        fields.set_item("excess_blob_gas", header.excess_blob_gas)?;
        Ok(fields)
    }

    /// Who sends a call that names no sender.
    #[getter]
    fn sender<'py>(&self, py: Python<'py>) -> Bound<'py, PyBytes> {
        bytes(py, self.inner.environment().sender)
    }

    /// How many layers lie over the shared base.
    #[getter]
    fn depth(&self) -> usize {
        self.inner.depth()
    }

    /// The same state in another block: fields of `block`, and who sends by default.
    fn with_block<'py>(this: &Bound<'py, Self>, block: &Bound<'py, PyDict>) -> PyResult<Bound<'py, PyAny>> {
        let inner = &this.get().inner;
        Self::like(this, inner.with_environment(inner.environment().with(&block_overrides(block)?)))
    }

    /// The same state with default sender `sender`.
    fn with_sender<'py>(this: &Bound<'py, Self>, sender: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
        let mut environment = this.get().inner.environment().clone();
        environment.sender = any_address(sender, "sender")?;
        Self::like(this, this.get().inner.with_environment(environment))
    }

    fn set_balance<'py>(
        this: &Bound<'py, Self>,
        owner: &Bound<'py, PyAny>,
        balance: &Bound<'py, PyAny>,
    ) -> PyResult<Bound<'py, PyAny>> {
        Self::edited(this, owner, vec![Edit::Balance(u256(balance, "balance")?)])
    }

    fn set_nonce<'py>(
        this: &Bound<'py, Self>,
        owner: &Bound<'py, PyAny>,
        nonce: &Bound<'py, PyAny>,
    ) -> PyResult<Bound<'py, PyAny>> {
        Self::edited(this, owner, vec![Edit::Nonce(u64_of(nonce, "nonce")?)])
    }

    fn set_code<'py>(
        this: &Bound<'py, Self>,
        owner: &Bound<'py, PyAny>,
        code: &Bound<'py, PyAny>,
    ) -> PyResult<Bound<'py, PyAny>> {
        Self::edited(this, owner, vec![Edit::Code(any_bytes(code, "code")?)])
    }

    fn set_storage<'py>(
        this: &Bound<'py, Self>,
        owner: &Bound<'py, PyAny>,
        slot: &Bound<'py, PyAny>,
        value: &Bound<'py, PyAny>,
    ) -> PyResult<Bound<'py, PyAny>> {
        Self::edited(this, owner, vec![Edit::Slot(u256(slot, "slot")?, u256(value, "value")?)])
    }

    /// Many fields at once, as the overrides of a call have them.
    fn edit<'py>(this: &Bound<'py, Self>, overrides: &Bound<'py, PyDict>) -> PyResult<Bound<'py, PyAny>> {
        let edits = state_overrides(overrides)?;
        Self::like(this, this.get().read(this.py(), move |state| state.edit(&edits))?)
    }

    /// The state after `changes`.
    fn apply<'py>(this: &Bound<'py, Self>, changes: &PyChangeSet) -> PyResult<Bound<'py, PyAny>> {
        let changes = changes.inner.clone();
        let after = this.get().read(this.py(), move |state| state.apply(&changes))?;
        Self::like(this, after)
    }

    /// What has to change in this state to make it `other`.
    fn diff(&self, py: Python<'_>, other: &Self) -> PyResult<PyChangeSet> {
        let (one, other) = (self.inner.clone(), other.inner.clone());
        Ok(PyChangeSet::new(detached(py, move |_| Ok(one.diff(&other)?))?))
    }

    /// The state as bytes: what `save` writes.
    fn to_bytes<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyBytes>> {
        let state = self.inner.clone();
        Ok(bytes(py, detached(py, move |_| Ok(file::encode(&state)?))?))
    }

    /// The state that `to_bytes` gave.
    #[classmethod]
    fn from_bytes<'py>(
        class: &Bound<'py, pyo3::types::PyType>,
        raw: &Bound<'py, PyBytes>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let (py, raw) = (class.py(), raw.as_bytes().to_vec());
        let snapshot = detached(py, move |_| Ok(file::decode(&raw)?))?;
        let state = Bound::new(py, Self { inner: Arc::new(snapshot) })?;
        if class.is(py.get_type::<Self>()) { Ok(state.into_any()) } else { class.call1((state,)) }
    }

    fn __reduce__<'py>(this: &Bound<'py, Self>) -> PyResult<(Bound<'py, PyAny>, (Bound<'py, PyBytes>,))> {
        Ok((this.get_type().getattr("from_bytes")?, (this.get().to_bytes(this.py())?,)))
    }

    fn __repr__(&self) -> String {
        let environment = self.inner.environment();
        let (number, fork, id) = (environment.header.number, environment.fork, environment.chain.id);
        let size = match self.inner.memory() {
            Ok(memory) if self.inner.depth() == 0 => format!("{} accounts", memory.len()),
            Err(_) if self.inner.depth() == 0 => "of a node".into(),
            _ => format!("{} layers over a base", self.inner.depth()),
        };
        format!("<State {size}, chain {id}, block {number}, {fork}>")
    }
}

fn environment(
    chain: Option<&PyChain>,
    fork: Option<&str>,
    block: Option<&Bound<'_, PyDict>>,
) -> PyResult<Environment> {
    let overrides = block.map(block_overrides).transpose()?.unwrap_or_default();
    let fork = fork.map(Fork::parse).transpose().map_err(Failure::from)?;
    let environment = match (chain, fork) {
        (None, None) => Environment::default(),
        (None, Some(fork)) => Environment::at(fork),
        (Some(chain), Some(fork)) => Environment::new(chain.inner.clone(), fork),
        (Some(chain), None) => {
            let chain: Chain = chain.inner.clone();
            let fork = chain.fork_at(overrides.number.unwrap_or(1), overrides.timestamp.unwrap_or(1), 0);
            Environment::new(chain, fork)
        }
    };
    Ok(environment.with(&overrides))
}

fn account(value: &Bound<'_, PyAny>, owner: &str) -> PyResult<StateAccount> {
    let fields = value.cast::<PyDict>().map_err(|_| Failure::field(owner, "not a dict"))?;
    let (mut nonce, mut balance, mut code) = (0, U256::ZERO, Bytes::new());
    let mut storage = U256Map::default();
    for (name, value) in fields {
        let name: String = name.extract().map_err(|_| Failure::field(owner, "a field's name is no str"))?;
        let field = format!("{owner}.{name}");
        match name.as_str() {
            "nonce" => nonce = u64_of(&value, &field)?,
            "balance" => balance = u256(&value, &field)?,
            "code" => code = any_bytes(&value, &field)?,
            "storage" => {
                let slots = value.cast::<PyDict>().map_err(|_| Failure::field(&field, "not a dict"))?;
                for (slot, value) in slots {
                    storage.insert(u256(&slot, &field)?, u256(&value, &field)?);
                }
            }
            _ => return Err(Failure::field(field, "no such field").into()),
        }
    }
    let mut account = StateAccount::new(nonce, balance, code);
    account.storage = storage;
    Ok(account)
}

/// An account's fields at one moment.
#[pyclass(frozen, eq, name = "Account", module = "solder")]
#[derive(PartialEq)]
pub struct PyAccount {
    pub nonce: u64,
    pub balance: U256,
    pub code_hash: B256,
    pub code: Option<Bytes>,
}

#[pymethods]
impl PyAccount {
    #[getter]
    fn nonce(&self) -> u64 {
        self.nonce
    }

    #[getter]
    fn balance<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        int(py, self.balance)
    }

    #[getter]
    fn code_hash<'py>(&self, py: Python<'py>) -> Bound<'py, PyBytes> {
        bytes(py, self.code_hash)
    }

    /// The code; None where only its hash is known.
    #[getter]
    fn code<'py>(&self, py: Python<'py>) -> Option<Bound<'py, PyBytes>> {
        self.code.as_ref().map(|code| bytes(py, code))
    }

    fn __repr__(&self) -> String {
        format!("<Account nonce {} balance {} code {}>", self.nonce, self.balance, self.code_hash)
    }
}
