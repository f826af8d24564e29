//! Official state tests: one transaction on a state, by fork. Checked are the state root, the hash of the logs, the
//! expected exception by its name, the state field by field where the test gives it, and the transaction's bytes.

mod check;
mod format;
mod transaction;

use std::ops::ControlFlow;

pub use format::{Env, Indexes, Post, StateTest, Template};

use crate::fixture::{self, Pairs, Shape, is_foreign};
use crate::input_error::InputError;
use crate::run::Cases;
use check::Prepared;

const SHAPE: Shape = Shape { own: &["env", "post"] };

/// Runs every case of a file.
pub(crate) fn run_file(cases: &mut Cases<'_>) -> Result<ControlFlow<()>, InputError> {
    let file = cases.file;
    let tests: Pairs<String, StateTest> = match fixture::parse(&file.path, &file.bytes) {
        Ok(tests) => tests,
        Err(error) if is_foreign(SHAPE, &file.bytes) => return cases.foreign(error),
        Err(error) => return Err(error),
    };
    for (name, test) in &tests.0 {
        let at = |(field, detail): (String, &str)| {
            InputError::field(&file.path, format!("{name}.{field}"), detail)
        };
        let mut prepared = None;
        for (fork, posts) in &test.post.0 {
            if !cases.wants(fork) {
                continue;
            }
            let prepared = match &mut prepared {
                Some(prepared) => prepared,
                none => none.insert(Prepared::new(test).map_err(at)?),
            };
            let chain = prepared.chain(fork).map_err(at)?;
            for post in posts {
                post.indexes.check(&test.transaction).map_err(at)?;
                let case = case_name(name, fork, posts.len(), post);
                let full = cases.full_name(&case);
                let flow = cases
                    .run_in_modes(&case, full, fork, |mode| prepared.run(&chain, post, mode, cases.trace()));
                if flow.is_break() {
                    return Ok(flow);
                }
            }
        }
    }
    Ok(ControlFlow::Continue(()))
}

/// The case's name; one that does not say its fork and indexes itself gets them.
fn case_name(name: &str, fork: &str, posts: usize, post: &Post) -> String {
    if posts == 1 && name.contains(&format!("fork_{fork}")) {
        return name.to_owned();
    }
    let Indexes { data, gas, value } = post.indexes;
    format!("{name}[{fork}-d{data}g{gas}v{value}]")
}
