//! The small official vectors: RLP, tries, transactions.

pub(crate) mod rlp;
pub(crate) mod transaction;
pub(crate) mod trie;
