//! Ommers of proof of work: at most two, recent, not ancestors, not named before.

use alloy_primitives::B256;

use super::import::Ancestor;
use super::validation::validate_header;
use crate::chain::{Block, Chain, Header};
use crate::error::{Code, Rejection};

const MAX_OMMERS: usize = 2;
const MAX_DISTANCE: u64 = 6;

/// Checks the ommers of `block`; `ancestors` start with its parent and go back.
pub fn validate_ommers(chain: &Chain, block: &Block, ancestors: &[Ancestor]) -> Result<(), Rejection> {
    let reject = |code, detail: String| Err(Rejection::new(code, detail));
    if block.ommers.len() > MAX_OMMERS {
        return reject(Code::TooManyUncles, format!("{} ommers", block.ommers.len()));
    }
    let hashes: Vec<B256> = block.ommers.iter().map(Header::hash_slow).collect();
    for (index, (ommer, hash)) in block.ommers.iter().zip(&hashes).enumerate() {
        let recent = &ancestors[..ancestors.len().min(MAX_DISTANCE as usize + 1)];
        if hashes[..index].contains(hash) || recent.iter().any(|a| a.ommer_hashes.contains(hash)) {
            return reject(Code::UncleInChain, format!("ommer {hash} is named twice"));
        }
        if recent.iter().any(|ancestor| ancestor.hash == *hash) {
            return reject(Code::UncleIsAncestor, format!("ommer {hash} is an ancestor"));
        }
        let distance = block.header.number.saturating_sub(ommer.number);
        if ommer.number >= block.header.number || distance > MAX_DISTANCE {
            return reject(Code::UncleParentIncorrect, format!("ommer {hash} is {distance} blocks away"));
        }
        if ommer.parent_hash == block.header.parent_hash {
            return reject(Code::UncleIsBrother, format!("ommer {hash} is a sibling"));
        }
        let Some(parent) = recent.iter().find(|ancestor| ancestor.hash == ommer.parent_hash) else {
            return reject(Code::UncleParentIncorrect, format!("the parent of ommer {hash} is no ancestor"));
        };
        let fork = chain.fork_at(ommer.number, ommer.timestamp, 0);
        validate_header(chain, fork, ommer, &parent.header, parent.fork)?;
    }
    Ok(())
}
