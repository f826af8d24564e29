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

/// The blocks to measure: those under `path`, else the data folder's, else the samples, and then it says so.
pub fn measured_blocks(path: Option<&Path>, data: Option<&DataFolder>) -> Result<Vec<Workload>, InputError> {
    let path = path.map(Path::to_owned).or_else(|| data.and_then(DataFolder::blocks));
    let path = path.unwrap_or_else(|| {
        eprintln!(
            "no data folder (SOLDER_DATA): the sample blocks of this repository stand in for mainnet's"
        );
        sample_blocks()
    });
    let blocks = load_blocks(&path)?;
    eprintln!("{} blocks from {}", blocks.len(), path.display());
    Ok(blocks)
}

/// The contracts of the data folder. Says what is left out where there are none.
pub fn measured_contracts(data: Option<&DataFolder>) -> Result<Option<Contracts>, InputError> {
    let contracts = data.map(DataFolder::contracts).transpose()?.flatten();
    if contracts.is_none() {
        eprintln!("no data folder (SOLDER_DATA): blocks of ERC-20 transfers and Uniswap swaps are left out");
    }
    Ok(contracts)
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
