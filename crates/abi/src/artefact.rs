//! Files that compilers and their frameworks write: which contract is meant, its interface and its bytecode.
//!
//! Known are a bare list (`vyper -f abi`, block explorers), one contract with `abi` and `bytecode` (forge's `out/`, hardhat's
//! `artifacts/`), `solc --combined-json`, solc's standard JSON output (also inside of hardhat's build info), and
//! `vyper -f combined_json`.

use std::collections::BTreeMap;

use alloy_primitives::{Bytes, hex};
use serde::Deserialize;
use serde_json::value::RawValue;

use crate::error::AbiError;
use crate::interface::Interface;

/// The most bytes of an artefact. Compilers write syntax trees into theirs.
pub const MAX_ARTEFACT_BYTES: usize = 1 << 28;
/// How many contracts an error names.
const MAX_NAMED: usize = 20;

/// What a file says of one contract.
#[derive(Clone, Debug, Default)]
pub struct Artefact {
    /// The contract's name, where the file has one.
    pub name: Option<String>,
    /// Its interface.
    pub interface: Interface,
    /// Init code, where the file has it.
    pub bytecode: Option<Bytes>,
    /// Why the init code cannot be used: libraries that are to be linked.
    pub unlinked: bool,
}

type Entries<'a> = BTreeMap<String, &'a RawValue>;

/// One contract, as any of the formats has it.
#[derive(Default, Deserialize)]
struct Contract<'a> {
    #[serde(borrow, default)]
    abi: Option<&'a RawValue>,
    #[serde(borrow, default)]
    bytecode: Option<&'a RawValue>,
    #[serde(borrow, default)]
    bin: Option<&'a RawValue>,
    #[serde(borrow, default)]
    evm: Option<Evm<'a>>,
    #[serde(default, rename = "contractName")]
    name: Option<String>,
}

#[derive(Default, Deserialize)]
struct Evm<'a> {
    #[serde(borrow, default)]
    bytecode: Option<&'a RawValue>,
}

/// `{"object": "0x..", ...}`.
#[derive(Deserialize)]
struct Object {
    object: String,
}

fn json<'a, T: Deserialize<'a>>(text: &'a str, field: &str) -> Result<T, AbiError> {
    serde_json::from_str(text).map_err(|error| AbiError::new(field, format!("not as expected: {error}")))
}

impl Artefact {
    /// Reads any of the formats. `contract` names one of several: `Token`, or `src/Token.sol:Token`.
    pub fn from_json(text: &str, contract: Option<&str>) -> Result<Self, AbiError> {
        if text.len() > MAX_ARTEFACT_BYTES {
            return Err(AbiError::new("", format!("more than {MAX_ARTEFACT_BYTES} bytes")));
        }
        let text = text.trim_start_matches('\u{feff}').trim();
        if text.starts_with('[') {
            return Ok(Self { interface: Interface::from_json(text)?, ..Self::default() });
        }
        let entries: Entries<'_> = serde_json::from_str(text)
            .map_err(|error| AbiError::new("", format!("not a JSON list or object: {error}")))?;
        if entries.contains_key("abi") {
            return Self::of(json(text, "artefact")?, None);
        }
        let mut found = Vec::new();
        if let Some(output) = entries.get("output") {
            let output: Entries<'_> = json(output.get(), "output")?;
            gather(output.get("contracts").copied(), &mut found)?;
        } else if let Some(contracts) = entries.get("contracts") {
            gather(Some(contracts), &mut found)?;
        } else {
            for (file, entry) in &entries {
                if entry.get().starts_with('{') {
                    found.push((file.clone(), json::<Contract<'_>>(entry.get(), file)?));
                }
            }
            found.retain(|(_, contract)| contract.abi.is_some());
        }
        choose(found, contract)
    }

    fn of(contract: Contract<'_>, key: Option<&str>) -> Result<Self, AbiError> {
        let Some(abi) = contract.abi else { return Err(AbiError::new("abi", "is missing")) };
        // `solc --combined-json` of before 0.6 has the interface as text.
        let interface = if abi.get().starts_with('"') {
            Interface::from_json(&json::<String>(abi.get(), "abi")?)
        } else {
            Interface::from_json(abi.get())
        };
        let evm = contract.evm.unwrap_or_default();
        let code = contract.bytecode.or(contract.bin).or(evm.bytecode);
        let code = code.filter(|code| code.get() != "null").map(text_of).transpose()?;
        let code = code.filter(|code| !code.is_empty() && code != "0x");
        // A library's address is to be put where its name's hash stands between `__`.
        let unlinked = code.as_ref().is_some_and(|code| code.contains('_'));
        let bytecode = code.filter(|_| !unlinked).map(|code| {
            hex::decode(&code).map_err(|error| AbiError::new("bytecode", format!("not hex: {error}")))
        });
        let name = contract.name.or_else(|| key.map(|key| short(key).to_owned()));
        Ok(Self {
            name,
            interface: interface.map_err(|error| error.inside("abi"))?,
            bytecode: bytecode.transpose()?.map(Bytes::from),
            unlinked,
        })
    }
}

fn text_of(code: &RawValue) -> Result<String, AbiError> {
    if code.get().starts_with('{') {
        Ok(json::<Object>(code.get(), "bytecode")?.object)
    } else {
        json(code.get(), "bytecode")
    }
}

/// The name of a contract without its file.
fn short(key: &str) -> &str {
    key.rsplit(':').next().unwrap_or(key)
}

/// `{"file:Name": contract}` or `{"file": {"Name": contract}}`.
fn gather<'a>(
    contracts: Option<&'a RawValue>,
    found: &mut Vec<(String, Contract<'a>)>,
) -> Result<(), AbiError> {
    let Some(contracts) = contracts else { return Err(AbiError::new("contracts", "is missing")) };
    for (key, entry) in json::<Entries<'_>>(contracts.get(), "contracts")? {
        let inner: Entries<'_> = json(entry.get(), &key)?;
        if inner.contains_key("abi") || inner.contains_key("bin") {
            found.push((key.clone(), json(entry.get(), &key)?));
        } else {
            for (name, entry) in inner {
                let place = format!("{key}:{name}");
                found.push((place.clone(), json(entry.get(), &place)?));
            }
        }
    }
    Ok(())
}

fn choose(found: Vec<(String, Contract<'_>)>, wanted: Option<&str>) -> Result<Artefact, AbiError> {
    let names: Vec<String> = found.iter().take(MAX_NAMED).map(|(key, _)| key.clone()).collect();
    let total = found.len();
    let mut chosen: Vec<_> = match wanted {
        None => found,
        Some(wanted) => {
            let named = |key: &String| key == wanted || short(key) == wanted;
            found.into_iter().filter(|(key, _)| named(key)).collect()
        }
    };
    let listed = || {
        let more = if total > names.len() { ", ..." } else { "" };
        format!("{}{more}", names.join(", "))
    };
    match (chosen.pop(), chosen.is_empty()) {
        (Some((key, contract)), true) => {
            Artefact::of(contract, Some(&key)).map_err(|error| error.inside(&key))
        }
        (Some(_), false) => {
            Err(AbiError::new("contract", format!("name one of the {total} contracts: {}", listed())))
        }
        (None, _) if total == 0 => Err(AbiError::new("abi", "there is no contract's interface in it")),
        (None, _) => {
            let wanted = wanted.unwrap_or_default();
            Err(AbiError::new("contract", format!("there is no {wanted:?}, but {}", listed())))
        }
    }
}
