//! The third input: transactions, as RLP or as JSON, signed or to be signed. JSON is encoded first and decoded like
//! RLP, so that there is one way in, and what goes into the body is what was given.

use alloy_primitives::{B256, Bytes, U256};
use alloy_rlp::{BufMut, Encodable, Header as RlpHeader};
use secp256k1::{Message, SECP256K1, SecretKey};
use solder_engine::chain::transaction::split_envelopes;
use solder_engine::{Code, Fork, Rejection, Transaction};

use super::error::T8nError;
use super::fields::{Fields, Json, Problem, parse_hex};

/// A transaction as it was given, and what came of reading it.
#[derive(Debug)]
pub(super) struct Candidate {
    /// The EIP-2718 envelope, or a legacy list.
    pub raw: Vec<u8>,
    /// The transaction with its sender.
    pub read: Result<Transaction, Rejection>,
    /// Given as JSON, so that its fields were there whatever they say.
    from_json: bool,
}

impl Candidate {
    fn decode(raw: Vec<u8>, fork: Fork, from_json: bool) -> Self {
        let read = match known_type(&raw, fork) {
            Ok(()) => Transaction::decode(&raw),
            Err(rejection) => Err(rejection),
        };
        Self { raw, read, from_json }
    }

    /// Whether this is a transaction at all in this fork, valid or not: only those count in the body and in the
    /// index that the tries use.
    pub fn is_transaction(&self) -> bool {
        match self.read.as_ref().map_err(|rejection| rejection.code) {
            // These types have no encoding of a creation.
            Err(Code::Type3ContractCreation | Code::Type4ContractCreation) => self.from_json,
            Err(
                Code::TransactionRlp
                | Code::Type3WithFullBlobs
                | Code::TypeNotSupported
                | Code::Type1PreFork
                | Code::Type2PreFork
                | Code::Type3PreFork
                | Code::Type4PreFork,
            ) => false,
            Ok(_) | Err(_) => true,
        }
    }
}

/// Rejects a typed transaction before the fork that brought its type.
fn known_type(raw: &[u8], fork: Fork) -> Result<(), Rejection> {
    let (code, since) = match raw.first() {
        Some(1) => (Code::Type1PreFork, Fork::Berlin),
        Some(2) => (Code::Type2PreFork, Fork::London),
        Some(3) => (Code::Type3PreFork, Fork::Cancun),
        Some(4) => (Code::Type4PreFork, Fork::Prague),
        _ => return Ok(()),
    };
    if fork >= since {
        return Ok(());
    }
    Err(Rejection::new(code, format!("type {} in {fork}", raw[0])))
}

/// Reads `txs`: a JSON list of transactions, or a string with the hex of an RLP list (quoted or not).
pub(super) fn read_transactions(text: &[u8], fork: Fork, chain_id: u64) -> Result<Vec<Candidate>, T8nError> {
    let trimmed = text.trim_ascii();
    let read = match trimmed.first() {
        Some(b'[' | b'{' | b'"' | b'n') => Json::parse(trimmed).and_then(|json| match json {
            Json::Null => Ok(Vec::new()),
            Json::Text(hex) => from_rlp(&hex, fork),
            other => from_json(&other, fork, chain_id),
        }),
        _ => match std::str::from_utf8(trimmed) {
            Ok(hex) => from_rlp(hex, fork),
            Err(error) => Err(Problem::new("", error.to_string())),
        },
    };
    read.map_err(|problem| problem.of("txs"))
}

fn from_rlp(hex: &str, fork: Fork) -> Result<Vec<Candidate>, Problem> {
    let whole = |detail: String| Problem::new("", detail);
    let bytes = parse_hex(hex).map_err(whole)?;
    let mut rest = bytes.as_slice();
    let header = RlpHeader::decode(&mut rest).map_err(|error| whole(format!("RLP: {error}")))?;
    if !header.list || header.payload_length != rest.len() {
        return Err(whole("RLP: not one list".into()));
    }
    let envelopes = split_envelopes(rest).map_err(|error| whole(format!("RLP: {error}")))?;
    Ok(envelopes.into_iter().map(|raw| Candidate::decode(raw.to_vec(), fork, false)).collect())
}

fn from_json(json: &Json<'_>, fork: Fork, chain_id: u64) -> Result<Vec<Candidate>, Problem> {
    let list = json.list().map_err(|detail| Problem::new("", detail))?;
    let read = |json: &Json<'_>| {
        let fields = json.object().map_err(|detail| Problem::new("", detail))?;
        candidate(fields, fork, chain_id)
    };
    let read_at = |(index, json)| read(json).map_err(|problem: Problem| problem.within(format!("[{index}]")));
    list.iter().enumerate().map(read_at).collect()
}

/// What a JSON transaction says of its type, by its name or by its fields.
fn type_of(fields: Fields<'_, '_>) -> Result<u64, Problem> {
    if let Some(given) = fields.optional("type", Json::u64)? {
        return Ok(given);
    }
    let has = |name| fields.get(name).is_some();
    Ok(match () {
        () if has("authorizationList") => 4,
        () if has("maxFeePerBlobGas") => 3,
        () if has("maxFeePerGas") => 2,
        () if has("accessList") => 1,
        () => 0,
    })
}

fn candidate(fields: Fields<'_, '_>, fork: Fork, chain_id: u64) -> Result<Candidate, Problem> {
    let tx_type = match type_of(fields)? {
        known @ 0..=4 => known as u8,
        other => {
            let read = Err(Rejection::new(Code::TypeNotSupported, format!("type {other:#04x}")));
            return Ok(Candidate { raw: Vec::new(), read, from_json: true });
        }
    };
    let unsigned = Unsigned::read(fields, tx_type, chain_id)?;
    let parity_names: &[&str] = if tx_type == 0 { &["v"] } else { &["yParity", "y_parity", "v"] };
    let mut signature = [
        fields.either(parity_names, Json::u256)?.unwrap_or_default(),
        fields.optional("r", Json::u256)?.unwrap_or_default(),
        fields.optional("s", Json::u256)?.unwrap_or_default(),
    ];
    if let Some(secret) = fields.optional("secretKey", Json::word)?
        && signature.iter().all(U256::is_zero)
    {
        let protected =
            fields.optional("protected", Json::flag)?.unwrap_or(true) && fork >= Fork::SpuriousDragon;
        signature = sign(&unsigned, secret, protected.then_some(chain_id))?;
    }
    Ok(Candidate::decode(unsigned.encode(signature), fork, true))
}

/// The fields of a transaction in their RLP order, without the signature.
struct Unsigned {
    tx_type: u8,
    payload: Vec<u8>,
}

impl Unsigned {
    fn read(fields: Fields<'_, '_>, tx_type: u8, chain_id: u64) -> Result<Self, Problem> {
        let mut out = Vec::with_capacity(256);
        let number = |name: &str| fields.required(name, Json::u256);
        if tx_type > 0 {
            let given = fields.optional("chainId", Json::u256)?;
            given.unwrap_or(U256::from(chain_id)).encode(&mut out);
        }
        number("nonce")?.encode(&mut out);
        if tx_type >= 2 {
            number("maxPriorityFeePerGas")?.encode(&mut out);
            number("maxFeePerGas")?.encode(&mut out);
        } else {
            number("gasPrice")?.encode(&mut out);
        }
        let gas = fields.either(&["gas", "gasLimit"], Json::u256)?;
        gas.ok_or_else(|| Problem::new("gas", "is missing"))?.encode(&mut out);
        recipient(fields)?.encode(&mut out);
        number("value")?.encode(&mut out);
        let input = fields.either(&["input", "data"], Json::bytes)?;
        input.ok_or_else(|| Problem::new("input", "is missing"))?.encode(&mut out);
        if tx_type > 0 {
            access_list(fields, &mut out)?;
        }
        if tx_type == 3 {
            number("maxFeePerBlobGas")?.encode(&mut out);
            blob_hashes(fields)?.encode(&mut out);
        }
        if tx_type == 4 {
            authorizations(fields, &mut out)?;
        }
        Ok(Self { tx_type, payload: out })
    }

    /// The whole envelope with `[v or parity, r, s]`.
    fn encode(&self, signature: [U256; 3]) -> Vec<u8> {
        let mut payload = self.payload.clone();
        for value in signature {
            value.encode(&mut payload);
        }
        let mut raw = Vec::with_capacity(payload.len() + 10);
        if self.tx_type > 0 {
            raw.push(self.tx_type);
        }
        put_list(&payload, &mut raw);
        raw
    }
}

fn put_list(payload: &[u8], out: &mut Vec<u8>) {
    RlpHeader { list: true, payload_length: payload.len() }.encode(out);
    out.put_slice(payload);
}

/// 20 bytes, or none for a creation.
fn recipient(fields: Fields<'_, '_>) -> Result<Bytes, Problem> {
    let Some(json) = fields.get("to") else { return Ok(Bytes::new()) };
    if matches!(json.text(), Ok("" | "0x")) {
        return Ok(Bytes::new());
    }
    let address = json.address().map_err(|detail| Problem::new("to", detail))?;
    Ok(Bytes::copy_from_slice(address.as_slice()))
}

fn access_list(fields: Fields<'_, '_>, out: &mut Vec<u8>) -> Result<(), Problem> {
    let mut items = Vec::new();
    for (index, json) in fields.optional("accessList", Json::list)?.unwrap_or_default().iter().enumerate() {
        let at_item = |problem: Problem| problem.within(format!("accessList[{index}]"));
        let item = json.object().map_err(|detail| at_item(Problem::new("", detail)))?;
        let mut entry = Vec::new();
        item.required("address", Json::address).map_err(at_item)?.encode(&mut entry);
        let keys = item.optional("storageKeys", |json| json.list()?.iter().map(Json::word).collect());
        let keys: Vec<B256> = keys.map_err(at_item)?.unwrap_or_default();
        keys.encode(&mut entry);
        put_list(&entry, &mut items);
    }
    put_list(&items, out);
    Ok(())
}

fn blob_hashes(fields: Fields<'_, '_>) -> Result<Vec<B256>, Problem> {
    fields.required("blobVersionedHashes", |json| json.list()?.iter().map(Json::hash).collect())
}

fn authorizations(fields: Fields<'_, '_>, out: &mut Vec<u8>) -> Result<(), Problem> {
    let mut items = Vec::new();
    for (index, json) in fields.required("authorizationList", Json::list)?.iter().enumerate() {
        let at_item = |problem: Problem| problem.within(format!("authorizationList[{index}]"));
        let item = json.object().map_err(|detail| at_item(Problem::new("", detail)))?;
        let mut entry = Vec::new();
        let number = |name: &str| item.required(name, Json::u256).map_err(at_item);
        number("chainId")?.encode(&mut entry);
        item.required("address", Json::address).map_err(at_item)?.encode(&mut entry);
        number("nonce")?.encode(&mut entry);
        let parity = item.either(&["yParity", "y_parity", "v"], Json::u256).map_err(at_item)?;
        parity.ok_or_else(|| at_item(Problem::new("yParity", "is missing")))?.encode(&mut entry);
        number("r")?.encode(&mut entry);
        number("s")?.encode(&mut entry);
        put_list(&entry, &mut items);
    }
    put_list(&items, out);
    Ok(())
}

/// Signs with a key that the input gives. `chain_id` is for a protected legacy transaction (EIP-155).
fn sign(unsigned: &Unsigned, secret: B256, chain_id: Option<u64>) -> Result<[U256; 3], Problem> {
    let at_key = |detail: String| Problem::new("secretKey", detail);
    let key = SecretKey::from_byte_array(secret.0).map_err(|error| at_key(error.to_string()))?;
    let v = |parity: u64| match (unsigned.tx_type, chain_id) {
        (0, Some(id)) => U256::from(35 + 2 * u128::from(id) + u128::from(parity)),
        (0, None) => U256::from(27 + parity),
        _ => U256::from(parity),
    };
    let blank = unsigned.encode([v(0), U256::ZERO, U256::ZERO]);
    let unsigned = Transaction::decode_unrecovered(&blank)
        .map_err(|rejection| at_key(format!("nothing to sign: {rejection}")))?;
    let message = Message::from_digest(unsigned.signing_hash().0);
    let (id, compact) = SECP256K1.sign_ecdsa_recoverable(message, &key).serialize_compact();
    let parity = u64::from(i32::from(id) == 1);
    let word = |bytes: &[u8]| U256::from_be_slice(bytes);
    Ok([v(parity), word(&compact[..32]), word(&compact[32..])])
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use alloy_primitives::{hex, keccak256};

    /// The example of EIP-155.
    const UNSIGNED: &str = r#"[{"nonce": "0x9", "gasPrice": "0x4a817c800", "gas": "0x5208",
        "to": "0x3535353535353535353535353535353535353535", "value": "0xde0b6b3a7640000", "input": "0x",
        "secretKey": "0x4646464646464646464646464646464646464646464646464646464646464646"}]"#;
    const SIGNED: [u8; 110] = hex!(
        "f86c098504a817c800825208943535353535353535353535353535353535353535880de0b6b3a76400008025a028ef61340bd939bc"
        "2195fe537567866003e1a15d3c71ff63e1590620aa636276a067cbe9d8997f761aecb703304b3800ccf555c9f3dc64214b297fb196"
        "6a3b6d83"
    );

    fn read(text: &str, fork: Fork) -> Vec<Candidate> {
        read_transactions(text.as_bytes(), fork, 1).unwrap()
    }

    #[test]
    fn json_is_signed_as_the_standard_says() {
        let candidates = read(UNSIGNED, Fork::Osaka);
        assert_eq!(candidates[0].raw, SIGNED);
        let tx = candidates[0].read.as_ref().unwrap();
        assert_eq!(tx.sender, hex!("9d8a62f656a8d1615c1294fd71e9cfb3e4855a4f"));
        assert_eq!(tx.hash(), keccak256(SIGNED));
    }

    #[test]
    fn json_before_spurious_dragon_is_not_protected() {
        let candidates = read(UNSIGNED, Fork::Homestead);
        assert_eq!(candidates[0].read.as_ref().unwrap().chain_id, None);
    }

    #[test]
    fn rlp_is_quoted_or_bare() {
        let hex = format!("0xf86e{}", hex::encode(SIGNED));
        for text in [hex.clone(), format!("{hex}\n"), format!("\"{hex}\"")] {
            assert_eq!(read(&text, Fork::Osaka)[0].raw, SIGNED);
        }
        assert!(read("null", Fork::Osaka).is_empty());
    }

    #[test]
    fn typed_before_its_fork_is_no_transaction() {
        for (fork, listed) in [(Fork::Istanbul, false), (Fork::Berlin, true)] {
            // An access list transaction that lacks nothing but a valid signature.
            let text = r#"[{"type": "0x1", "nonce": "0x0", "gasPrice": "0x1", "gas": "0x1", "to": null,
                "value": "0x0", "input": "0x", "accessList": [], "v": "0x0", "r": "0x0", "s": "0x0"}]"#;
            let candidate = &read(text, fork)[0];
            assert_eq!(candidate.is_transaction(), listed);
            assert!(candidate.read.is_err());
        }
    }
}
