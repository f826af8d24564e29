//! Compiled contracts of others, from the data folder: an ERC-20 token (CuEVM's), WETH, and Uniswap V2's pair and
//! router (revmc's). None of them is part of this repository.

use std::ops::ControlFlow;
use std::path::Path;

use alloy_primitives::Bytes;
use alloy_primitives::hex;
use solder_spec::InputError;
use solder_spec::source::{Limits, for_each_archived, is_archive, read_file};

const LIMITS: Limits = Limits { file_bytes: 1 << 20, files: 10_000, total_bytes: 64 << 20, depth: 4 };
const ERC20: &str = "cuevm_erc20_transfer.hex";
const WETH: &str = "revmc_weth_cccccc.hex";
const PAIR: &str = "revmc_uniswap_v2_pair_cccccc.hex";
const ROUTER: &str = "revmc_univ2_router_cccccc.hex";

/// Runtime code.
#[derive(Clone, Debug)]
pub struct Contracts {
    /// A token. Balances are at slot 1, allowances at 2.
    pub erc20: Bytes,
    /// Wrapped ether. Balances are at slot 3, allowances at 4.
    pub weth: Bytes,
    /// A Uniswap V2 pair.
    pub pair: Bytes,
    /// Uniswap V2's second router, for mainnet's factory and WETH.
    pub router: Bytes,
}

impl Contracts {
    /// Reads them from an archive, or a folder with a `hex` folder in it.
    pub fn load(path: &Path) -> Result<Self, InputError> {
        let shown = path.display().to_string();
        let mut files: Vec<(String, Vec<u8>)> = Vec::new();
        if is_archive(path) {
            for_each_archived(
                path,
                &LIMITS,
                |name| name.ends_with(".hex"),
                |file| {
                    files.push((file.name, file.bytes));
                    ControlFlow::Continue(())
                },
            )?;
        } else {
            for name in [ERC20, WETH, PAIR, ROUTER] {
                files.push((name.to_owned(), read_file(&path.join("hex").join(name), &LIMITS)?));
            }
        }
        let code = |name: &str| {
            let found = files.iter().find(|(path, _)| path.rsplit('/').next() == Some(name));
            let (_, text) = found.ok_or_else(|| InputError::field(&shown, name, "no such file"))?;
            let code =
                hex::decode(text.trim_ascii()).map_err(|error| InputError::field(&shown, name, error))?;
            Ok(Bytes::from(code))
        };
        Ok(Self { erc20: code(ERC20)?, weth: code(WETH)?, pair: code(PAIR)?, router: code(ROUTER)? })
    }
}
