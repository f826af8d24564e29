//! Opening a state: the node's chain id and the block in one round trip, then everything by that block's hash.

use alloy_primitives::B256;
use alloy_trie::EMPTY_ROOT_HASH;
use serde_json::{Value, json};
use solder_engine::Chain;
use solder_engine::chain::Activation;

use crate::cache::Cache;
use crate::error::{Kind, OpenError, RemoteError};
use crate::fetch::Fetcher;
use crate::header::{Pinned, small};
use crate::options::{
    BlockChoice, CacheChoice, MAX_ATTEMPTS, MAX_BATCH, MAX_CONNECTIONS, RemoteOptions, Rules, Verify,
};
use crate::rpc::{Answer, Request, Rpc};
use crate::state::{RemoteState, Warn};

/// Opens the state after a block of the chain that the node at `url` follows.
pub fn open(url: &str, options: &RemoteOptions, warn: Warn) -> Result<RemoteState, OpenError> {
    check(options)?;
    let rpc = Rpc::new(url, options)?;
    let (method, which) = match &options.block {
        BlockChoice::Number(number) => ("eth_getBlockByNumber", json!(format!("{number:#x}"))),
        BlockChoice::Tag(tag) => ("eth_getBlockByNumber", json!(tag)),
        BlockChoice::Hash(hash) => ("eth_getBlockByHash", json!(hash)),
    };
    let requests = [Request::new("eth_chainId", json!([])), Request::new(method, json!([which, false]))];
    let answers: [Answer; 2] =
        rpc.ask(&requests)?.try_into().map_err(|_| rpc.reply("not two answers to two requests"))?;
    let [chain_id, block] = answers;
    let chain_id = chain_id.map_err(|failure| rpc.refusal("eth_chainId", &failure))?;
    let chain_id = small(&chain_id).map_err(|detail| rpc.reply(format!("eth_chainId: {detail}")))?;
    let chain = rules(&options.rules, chain_id)?;
    let block = block.map_err(|failure| rpc.refusal(method, &failure))?;
    let pinned = pinned(&rpc, options, &block)?;
    let header = &pinned.header;
    let fork = chain.fork_at(header.number, header.timestamp, merged(&chain, header.difficulty.is_zero()));
    let cache = match &options.cache {
        CacheChoice::Off => None,
        CacheChoice::KnownChains(_) if options.rules != Rules::ById => None,
        CacheChoice::KnownChains(path) => match Cache::open(path, options.cache_bytes) {
            Ok(cache) => Some((cache, path.clone())),
            Err(detail) => {
                warn(&detail);
                None
            }
        },
        CacheChoice::At(path) => {
            let cache = Cache::open(path, options.cache_bytes);
            Some((cache.map_err(|detail| OpenError::input("cache", detail))?, path.clone()))
        }
    };
    // A development node begins with accounts that its first header does not commit to.
    let rootless = pinned.header.number == 0 && pinned.header.state_root == EMPTY_ROOT_HASH;
    let verify = if rootless && options.verify == Verify::Auto { Verify::Never } else { options.verify };
    Ok(RemoteState::new(Fetcher::new(rpc, pinned, verify), chain, fork, cache, warn))
}

fn check(options: &RemoteOptions) -> Result<(), OpenError> {
    let bounds: [(&'static str, u64, u64); 3] = [
        ("batch", options.batch as u64, MAX_BATCH as u64),
        ("connections", options.connections as u64, MAX_CONNECTIONS as u64),
        ("attempts", options.attempts.into(), MAX_ATTEMPTS.into()),
    ];
    for (name, value, most) in bounds {
        if value == 0 || value > most {
            return Err(OpenError::input(name, format!("{value} is not between 1 and {most}")));
        }
    }
    if options.timeout.is_zero() {
        return Err(OpenError::input("timeout_s", "not more than 0"));
    }
    Ok(())
}

fn rules(rules: &Rules, chain_id: u64) -> Result<Chain, OpenError> {
    match rules {
        Rules::ById => Ok(Chain::from_id(chain_id)?),
        Rules::Fork(fork) => Ok(Chain { id: chain_id, ..Chain::at(*fork) }),
        Rules::Given(chain) if chain.id == chain_id => Ok(chain.clone()),
        Rules::Given(chain) => {
            let detail = format!("the node's chain id is {chain_id}, the chain's {}", chain.id);
            Err(OpenError::input("chain", detail))
        }
    }
}

/// A total difficulty from which the fork follows: where the merge hangs on it, the header says whether it is past.
fn merged(chain: &Chain, no_difficulty: bool) -> u128 {
    let by_difficulty = chain.schedule.iter().any(|(_, at)| matches!(at, Activation::TotalDifficulty(_)));
    if by_difficulty && no_difficulty { u128::MAX } else { 0 }
}

fn pinned(rpc: &Rpc, options: &RemoteOptions, block: &Value) -> Result<Pinned, OpenError> {
    if block.is_null() {
        let which = match &options.block {
            BlockChoice::Number(number) => number.to_string(),
            BlockChoice::Hash(hash) => hash.to_string(),
            BlockChoice::Tag(tag) => (*tag).to_owned(),
        };
        return Err(OpenError::input("block", format!("{} has no block {which}", rpc.node.shown())));
    }
    let pinned = Pinned::parse(block).map_err(|detail| rpc.reply(format!("block: {detail}")))?;
    let lies = |detail: String| RemoteError::new(Kind::Mismatch, format!("{}: {detail}", rpc.node.shown()));
    match &options.block {
        BlockChoice::Hash(hash) if *hash != pinned.hash => {
            return Err(lies(format!("block {} instead of {hash}", pinned.hash)).into());
        }
        BlockChoice::Number(number) if *number != pinned.header.number => {
            return Err(lies(format!("block {} instead of {number}", pinned.header.number)).into());
        }
        _ => {}
    }
    if pinned.hash == B256::ZERO {
        return Err(lies("a block without a hash".into()).into());
    }
    if options.verify != Verify::Never {
        let hint = "a chain whose headers have other fields is read with verify=\"never\"";
        pinned.check().map_err(|detail| lies(format!("{detail} ({hint})")))?;
    }
    Ok(pinned)
}
