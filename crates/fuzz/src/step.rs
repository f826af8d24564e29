//! One transaction of a plan. It becomes a real one only when its turn comes, because a nonce, "exactly enough" and
//! "one wei short" depend on what the transactions before it did.

use alloy_primitives::{Address, B256, Bytes, TxKind, U256};
use revm::context_interface::transaction::{
    AccessListItem, Authorization, RecoveredAuthority, RecoveredAuthorization,
};
use solder_engine::{Chain, Fork, Header, MemoryState, Transaction};

/// What is sent along.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Amount {
    /// This many wei.
    Wei(U256),
    /// All that the most expensive execution leaves, and this many wei more: 0 is exactly enough, 1 is one too many.
    All {
        /// Wei too many.
        over: u64,
    },
}

/// What kind of transaction.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Type 0.
    Legacy,
    /// Type 1.
    AccessList(Vec<AccessListItem>),
    /// Type 2, with this tip.
    Dynamic(u128),
    /// Type 3, with this many blobs.
    Blob(u8),
    /// Type 4.
    SetCode(Vec<Delegation>),
}

/// One authorization of a set-code transaction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Delegation {
    /// Who delegates.
    pub authority: Address,
    /// To whom; zero takes the delegation back.
    pub target: Address,
    /// Added to the right nonce.
    pub nonce_off: u64,
    /// Signed by nobody.
    pub forged: bool,
}

/// What is wrong with it by design.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Spoil {
    /// Nothing.
    Nothing,
    /// Whatever follows from the state: it may be valid or not.
    Perhaps,
    /// A nonce that was used.
    NonceLow,
    /// A nonce that is not due.
    NonceHigh,
    /// A price below the base fee.
    Price,
    /// More gas than a block has.
    BlockGas,
    /// Less gas than a transaction costs before its first instruction.
    IntrinsicGas,
}

/// A transaction of a plan.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    /// Sender.
    pub from: Address,
    /// Recipient; `None` creates.
    pub to: Option<Address>,
    /// What is sent along.
    pub amount: Amount,
    /// Call data or init code.
    pub data: Bytes,
    /// Gas limit.
    pub gas: u64,
    /// What kind.
    pub kind: Kind,
    /// What is wrong with it.
    pub spoil: Spoil,
    /// Added to the lowest price that the block accepts.
    pub tip: u128,
}

/// Gas for a call that does something.
pub const CALL_GAS: u64 = 300_000;

impl Step {
    /// A call with data.
    pub fn call(from: Address, to: Address, data: Bytes) -> Self {
        Self {
            from,
            to: Some(to),
            amount: Amount::Wei(U256::ZERO),
            data,
            gas: CALL_GAS,
            kind: Kind::Legacy,
            spoil: Spoil::Nothing,
            tip: 1,
        }
    }

    /// A transfer, with gas for what the recipient's code may do.
    pub fn transfer(from: Address, to: Address, amount: Amount) -> Self {
        Self { amount, gas: 60_000, ..Self::call(from, to, Bytes::new()) }
    }

    /// A creation.
    pub fn create(from: Address, init_code: Bytes) -> Self {
        Self { to: None, gas: 600_000, ..Self::call(from, Address::ZERO, init_code) }
    }

    /// The same with another fault by design.
    pub fn spoiled(self, spoil: Spoil) -> Self {
        Self { spoil, ..self }
    }

    /// The same of another kind.
    pub fn of_kind(self, kind: Kind) -> Self {
        Self { kind, ..self }
    }

    /// The transaction, on the state that the transactions before it left behind. `None` where the sender cannot even
    /// pay for its gas although it should.
    pub fn transaction(
        &self,
        chain: &Chain,
        fork: Fork,
        header: &Header,
        state: &MemoryState,
    ) -> Option<Transaction> {
        let info = state.get(&self.from).map(|account| account.info.clone()).unwrap_or_default();
        let base_fee = u128::from(header.base_fee_per_gas.unwrap_or_default());
        let mut tx = Transaction {
            nonce: info.nonce,
            gas_price: base_fee + self.tip,
            gas_limit: self.gas,
            to: self.to.map_or(TxKind::Create, TxKind::Call),
            input: self.data.clone(),
            sender: self.from,
            ..Default::default()
        };
        if fork >= Fork::SpuriousDragon {
            tx.chain_id = Some(chain.id);
        }
        self.set_kind(&mut tx, chain, fork, header, state);
        self.set_spoil(&mut tx, header, base_fee);
        let blob_price = u128::from(tx.blob_gas()) * tx.max_fee_per_blob_gas;
        let gas = U256::from(tx.gas_limit).saturating_mul(U256::from(tx.gas_price));
        tx.value = match self.amount {
            Amount::Wei(wei) => wei,
            Amount::All { over } => {
                let left = info.balance.checked_sub(gas.saturating_add(U256::from(blob_price)));
                match left {
                    Some(left) => left.saturating_add(U256::from(over)),
                    None if self.spoil == Spoil::Nothing => return None,
                    None => U256::from(over),
                }
            }
        };
        Some(tx)
    }

    fn set_kind(
        &self,
        tx: &mut Transaction,
        chain: &Chain,
        fork: Fork,
        header: &Header,
        state: &MemoryState,
    ) {
        match &self.kind {
            Kind::Legacy => {}
            Kind::AccessList(list) => {
                tx.tx_type = 1;
                tx.access_list = list.clone();
            }
            Kind::Dynamic(tip) => {
                tx.tx_type = 2;
                tx.gas_price += tip;
                tx.max_priority_fee_per_gas = Some(*tip);
            }
            Kind::Blob(blobs) => {
                tx.tx_type = 3;
                tx.max_priority_fee_per_gas = Some(0);
                let excess = header.excess_blob_gas.unwrap_or_default();
                let price = chain.blob_params(fork).map(|params| params.calc_blob_fee(excess));
                tx.max_fee_per_blob_gas = price.unwrap_or_default() + 1;
                let hash = |number: u8| {
                    let mut hash = B256::repeat_byte(number);
                    hash[0] = 1;
                    hash
                };
                tx.blob_versioned_hashes = (0..*blobs).map(hash).collect();
            }
            Kind::SetCode(delegations) => {
                tx.tx_type = 4;
                tx.max_priority_fee_per_gas = Some(self.tip);
                tx.authorities = self.authorities(delegations, chain, state);
            }
        }
    }

    /// Nonces as they will be when the list is applied: after the sender's own, and one more for each that counted.
    fn authorities(
        &self,
        delegations: &[Delegation],
        chain: &Chain,
        state: &MemoryState,
    ) -> Vec<RecoveredAuthorization> {
        let mut applied: Vec<Address> = vec![self.from];
        let mut list = Vec::new();
        for delegation in delegations {
            let known = state.get(&delegation.authority).map_or(0, |account| account.info.nonce);
            let before = applied.iter().filter(|address| **address == delegation.authority).count() as u64;
            let nonce = known.saturating_add(before).saturating_add(delegation.nonce_off);
            if delegation.nonce_off == 0 && !delegation.forged {
                applied.push(delegation.authority);
            }
            let inner = Authorization { chain_id: U256::from(chain.id), address: delegation.target, nonce };
            let authority = if delegation.forged {
                RecoveredAuthority::Invalid
            } else {
                RecoveredAuthority::Valid(delegation.authority)
            };
            list.push(RecoveredAuthorization::new_unchecked(inner, authority));
        }
        list
    }

    fn set_spoil(&self, tx: &mut Transaction, header: &Header, base_fee: u128) {
        match self.spoil {
            Spoil::Nothing | Spoil::Perhaps => {}
            Spoil::NonceLow => tx.nonce = tx.nonce.saturating_sub(1),
            Spoil::NonceHigh => tx.nonce = tx.nonce.saturating_add(1),
            Spoil::Price => {
                tx.gas_price = base_fee.saturating_sub(1);
                tx.max_priority_fee_per_gas = tx.max_priority_fee_per_gas.map(|_| 0);
            }
            Spoil::BlockGas => tx.gas_limit = header.gas_limit + 1,
            Spoil::IntrinsicGas => tx.gas_limit = 20_999,
        }
    }
}
