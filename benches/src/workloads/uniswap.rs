//! Swaps on Uniswap V2 through its router, on several pools of a token with WETH. Swaps of one pool depend on each
//! other, swaps of different pools do not.

use alloy_primitives::{Address, B256, Bytes, U256, address, b256, keccak256};

use super::builder::{Builder, call_data, mapping_slot, word};
use super::{Contracts, Workload};

/// How many pools a block trades on.
pub const UNISWAP_POOLS: usize = 8;

const FACTORY: Address = address!("0x5c69bee701ef814a2b6a3edd4b1652cb9cc5aa6f");
const WETH: Address = address!("0xc02aaa39b223fe8d0a0e5c4f27ead9083c756cc2");
const PAIR_INIT_CODE_HASH: B256 = b256!("0x96e8ac4277198ff8b6f785478aa9a39f403cb768dd02cbee326c3e7da348845f");
/// `swapExactTokensForTokens(uint256,uint256,address[],address,uint256)`.
const SWAP: [u8; 4] = [0x38, 0xed, 0x17, 0x39];
/// What one swap uses, about.
const GAS: u64 = 90_500;
const GAS_LIMIT: u64 = 250_000;
/// Reserves of a pool, and what a trader holds, in the least unit of either token.
const RESERVE: u128 = 1_000_000_000_000_000_000_000_000;
const HOLDING: u128 = 1_000_000_000_000_000_000_000;
const ERC20_SLOTS: MappingSlots = MappingSlots { balances: 1, allowances: 2 };
const WETH_SLOTS: MappingSlots = MappingSlots { balances: 3, allowances: 4 };

/// Where a token keeps its mappings.
#[derive(Clone, Copy)]
struct MappingSlots {
    balances: u64,
    allowances: u64,
}

impl MappingSlots {
    fn balance(self, owner: Address) -> U256 {
        mapping_slot(owner.into_word(), word(self.balances))
    }

    fn allowance(self, owner: Address, spender: Address) -> U256 {
        let outer: B256 = mapping_slot(owner.into_word(), word(self.allowances)).into();
        mapping_slot(spender.into_word(), outer)
    }

    /// What a trader needs: a holding, and the router's leave to move it.
    fn trader(self, owner: Address, router: Address) -> [(U256, U256); 2] {
        [(self.balance(owner), U256::from(HOLDING)), (self.allowance(owner, router), U256::MAX)]
    }
}

/// Each trader swaps once, one half of them a token for WETH, the other half WETH for a token.
pub fn uniswap_swaps(contracts: &Contracts, gas: u64, seed: u64) -> Workload {
    swaps(contracts, UNISWAP_POOLS, gas, seed).finish("uniswap", gas)
}

/// The same on one pool: each swap depends on the one before.
pub fn one_pool(contracts: &Contracts, gas: u64, seed: u64) -> Workload {
    swaps(contracts, 1, gas, seed).finish("one_pool", gas)
}

fn swaps(contracts: &Contracts, pools: usize, gas: u64, seed: u64) -> Builder {
    let mut builder = Builder::new(seed);
    let router = builder.rng.address();
    let tokens: Vec<_> = (0..pools).map(|_| builder.rng.address()).collect();
    let pairs: Vec<_> = tokens.iter().map(|token| pair_address(*token)).collect();
    builder.contract(router, &contracts.router, U256::ZERO, []);
    for (token, pair) in tokens.iter().zip(&pairs) {
        builder.contract(*pair, &contracts.pair, U256::ZERO, pair_storage(*token));
    }
    let traders = builder.accounts((gas / GAS).max(1) as usize);
    let mut weth: Vec<_> =
        pairs.iter().map(|pair| (WETH_SLOTS.balance(*pair), U256::from(RESERVE))).collect();
    let mut held: Vec<Vec<_>> =
        pairs.iter().map(|pair| vec![(ERC20_SLOTS.balance(*pair), U256::from(RESERVE))]).collect();
    for (index, trader) in traders.iter().enumerate() {
        let pool = index % pools;
        let sells_token = (index / pools).is_multiple_of(2);
        // A slot that holds the other token already is written, not created: swaps cost about the same.
        weth.extend(WETH_SLOTS.trader(*trader, router));
        held[pool].extend(ERC20_SLOTS.trader(*trader, router));
        let path = if sells_token { [tokens[pool], WETH] } else { [WETH, tokens[pool]] };
        let amount = 1_000_000_000 + builder.rng.next_u64() % 1_000_000_000;
        builder.send(*trader, 0, router, GAS_LIMIT, 0, swap_data(amount, path, *trader));
    }
    let ether = U256::from(RESERVE) * U256::from(pools) + U256::from(HOLDING) * U256::from(traders.len());
    builder.contract(WETH, &contracts.weth, ether, weth);
    for (token, storage) in tokens.iter().zip(held) {
        builder.contract(*token, &contracts.erc20, U256::ZERO, storage);
    }
    builder
}

/// The tokens of a pool in the factory's order.
fn sorted(token: Address) -> [Address; 2] {
    if token < WETH { [token, WETH] } else { [WETH, token] }
}

fn pair_address(token: Address) -> Address {
    let [first, second] = sorted(token);
    let salt = keccak256([first.as_slice(), second.as_slice()].concat());
    FACTORY.create2(salt, PAIR_INIT_CODE_HASH)
}

/// The pair as it is after liquidity was added: factory, tokens, reserves with the time, the unlocked guard.
fn pair_storage(token: Address) -> [(U256, U256); 8] {
    let [first, second] = sorted(token);
    let slot = |slot: u64, value: U256| (U256::from(slot), value);
    let address = |address: Address| U256::from_be_bytes(address.into_word().0);
    let reserves = U256::from(RESERVE) | U256::from(RESERVE) << 112 | U256::from(1_711_200_000u64) << 224;
    [
        slot(0, U256::from(RESERVE)),
        slot(5, address(FACTORY)),
        slot(6, address(first)),
        slot(7, address(second)),
        slot(8, reserves),
        slot(9, U256::from(1)),
        slot(10, U256::from(1)),
        slot(12, U256::from(1)),
    ]
}

fn swap_data(amount: u64, path: [Address; 2], to: Address) -> Bytes {
    let words = [
        word(amount),
        word(0),
        word(5 * 32),
        to.into_word(),
        word(u64::MAX),
        word(2),
        path[0].into_word(),
        path[1].into_word(),
    ];
    call_data(SWAP, &words)
}
