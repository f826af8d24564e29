//! Where real blocks and contract code come from: the data folder, or the samples of this repository.

use std::path::{Path, PathBuf};

use solder_spec::InputError;
use solder_spec::replay::Loader;

use crate::Workload;
use crate::workloads::Contracts;

const BLOCKS: [&str; 4] = ["mainnet/blocks.tar.xz", "mainnet/blocks", "blocks/mainnet", "mainnet"];
const BYTECODES: [&str; 3] = ["bytecodes/bytecodes.tar.xz", "bytecodes/bytecodes", "bytecodes"];

/// The data folder, where there is one: `SOLDER_DATA`, or `../shared/data` beside the repository.
#[derive(Clone, Debug)]
pub struct DataFolder(PathBuf);

impl DataFolder {
    /// Finds it.
    pub fn find() -> Option<Self> {
        let beside = || repository().join("../shared/data");
        let folder = std::env::var_os("SOLDER_DATA").map_or_else(beside, PathBuf::from);
        folder.is_dir().then_some(Self(folder))
    }

    fn first(&self, candidates: &[&str]) -> Option<PathBuf> {
        candidates.iter().map(|name| self.0.join(name)).find(|path| path.exists())
    }

    /// The mainnet blocks.
    pub fn blocks(&self) -> Option<PathBuf> {
        self.first(&BLOCKS)
    }

    /// The contract code that generated blocks use.
    pub fn contracts(&self) -> Result<Option<Contracts>, InputError> {
        self.first(&BYTECODES).map(|path| Contracts::load(&path)).transpose()
    }
}

fn repository() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/.."))
}

/// The sample blocks of this repository.
pub fn sample_blocks() -> PathBuf {
    repository().join("examples/blocks")
}

/// Loads every block under `path`.
pub fn load_blocks(path: &Path) -> Result<Vec<Workload>, InputError> {
    let mut loader = Loader::default();
    let ids = loader.find(&path.to_string_lossy())?;
    ids.iter()
        .map(|id| {
            let loaded = loader.load(id)?;
            let name = loaded.block.header.number.to_string();
            Ok(Workload {
                name,
                chain: loaded.chain,
                fork: loaded.fork,
                block: loaded.block,
                state: loaded.state,
            })
        })
        .collect()
}
