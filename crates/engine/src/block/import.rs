//! Importing somebody's block on top of known ancestors and the state after them: everything is checked, and the
//! state moves only when everything holds.

use alloy_primitives::{B256, U256};

use super::{BlockOutcome, ExecuteOptions, check, execute_block, ommers, validation};
use crate::chain::{Block, Chain, Fork, Header};
use crate::error::{Code, EngineError, Rejection};
use crate::state::{ChangeSet, MemoryState};
use crate::trie::state_root;

/// What is kept of a block for those that follow it.
#[derive(Clone, Debug)]
pub struct Ancestor {
    /// Its hash.
    pub hash: B256,
    /// Its header.
    pub header: Header,
    /// Its fork.
    pub fork: Fork,
    /// The hashes of its ommers.
    pub ommer_hashes: Vec<B256>,
    /// Total difficulty up to and with it.
    pub total_difficulty: U256,
}

impl Ancestor {
    /// The first block of a chain.
    pub fn genesis(chain: &Chain, header: Header) -> Self {
        let fork = chain.fork_at(header.number, header.timestamp, 0);
        let total_difficulty = header.difficulty;
        Self { hash: header.hash_slow(), header, fork, ommer_hashes: Vec::new(), total_difficulty }
    }
}

/// A block that was found valid.
#[derive(Debug)]
pub struct Imported {
    /// What the next block stands on.
    pub ancestor: Ancestor,
    /// What executing it gave.
    pub outcome: BlockOutcome,
}

/// Validates and executes `block` on `state`, which is moved forward if and only if the block is valid.
/// `ancestors` start with the parent and go back.
pub fn import_block(
    chain: &Chain,
    block: &Block,
    ancestors: &[Ancestor],
    state: &mut MemoryState,
    options: &ExecuteOptions<'_>,
) -> Result<Imported, EngineError> {
    let header = &block.header;
    let parent = match ancestors.first() {
        Some(parent) if parent.hash == header.parent_hash => parent,
        _ if header.parent_hash == B256::ZERO => {
            return Err(Rejection::new(Code::UnknownParentZero, "parentHash is zero").into());
        }
        _ => {
            return Err(Rejection::new(Code::UnknownParent, header.parent_hash.to_string()).into());
        }
    };
    let parent_difficulty = u128::try_from(parent.total_difficulty).unwrap_or(u128::MAX);
    let fork = chain.fork_at(header.number, header.timestamp, parent_difficulty);
    validation::validate_header(chain, fork, header, &parent.header, parent.fork)?;
    validation::validate_body(block, fork)?;
    ommers::validate_ommers(chain, block, ancestors)?;

    let base: &MemoryState = state;
    let root_after = |changes: &ChangeSet| root_with(base, changes);
    let options = ExecuteOptions { intermediate_root: Some(&root_after), ..*options };
    let outcome = execute_block(chain, fork, block, base, &options)?;
    validation::validate_claims(chain, block, fork)?;
    check::check_outcome(fork, header, &outcome)?;

    let mut next = state.clone();
    next.apply(&outcome.changes);
    check::check_state_root(header, state_root(&next))?;
    let hash = header.hash_slow();
    next.insert_block_hash(header.number, hash);
    *state = next;
    let ancestor = Ancestor {
        hash,
        header: header.clone(),
        fork,
        ommer_hashes: block.ommers.iter().map(Header::hash_slow).collect(),
        total_difficulty: parent.total_difficulty + header.difficulty,
    };
    Ok(Imported { ancestor, outcome })
}

/// The state root that `changes` would lead to.
pub fn root_with(state: &MemoryState, changes: &ChangeSet) -> B256 {
    let mut next = state.clone();
    next.apply(changes);
    state_root(&next)
}
