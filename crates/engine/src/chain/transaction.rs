//! One transaction of any type, decoded and with its sender. A flat record that the interpreter reads by
//! reference, so that nothing is copied between decoding and execution. Encoding follows EIP-155, 2718, 2930,
//! 1559, 4844 and 7702.

use alloy_primitives::{Address, B256, Bytes, TxKind, U256, keccak256};
use alloy_rlp::{BufMut, Encodable, Header as RlpHeader};
use revm::context_interface::transaction::{
    AccessListItem, Authorization, RecoveredAuthority, RecoveredAuthorization, SignedAuthorization,
    Transaction as RevmTransaction,
};
use secp256k1::{Message, SECP256K1, ecdsa::RecoverableSignature, ecdsa::RecoveryId};

use crate::error::{Code, Rejection};

/// The curve's order: r and s are below it.
const SECP256K1_ORDER: U256 =
    U256::from_limbs([0xbfd2_5e8c_d036_4141, 0xbaae_dce6_af48_a03b, u64::MAX - 1, u64::MAX]);

/// Half of the curve's order: a larger `s` is invalid since Homestead (EIP-2).
pub const SECP256K1_HALF_ORDER: U256 =
    U256::from_limbs([0xdfe9_2f46_681b_20a0, 0x5d57_6e73_57a4_501d, u64::MAX, 0x7fff_ffff_ffff_ffff]);

/// The most bytes that one encoded transaction may have.
pub const MAX_TRANSACTION_BYTES: usize = 16 * 1024 * 1024;

/// An ECDSA signature over secp256k1.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Signature {
    /// Parity of the curve point's y coordinate.
    pub y_parity: bool,
    /// The r value.
    pub r: U256,
    /// The s value.
    pub s: U256,
}

impl Signature {
    /// The address that signed `hash`, or `None` where no such key exists.
    pub fn recover(&self, hash: B256) -> Option<Address> {
        let mut compact = [0u8; 64];
        compact[..32].copy_from_slice(&self.r.to_be_bytes::<32>());
        compact[32..].copy_from_slice(&self.s.to_be_bytes::<32>());
        let id = if self.y_parity { RecoveryId::One } else { RecoveryId::Zero };
        let signature = RecoverableSignature::from_compact(&compact, id).ok()?;
        let key = SECP256K1.recover_ecdsa(Message::from_digest(hash.0), &signature).ok()?;
        Some(Address::from_raw_public_key(&key.serialize_uncompressed()[1..]))
    }
}

/// A transaction with its sender.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Transaction {
    /// EIP-2718 type: 0 legacy, 1 access list, 2 dynamic fee, 3 blob, 4 set code.
    pub tx_type: u8,
    /// EIP-155 chain id; `None` on unprotected legacy transactions.
    pub chain_id: Option<u64>,
    /// The sender's nonce.
    pub nonce: u64,
    /// Wei per gas: the price of types 0 and 1, the maximal fee of the others.
    pub gas_price: u128,
    /// Wei per gas for the beneficiary, types 2 and later.
    pub max_priority_fee_per_gas: Option<u128>,
    /// Gas bought.
    pub gas_limit: u64,
    /// Recipient, or creation.
    pub to: TxKind,
    /// Wei transferred.
    pub value: U256,
    /// Call data or init code.
    pub input: Bytes,
    /// EIP-2930 access list.
    pub access_list: Vec<AccessListItem>,
    /// EIP-4844 versioned hashes.
    pub blob_versioned_hashes: Vec<B256>,
    /// Wei per blob gas, type 3.
    pub max_fee_per_blob_gas: u128,
    /// EIP-7702 authorizations as they are signed.
    pub authorization_list: Vec<SignedAuthorization>,
    /// The same with the authority recovered; parallel to `authorization_list`.
    pub authorities: Vec<RecoveredAuthorization>,
    /// The sender's signature.
    pub signature: Signature,
    /// Who signed it.
    pub sender: Address,
}

impl Default for Transaction {
    fn default() -> Self {
        Self {
            tx_type: 0,
            chain_id: None,
            nonce: 0,
            gas_price: 0,
            max_priority_fee_per_gas: None,
            gas_limit: 21_000,
            to: TxKind::Call(Address::ZERO),
            value: U256::ZERO,
            input: Bytes::new(),
            access_list: Vec::new(),
            blob_versioned_hashes: Vec::new(),
            max_fee_per_blob_gas: 0,
            authorization_list: Vec::new(),
            authorities: Vec::new(),
            signature: Signature::default(),
            sender: Address::ZERO,
        }
    }
}

impl Transaction {
    /// Decodes an EIP-2718 envelope (or a legacy list) and recovers the sender.
    pub fn decode(raw: &[u8]) -> Result<Self, Rejection> {
        let mut tx = Self::decode_unrecovered(raw)?;
        tx.recover_sender()?;
        Ok(tx)
    }

    /// Decodes without recovering the sender.
    pub fn decode_unrecovered(raw: &[u8]) -> Result<Self, Rejection> {
        match raw.first() {
            None => Err(rlp("empty transaction")),
            Some(_) if raw.len() > MAX_TRANSACTION_BYTES => Err(rlp("transaction too long")),
            Some(first) if *first >= 0xc0 => super::envelope::decode_legacy(raw),
            Some(tx_type @ 1..=4) => super::envelope::decode_typed(*tx_type, &raw[1..]),
            Some(0x80..) => Err(rlp("neither a list nor a type")),
            Some(other) => Err(Rejection::new(Code::TypeNotSupported, format!("type {other:#04x}"))),
        }
    }

    /// Recovers and sets [`Self::sender`] from the signature.
    pub fn recover_sender(&mut self) -> Result<(), Rejection> {
        let Signature { r, s, .. } = self.signature;
        if [r, s].iter().any(|scalar| scalar.is_zero() || *scalar >= SECP256K1_ORDER) {
            return Err(Rejection::new(Code::InvalidSignatureVrs, "r or s is zero or not below the order"));
        }
        self.sender = self
            .signature
            .recover(self.signing_hash())
            .ok_or_else(|| Rejection::new(Code::EcRecoveryFail, "no key signs this"))?;
        Ok(())
    }

    /// Recovers the authorities of an EIP-7702 authorization list.
    pub fn recover_authorities(&mut self) {
        self.authorities = self.authorization_list.iter().map(recover_authorization).collect();
    }

    /// The hash that the sender signs.
    pub fn signing_hash(&self) -> B256 {
        keccak256(super::envelope::encode(self, false))
    }

    /// The transaction's hash.
    pub fn hash(&self) -> B256 {
        keccak256(self.encode())
    }

    /// The EIP-2718 encoding (type byte and list; a bare list for legacy).
    pub fn encode(&self) -> Vec<u8> {
        super::envelope::encode(self, true)
    }

    /// Gas for blobs.
    pub fn blob_gas(&self) -> u64 {
        alloy_eips::eip4844::DATA_GAS_PER_BLOB * self.blob_versioned_hashes.len() as u64
    }
}

/// The authority of an authorization, or an invalid one: EIP-7702 skips those without failing the transaction.
pub fn recover_authorization(signed: &SignedAuthorization) -> RecoveredAuthorization {
    let inner: Authorization = signed.inner().clone();
    let signature = Signature { y_parity: signed.y_parity() == 1, r: signed.r(), s: signed.s() };
    let valid = signed.y_parity() <= 1 && signed.s() <= SECP256K1_HALF_ORDER;
    let address = valid.then(|| signature.recover(inner.signature_hash())).flatten();
    let authority = address.map_or(RecoveredAuthority::Invalid, RecoveredAuthority::Valid);
    RecoveredAuthorization::new_unchecked(inner, authority)
}

pub(super) fn rlp(detail: impl Into<String>) -> Rejection {
    Rejection::new(Code::TransactionRlp, detail)
}

/// In a block body a typed transaction is a byte string, a legacy one a list (EIP-2718).
impl Encodable for Transaction {
    fn encode(&self, out: &mut dyn BufMut) {
        let bytes = self.encode();
        if self.tx_type == 0 { out.put_slice(&bytes) } else { bytes.as_slice().encode(out) }
    }
}

/// Splits the transactions of a block body into their envelopes, without decoding them.
pub fn split_envelopes(mut list: &[u8]) -> Result<Vec<&[u8]>, alloy_rlp::Error> {
    let mut envelopes = Vec::new();
    while !list.is_empty() {
        let start = list;
        let header = RlpHeader::decode(&mut list)?;
        if list.len() < header.payload_length {
            return Err(alloy_rlp::Error::InputTooShort);
        }
        let (payload, rest) = list.split_at(header.payload_length);
        envelopes.push(if header.list { &start[..start.len() - rest.len()] } else { payload });
        list = rest;
    }
    Ok(envelopes)
}

impl RevmTransaction for Transaction {
    type AccessListItem<'a> = &'a AccessListItem;
    type Authorization<'a> = &'a RecoveredAuthorization;

    fn tx_type(&self) -> u8 {
        self.tx_type
    }
    fn caller(&self) -> Address {
        self.sender
    }
    fn gas_limit(&self) -> u64 {
        self.gas_limit
    }
    fn value(&self) -> U256 {
        self.value
    }
    fn input(&self) -> &Bytes {
        &self.input
    }
    fn nonce(&self) -> u64 {
        self.nonce
    }
    fn kind(&self) -> TxKind {
        self.to
    }
    fn chain_id(&self) -> Option<u64> {
        self.chain_id
    }
    fn gas_price(&self) -> u128 {
        self.gas_price
    }
    fn access_list(&self) -> Option<impl Iterator<Item = Self::AccessListItem<'_>>> {
        Some(self.access_list.iter())
    }
    fn blob_versioned_hashes(&self) -> &[B256] {
        &self.blob_versioned_hashes
    }
    fn max_fee_per_blob_gas(&self) -> u128 {
        self.max_fee_per_blob_gas
    }
    fn authorization_list_len(&self) -> usize {
        self.authorities.len()
    }
    fn authorization_list(&self) -> impl Iterator<Item = Self::Authorization<'_>> {
        self.authorities.iter()
    }
    fn max_priority_fee_per_gas(&self) -> Option<u128> {
        self.max_priority_fee_per_gas
    }
}
