//! A state reader over a node. What is not known is `Pending`; whoever waits takes everything that is wanted by then along, in one
//! fetch, and nobody asks for what is already on its way:
//!
//! ```text
//! unknown -> wanted -> on its way -> known
//!                          `-> failed: its waiters are told, and it is unknown again
//! ```

use std::collections::{HashMap, HashSet};
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, OnceLock, PoisonError};

use alloy_primitives::{Address, B256, U256};
use revm::primitives::KECCAK_EMPTY;
use revm::state::{AccountId, AccountInfo, Bytecode};
use solder_engine::state::{Read, Ticket};
use solder_engine::{Chain, Fault, Fork, Header, StateReader};

use crate::cache::{Cache, Place};
use crate::error::{Kind, RemoteError};
use crate::fetch::{Fetched, Fetcher, Manner};
use crate::known::{Key, Known, KnownState};
use crate::options::{Counts, Verify};

/// Fetches on their way at once; who comes then waits for one of them.
const MAX_FETCHES: usize = 4;
/// The most questions that may wait to be asked.
const MAX_WANTED: usize = 1 << 22;

/// Told once when the cache on disk stops working; the state works on without it.
pub type Warn = Box<dyn Fn(&str) + Send + Sync>;

/// A fetch on its way, and how it ended.
#[derive(Default)]
struct Journey {
    ended: OnceLock<Result<(), RemoteError>>,
}

#[derive(Default)]
struct Queue {
    /// Keys by ticket.
    tickets: Vec<Key>,
    /// Tickets of keys that are not known.
    open: HashMap<Key, u64>,
    wanted: HashSet<Key>,
    travelling: HashMap<Key, Arc<Journey>>,
    fetches: usize,
}

/// The state after one block of a chain, as a node has it.
pub struct RemoteState {
    fetcher: Fetcher,
    known: KnownState,
    place: Place,
    chain: Chain,
    fork: Fork,
    cache: Option<(Cache, PathBuf)>,
    /// Whether the cache is still used.
    cache_works: AtomicBool,
    all_verified: AtomicBool,
    warn: Warn,
    queue: Mutex<Queue>,
    moved: Condvar,
}

/// What a person may want to know of a remote state.
#[derive(Clone, Debug, PartialEq)]
pub struct RemoteStatus {
    /// The node, without secrets.
    pub node: String,
    /// The chain's id.
    pub chain_id: u64,
    /// The block.
    pub number: u64,
    /// Its hash.
    pub hash: B256,
    /// How the node is asked.
    pub manner: Manner,
    /// Whether a proof stands behind everything that is known.
    pub verified: bool,
    /// The cache's file, as long as it works.
    pub cache: Option<PathBuf>,
    /// Accounts and slots that are known.
    pub known: (usize, usize),
    /// What was done.
    pub counts: Vec<(&'static str, u64)>,
}

impl RemoteState {
    pub(crate) fn new(
        fetcher: Fetcher,
        chain: Chain,
        fork: Fork,
        cache: Option<(Cache, PathBuf)>,
        warn: Warn,
    ) -> Self {
        let known = KnownState::default();
        let header = &fetcher.pinned.header;
        if let Some(parent) = header.number.checked_sub(1) {
            known.insert(Known::BlockHash(parent, header.parent_hash));
        }
        known.insert(Known::BlockHash(header.number, fetcher.pinned.hash));
        Self {
            place: Place { chain_id: chain.id, block: fetcher.pinned.hash },
            all_verified: AtomicBool::new(fetcher.verify != Verify::Never),
            cache_works: AtomicBool::new(cache.is_some()),
            fetcher,
            known,
            chain,
            fork,
            cache,
            warn,
            queue: Mutex::default(),
            moved: Condvar::new(),
        }
    }

    /// The pinned header.
    pub fn header(&self) -> &Header {
        &self.fetcher.pinned.header
    }

    /// The chain's rules.
    pub fn chain(&self) -> &Chain {
        &self.chain
    }

    /// The fork of the pinned block.
    pub fn fork(&self) -> Fork {
        self.fork
    }

    /// How it stands.
    pub fn status(&self) -> RemoteStatus {
        let working = self.cache_works.load(Ordering::Relaxed);
        RemoteStatus {
            node: self.fetcher.rpc.node.shown().to_owned(),
            chain_id: self.chain.id,
            number: self.header().number,
            hash: self.place.block,
            manner: self.fetcher.manner(),
            verified: self.all_verified.load(Ordering::Relaxed),
            cache: self.cache.as_ref().filter(|_| working).map(|(_, path)| path.clone()),
            known: self.known.len(),
            counts: self.fetcher.rpc.counts.all(),
        }
    }

    fn lock(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn pending<T>(&self, key: Key) -> Result<Read<T>, Fault> {
        let mut queue = self.lock();
        let Queue { tickets, open, wanted, travelling, .. } = &mut *queue;
        if wanted.len() >= MAX_WANTED {
            let detail = format!("more than {MAX_WANTED} values wanted at once");
            return Err(RemoteError::new(Kind::Limit, detail).into());
        }
        let ticket = *open.entry(key).or_insert_with(|| {
            tickets.push(key);
            tickets.len() as u64 - 1
        });
        if !travelling.contains_key(&key) {
            wanted.insert(key);
        }
        Ok(Read::Pending(Ticket(ticket)))
    }

    /// Everything that is wanted, fetched by the calling thread.
    fn lead(&self, mut queue: MutexGuard<'_, Queue>) -> Result<(), RemoteError> {
        let mut keys: Vec<Key> = queue.wanted.drain().collect();
        keys.sort_unstable();
        let journey = Arc::new(Journey::default());
        for key in &keys {
            queue.travelling.insert(*key, journey.clone());
        }
        queue.fetches += 1;
        drop(queue);
        let arrival = Arrival { state: self, keys: &keys, journey: &journey };
        let outcome = self.fetch(&keys);
        let _ = journey.ended.set(outcome.clone());
        drop(arrival);
        outcome
    }

    fn fetch(&self, keys: &[Key]) -> Result<(), RemoteError> {
        let missing = self.look_on_disk(keys);
        if missing.is_empty() {
            return Ok(());
        }
        let answers = self.fetcher.fetch(&missing)?;
        self.keep_on_disk(&answers);
        if answers.iter().any(|answer| !answer.verified) {
            self.all_verified.store(false, Ordering::Relaxed);
        }
        for answer in answers {
            self.known.insert(answer.known);
        }
        match missing.iter().find(|key| !self.known.has(**key)) {
            None => Ok(()),
            Some(key) => Err(self.fetcher.rpc.reply(format!("no answer to {key:?}"))),
        }
    }

    /// Takes what the cache has, and gives the keys that it has not.
    fn look_on_disk(&self, keys: &[Key]) -> Vec<Key> {
        let Some((cache, _)) = self.cache.as_ref().filter(|_| self.cache_works.load(Ordering::Relaxed))
        else {
            return keys.to_vec();
        };
        // An unverified entry is as good as asking without proofs is.
        let need_verified = self.fetcher.manner().proofs;
        match cache.get(self.place, keys, need_verified) {
            Ok(hits) => {
                let counts = &self.fetcher.rpc.counts;
                Counts::add(&counts.cache_hits, hits.known.len());
                Counts::add(&counts.cache_damaged, hits.damaged);
                if !need_verified && !hits.known.is_empty() {
                    self.all_verified.store(false, Ordering::Relaxed);
                }
                hits.known.into_iter().for_each(|known| self.known.insert(known));
                keys.iter().copied().filter(|key| !self.known.has(*key)).collect()
            }
            Err(detail) => {
                self.give_up_cache(&detail);
                keys.to_vec()
            }
        }
    }

    fn keep_on_disk(&self, answers: &[Fetched]) {
        if let Some((cache, _)) = self.cache.as_ref().filter(|_| self.cache_works.load(Ordering::Relaxed))
            && let Err(detail) = cache.put(self.place, answers)
        {
            self.give_up_cache(&detail);
        }
    }

    fn give_up_cache(&self, detail: &str) {
        if self.cache_works.swap(false, Ordering::Relaxed) {
            (self.warn)(detail);
        }
    }
}

/// Ends a fetch whatever happens in it: nobody may wait for it for ever.
struct Arrival<'a> {
    state: &'a RemoteState,
    keys: &'a [Key],
    journey: &'a Arc<Journey>,
}

impl Drop for Arrival<'_> {
    fn drop(&mut self) {
        let _ = self.journey.ended.set(Err(RemoteError::reply("the fetch was broken off")));
        let mut queue = self.state.lock();
        for key in self.keys {
            queue.travelling.remove(key);
            if self.state.known.has(*key) {
                queue.open.remove(key);
            }
        }
        queue.fetches -= 1;
        drop(queue);
        self.state.moved.notify_all();
    }
}

impl StateReader for RemoteState {
    #[inline]
    fn account(&self, address: Address) -> Result<Read<Option<AccountInfo>>, Fault> {
        match self.known.account(address) {
            Some(info) => Ok(Read::Ready(info)),
            None => self.pending(Key::Account(address)),
        }
    }

    #[inline]
    fn storage(&self, address: Address, _hint: Option<AccountId>, slot: U256) -> Result<Read<U256>, Fault> {
        match self.known.slot(address, slot) {
            Some(value) => Ok(Read::Ready(value)),
            None => self.pending(Key::Slot(address, slot)),
        }
    }

    fn code(&self, hash: B256) -> Result<Read<Bytecode>, Fault> {
        if hash == KECCAK_EMPTY {
            return Ok(Read::Ready(Bytecode::default()));
        }
        let code = self.known.code(hash);
        code.map(Read::Ready).ok_or_else(|| Fault::StateRead(format!("no code with hash {hash}")))
    }

    fn block_hash(&self, number: u64) -> Result<Read<B256>, Fault> {
        match self.known.block_hash(number) {
            Some(hash) => Ok(Read::Ready(hash)),
            None => self.pending(Key::BlockHash(number)),
        }
    }

    fn slots(&self, address: Address) -> Result<Read<Vec<(U256, U256)>>, Fault> {
        if let Some(None) = self.known.account(address) {
            return Ok(Read::Ready(Vec::new()));
        }
        let detail = format!("a node cannot be asked for all slots of {address}");
        Err(RemoteError::new(Kind::Unsupported, detail).into())
    }

    fn wait(&self, ticket: Ticket) -> Result<(), Fault> {
        let mut queue = self.lock();
        let place = usize::try_from(ticket.0).ok();
        let Some(key) = place.and_then(|place| queue.tickets.get(place)).copied() else {
            return Err(Fault::StateRead(format!("{ticket:?} was never issued")));
        };
        loop {
            if self.known.has(key) {
                return Ok(());
            }
            if let Some(journey) = queue.travelling.get(&key).cloned() {
                while journey.ended.get().is_none() {
                    queue = self.moved.wait(queue).unwrap_or_else(PoisonError::into_inner);
                }
                match journey.ended.get() {
                    Some(Err(error)) => return Err(error.clone().into()),
                    _ => return Ok(()),
                }
            }
            if queue.fetches >= MAX_FETCHES {
                queue = self.moved.wait(queue).unwrap_or_else(PoisonError::into_inner);
                continue;
            }
            queue.wanted.insert(key);
            return Ok(self.lead(queue)?);
        }
    }
}
