//! Archives as a stream of files: nothing is unpacked to a disk, and links, devices and the like are ignored.

use std::fs::File;
use std::io::{BufReader, Read};
use std::ops::ControlFlow;
use std::path::Path;

use super::{Limits, TestFile, read_bounded};
use crate::input_error::InputError;

const READ_BUFFER_BYTES: usize = 1 << 20;
/// What the decompressor may hold.
const DECODER_MEMORY_BYTES: u64 = 512 << 20;

fn open(path: &Path, shown: &str) -> Result<Box<dyn Read>, InputError> {
    let unreadable = |error: std::io::Error| InputError::file(shown, error);
    let file = BufReader::with_capacity(READ_BUFFER_BYTES, File::open(path).map_err(unreadable)?);
    let name = path.to_string_lossy();
    if name.ends_with("xz") {
        let stream =
            liblzma::stream::Stream::new_stream_decoder(DECODER_MEMORY_BYTES, liblzma::stream::CONCATENATED)
                .map_err(|error| InputError::file(shown, error))?;
        Ok(Box::new(liblzma::bufread::XzDecoder::new_stream(file, stream)))
    } else if name.ends_with("gz") {
        Ok(Box::new(flate2::bufread::MultiGzDecoder::new(file)))
    } else {
        Ok(Box::new(file))
    }
}

/// Calls `visit` with every regular file of the archive whose inner path `wanted` accepts, in the archive's order,
/// until it breaks.
pub fn for_each_archived(
    path: &Path,
    limits: &Limits,
    wanted: impl Fn(&str) -> bool,
    mut visit: impl FnMut(TestFile) -> ControlFlow<()>,
) -> Result<(), InputError> {
    let shown = path.display().to_string();
    let broken = |error: std::io::Error| InputError::file(&shown, format!("broken archive: {error}"));
    let mut archive = tar::Archive::new(open(path, &shown)?);
    let mut total = 0u64;
    for (count, entry) in archive.entries().map_err(broken)?.enumerate() {
        let entry = entry.map_err(broken)?;
        if count > limits.files {
            return Err(InputError::file(&shown, format!("more than {} files", limits.files)));
        }
        let name = entry.path().map_err(broken)?.to_string_lossy().into_owned();
        if !entry.header().entry_type().is_file() || !wanted(&name) {
            continue;
        }
        let inner = format!("{shown}::{name}");
        let length = entry.size();
        total = total.saturating_add(length);
        if total > limits.total_bytes {
            return Err(InputError::file(&shown, format!("more than {} bytes unpacked", limits.total_bytes)));
        }
        let bytes = read_bounded(entry, length, &inner, limits)?;
        if bytes.len() as u64 != length {
            return Err(InputError::file(inner, format!("cut off after {} of {length} bytes", bytes.len())));
        }
        if visit(TestFile { path: inner, name, named: false, bytes }).is_break() {
            return Ok(());
        }
    }
    // The end mark of a tar comes before the checksum of what packs it: only the whole stream is known to be whole.
    let mut rest = archive.into_inner().take(limits.total_bytes);
    std::io::copy(&mut rest, &mut std::io::sink()).map_err(broken)?;
    Ok(())
}
