//! The command line.

use std::path::PathBuf;

use solder_engine::parallel::MAX_WORKERS;

const USAGE: &str = "usage: bench-replay [--repeats N] [--workers N[,N...]] [--blocks PATH] [--only NAME] [--per-block] [--json FILE]

  --repeats N    runs of each engine per block, at least 1; times are minima (default 21)
  --workers N,N  worker counts to measure (default 2, 4, 8 ... up to the cores, 2 always); the first one is the
                 schedule's that predictions are made from
  --blocks PATH  block folders, or an archive of them, instead of the data folder's
  --only NAME    only this: blocks, erc20_100, or a family such as native
  --per-block    a row for each given block on standard error, and an object for each in the last line
  --json FILE    write the last line to FILE too";
const DEFAULT_REPEATS: u32 = 21;

/// What to measure, and how often.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Options {
    pub repeats: u32,
    /// Worker counts, not empty.
    pub workers: Vec<usize>,
    pub blocks: Option<PathBuf>,
    pub only: Option<String>,
    pub per_block: bool,
    pub json: Option<PathBuf>,
}

impl Options {
    /// Reads the command line of a machine with that many cores.
    pub fn parse(mut arguments: impl Iterator<Item = String>, cores: usize) -> Result<Self, String> {
        let doubled = std::iter::successors(Some(4usize), |workers| workers.checked_mul(2));
        let workers = std::iter::once(2).chain(doubled.take_while(|workers| *workers <= cores)).collect();
        let mut options = Self {
            repeats: DEFAULT_REPEATS,
            workers,
            blocks: None,
            only: None,
            per_block: false,
            json: None,
        };
        while let Some(name) = arguments.next() {
            if name == "--per-block" {
                options.per_block = true;
                continue;
            }
            if !["--repeats", "--workers", "--blocks", "--only", "--json"].contains(&name.as_str()) {
                return Err(format!("unknown option {name}\n{USAGE}"));
            }
            let value = arguments.next().ok_or_else(|| format!("{name} needs a value\n{USAGE}"))?;
            match name.as_str() {
                "--repeats" => {
                    let repeats = value.parse().ok().filter(|repeats| *repeats > 0);
                    options.repeats =
                        repeats.ok_or_else(|| format!("--repeats {value}: no number above 0\n{USAGE}"))?;
                }
                "--workers" => {
                    options.workers = parse_workers(&value)
                        .ok_or_else(|| format!("--workers {value}: not 2 to {MAX_WORKERS} each\n{USAGE}"))?;
                }
                "--blocks" => options.blocks = Some(value.into()),
                "--only" => options.only = Some(value),
                _ => options.json = Some(value.into()),
            }
        }
        Ok(options)
    }

    /// Whether `name` is to be measured: it is what was asked for, or one of that family.
    pub fn wants(&self, name: &str) -> bool {
        let Some(only) = &self.only else { return true };
        name.strip_prefix(only.as_str()).is_some_and(|rest| rest.is_empty() || rest.starts_with('_'))
    }
}

/// Different counts, each of at least two: one worker is measured anyway.
fn parse_workers(value: &str) -> Option<Vec<usize>> {
    let mut found = Vec::new();
    for part in value.split(',') {
        let workers = part.parse().ok().filter(|workers| (2..=MAX_WORKERS).contains(workers))?;
        if !found.contains(&workers) {
            found.push(workers);
        }
    }
    Some(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(line: &str) -> Result<Options, String> {
        Options::parse(line.split_whitespace().map(str::to_owned), 8)
    }

    #[test]
    fn options_are_read() {
        let options =
            parse("--repeats 3 --only native_100 --workers 4,2,4 --per-block --blocks a/b").unwrap();
        assert_eq!((options.repeats, options.per_block), (3, true));
        assert_eq!(options.workers, [4, 2]);
        assert_eq!(options.blocks, Some("a/b".into()));
        assert!(options.wants("native_100"));
        assert!(!options.wants("native_1000") && !options.wants("blocks"));
    }

    #[test]
    fn two_workers_are_measured_on_any_machine() {
        assert_eq!(parse("").unwrap().workers, [2, 4, 8]);
        for cores in [1, 2, 3] {
            assert_eq!(Options::parse(std::iter::empty(), cores).unwrap().workers, [2]);
        }
    }

    #[test]
    fn wrong_options_are_refused() {
        for line in
            ["--repeats", "--repeats 0", "--workers 1", "--workers 2,", "--workers 129", "--fast", "native"]
        {
            assert!(parse(line).is_err(), "{line}");
        }
    }
}
