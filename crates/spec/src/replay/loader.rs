//! Finds and loads block folders, on a disk or inside an archive. A loader keeps what folders share (codes and block
//! hashes), and the last archive unpacked in memory, so that many blocks are read at the price of one.

use std::collections::BTreeMap;
use std::fmt;
use std::fs;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;

use alloy_primitives::Bytes;
use solder_engine::chain::{Block, Chain, Fork};
use solder_engine::state::MemoryState;

use super::block_json::{BlockJson, DecodedBlock, FalseClaim};
use super::pre_state::{self, PreStateJson};
use super::sidecar::{BlockHashes, Codes};
use crate::InputError;
use crate::fixture::parse;
use crate::source::{Limits, for_each_archived, is_archive, read_file};

const BLOCK: &str = "block.json";
const PRE_STATE: &str = "pre_state.json";
const CODES: &str = "codes.bin";
const BLOCK_HASHES: &str = "block_hashes.bincode";
/// Between an archive and a path inside it.
const INSIDE: &str = "::";
/// Bounds on one archive or folder of blocks.
const LIMITS: Limits = Limits { file_bytes: 256 << 20, files: 100_000, total_bytes: 2 << 30, depth: 8 };

/// A block with everything that it runs on.
#[derive(Clone)]
pub struct LoadedBlock {
    /// Where it came from: an id that [`Loader::load`] accepts.
    pub id: String,
    /// Whose rules hold.
    pub chain: Chain,
    /// Which of them.
    pub fork: Fork,
    /// The block, senders recovered.
    pub block: Block,
    /// The accounts that it touches, before it.
    pub state: MemoryState,
    /// What the header says of the block itself and is not so: its hash, transactions root, withdrawals root.
    pub false_claims: Vec<FalseClaim>,
}

/// The id alone: a block and its state are megabytes of text.
impl fmt::Debug for LoadedBlock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "LoadedBlock({})", self.id)
    }
}

/// The block folders under `path`, as ids for [`load`]; see [`Loader::find`].
pub fn find(path: &str) -> Result<Vec<String>, InputError> {
    Loader::default().find(path)
}

/// Loads one block; see [`Loader::load`].
pub fn load(id: &str) -> Result<LoadedBlock, InputError> {
    Loader::default().load(id)
}

/// Reads blocks and keeps what they share. Files are watched by time and length, not by content.
#[derive(Default)]
pub struct Loader {
    archive: Option<Unpacked>,
    codes: Option<(Origin, Stamp, Arc<Codes>)>,
}

/// A file as it was when it was read.
type Stamp = (u64, Option<SystemTime>);

struct Unpacked {
    path: PathBuf,
    stamp: Stamp,
    files: BTreeMap<String, Bytes>,
}

/// A folder, on the disk or in an archive.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Origin {
    Disk(PathBuf),
    Archive { path: PathBuf, inner: String },
}

impl Origin {
    fn parse(id: &str) -> Self {
        match id.split_once(INSIDE) {
            Some((path, inner)) => {
                Self::Archive { path: path.into(), inner: inner.trim_end_matches('/').into() }
            }
            None if is_archive(Path::new(id)) && !Path::new(id).is_dir() => {
                Self::Archive { path: id.into(), inner: String::new() }
            }
            None => Self::Disk(id.into()),
        }
    }

    fn parent(&self) -> Option<Self> {
        match self {
            Self::Disk(path) => match path.canonicalize() {
                Ok(path) => path.parent().map(|parent| Self::Disk(parent.into())),
                Err(_) => None,
            },
            Self::Archive { path, inner } if !inner.is_empty() => {
                let parent = inner.rsplit_once('/').map_or("", |(parent, _)| parent);
                Some(Self::Archive { path: path.clone(), inner: parent.into() })
            }
            Self::Archive { .. } => None,
        }
    }

    /// What errors call a file of this folder.
    fn shown(&self, name: &str) -> String {
        match self {
            Self::Disk(path) => path.join(name).display().to_string(),
            Self::Archive { path, inner } => format!("{}{INSIDE}{}", path.display(), join(inner, name)),
        }
    }
}

fn join(folder: &str, name: &str) -> String {
    if folder.is_empty() { name.to_owned() } else { format!("{folder}/{name}") }
}

fn stamp(path: &Path) -> Result<Stamp, InputError> {
    let metadata = fs::metadata(path).map_err(|error| InputError::file(path.display().to_string(), error))?;
    Ok((metadata.len(), metadata.modified().ok()))
}

/// Blocks by ascending number, as their folders are named; other names after them.
fn sort(ids: &mut [String]) {
    ids.sort_by_cached_key(|id| {
        let name = id.rsplit(['/', ':']).next().unwrap_or_default();
        (name.parse::<u64>().unwrap_or(u64::MAX), id.clone())
    });
}

impl Loader {
    /// The block folders under `path` by ascending number: `path` itself, folders below it, or those of an archive
    /// (`blocks.tar.xz`, or `blocks.tar.xz::inner` for a part of it).
    pub fn find(&mut self, path: &str) -> Result<Vec<String>, InputError> {
        let mut found = Vec::new();
        match Origin::parse(path) {
            Origin::Disk(folder) => {
                if !stamp(&folder).map(|_| folder.is_dir())? {
                    return Err(InputError::file(path, "neither a folder nor an archive of blocks"));
                }
                walk(&folder, &mut found, 0)?;
            }
            Origin::Archive { path: archive, inner } => {
                for name in self.unpack(&archive)?.files.keys() {
                    let folder = name.strip_suffix(BLOCK).map(|folder| folder.trim_end_matches('/'));
                    let Some(folder) = folder.filter(|folder| inner.is_empty() || is_below(folder, &inner))
                    else {
                        continue;
                    };
                    found.push(format!("{}{INSIDE}{folder}", archive.display()));
                }
            }
        }
        if found.is_empty() {
            return Err(InputError::file(path, format!("no folder with a {BLOCK}")));
        }
        sort(&mut found);
        Ok(found)
    }

    /// Loads the block of a folder (`blocks/46147`), on the disk or in an archive (`blocks.tar.xz::mainnet/46147`).
    pub fn load(&mut self, id: &str) -> Result<LoadedBlock, InputError> {
        let origin = Origin::parse(id);
        let (path, bytes) = self.require(&origin, BLOCK)?;
        let decoded = parse::<BlockJson>(&path, &bytes)?.decode(&path)?;
        let (path, bytes) = self.require(&origin, PRE_STATE)?;
        let accounts = parse::<PreStateJson>(&path, &bytes)?;
        let hashes = match self.shared(&origin, BLOCK_HASHES)? {
            Some((place, bytes)) => BlockHashes::parse(&place.shown(BLOCK_HASHES), &bytes)?,
            None => BlockHashes::default(),
        };
        let codes = self.codes(&origin)?;
        let state = pre_state::build(&path, accounts, &codes, &hashes)?;
        let DecodedBlock { chain, fork, block, false_claims } = decoded;
        Ok(LoadedBlock { id: id.to_owned(), chain, fork, block, state, false_claims })
    }

    fn require(&mut self, origin: &Origin, name: &str) -> Result<(String, Bytes), InputError> {
        let shown = origin.shown(name);
        match self.read(origin, name)? {
            Some(bytes) => Ok((shown, bytes)),
            None => Err(InputError::file(shown, "no such file")),
        }
    }

    /// A file of the folder, or else of its parent.
    fn shared(&mut self, origin: &Origin, name: &str) -> Result<Option<(Origin, Bytes)>, InputError> {
        for place in [Some(origin.clone()), origin.parent()].into_iter().flatten() {
            if let Some(bytes) = self.read(&place, name)? {
                return Ok(Some((place, bytes)));
            }
        }
        Ok(None)
    }

    fn codes(&mut self, origin: &Origin) -> Result<Arc<Codes>, InputError> {
        for place in [Some(origin.clone()), origin.parent()].into_iter().flatten() {
            let file = match &place {
                Origin::Disk(folder) => folder.join(CODES),
                Origin::Archive { path, .. } => path.clone(),
            };
            let Ok(now) = stamp(&file) else { continue };
            if let Some((kept, then, codes)) = &self.codes
                && (kept, then) == (&place, &now)
            {
                return Ok(codes.clone());
            }
            if let Some(bytes) = self.read(&place, CODES)? {
                let codes = Arc::new(Codes::parse(&place.shown(CODES), bytes)?);
                self.codes = Some((place, now, codes.clone()));
                return Ok(codes);
            }
        }
        Ok(Arc::new(Codes::none()))
    }

    fn read(&mut self, origin: &Origin, name: &str) -> Result<Option<Bytes>, InputError> {
        match origin {
            Origin::Disk(folder) => {
                let path = folder.join(name);
                if !path.is_file() {
                    return Ok(None);
                }
                read_file(&path, &LIMITS).map(|bytes| Some(bytes.into()))
            }
            Origin::Archive { path, inner } => Ok(self.unpack(path)?.files.get(&join(inner, name)).cloned()),
        }
    }

    /// The block files of an archive.
    fn unpack(&mut self, path: &Path) -> Result<&Unpacked, InputError> {
        let now = stamp(path)?;
        let kept = self.archive.take().filter(|kept| kept.path == path && kept.stamp == now);
        let unpacked = match kept {
            Some(kept) => kept,
            None => {
                let mut files = BTreeMap::new();
                let wanted = |name: &str| {
                    let file = name.rsplit('/').next().unwrap_or_default();
                    [BLOCK, PRE_STATE, CODES, BLOCK_HASHES].contains(&file)
                };
                for_each_archived(path, &LIMITS, wanted, |file| {
                    let name = file.name.strip_prefix("./").unwrap_or(&file.name).to_owned();
                    files.insert(name, file.bytes.into());
                    ControlFlow::Continue(())
                })?;
                Unpacked { path: path.into(), stamp: now, files }
            }
        };
        Ok(self.archive.insert(unpacked))
    }
}

fn is_below(folder: &str, root: &str) -> bool {
    folder.strip_prefix(root).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

fn walk(folder: &Path, found: &mut Vec<String>, depth: usize) -> Result<(), InputError> {
    let shown = || folder.display().to_string();
    if folder.join(BLOCK).is_file() {
        found.push(shown());
        return Ok(());
    }
    if depth >= LIMITS.depth || found.len() >= LIMITS.files {
        return Err(InputError::file(shown(), "too many or too deep folders"));
    }
    let entries = fs::read_dir(folder).map_err(|error| InputError::file(shown(), error))?;
    for entry in entries {
        let path = entry.map_err(|error| InputError::file(shown(), error))?.path();
        if path.is_dir() {
            walk(&path, found, depth + 1)?;
        }
    }
    Ok(())
}
