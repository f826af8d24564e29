//! Real blocks as cases: the given mainnet blocks, or the sample blocks of this repository.

use std::path::{Path, PathBuf};

use solder_spec::InputError;
use solder_spec::replay::Loader;

use crate::case::Case;

/// Blocks with their ids.
pub type Named = (String, Case);

/// The blocks under a path, by ascending number.
pub fn load(path: &str) -> Result<Vec<Named>, InputError> {
    let mut loader = Loader::default();
    let ids = loader.find(path)?;
    ids.into_iter().map(|id| loader.load(&id).map(|block| (id, case(block)))).collect()
}

fn case(loaded: solder_spec::replay::LoadedBlock) -> Case {
    let kept = (0..loaded.block.transactions.len()).collect();
    Case {
        seed: loaded.block.header.number,
        chain: loaded.chain,
        fork: loaded.fork,
        block: loaded.block,
        state: loaded.state,
        reward: None,
        transactions_only: false,
        intermediate: false,
        kept,
    }
}

/// Where the given blocks are: under the data folder, else the samples of this repository.
pub fn given(data: Option<&Path>) -> PathBuf {
    let repository = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../.."));
    let data = data.map_or_else(|| repository.join("../shared/data"), Path::to_owned);
    let archive = data.join("mainnet/blocks.tar.xz");
    if archive.exists() { archive } else { repository.join("examples/blocks") }
}
