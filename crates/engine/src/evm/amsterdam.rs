//! Amsterdam as the public fixtures have it (block access lists v5.7.0-alpha). revm is ahead of them: it prices
//! state by the later drafts of EIP-2780, 8037 and 8038, so the prices of the fixtures' draft are put in their place.
//! Experimental until the fork is final; the conformance table in the README says how far it gets.

use revm::bytecode::opcode;
use revm::context::CfgEnv;
use revm::context_interface::cfg::{GasId, gas_params::GasParams};
use revm::handler::instructions::EthInstructions;
use revm::interpreter::Host;
use revm::interpreter::instructions::gas_table_spec;
use revm::interpreter::interpreter::EthInterpreter;
use revm::primitives::hardfork::SpecId;

/// State bytes that an account, a slot and a delegation are priced at (EIP-8037, the fixtures' draft).
const NEW_ACCOUNT_BYTES: u64 = 112;
const STORAGE_SLOT_BYTES: u64 = 32;
const DELEGATION_BYTES: u64 = 23;
const CREATE_GAS: u64 = 9_000;
const AUTHORIZATION_GAS: u64 = 7_500;
const BLOCKS_PER_YEAR: u128 = 2_628_000;
const TARGET_STATE_GROWTH_BYTES: u128 = 100 << 30;
const QUANTISATION_OFFSET: u64 = 9_578;
const SIGNIFICANT_BITS: u32 = 5;

/// Gas for one byte of new state: what a year of half-full blocks may add, rounded to five significant bits.
pub fn cost_per_state_byte(block_gas_limit: u64) -> u64 {
    let raw = (u128::from(block_gas_limit) * BLOCKS_PER_YEAR).div_ceil(2 * TARGET_STATE_GROWTH_BYTES);
    let shifted = u64::try_from(raw).unwrap_or(u64::MAX / 2).saturating_add(QUANTISATION_OFFSET);
    let shift = (u64::BITS - shifted.leading_zeros()).saturating_sub(SIGNIFICANT_BITS);
    ((shifted >> shift) << shift).saturating_sub(QUANTISATION_OFFSET).max(1)
}

/// Sets the fixtures' prices for a block with this gas limit.
pub fn set_prices(cfg: &mut CfgEnv, block_gas_limit: u64) {
    let osaka = GasParams::new_spec(SpecId::OSAKA);
    let per_byte = cost_per_state_byte(block_gas_limit);
    cfg.enable_amsterdam_eip2780 = false;
    cfg.amsterdam_eip8246_delayed_clear_disabled = true;
    let unchanged = [
        GasId::tx_floor_cost_base_gas(),
        GasId::warm_storage_read_cost(),
        GasId::cold_account_additional_cost(),
        GasId::cold_storage_additional_cost(),
        GasId::cold_storage_cost(),
        GasId::transfer_value_cost(),
        GasId::sstore_static(),
        GasId::sstore_reset_without_cold_load_cost(),
        GasId::sstore_reset_refund(),
        GasId::sstore_clearing_slot_refund(),
    ];
    cfg.gas_params.override_gas(unchanged.map(|id| (id, osaka.get(id))));
    let reset = osaka.get(GasId::sstore_reset_without_cold_load_cost());
    cfg.gas_params.override_gas([
        (GasId::new_account_cost(), 0),
        (GasId::new_account_cost_for_selfdestruct(), 0),
        (GasId::sstore_set_without_load_cost(), reset),
        (GasId::sstore_set_refund(), osaka.get(GasId::sstore_reset_refund())),
        (GasId::create(), CREATE_GAS),
        (GasId::tx_create_cost(), CREATE_GAS),
        (GasId::tx_access_list_address_cost(), 2_400 + 20 * 64),
        (GasId::tx_access_list_storage_key_cost(), 1_900 + 32 * 64),
        (GasId::tx_eip7702_regular_gas(), AUTHORIZATION_GAS),
        (GasId::sstore_set_state_gas(), STORAGE_SLOT_BYTES * per_byte),
        (GasId::new_account_state_gas(), NEW_ACCOUNT_BYTES * per_byte),
        (GasId::create_state_gas(), NEW_ACCOUNT_BYTES * per_byte),
        (GasId::code_deposit_state_gas(), per_byte),
        (GasId::tx_eip7702_state_gas_bytecode(), DELEGATION_BYTES * per_byte),
    ]);
}

/// Takes back the second read that a later draft (EIP-8038) charges where code is looked at from outside.
pub fn set_instruction_prices<H: Host>(instructions: &mut EthInstructions<EthInterpreter, H>) {
    for opcode in [opcode::EXTCODESIZE, opcode::EXTCODECOPY] {
        instructions.insert_gas(opcode, gas_table_spec(SpecId::OSAKA)[opcode as usize]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cost_per_state_byte_is_quantised() {
        assert_eq!(cost_per_state_byte(100_000_000), 1_174);
        assert_eq!(cost_per_state_byte(120_000_000), 1_174);
        assert_eq!(cost_per_state_byte(1_000_000), 1);
    }
}
