//! JSON-RPC in batches: ids are matched, each request has exactly one answer, batches travel side by side.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

use serde::{Deserialize, Deserializer};
use serde_json::{Value, json};

use crate::error::{Kind, OpenError, RemoteError, excerpt};
use crate::http::{Failed, Node};
use crate::options::{Counts, RemoteOptions};

/// What a node says instead of a result.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RpcFailure {
    /// Its code.
    pub code: i64,
    /// In words, shortened.
    pub message: String,
}

/// One request.
#[derive(Clone, Debug, PartialEq)]
pub struct Request {
    /// The method.
    pub method: &'static str,
    /// Its parameters, a list.
    pub params: Value,
    /// How large its answer may be, in plain values: a batch holds a bounded sum.
    pub weight: usize,
}

impl Request {
    /// A request for one value.
    pub fn new(method: &'static str, params: Value) -> Self {
        Self { method, params, weight: 1 }
    }
}

/// What came back for a request.
pub type Answer = Result<Value, RpcFailure>;

/// The most values (slots with their proofs) that one batch may ask for: up to 9 kB each on a large chain.
const MAX_BATCH_WEIGHT: usize = 2048;
/// Codes by which nodes say that one should come again: more requests than they allow.
const TOO_FAST: [i64; 3] = [-32005, -32007, 429];

#[derive(Deserialize)]
struct Reply {
    #[serde(default)]
    id: Value,
    #[serde(default, deserialize_with = "present")]
    result: Option<Value>,
    #[serde(default)]
    error: Option<ErrorReply>,
}

#[derive(Deserialize)]
struct ErrorReply {
    #[serde(default)]
    code: i64,
    #[serde(default)]
    message: String,
}

/// `null` is a result too.
fn present<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Value>, D::Error> {
    Value::deserialize(deserializer).map(Some)
}

/// A node that is asked in batches.
pub struct Rpc {
    /// The way to it.
    pub node: Node,
    /// What was done.
    pub counts: Counts,
    batch: AtomicUsize,
    connections: usize,
}

/// What became of a batch.
type Arrived = Result<Vec<Answer>, RemoteError>;

/// A batch's answers, or that the node takes no batch of this size.
enum Batched {
    Answers(Vec<Answer>),
    TooMany(RpcFailure),
}

impl Rpc {
    /// Nothing is sent yet.
    pub fn new(url: &str, options: &RemoteOptions) -> Result<Self, OpenError> {
        Ok(Self {
            node: Node::new(url, options)?,
            counts: Counts::default(),
            batch: AtomicUsize::new(options.batch.max(1)),
            connections: options.connections.max(1),
        })
    }

    /// Sends all requests, in as many batches as they need, side by side. The answers are in their order.
    pub fn ask(&self, requests: &[Request]) -> Result<Vec<Answer>, RemoteError> {
        if requests.is_empty() {
            return Ok(Vec::new());
        }
        let batches = cut(requests, self.batch.load(Ordering::Relaxed));
        Counts::add(&self.counts.calls, requests.len());
        Counts::add(&self.counts.round_trips, batches.len().div_ceil(self.connections));
        if let [batch] = batches[..] {
            return self.whole(batch);
        }
        let next = AtomicUsize::new(0);
        let done: Mutex<Vec<Option<Arrived>>> = Mutex::new(batches.iter().map(|_| None).collect());
        let work = || {
            loop {
                let index = next.fetch_add(1, Ordering::Relaxed);
                let Some(batch) = batches.get(index) else { return };
                let answers = self.whole(batch);
                if answers.is_err() {
                    // The others would be for nothing.
                    next.store(batches.len(), Ordering::Relaxed);
                }
                done.lock().unwrap_or_else(PoisonError::into_inner)[index] = Some(answers);
            }
        };
        std::thread::scope(|scope| {
            for _ in 1..batches.len().min(self.connections) {
                // One that cannot be started is not needed: the others take its part.
                let _ = std::thread::Builder::new().name("solder-remote".into()).spawn_scoped(scope, work);
            }
            work();
        });
        let done = done.into_inner().unwrap_or_else(PoisonError::into_inner);
        let (mut all, mut unasked) = (Vec::with_capacity(requests.len()), false);
        for answers in done {
            match answers {
                Some(answers) => all.append(&mut answers?),
                None => unasked = true,
            }
        }
        if unasked { Err(self.reply("a batch was not sent")) } else { Ok(all) }
    }

    /// A reply that is none, with the node's name before it.
    pub fn reply(&self, detail: impl AsRef<str>) -> RemoteError {
        RemoteError::reply(format!("{}: {}", self.node.shown(), detail.as_ref()))
    }

    /// A failure that the node reported, with its name before it.
    pub fn refusal(&self, method: &str, failure: &RpcFailure) -> RemoteError {
        let RpcFailure { code, message } = failure;
        RemoteError::new(Kind::Refused, format!("{}: {method}: {message} (error {code})", self.node.shown()))
    }

    /// One batch; halved where the node takes none of its size.
    fn whole(&self, batch: &[Request]) -> Result<Vec<Answer>, RemoteError> {
        match self.once(batch)? {
            Batched::Answers(answers) => Ok(answers),
            Batched::TooMany(failure) if batch.len() > 1 => {
                let (front, back) = batch.split_at(batch.len() / 2);
                self.batch.fetch_min(front.len().max(1), Ordering::Relaxed);
                let mut answers = self.whole(front).map_err(|error| match error.kind {
                    // Said of the batch, not of what was in it.
                    Kind::Refused => self.refusal("batch", &failure),
                    _ => error,
                })?;
                answers.append(&mut self.whole(back)?);
                Ok(answers)
            }
            Batched::TooMany(failure) => Ok(vec![Err(failure)]),
        }
    }

    fn once(&self, batch: &[Request]) -> Result<Batched, RemoteError> {
        let calls: Vec<Value> = batch
            .iter()
            .enumerate()
            .map(|(id, call)| json!({"jsonrpc": "2.0", "id": id, "method": call.method, "params": call.params}))
            .collect();
        let body = match &calls[..] {
            [single] => serde_json::to_vec(single),
            _ => serde_json::to_vec(&calls),
        };
        let body = body.map_err(|error| self.reply(format!("a request cannot be written: {error}")))?;
        self.node.post(&body, &self.counts, |answer| self.read(batch.len(), answer))
    }

    fn read(&self, expected: usize, answer: &[u8]) -> Result<Batched, Failed> {
        let start = answer.iter().find(|byte| !byte.is_ascii_whitespace());
        let parsed = match start {
            Some(b'[') => serde_json::from_slice::<Vec<Reply>>(answer),
            _ => serde_json::from_slice::<Reply>(answer).map(|reply| vec![reply]),
        };
        let replies = parsed.map_err(|error| {
            let said = excerpt(&String::from_utf8_lossy(&answer[..answer.len().min(4096)]));
            let failed = self.reply(format!("the answer is not JSON-RPC: {error}: {said}"));
            // Broken off in the middle of JSON: what HTML does not do.
            if error.is_eof() && matches!(start, Some(b'[' | b'{')) {
                Failed::passing(failed)
            } else {
                Failed::final_(failed)
            }
        })?;
        if let [Reply { id, error: Some(error), .. }] = &replies[..]
            && (expected > 1 || id.is_null())
            && start == Some(&b'{')
        {
            let failure = RpcFailure { code: error.code, message: excerpt(&error.message) };
            return self.slower(&failure).map_or(Ok(Batched::TooMany(failure)), Err);
        }
        let mut answers: Vec<Option<Answer>> = (0..expected).map(|_| None).collect();
        for reply in replies {
            let id = reply.id.as_u64().and_then(|id| usize::try_from(id).ok());
            let Some(place) = id.and_then(|id| answers.get_mut(id)) else {
                let detail = format!("an answer to {}, which was not asked", excerpt(&reply.id.to_string()));
                return Err(Failed::final_(self.reply(detail)));
            };
            if place.is_some() {
                return Err(Failed::final_(self.reply(format!("two answers to request {}", reply.id))));
            }
            *place = Some(match (reply.result, reply.error) {
                (_, Some(error)) => {
                    let failure = RpcFailure { code: error.code, message: excerpt(&error.message) };
                    if let Some(failed) = self.slower(&failure) {
                        return Err(failed);
                    }
                    Err(failure)
                }
                (Some(result), None) => Ok(result),
                (None, None) => {
                    let detail = format!("the answer to request {} has neither result nor error", reply.id);
                    return Err(Failed::final_(self.reply(detail)));
                }
            });
        }
        let unanswered = answers.iter().position(Option::is_none);
        if let Some(index) = unanswered {
            return Err(Failed::final_(self.reply(format!("no answer to request {index} of {expected}"))));
        }
        Ok(Batched::Answers(answers.into_iter().flatten().collect()))
    }

    fn slower(&self, failure: &RpcFailure) -> Option<Failed> {
        TOO_FAST.contains(&failure.code).then(|| {
            let RemoteError { detail, .. } = self.refusal("batch", failure);
            Failed::passing(RemoteError::new(Kind::Unreachable, detail))
        })
    }
}

/// Cuts requests into batches of at most `most`, and of a bounded weight.
fn cut(requests: &[Request], most: usize) -> Vec<&[Request]> {
    let mut batches = Vec::new();
    let (mut start, mut weight) = (0, 0);
    for (index, request) in requests.iter().enumerate() {
        if index > start && (index - start >= most || weight + request.weight > MAX_BATCH_WEIGHT) {
            batches.push(&requests[start..index]);
            (start, weight) = (index, 0);
        }
        weight += request.weight;
    }
    batches.push(&requests[start..]);
    batches
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(weight: usize) -> Request {
        Request { weight, ..Request::new("m", json!([])) }
    }

    #[test]
    fn batches_are_bounded_by_number_and_weight() {
        let many: Vec<_> = (0..250).map(|_| request(1)).collect();
        let sizes: Vec<_> = cut(&many, 100).iter().map(|batch| batch.len()).collect();
        assert_eq!(sizes, [100, 100, 50]);
        let heavy: Vec<_> = (0..5).map(|_| request(MAX_BATCH_WEIGHT / 2)).collect();
        let sizes: Vec<_> = cut(&heavy, 100).iter().map(|batch| batch.len()).collect();
        assert_eq!(sizes, [2, 2, 1]);
    }
}
