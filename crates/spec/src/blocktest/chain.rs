//! Imports the blocks of a test onto their parents, wherever in the tree of blocks these are, and follows the head.

use std::collections::HashMap;

use alloy_primitives::{B256, U256};
use solder_engine::block::import::{Ancestor, import_block};
use solder_engine::chain::{Chain, Fork};
use solder_engine::state::memory::{MemoryState, UnknownBlockHash};
use solder_engine::trie::state_root;
use solder_engine::{Block, EngineError, Fault, Rejection};

use super::body;
use super::format::{BlockEntry, BlockTest};
use crate::fixture::{compare_alloc, is_named, state_of};
use crate::run::{Mismatch, Mode, Verdict};

/// How many ancestors a block is checked against: ommers may be children of the seventh, at most.
const ANCESTORS: usize = 8;

/// A test with its chain and genesis state built.
pub(super) struct Prepared<'a> {
    test: &'a BlockTest,
    chain: Chain,
    genesis: MemoryState,
}

/// A valid block and the state after it.
struct Node {
    ancestor: Ancestor,
    state: MemoryState,
}

/// The tree of valid blocks.
struct Tree<'a> {
    chain: &'a Chain,
    nodes: HashMap<B256, Node>,
    head: B256,
    mode: Mode<'a>,
}

impl<'a> Prepared<'a> {
    pub fn new(test: &'a BlockTest) -> Result<Self, (String, String)> {
        let mut chain =
            Chain::from_network(&test.network).map_err(|error| ("network".to_owned(), error.to_string()))?;
        if let Some(config) = &test.config {
            let unknown = |error| ("config.blobSchedule".to_owned(), format!("{error}"));
            config.apply(&mut chain).map_err(unknown)?;
        }
        let genesis = state_of(&test.pre, UnknownBlockHash::Fault)
            .map_err(|(field, detail)| (format!("pre.{field}"), detail.to_owned()))?;
        Ok(Self { test, chain, genesis })
    }

    /// Runs the test from its genesis on.
    pub fn run(&self, mode: &Mode<'_>) -> Result<Verdict, Fault> {
        let mut wrong = Vec::new();
        let mut tree = self.plant(*mode, &mut wrong);
        for (index, entry) in self.test.blocks.iter().enumerate() {
            tree.add(&format!("blocks.{index}"), entry, &mut wrong)?;
        }
        if tree.head != self.test.lastblockhash {
            wrong.push(Mismatch::new("lastblockhash", self.test.lastblockhash, tree.head));
        }
        if let Some(node) = tree.nodes.get(&tree.head) {
            if let Some(expected) = &self.test.post_state {
                compare_alloc("postState", expected, &node.state, &mut wrong);
            }
            if let Some(expected) = self.test.post_state_hash {
                let root = state_root(&node.state);
                if expected != root {
                    wrong.push(Mismatch::new("postStateHash", expected, root));
                }
            }
        }
        Ok(Verdict::of(wrong))
    }

    /// Checks the genesis and begins the tree with it.
    fn plant<'b>(&'b self, mode: Mode<'b>, wrong: &mut Vec<Mismatch>) -> Tree<'b> {
        let shown = &self.test.genesis_block_header;
        let header = shown.to_header();
        let hash = header.hash_slow();
        match self.test.genesis_rlp.as_ref().map(|rlp| Block::decode(rlp)) {
            Some(Ok(block)) => {
                shown.compare("genesisBlockHeader", &block.header, block.header.hash_slow(), wrong)
            }
            Some(Err(rejection)) => wrong.push(Mismatch::new("genesisRLP", "a block", rejection)),
            None => shown.compare("genesisBlockHeader", &header, hash, wrong),
        }
        let root = state_root(&self.genesis);
        if root != header.state_root {
            wrong.push(Mismatch::new("genesisBlockHeader.stateRoot", header.state_root, root));
        }
        let mut state = self.genesis.clone();
        state.insert_block_hash(header.number, hash);
        let node = Node { ancestor: Ancestor::genesis(&self.chain, header), state };
        Tree { chain: &self.chain, nodes: HashMap::from([(hash, node)]), head: hash, mode }
    }
}

impl Tree<'_> {
    /// Adds one block, or sees it rejected, as the test expects.
    fn add(&mut self, prefix: &str, entry: &BlockEntry, wrong: &mut Vec<Mismatch>) -> Result<(), Fault> {
        let outcome = match Block::decode(&entry.rlp) {
            Ok(block) => {
                body::compare(prefix, entry, &block, wrong);
                self.import(&block)
            }
            Err(rejection) => Err(rejection.into()),
        };
        let rejection: Option<Rejection> = match outcome {
            Ok(()) => None,
            Err(EngineError::Rejected(rejection)) => Some(rejection),
            Err(EngineError::Fault(fault)) => return Err(fault),
        };
        match (&entry.expect_exception, rejection) {
            (None, None) => {}
            (Some(expected), Some(rejection)) if is_named(expected, &rejection, self.newest_fork()) => {}
            (Some(expected), Some(rejection)) => {
                wrong.push(Mismatch::new(format!("{prefix}.expectException"), expected, rejection));
            }
            (Some(expected), None) => {
                wrong.push(Mismatch::new(format!("{prefix}.expectException"), expected, "a valid block"));
            }
            (None, Some(rejection)) => wrong.push(Mismatch::new(prefix, "a valid block", rejection)),
        }
        Ok(())
    }

    /// The last fork that the test's network reaches.
    fn newest_fork(&self) -> Fork {
        self.chain.schedule.last().map_or(Fork::Frontier, |(fork, _)| *fork)
    }

    fn import(&mut self, block: &Block) -> Result<(), EngineError> {
        let ancestors = self.ancestors(block.header.parent_hash);
        let parent = self.nodes.get(&block.header.parent_hash);
        let mut state = parent.map(|node| node.state.clone()).unwrap_or_default();
        let options = self.mode.execute_options();
        let imported = import_block(self.chain, block, &ancestors, &mut state, &options)?;
        self.mode.count(&imported.outcome);
        let ancestor = imported.ancestor;
        let rank = |ancestor: &Ancestor| (ancestor.total_difficulty, ancestor.header.number);
        let head = self.nodes.get(&self.head).map_or((U256::ZERO, 0), |node| rank(&node.ancestor));
        let hash = ancestor.hash;
        if rank(&ancestor) > head {
            self.head = hash;
        }
        self.nodes.insert(hash, Node { ancestor, state });
        Ok(())
    }

    /// The parent and those before it.
    fn ancestors(&self, parent: B256) -> Vec<Ancestor> {
        let mut list: Vec<Ancestor> = Vec::new();
        let mut next = parent;
        while let Some(node) = self.nodes.get(&next)
            && list.len() < ANCESTORS
        {
            list.push(node.ancestor.clone());
            next = node.ancestor.header.parent_hash;
        }
        list
    }
}
