//! What block folders share: `codes.bin` (contract code: repeated little-endian 32-bit length and bytes, found by
//! keccak256) and `block_hashes.bincode` (a map from block number to hash, in bincode's variable-length integers).

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use alloy_primitives::{B256, Bytes, U256, keccak256, map::B256Map};
use solder_engine::state::StateAccount;

use crate::InputError;

/// The largest code that is read: far above what any fork can deploy.
const MAX_CODE_BYTES: usize = 1 << 20;
/// The most block hashes in one file.
const MAX_BLOCK_HASHES: u64 = 1 << 20;
/// What precedes integers of 16, 32 and 64 bits; smaller ones stand for themselves.
const BINCODE_WIDTHS: [(u8, usize); 3] = [(251, 2), (252, 4), (253, 8)];

/// Codes by hash; analysed when first asked for, and shared from then on.
pub(super) struct Codes {
    path: String,
    raw: B256Map<Bytes>,
    analysed: Mutex<B256Map<StateAccount>>,
}

impl Codes {
    /// No codes: the folder has no such file.
    pub fn none() -> Self {
        Self {
            path: "codes.bin, which is absent".into(),
            raw: B256Map::default(),
            analysed: Mutex::default(),
        }
    }

    pub fn parse(path: &str, file: Bytes) -> Result<Self, InputError> {
        let mut raw = B256Map::default();
        let mut offset = 0;
        while offset < file.len() {
            let broken = |detail: String| InputError::field(path, format!("byte {offset}"), detail);
            let length = file.get(offset..offset + 4).and_then(|bytes| bytes.first_chunk::<4>());
            let length = length.ok_or_else(|| broken("cut off within a length".into()))?;
            let length = u32::from_le_bytes(*length) as usize;
            if length > MAX_CODE_BYTES {
                return Err(broken(format!("a code of {length} bytes, more than {MAX_CODE_BYTES}")));
            }
            let (start, end) = (offset + 4, offset + 4 + length);
            if end > file.len() {
                return Err(broken(format!("cut off within a code of {length} bytes")));
            }
            let code = file.slice(start..end);
            raw.insert(keccak256(&code), code);
            offset = end;
        }
        Ok(Self { path: path.to_owned(), raw, analysed: Mutex::default() })
    }

    /// The file that was searched, for messages.
    pub fn path(&self) -> &str {
        &self.path
    }

    /// An empty account with this code, analysed.
    pub fn account(&self, hash: B256) -> Option<StateAccount> {
        let mut analysed = self.analysed.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(account) = analysed.get(&hash) {
            return Some(account.clone());
        }
        let account = StateAccount::new(0, U256::ZERO, self.raw.get(&hash)?.clone());
        analysed.insert(hash, account.clone());
        Some(account)
    }
}

/// Hashes of blocks by their number.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct BlockHashes(BTreeMap<u64, B256>);

impl BlockHashes {
    pub fn parse(path: &str, file: &[u8]) -> Result<Self, InputError> {
        let mut cursor = Cursor { path, file, offset: 0 };
        let count = cursor.integer()?;
        if count > MAX_BLOCK_HASHES {
            return Err(cursor.broken(format!("{count} hashes, more than {MAX_BLOCK_HASHES}")));
        }
        let mut hashes = BTreeMap::new();
        for _ in 0..count {
            let number = cursor.integer()?;
            let length = cursor.integer()?;
            if length != 32 {
                return Err(cursor.broken(format!("a hash of {length} bytes")));
            }
            if hashes.insert(number, B256::from_slice(cursor.take(32)?)).is_some() {
                return Err(cursor.broken(format!("block {number} is there twice")));
            }
        }
        if cursor.offset != file.len() {
            return Err(cursor.broken("bytes after the last hash".into()));
        }
        Ok(Self(hashes))
    }

    pub fn iter(&self) -> impl Iterator<Item = (u64, B256)> {
        self.0.iter().map(|(number, hash)| (*number, *hash))
    }
}

struct Cursor<'a> {
    path: &'a str,
    file: &'a [u8],
    offset: usize,
}

impl<'a> Cursor<'a> {
    fn broken(&self, detail: String) -> InputError {
        InputError::field(self.path, format!("byte {}", self.offset), detail)
    }

    fn take(&mut self, length: usize) -> Result<&'a [u8], InputError> {
        let bytes = self.file.get(self.offset..self.offset + length);
        let bytes = bytes.ok_or_else(|| self.broken("cut off".into()))?;
        self.offset += length;
        Ok(bytes)
    }

    fn integer(&mut self) -> Result<u64, InputError> {
        let first = self.take(1)?[0];
        if first < BINCODE_WIDTHS[0].0 {
            return Ok(u64::from(first));
        }
        let width = BINCODE_WIDTHS.iter().find(|(mark, _)| *mark == first).map(|(_, width)| *width);
        let width = width.ok_or_else(|| self.broken(format!("{first:#04x} begins no integer")))?;
        let mut buffer = [0u8; 8];
        buffer[..width].copy_from_slice(self.take(width)?);
        Ok(u64::from_le_bytes(buffer))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(codes: &[&[u8]]) -> Vec<u8> {
        let mut file = Vec::new();
        for code in codes {
            file.extend_from_slice(&(code.len() as u32).to_le_bytes());
            file.extend_from_slice(code);
        }
        file
    }

    #[test]
    fn codes_are_found_by_hash() {
        let codes = Codes::parse("codes.bin", file(&[&[0x60, 0x01], &[0x00]]).into()).unwrap();
        let found = codes.account(keccak256([0x60, 0x01])).unwrap();
        assert_eq!(found.info.code.unwrap().original_byte_slice(), [0x60, 0x01]);
        assert!(codes.account(keccak256([0x61])).is_none());
    }

    #[test]
    fn codes_cut_off_or_oversized_name_the_byte() {
        let whole = file(&[&[0x60, 0x01], &[0x00, 0x01, 0x02]]);
        for length in [1, 3, 5, 7, 8, 12] {
            let error = Codes::parse("codes.bin", whole[..length].to_vec().into()).err().unwrap();
            assert_eq!(error.path, "codes.bin");
            assert!(error.detail.contains("cut off"), "{length}: {error}");
        }
        let error = Codes::parse("codes.bin", vec![0xff; 8].into()).err().unwrap();
        assert_eq!(error.field.as_deref(), Some("byte 0"));
    }

    #[test]
    fn block_hashes_are_read_at_every_width() {
        let mut file = vec![3];
        for number in [&[7][..], &[251, 0x2c, 0x01], &[253, 0, 0, 0, 0, 1, 0, 0, 0]] {
            file.extend_from_slice(number);
            file.push(32);
            file.extend_from_slice(&[number.len() as u8; 32]);
        }
        let hashes = BlockHashes::parse("x", &file).unwrap();
        let numbers: Vec<_> = hashes.iter().map(|(number, _)| number).collect();
        assert_eq!(numbers, [7, 300, 1 << 32]);
        for length in 0..file.len() {
            assert!(BlockHashes::parse("x", &file[..length]).is_err(), "{length}");
        }
        file.push(0);
        assert!(BlockHashes::parse("x", &file).is_err());
    }
}
