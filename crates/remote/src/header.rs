//! A header as JSON-RPC gives it, and whether it has the hash that it claims. Also quantities and byte strings, which are read
//! strictly: a field that is missing or of another form is an error that names it.

use alloy_consensus::Header;
use alloy_primitives::{B64, B256, Bloom, Bytes, U256, hex};
use serde_json::Value;

/// The most digits of a quantity: 256 bits.
const MAX_DIGITS: usize = 64;

/// A header with the hash that the node gave it.
#[derive(Clone, Debug, PartialEq)]
pub struct Pinned {
    /// Its fields.
    pub header: Header,
    /// Its hash, as the node says.
    pub hash: B256,
}

impl Pinned {
    /// Reads a block's JSON (without its transactions).
    pub fn parse(block: &Value) -> Result<Self, String> {
        let hash = |name| fixed::<32>(block, name).map(B256::from);
        let header = Header {
            parent_hash: hash("parentHash")?,
            ommers_hash: hash("sha3Uncles")?,
            beneficiary: fixed::<20>(block, "miner")?.into(),
            state_root: hash("stateRoot")?,
            transactions_root: hash("transactionsRoot")?,
            receipts_root: hash("receiptsRoot")?,
            logs_bloom: Bloom::from(fixed::<256>(block, "logsBloom")?),
            difficulty: quantity(field(block, "difficulty")?).map_err(|e| named("difficulty", e))?,
            number: count(block, "number")?,
            gas_limit: count(block, "gasLimit")?,
            gas_used: count(block, "gasUsed")?,
            timestamp: count(block, "timestamp")?,
            extra_data: bytes(field(block, "extraData")?).map_err(|e| named("extraData", e))?,
            mix_hash: hash("mixHash")?,
            nonce: B64::from(fixed::<8>(block, "nonce")?),
            base_fee_per_gas: maybe(block, "baseFeePerGas", count)?,
            withdrawals_root: maybe(block, "withdrawalsRoot", fixed::<32>)?.map(B256::from),
            blob_gas_used: maybe(block, "blobGasUsed", count)?,
            excess_blob_gas: maybe(block, "excessBlobGas", count)?,
            parent_beacon_block_root: maybe(block, "parentBeaconBlockRoot", fixed::<32>)?.map(B256::from),
            requests_hash: maybe(block, "requestsHash", fixed::<32>)?.map(B256::from),
            block_access_list_hash: maybe(block, "blockAccessListHash", fixed::<32>)?.map(B256::from),
            slot_number: maybe(block, "slotNumber", count)?,
        };
        Ok(Self { header, hash: hash("hash")? })
    }

    /// Whether the fields have the hash.
    pub fn check(&self) -> Result<(), String> {
        let found = self.header.hash_slow();
        if found == self.hash {
            return Ok(());
        }
        Err(format!(
            "block {} is said to have hash {}, but its header's is {found}",
            self.header.number, self.hash
        ))
    }
}

fn named(name: &str, detail: String) -> String {
    format!("{name}: {detail}")
}

/// A field that must be there.
pub fn field<'v>(object: &'v Value, name: &str) -> Result<&'v Value, String> {
    object.get(name).filter(|value| !value.is_null()).ok_or_else(|| named(name, "missing".into()))
}

fn maybe<T>(
    object: &Value,
    name: &str,
    read: impl Fn(&Value, &str) -> Result<T, String>,
) -> Result<Option<T>, String> {
    match object.get(name) {
        None | Some(Value::Null) => Ok(None),
        Some(_) => read(object, name).map(Some),
    }
}

fn count(object: &Value, name: &str) -> Result<u64, String> {
    small(field(object, name)?).map_err(|error| named(name, error))
}

/// `N` bytes of a field.
pub fn fixed<const N: usize>(object: &Value, name: &str) -> Result<[u8; N], String> {
    word(field(object, name)?).map_err(|error| named(name, error))
}

/// `N` bytes.
pub fn word<const N: usize>(value: &Value) -> Result<[u8; N], String> {
    let raw = bytes(value)?;
    raw[..].try_into().map_err(|_| format!("{} bytes, not {N}", raw.len()))
}

fn digits(value: &Value) -> Result<&str, String> {
    let text = value.as_str().ok_or_else(|| format!("{} is no hex", kind(value)))?;
    text.strip_prefix("0x").ok_or_else(|| "hex begins with 0x".into())
}

fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a truth value",
        Value::Number(_) => "a number",
        Value::String(_) => "a string",
        Value::Array(_) => "a list",
        Value::Object(_) => "an object",
    }
}

/// A number of up to 256 bits, also where a node pads it with zeros.
pub fn quantity(value: &Value) -> Result<U256, String> {
    let digits = digits(value)?;
    if digits.is_empty() || digits.len() > MAX_DIGITS {
        return Err(format!("a number of {} digits", digits.len()));
    }
    U256::from_str_radix(digits, 16).map_err(|_| "not hex".into())
}

/// A number of up to 64 bits.
pub fn small(value: &Value) -> Result<u64, String> {
    u64::try_from(quantity(value)?).map_err(|_| "more than 64 bits".into())
}

/// A byte string.
pub fn bytes(value: &Value) -> Result<Bytes, String> {
    Ok(hex::decode(digits(value)?).map_err(|error| format!("not hex: {error}"))?.into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn numbers_and_bytes_are_read_strictly() {
        assert_eq!(small(&json!("0x10")), Ok(16));
        assert_eq!(quantity(&json!(format!("0x{}1", "0".repeat(63)))), Ok(U256::from(1)));
        for bad in [
            json!(16),
            json!("16"),
            json!("0x"),
            json!("0xzz"),
            json!(null),
            json!(format!("0x1{}", "0".repeat(64))),
        ] {
            assert!(quantity(&bad).is_err(), "{bad}");
        }
        assert!(small(&json!("0x10000000000000000")).is_err());
        assert!(bytes(&json!("0x123")).is_err());
        assert!(word::<32>(&json!("0x12")).is_err());
        assert_eq!(Pinned::parse(&json!({})).unwrap_err(), "parentHash: missing");
    }
}
