//! Files, folders and archives as sources; limits, filters, and stopping a run.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod harness;

use std::fs::File;
use std::io::Write;
use std::path::Path;
use std::time::{Duration, Instant};

use harness::{run_paths, sample};
use solder_spec::source::Limits;
use solder_spec::{Format, InputError, Next, Options, Run, RunError};

/// A folder with both samples, an index, and a text file.
fn mixed_folder(root: &Path) {
    std::fs::create_dir_all(root.join("a/.meta")).unwrap();
    std::fs::copy(sample("state.json"), root.join("a/state.json")).unwrap();
    std::fs::copy(sample("block.json"), root.join("block.json")).unwrap();
    std::fs::write(root.join("a/.meta/index.json"), br#"{"root_hash": "0x00", "test_cases": [{"id": "x"}]}"#)
        .unwrap();
    std::fs::write(root.join("notes.txt"), b"no test").unwrap();
}

fn pack(root: &Path, archive: &Path) {
    let mut builder = tar::Builder::new(Vec::new());
    builder.append_dir_all("fixtures", root).unwrap();
    let bytes = builder.into_inner().unwrap();
    let file = File::create(archive).unwrap();
    if archive.extension().unwrap() == "xz" {
        let mut encoder = liblzma::write::XzEncoder::new(file, 1);
        encoder.write_all(&bytes).unwrap();
        encoder.finish().unwrap();
    } else {
        let mut encoder = flate2::write::GzEncoder::new(file, flate2::Compression::fast());
        encoder.write_all(&bytes).unwrap();
        encoder.finish().unwrap();
    }
}

fn limited(limits: Limits) -> Options {
    Options { limits, ..Default::default() }
}

#[test]
fn folders_and_archives_give_the_same_cases() {
    let folder = tempfile::tempdir().unwrap();
    let tree = folder.path().join("tree");
    mixed_folder(&tree);
    let (xz, gz) = (folder.path().join("tree.tar.xz"), folder.path().join("tree.tar.gz"));
    pack(&tree, &xz);
    pack(&tree, &gz);
    for path in [&tree, &xz, &gz] {
        let reports = run_paths(Format::State, &[path], Options::default()).unwrap();
        assert_eq!((reports.passed(), reports.foreign), (2, 2), "{reports:?}");
        let reports = run_paths(Format::Block, &[path], Options::default()).unwrap();
        assert_eq!((reports.passed(), reports.foreign), (2, 2), "{reports:?}");
    }
}

#[test]
fn names_stay_unique_however_often_a_file_is_given() {
    let path = sample("state.json");
    let reports = run_paths(Format::State, &[&path, &path, &path], Options::default()).unwrap();
    let mut names: Vec<_> = reports.cases.into_iter().map(|case| case.name).collect();
    names.sort();
    names.dedup();
    assert_eq!(names.len(), 6, "{names:?}");
}

#[test]
fn a_named_file_of_another_format_is_an_error() {
    let reports = run_paths(Format::State, &[&sample("block.json")], Options::default()).unwrap();
    assert!(reports.input_error().path.ends_with("block.json"));
    let missing = run_paths(Format::State, &[Path::new("no/such/file.json")], Options::default());
    assert_eq!(missing.unwrap_err().path, "no/such/file.json");
}

#[test]
fn limits_are_kept_and_named() {
    let folder = tempfile::tempdir().unwrap();
    let tree = folder.path().join("tree");
    mixed_folder(&tree);
    let xz = folder.path().join("tree.tar.xz");
    pack(&tree, &xz);
    let only_error = |paths: &[&Path], limits: Limits| -> InputError {
        match run_paths(Format::State, paths, limited(limits)) {
            Err(error) => error,
            Ok(reports) => match reports.errors.first() {
                Some(RunError::Input(error)) => error.clone(),
                other => panic!("{other:?}"),
            },
        }
    };
    let small = Limits { file_bytes: 100, ..Default::default() };
    assert!(only_error(&[&sample("state.json")], small).detail.contains("100 bytes"));
    assert!(only_error(&[&xz], small).path.contains("tree.tar.xz::"));
    assert!(
        only_error(&[&xz], Limits { total_bytes: 3000, ..Default::default() }).detail.contains("unpacked")
    );
    assert!(only_error(&[&xz], Limits { files: 1, ..Default::default() }).detail.contains("1 files"));
    assert!(only_error(&[&tree], Limits { files: 1, ..Default::default() }).detail.contains("1 files"));
    assert!(only_error(&[&tree], Limits { depth: 0, ..Default::default() }).detail.contains("deep"));
}

#[test]
fn broken_archives_are_input_errors() {
    let folder = tempfile::tempdir().unwrap();
    let tree = folder.path().join("tree");
    mixed_folder(&tree);
    let xz = folder.path().join("tree.tar.xz");
    pack(&tree, &xz);
    let bytes = std::fs::read(&xz).unwrap();
    for cut in [10, bytes.len() / 2, bytes.len() - 10] {
        std::fs::write(&xz, &bytes[..cut]).unwrap();
        let reports = run_paths(Format::State, &[&xz], Options::default()).unwrap();
        assert!(
            matches!(&reports.errors[..], [RunError::Input(error)] if error.path.contains("tree.tar.xz")),
            "{cut}: {reports:?}"
        );
    }
    let mut flipped = bytes.clone();
    flipped[bytes.len() / 2] ^= 0x55;
    std::fs::write(&xz, &flipped).unwrap();
    let reports = run_paths(Format::State, &[&xz], Options::default()).unwrap();
    assert!(!reports.errors.is_empty(), "{reports:?}");
}

#[test]
fn filters_choose_cases_by_fork_and_name() {
    let fork = |fork: &str| Options { fork: Some(fork.into()), ..Default::default() };
    let count = |options| run_paths(Format::State, &[&sample("state.json")], options).unwrap().cases.len();
    assert_eq!((count(fork("Osaka")), count(fork("Cancun")), count(fork("London"))), (1, 1, 0));
    assert_eq!(count(Options { filter: Some("BombLog2".into()), ..Default::default() }), 1);
    let unknown = run_paths(Format::State, &[&sample("state.json")], fork("Ozaka")).unwrap_err();
    assert_eq!(unknown.field.as_deref(), Some("fork"));
}

#[test]
fn dropping_a_run_ends_it_at_once() {
    let folder = tempfile::tempdir().unwrap();
    for number in 0..200 {
        std::fs::copy(sample("state.json"), folder.path().join(format!("{number}.json"))).unwrap();
    }
    let paths = [folder.path().display().to_string()];
    let mut run = Run::start(Format::State, &paths, Options { threads: 2, ..Default::default() }).unwrap();
    assert!(matches!(run.next(Duration::from_secs(20)), Next::Case(_)));
    let started = Instant::now();
    drop(run);
    assert!(started.elapsed() < Duration::from_secs(5));
}
