//! One POST to a node: limits, time-outs, and attempts with back-off. Every request only reads, so that each may be repeated.

use std::io::Read;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use ureq::Agent;
use ureq::http::{Response, Uri};

use crate::error::{Kind, OpenError, RemoteError, excerpt};
use crate::options::{Counts, MAX_BODY_BYTES, RemoteOptions};

/// The first pause between two attempts; each next one is twice as long, and each is drawn between half and all of it.
const FIRST_PAUSE: Duration = Duration::from_millis(200);
/// The longest pause, also of those that a node asks for.
const LONGEST_PAUSE: Duration = Duration::from_secs(10);
/// What is read of the body of a refusal.
const REFUSAL_BYTES: u64 = 4096;
/// The most bytes of a URL.
const MAX_URL_BYTES: usize = 4096;

/// Why an attempt failed, and whether another one may help.
pub struct Failed {
    /// Why.
    pub error: RemoteError,
    /// Whether the same request may do better later, and after how long at least.
    pub again: Option<Duration>,
}

impl Failed {
    /// Another attempt cannot help.
    pub fn final_(error: RemoteError) -> Self {
        Self { error, again: None }
    }

    /// Another attempt may help.
    pub fn passing(error: RemoteError) -> Self {
        Self { error, again: Some(Duration::ZERO) }
    }
}

/// A node, by its URL.
pub struct Node {
    url: String,
    /// Scheme, host and port: what may be shown.
    shown: String,
    headers: Vec<(String, String)>,
    timeout: Duration,
    attempts: u32,
    connections: usize,
    /// Its connections, and the process that they belong to: a forked child must not talk on its parent's.
    agent: Mutex<Option<(u32, Agent)>>,
}

impl Node {
    /// Checks the URL; nothing is sent.
    pub fn new(url: &str, options: &RemoteOptions) -> Result<Self, OpenError> {
        let bad = |detail: &str| OpenError::input("url", detail);
        if url.len() > MAX_URL_BYTES {
            return Err(bad("too long"));
        }
        let parsed: Uri = url.parse().map_err(|_| bad("not a URL"))?;
        let scheme = parsed.scheme_str().filter(|scheme| ["http", "https"].contains(scheme));
        let scheme = scheme.ok_or_else(|| bad("begins neither with http:// nor with https://"))?;
        let host = parsed.host().filter(|host| !host.is_empty()).ok_or_else(|| bad("names no host"))?;
        let port = parsed.port().map(|port| format!(":{port}")).unwrap_or_default();
        for (name, value) in &options.headers {
            let named = ureq::http::HeaderName::try_from(name.as_str()).is_ok();
            if !named || ureq::http::HeaderValue::try_from(value.as_str()).is_err() {
                return Err(OpenError::input("headers", format!("{name:?} is no header")));
            }
        }
        Ok(Self {
            url: url.to_owned(),
            shown: format!("{scheme}://{host}{port}"),
            headers: options.headers.clone(),
            timeout: options.timeout,
            attempts: options.attempts.max(1),
            connections: options.connections,
            agent: Mutex::new(None),
        })
    }

    /// The node without what is secret in its URL.
    pub fn shown(&self) -> &str {
        &self.shown
    }

    fn agent(&self) -> Agent {
        let mut kept = self.agent.lock().unwrap_or_else(PoisonError::into_inner);
        let process = std::process::id();
        match &*kept {
            Some((owner, agent)) if *owner == process => agent.clone(),
            _ => {
                let config = Agent::config_builder()
                    .http_status_as_error(false)
                    .max_redirects(0)
                    .max_redirects_will_error(false)
                    .max_idle_connections(self.connections)
                    .max_idle_connections_per_host(self.connections)
                    .timeout_global(Some(self.timeout))
                    .proxy(None)
                    .user_agent(concat!("solder/", env!("CARGO_PKG_VERSION")))
                    .build();
                let agent = Agent::new_with_config(config);
                // The parent's connections are forgotten, not closed: closing would say goodbye on its behalf.
                std::mem::forget(kept.replace((process, agent.clone())));
                agent
            }
        }
    }

    /// Sends `body` until `read` takes the answer, or attempts or reasons to repeat are used up.
    pub fn post<T>(
        &self,
        body: &[u8],
        counts: &Counts,
        read: impl Fn(&[u8]) -> Result<T, Failed>,
    ) -> Result<T, RemoteError> {
        let mut pause = FIRST_PAUSE;
        for attempt in 1.. {
            Counts::add(&counts.http_requests, 1);
            let failed = match self.attempt(body, counts).and_then(|answer| read(&answer)) {
                Ok(value) => return Ok(value),
                Err(failed) => failed,
            };
            let Some(least) = failed.again else { return Err(failed.error) };
            if attempt >= self.attempts {
                let RemoteError { kind, detail } = failed.error;
                return Err(RemoteError::new(kind, format!("{detail} (after {attempt} attempts)")));
            }
            Counts::add(&counts.retries, 1);
            let drawn = pause.mul_f64(0.5 + 0.5 * fastrand::f64());
            std::thread::sleep(drawn.max(least).min(LONGEST_PAUSE));
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
        Err(RemoteError::new(Kind::Unreachable, "no attempt was made"))
    }

    fn attempt(&self, body: &[u8], counts: &Counts) -> Result<Vec<u8>, Failed> {
        let mut request = self.agent().post(&self.url).header("content-type", "application/json");
        for (name, value) in &self.headers {
            request = request.header(name, value);
        }
        let mut response = request.send(body).map_err(|error| self.unsent(&error))?;
        let status = response.status();
        if !status.is_success() {
            return Err(self.refused(&mut response));
        }
        let mut answer = Vec::new();
        let reader = response.body_mut().with_config().limit(u64::MAX).reader();
        // The limit is on what arrives unpacked: a small body may unpack to a large one.
        reader.take(MAX_BODY_BYTES + 1).read_to_end(&mut answer).map_err(|error| {
            let detail = format!("{}: the answer broke off: {error}", self.shown);
            Failed::passing(RemoteError::new(Kind::Unreachable, detail))
        })?;
        Counts::add(&counts.bytes_received, answer.len());
        if answer.len() as u64 > MAX_BODY_BYTES {
            let detail = format!("{}: an answer of more than {MAX_BODY_BYTES} bytes", self.shown);
            return Err(Failed::final_(RemoteError::new(Kind::Limit, detail)));
        }
        Ok(answer)
    }

    fn unsent(&self, error: &ureq::Error) -> Failed {
        let error_kind = RemoteError::new(Kind::Unreachable, format!("{}: {error}", self.shown));
        match error {
            ureq::Error::Tls(_) | ureq::Error::Rustls(_) | ureq::Error::BadUri(_) | ureq::Error::Http(_) => {
                Failed::final_(error_kind)
            }
            _ => Failed::passing(error_kind),
        }
    }

    fn refused<B>(&self, response: &mut Response<B>) -> Failed
    where
        B: ReadSome,
    {
        let status = response.status();
        let said = excerpt(&response.body_mut().read_some());
        let said = if said.is_empty() { said } else { format!(": {said}") };
        let detail = format!("{}: HTTP status {status}{said}", self.shown);
        match status.as_u16() {
            408 | 425 | 429 | 500 | 502 | 503 | 504 => {
                let wait = response.headers().get("retry-after").and_then(|value| value.to_str().ok());
                let wait = wait
                    .and_then(|text| text.trim().parse().ok())
                    .map_or(Duration::ZERO, Duration::from_secs);
                Failed { error: RemoteError::new(Kind::Unreachable, detail), again: Some(wait) }
            }
            _ => Failed::final_(RemoteError::new(Kind::Refused, detail)),
        }
    }
}

/// A body of which the beginning is enough.
trait ReadSome {
    fn read_some(&mut self) -> String;
}

impl ReadSome for ureq::Body {
    fn read_some(&mut self) -> String {
        let mut raw = Vec::new();
        // What cannot be read is not needed: the status says it all.
        let _ = self.with_config().limit(u64::MAX).reader().take(REFUSAL_BYTES).read_to_end(&mut raw);
        String::from_utf8_lossy(&raw).trim().to_owned()
    }
}
