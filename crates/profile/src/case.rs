//! State-and-transaction files: one JSON object with `env` (the block), `pre` (the accounts before) and `tx` (one
//! transaction), like `examples/ens/contenthash.json`. Numbers are JSON integers or hex strings. The rules are
//! mainnet's at the block's number and time, or those of the field `fork`.

use std::borrow::Cow;
use std::path::Path;

use alloy_consensus::Header;
use alloy_primitives::{Address, B256, Bytes, TxKind, U256};
use secp256k1::{PublicKey, SECP256K1, SecretKey};
use serde::Deserialize;
use serde::de::{Deserializer, Error};
use solder_engine::state::memory::UnknownBlockHash;
use solder_engine::{Block, Chain, Fork, MemoryState, Transaction};
use solder_spec::InputError;
use solder_spec::fixture::{AccessEntry, Alloc, AuthorizationEntry, parse, parse_quantity, state_of};
use solder_spec::source::{Limits, read_file};

use crate::run::Subject;

/// Bounds on one file.
const LIMITS: Limits = Limits { file_bytes: 64 << 20, files: 1, total_bytes: 64 << 20, depth: 1 };
/// Gas of a transaction that does not say its own limit.
const DEFAULT_GAS_LIMIT: u64 = 30_000_000;
/// Mainnet's difficulty at the merge: a block of which only number and time are known is after it where both are.
const PARIS_BLOCK: u64 = 15_537_394;

/// A transaction with the block around it and the state before it.
#[derive(Clone)]
pub struct Case {
    /// Its name in the file, or the file's.
    pub name: String,
    /// Whose rules hold.
    pub chain: Chain,
    /// Which of them.
    pub fork: Fork,
    /// A block with the one transaction.
    pub block: Block,
    /// The state before.
    pub state: MemoryState,
}

/// A JSON integer or a hex string, of up to 256 bits.
#[derive(Clone, Copy, Debug, Default)]
struct Number(U256);

impl<'de> Deserialize<'de> for Number {
    fn deserialize<D: Deserializer<'de>>(json: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum Either<'a> {
            Int(u64),
            Hex(#[serde(borrow)] Cow<'a, str>),
        }
        let number = match Either::deserialize(json) {
            Ok(Either::Int(value)) => Some(U256::from(value)),
            Ok(Either::Hex(text)) => parse_quantity(&text),
            Err(_) => None,
        };
        number.map(Self).ok_or_else(|| {
            D::Error::custom("not a number: an integer of up to 64 bits, or 0x and hex digits")
        })
    }
}

#[derive(Deserialize)]
struct File {
    name: Option<String>,
    fork: Option<String>,
    env: Env,
    pre: Alloc,
    tx: Tx,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Env {
    current_number: Number,
    current_timestamp: Number,
    current_gas_limit: Number,
    current_coinbase: Address,
    current_base_fee: Option<Number>,
    current_difficulty: Option<Number>,
    current_random: Option<B256>,
    current_excess_blob_gas: Option<Number>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Tx {
    secret_key: Option<B256>,
    sender: Option<Address>,
    nonce: Number,
    to: Option<Cow<'static, str>>,
    #[serde(alias = "input", default)]
    data: Bytes,
    #[serde(alias = "gasLimit")]
    gas: Option<Number>,
    gas_price: Option<Number>,
    max_fee_per_gas: Option<Number>,
    max_priority_fee_per_gas: Option<Number>,
    max_fee_per_blob_gas: Option<Number>,
    #[serde(default)]
    value: Number,
    access_list: Option<Vec<AccessEntry>>,
    blob_versioned_hashes: Option<Vec<B256>>,
    authorization_list: Option<Vec<AuthorizationEntry>>,
}

/// A field and what is wrong with it.
type Wrong = (String, String);

fn narrow<T: TryFrom<U256>>(value: Number, field: &str) -> Result<T, Wrong> {
    T::try_from(value.0).map_err(|_| (field.to_owned(), format!("{:#x} is too large", value.0)))
}

impl Case {
    /// What to run.
    pub fn subject(&self) -> Subject<'_> {
        let Self { chain, fork, block, state, .. } = self;
        Subject { chain, fork: *fork, block, state, transactions_only: true, cancel: None }
    }

    /// Reads a file.
    pub fn load(path: &str) -> Result<Self, InputError> {
        Self::parse(path, &read_file(Path::new(path), &LIMITS)?)
    }

    /// Parses a file's bytes; `path` names it in errors.
    pub fn parse(path: &str, bytes: &[u8]) -> Result<Self, InputError> {
        let file: File = parse(path, bytes)?;
        let at = |(field, detail): Wrong| InputError::field(path, field, detail);
        let state = state_of(&file.pre, UnknownBlockHash::HashOfNumber)
            .map_err(|(field, detail)| at((format!("pre.{field}"), detail.to_owned())))?;
        let (number, timestamp) = (
            narrow(file.env.current_number, "env.currentNumber").map_err(at)?,
            narrow(file.env.current_timestamp, "env.currentTimestamp").map_err(at)?,
        );
        let (chain, fork) = rules(file.fork.as_deref(), number, timestamp).map_err(at)?;
        let transaction = transaction(&file.tx, &chain).map_err(at)?;
        let header = header(&file.env, fork, number, timestamp).map_err(at)?;
        let block = Block { header, transactions: vec![transaction], ..Block::default() };
        let name = file.name.unwrap_or_else(|| path.to_owned());
        Ok(Self { name, chain, fork, block, state })
    }
}

fn rules(fork: Option<&str>, number: u64, timestamp: u64) -> Result<(Chain, Fork), Wrong> {
    match fork {
        Some(name) => {
            let fork = Fork::parse(name).map_err(|error| ("fork".to_owned(), error.to_string()))?;
            Ok((Chain::at(fork), fork))
        }
        None => {
            let chain = Chain::mainnet();
            let fork = chain.fork_at(number, timestamp, if number >= PARIS_BLOCK { u128::MAX } else { 0 });
            Ok((chain, fork))
        }
    }
}

fn header(env: &Env, fork: Fork, number: u64, timestamp: u64) -> Result<Header, Wrong> {
    let merged = fork >= Fork::Paris;
    let optional = |value: Option<Number>, field| value.map(|value| narrow::<u64>(value, field)).transpose();
    let base_fee = optional(env.current_base_fee, "env.currentBaseFee")?;
    let excess_blob_gas = optional(env.current_excess_blob_gas, "env.currentExcessBlobGas")?;
    Ok(Header {
        number,
        timestamp,
        beneficiary: env.current_coinbase,
        gas_limit: narrow(env.current_gas_limit, "env.currentGasLimit")?,
        difficulty: if merged { U256::ZERO } else { env.current_difficulty.unwrap_or_default().0 },
        mix_hash: env.current_random.unwrap_or_default(),
        base_fee_per_gas: (fork >= Fork::London).then(|| base_fee.unwrap_or_default()),
        excess_blob_gas: (fork >= Fork::Cancun).then(|| excess_blob_gas.unwrap_or_default()),
        ..Header::default()
    })
}

fn transaction(given: &Tx, chain: &Chain) -> Result<Transaction, Wrong> {
    let tx_type = if given.authorization_list.is_some() {
        4
    } else if given.blob_versioned_hashes.is_some() || given.max_fee_per_blob_gas.is_some() {
        3
    } else if given.max_fee_per_gas.is_some() {
        2
    } else {
        u8::from(given.access_list.is_some())
    };
    let price = |value: Option<Number>, field| value.map_or(Ok(0), |value| narrow::<u128>(value, field));
    let dynamic = tx_type >= 2;
    let gas_price = if dynamic {
        price(given.max_fee_per_gas, "tx.maxFeePerGas")?
    } else {
        price(given.gas_price, "tx.gasPrice")?
    };
    let tip = price(given.max_priority_fee_per_gas, "tx.maxPriorityFeePerGas")?;
    let gas_limit = given.gas.map_or(Ok(DEFAULT_GAS_LIMIT), |gas| narrow(gas, "tx.gas"))?;
    let mut tx = Transaction {
        tx_type,
        chain_id: (tx_type != 0).then_some(chain.id),
        nonce: narrow(given.nonce, "tx.nonce")?,
        gas_price,
        max_priority_fee_per_gas: dynamic.then_some(tip),
        gas_limit,
        to: recipient(given.to.as_deref())?,
        value: given.value.0,
        input: given.data.clone(),
        blob_versioned_hashes: given.blob_versioned_hashes.clone().unwrap_or_default(),
        max_fee_per_blob_gas: price(given.max_fee_per_blob_gas, "tx.maxFeePerBlobGas")?,
        sender: sender(given)?,
        ..Transaction::default()
    };
    tx.access_list = given.access_list.iter().flatten().map(AccessEntry::to_item).collect();
    for (index, entry) in given.authorization_list.iter().flatten().enumerate() {
        let field = || (format!("tx.authorizationList.{index}.yParity"), "is too large".to_owned());
        tx.authorization_list.push(entry.to_signed().ok_or_else(field)?);
    }
    tx.recover_authorities();
    Ok(tx)
}

fn recipient(to: Option<&str>) -> Result<TxKind, Wrong> {
    match to {
        None | Some("" | "0x") => Ok(TxKind::Create),
        Some(text) => {
            let wrong = |_| ("tx.to".to_owned(), format!("{text:?} is no address"));
            text.parse().map(TxKind::Call).map_err(wrong)
        }
    }
}

fn sender(given: &Tx) -> Result<Address, Wrong> {
    let signer = match &given.secret_key {
        None => None,
        Some(key) => {
            let wrong = |_| ("tx.secretKey".to_owned(), "is no key of secp256k1".to_owned());
            let key = SecretKey::from_byte_array(key.0).map_err(wrong)?;
            let public = PublicKey::from_secret_key(SECP256K1, &key).serialize_uncompressed();
            Some(Address::from_raw_public_key(&public[1..]))
        }
    };
    match (given.sender, signer) {
        (Some(sender), Some(signer)) if sender != signer => {
            Err(("tx.secretKey".to_owned(), format!("is the key of {signer}, not of the sender")))
        }
        (Some(sender), _) | (None, Some(sender)) => Ok(sender),
        (None, None) => Err(("tx.sender".to_owned(), "neither a sender nor a secretKey".to_owned())),
    }
}
