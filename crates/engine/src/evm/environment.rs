//! The interpreter's configuration and block environment, from a chain's rules and a header.

use alloy_primitives::U256;
use revm::context::{BlockEnv, CfgEnv};
use revm::context_interface::block::BlobExcessGasAndPrice;
use revm::primitives::hardfork::SpecId;

use crate::chain::{Chain, Fork, Header};

/// The configuration for a block with this header, in `fork` on `chain`.
pub fn config(chain: &Chain, fork: Fork, header: &Header) -> CfgEnv {
    let mut cfg = CfgEnv::new_with_spec(fork.spec_id()).with_chain_id(chain.id);
    if let Some(params) = chain.blob_params(fork) {
        cfg.set_max_blobs_per_tx(params.max_blobs_per_tx);
        cfg.blob_base_fee_update_fraction = u64::try_from(params.update_fraction).ok();
    }
    if fork == Fork::Amsterdam {
        super::amsterdam::set_prices(&mut cfg, header.gas_limit);
    }
    if fork == Fork::Constantinople {
        super::net_gas_metering::set_prices(&mut cfg);
    }
    cfg
}

/// The block environment for `header`.
pub fn block_env(chain: &Chain, fork: Fork, header: &Header) -> BlockEnv {
    let merged = fork.spec_id().is_enabled_in(SpecId::MERGE);
    let blob = chain.blob_params(fork).map(|params| {
        let excess_blob_gas = header.excess_blob_gas.unwrap_or_default();
        BlobExcessGasAndPrice { excess_blob_gas, blob_gasprice: params.calc_blob_fee(excess_blob_gas) }
    });
    BlockEnv {
        number: U256::from(header.number),
        beneficiary: header.beneficiary,
        timestamp: U256::from(header.timestamp),
        gas_limit: header.gas_limit,
        basefee: header.base_fee_per_gas.unwrap_or_default(),
        difficulty: header.difficulty,
        prevrandao: merged.then_some(header.mix_hash),
        blob_excess_gas_and_price: blob,
        slot_num: header.slot_number.unwrap_or_default(),
    }
}
