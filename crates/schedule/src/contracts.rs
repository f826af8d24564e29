//! Names of contracts on Ethereum's mainnet that busy blocks meet again and again, so that a hot location can be read.
//! Each spelling carries its checksum, which a test verifies.

use alloy_primitives::{Address, U256};
use solder_engine::parallel::record::Location;

use crate::trace::field_name;

/// What a contract's low slots hold, where its layout is known.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Layout {
    Other,
    /// Reserves of both tokens are packed into slot 8.
    PairV2,
    /// Price, tick and the oracle's index are packed into slot 0.
    PoolV3,
}

use Layout::{Other, PairV2, PoolV3};

const CONTRACTS: [(&str, &str, Layout); 30] = [
    ("0xC02aaA39b223FE8D0A0e5C4F27eAD9083C756Cc2", "WETH", Other),
    ("0xA0b86991c6218b36c1d19D4a2e9Eb0cE3606eB48", "USDC", Other),
    ("0xdAC17F958D2ee523a2206206994597C13D831ec7", "USDT", Other),
    ("0x6B175474E89094C44Da98b954EedeAC495271d0F", "DAI", Other),
    ("0x2260FAC5E5542a773Aa44fBCfeDf7C193bc2C599", "WBTC", Other),
    ("0x514910771AF9Ca656af840dff83E8264EcF986CA", "LINK", Other),
    ("0x1f9840a85d5aF5bf1D1762F925BDADdC4201F984", "UNI", Other),
    ("0x95aD61b0a150d79219dCF64E1E6Cc01f0B64C4cE", "SHIB", Other),
    ("0x6982508145454Ce325dDbE47a25d4ec3d2311933", "PEPE", Other),
    ("0x7a250d5630B4cF539739dF2C5dAcb4c659F2488D", "Uniswap V2 router", Other),
    ("0x5C69bEe701ef814a2B6a3EDD4B1652CB9cc5aA6f", "Uniswap V2 factory", Other),
    ("0xE592427A0AEce92De3Edee1F18E0157C05861564", "Uniswap V3 router", Other),
    ("0x68b3465833fb72A70ecDF485E0e4C7bD8665Fc45", "Uniswap V3 router 2", Other),
    ("0x1F98431c8aD98523631AE4a59f267346ea31F984", "Uniswap V3 factory", Other),
    ("0x3fC91A3afd70395Cd496C647d5a6CC9D4B2b7FAD", "Uniswap universal router", Other),
    ("0x000000000022D473030F116dDEE9F6B43aC78BA3", "Permit2", Other),
    ("0xB4e16d0168e52d35CaCD2c6185b44281Ec28C9Dc", "Uniswap V2 USDC/WETH", PairV2),
    ("0x0d4a11d5EEaaC28EC3F61d100daF4d40471f1852", "Uniswap V2 WETH/USDT", PairV2),
    ("0xA478c2975Ab1Ea89e8196811F51A7B7Ade33eB11", "Uniswap V2 DAI/WETH", PairV2),
    ("0x88e6A0c2dDD26FEEb64F039a2c41296FcB3f5640", "Uniswap V3 USDC/WETH 0.05 %", PoolV3),
    ("0x8ad599c3A0ff1De082011EFDDc58f1908eb6e6D8", "Uniswap V3 USDC/WETH 0.3 %", PoolV3),
    ("0x11b815efB8f581194ae79006d24E0d814B7697F6", "Uniswap V3 WETH/USDT 0.05 %", PoolV3),
    ("0x4e68Ccd3E89f51C3074ca5072bbAC773960dFa36", "Uniswap V3 WETH/USDT 0.3 %", PoolV3),
    ("0xd9e1cE17f2641f24aE83637ab66a2cca9C378B9F", "SushiSwap router", Other),
    ("0x1111111254EEB25477B68fb85Ed929f73A960582", "1inch router 5", Other),
    ("0x1111111254fb6c44bAC0beD2854e76F90643097d", "1inch router 4", Other),
    ("0x00000000000000ADc04C56Bf30aC9d3c0aAF14dC", "Seaport 1.5", Other),
    ("0x00000000219ab540356cBB839Cbe05303d7705Fa", "beacon deposit contract", Other),
    ("0x000F3df6D732807Ef1319fB7B8bB8522d0Beac02", "beacon roots", Other),
    ("0x06012c8cf97BEaD5deAe237070F9587f8E7A266d", "CryptoKitties", Other),
];

fn entry(address: &Address) -> Option<&'static (&'static str, &'static str, Layout)> {
    CONTRACTS.iter().find(|(spelling, ..)| spelling.parse() == Ok(*address))
}

/// The name of a well-known contract.
pub fn contract_name(address: &Address) -> Option<&'static str> {
    entry(address).map(|(_, name, _)| *name)
}

/// What a slot of a well-known contract holds.
pub fn slot_name(address: &Address, slot: &U256) -> Option<&'static str> {
    match entry(address)?.2 {
        PairV2 if *slot == U256::from(8) => Some("reserves"),
        PoolV3 if slot.is_zero() => Some("price and tick"),
        _ => None,
    }
}

/// The account that a location belongs to.
pub fn owner(location: &Location) -> &Address {
    match location {
        Location::Balance(address)
        | Location::Nonce(address)
        | Location::Code(address)
        | Location::Existence(address)
        | Location::Slot(address, _) => address,
    }
}

/// A location in one line: its account by name where it has one, and the field. Holds nothing that JSON or XML escapes.
pub fn describe(location: &Location, beneficiary: Option<&Address>) -> String {
    let address = owner(location);
    let who = match contract_name(address) {
        Some(name) => name.to_owned(),
        None if beneficiary == Some(address) => "coinbase".into(),
        None => format!("{address:#x}"),
    };
    match location {
        Location::Slot(_, slot) => match slot_name(address, slot) {
            Some(name) => format!("{who} slot {slot:#x} ({name})"),
            None => format!("{who} slot {slot:#x}"),
        },
        _ => format!("{who} {}", field_name(location)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spellings_carry_their_checksum() {
        for (spelling, name, _) in CONTRACTS {
            assert!(Address::parse_checksummed(spelling, None).is_ok(), "{name} {spelling}");
        }
        let mut names: Vec<_> = CONTRACTS.iter().map(|(_, name, _)| name).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), CONTRACTS.len());
    }

    #[test]
    fn descriptions_name_what_is_known() {
        let pair: Address = CONTRACTS[16].0.parse().unwrap();
        assert_eq!(
            describe(&Location::Slot(pair, U256::from(8)), None),
            "Uniswap V2 USDC/WETH slot 0x8 (reserves)"
        );
        let coinbase = Address::repeat_byte(7);
        assert_eq!(describe(&Location::Balance(coinbase), Some(&coinbase)), "coinbase balance");
        assert_eq!(describe(&Location::Nonce(coinbase), None), format!("{coinbase:#x} nonce"));
    }
}
