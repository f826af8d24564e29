//! Where test files come from: a file, a folder (recursive, sorted), or an archive (`.tar.xz`, `.tar.gz`) read as a
//! stream. Everything is bounded by named limits. What a file means is not known here.

mod archive;
mod listing;

use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};

pub use archive::for_each_archived;
pub use listing::list;

use crate::input_error::InputError;

/// Bounds on what is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of one file.
    pub file_bytes: u64,
    /// Files of one run.
    pub files: usize,
    /// Bytes of all files of one run, unpacked.
    pub total_bytes: u64,
    /// Depth of folders.
    pub depth: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { file_bytes: 256 << 20, files: 1_000_000, total_bytes: 64 << 30, depth: 64 }
    }
}

/// A place that holds test files.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// One JSON file. `named` says that the caller named it, so that it must be a test.
    File {
        /// Where.
        path: PathBuf,
        /// What reports call it.
        name: String,
        /// Whether the caller asked for this very file.
        named: bool,
    },
    /// A packed tree of files.
    Archive {
        /// Where.
        path: PathBuf,
    },
}

/// One file, read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TestFile {
    /// What errors call it: the path, `archive::inner` inside an archive.
    pub path: String,
    /// The path below the root that the caller named: unique within it.
    pub name: String,
    /// Whether the caller asked for this very file.
    pub named: bool,
    /// The bytes.
    pub bytes: Vec<u8>,
}

/// Reads a file that may not be larger than the limit.
pub fn read_file(path: &Path, limits: &Limits) -> Result<Vec<u8>, InputError> {
    let shown = path.display().to_string();
    let file = fs::File::open(path).map_err(|error| InputError::file(&shown, error))?;
    let length = file.metadata().map_err(|error| InputError::file(&shown, error))?.len();
    read_bounded(file, length, &shown, limits)
}

/// Reads a stream of about `length` bytes to its end, or to the limit.
pub(crate) fn read_bounded(
    stream: impl Read,
    length: u64,
    shown: &str,
    limits: &Limits,
) -> Result<Vec<u8>, InputError> {
    let oversized = || InputError::file(shown, format!("larger than {} bytes", limits.file_bytes));
    if length > limits.file_bytes {
        return Err(oversized());
    }
    let mut bytes = Vec::with_capacity(usize::try_from(length).unwrap_or(0));
    let read = stream.take(limits.file_bytes + 1).read_to_end(&mut bytes);
    read.map_err(|error| InputError::file(shown, error))?;
    if bytes.len() as u64 > limits.file_bytes {
        return Err(oversized());
    }
    Ok(bytes)
}

/// Whether the name is an archive's that can be read.
pub fn is_archive(path: &Path) -> bool {
    let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    [".tar.xz", ".txz", ".tar.gz", ".tgz", ".tar"].iter().any(|suffix| name.ends_with(suffix))
}
