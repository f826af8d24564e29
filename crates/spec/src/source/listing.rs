//! Paths, as a person names them, to sources in a fixed order.

use std::fs;
use std::path::Path;

use super::{Limits, Source, is_archive};
use crate::input_error::InputError;

/// Lists the sources behind `paths`: folders are walked in sorted order for `.json` files and archives.
pub fn list(paths: &[String], limits: &Limits) -> Result<Vec<Source>, InputError> {
    let mut sources = Vec::new();
    for shown in paths {
        let path = Path::new(shown);
        let kind = fs::metadata(path).map_err(|error| InputError::file(shown, error))?;
        if kind.is_dir() {
            walk(path, path, &mut sources, limits, 0)?;
        } else if is_archive(path) {
            sources.push(Source::Archive { path: path.to_owned() });
        } else {
            let name =
                path.file_name().map_or_else(|| shown.clone(), |name| name.to_string_lossy().into_owned());
            sources.push(Source::File { path: path.to_owned(), name, named: true });
        }
    }
    if sources.is_empty() {
        return Err(InputError::file(paths.join(" "), "no test files"));
    }
    Ok(sources)
}

fn walk(
    root: &Path,
    folder: &Path,
    sources: &mut Vec<Source>,
    limits: &Limits,
    depth: usize,
) -> Result<(), InputError> {
    let shown = folder.display().to_string();
    if depth > limits.depth {
        return Err(InputError::file(shown, format!("more than {} folders deep", limits.depth)));
    }
    let mut children = fs::read_dir(folder)
        .and_then(|entries| {
            entries.map(|entry| entry.map(|entry| entry.path())).collect::<Result<Vec<_>, _>>()
        })
        .map_err(|error| InputError::file(&shown, error))?;
    children.sort();
    for child in children {
        if child.is_dir() {
            walk(root, &child, sources, limits, depth + 1)?;
        } else if is_archive(&child) {
            sources.push(Source::Archive { path: child });
        } else if child.extension().is_some_and(|extension| extension == "json") {
            let name = child.strip_prefix(root).unwrap_or(&child).to_string_lossy().into_owned();
            sources.push(Source::File { path: child, name, named: false });
        }
        if sources.len() > limits.files {
            return Err(InputError::file(shown, format!("more than {} files", limits.files)));
        }
    }
    Ok(())
}
