use std::ops::ControlFlow;

use crate::input_error::InputError;
use crate::run::Cases;

pub(crate) fn run_file(cases: &mut Cases<'_>) -> Result<ControlFlow<()>, InputError> {
    Err(InputError::file(&cases.file.path, "not yet"))
}
