//! What the integration tests share: the sample fixtures, running them, and changing one value of them.

#![allow(dead_code, clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use serde_json::Value;
use solder_spec::{CaseReport, Format, InputError, Next, Options, Run, RunError, Verdict};

/// Longer than any test here may take.
const DEADLINE: Duration = Duration::from_secs(120);

/// The path of a sample fixture.
pub fn sample(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data").join(name)
}

/// A sample fixture, parsed.
pub fn load(name: &str) -> Value {
    serde_json::from_slice(&std::fs::read(sample(name)).unwrap()).unwrap()
}

/// What a run gave.
#[derive(Debug, Default)]
pub struct Reports {
    pub cases: Vec<CaseReport>,
    pub errors: Vec<RunError>,
    pub foreign: u64,
    pub transactions: u64,
    pub executions: u64,
}

impl Reports {
    /// The only input error.
    pub fn input_error(&self) -> &InputError {
        assert!(self.cases.is_empty(), "no case may be reported beside the error: {:?}", self.cases);
        match self.errors.as_slice() {
            [RunError::Input(error)] => error,
            other => panic!("expected one input error, got {other:?}"),
        }
    }

    /// The fields of all mismatches.
    pub fn fields(&self) -> Vec<String> {
        assert!(self.errors.is_empty(), "{:?}", self.errors);
        let failed = self.cases.iter().filter_map(|case| match &case.verdict {
            Verdict::Failed(wrong) => Some(wrong.iter().map(|mismatch| mismatch.field.clone())),
            _ => None,
        });
        failed.flatten().collect()
    }

    pub fn passed(&self) -> usize {
        self.cases.iter().filter(|case| case.verdict == Verdict::Passed).count()
    }
}

/// Runs paths to the end.
pub fn run_paths(format: Format, paths: &[&Path], options: Options) -> Result<Reports, InputError> {
    let paths: Vec<String> = paths.iter().map(|path| path.display().to_string()).collect();
    let mut run = Run::start(format, &paths, options)?;
    let mut reports = Reports::default();
    let started = Instant::now();
    loop {
        assert!(started.elapsed() < DEADLINE, "the run does not end");
        match run.next(Duration::from_millis(100)) {
            Next::Case(report) => reports.cases.push(*report),
            Next::Error(error) => reports.errors.push(error),
            Next::Pending => {}
            Next::Done => break,
        }
    }
    let progress = run.progress();
    let count = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
    reports.foreign = count(&progress.files_foreign);
    reports.transactions = count(&progress.transactions);
    reports.executions = count(&progress.executions);
    Ok(reports)
}

/// Writes bytes to a file of their own and runs it.
pub fn run_bytes(format: Format, bytes: &[u8]) -> Reports {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("case.json");
    std::fs::write(&path, bytes).unwrap();
    run_paths(format, &[&path], Options { threads: 1, ..Default::default() }).unwrap()
}

/// Runs a fixture.
pub fn run_value(format: Format, fixture: &Value) -> Reports {
    run_bytes(format, &serde_json::to_vec(fixture).unwrap())
}

/// The case whose name contains `part`, alone.
pub fn only(fixture: &Value, part: &str) -> Value {
    let (name, case) = fixture.as_object().unwrap().iter().find(|(name, _)| name.contains(part)).unwrap();
    Value::Object([(name.clone(), case.clone())].into_iter().collect())
}

/// The first case of a fixture.
pub fn case_mut(fixture: &mut Value) -> &mut Value {
    fixture.as_object_mut().unwrap().values_mut().next().unwrap()
}
