//! revm's reasons to refuse a transaction, by their official names.

use revm::context::result::InvalidTransaction;

use super::TransactError;
use crate::error::{Code, EngineError, Fault, Rejection};

/// The rejection or the fault behind an error of the interpreter.
pub fn from_revm(error: TransactError) -> EngineError {
    match error {
        TransactError::Transaction(invalid) => Rejection::new(code(&invalid), invalid.to_string()).into(),
        TransactError::Database(fault) => fault.into(),
        other => Fault::Interpreter(other.to_string()).into(),
    }
}

fn code(invalid: &InvalidTransaction) -> Code {
    match invalid {
        InvalidTransaction::PriorityFeeGreaterThanMaxFee => Code::PriorityGreaterThanMaxFee,
        InvalidTransaction::GasPriceLessThanBasefee => Code::InsufficientMaxFeePerGas,
        InvalidTransaction::CallerGasLimitMoreThanBlock => Code::GasAllowanceExceeded,
        InvalidTransaction::CallGasCostMoreThanGasLimit { .. } => Code::IntrinsicGasTooLow,
        InvalidTransaction::GasFloorMoreThanGasLimit { .. } => Code::IntrinsicGasBelowFloorGasCost,
        InvalidTransaction::RejectCallerWithCode => Code::SenderNotEoa,
        InvalidTransaction::LackOfFundForMaxFee { .. } => Code::InsufficientAccountFunds,
        InvalidTransaction::OverflowPaymentInTransaction => Code::InsufficientAccountFunds,
        InvalidTransaction::NonceOverflowInTransaction => Code::NonceIsMax,
        InvalidTransaction::NonceTooHigh { .. } => Code::NonceMismatchTooHigh,
        InvalidTransaction::NonceTooLow { .. } => Code::NonceMismatchTooLow,
        InvalidTransaction::CreateInitCodeSizeLimit => Code::InitcodeSizeExceeded,
        InvalidTransaction::InvalidChainId | InvalidTransaction::MissingChainId => Code::InvalidChainId,
        InvalidTransaction::TxGasLimitGreaterThanCap { .. } => Code::GasLimitExceedsMaximum,
        InvalidTransaction::BlobGasPriceGreaterThanMax { .. } => Code::InsufficientMaxFeePerBlobGas,
        InvalidTransaction::EmptyBlobs => Code::Type3ZeroBlobs,
        InvalidTransaction::BlobCreateTransaction => Code::Type3ContractCreation,
        InvalidTransaction::TooManyBlobs { .. } => Code::Type3BlobCountExceeded,
        InvalidTransaction::BlobVersionNotSupported => Code::Type3InvalidVersionedHash,
        InvalidTransaction::EmptyAuthorizationList => Code::Type4EmptyAuthorizationList,
        InvalidTransaction::Eip2930NotSupported | InvalidTransaction::AccessListNotSupported => {
            Code::Type1PreFork
        }
        InvalidTransaction::Eip1559NotSupported => Code::Type2PreFork,
        InvalidTransaction::Eip4844NotSupported
        | InvalidTransaction::MaxFeePerBlobGasNotSupported
        | InvalidTransaction::BlobVersionedHashesNotSupported => Code::Type3PreFork,
        InvalidTransaction::Eip7702NotSupported
        | InvalidTransaction::AuthorizationListNotSupported
        | InvalidTransaction::AuthorizationListInvalidFields => Code::Type4PreFork,
        InvalidTransaction::Eip7873NotSupported
        | InvalidTransaction::Eip7873MissingTarget
        | InvalidTransaction::Str(_) => Code::TypeNotSupported,
    }
}
