//! The command line.

use std::path::PathBuf;

const USAGE: &str = "usage: bench-engine [--repeats N] [--blocks PATH] [--only NAME] [--json FILE]

  --repeats N    runs of each engine per block, at least 1; times are minima (default 21)
  --blocks PATH  block folders, or an archive of them, instead of the data folder's
  --only NAME    only what begins with NAME: serial_vs_revm, recovery, native, erc20_100, ...
  --json FILE    write the last line to FILE too";
const DEFAULT_REPEATS: u32 = 21;

/// What to measure, and how often.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Options {
    pub repeats: u32,
    pub blocks: Option<PathBuf>,
    pub only: Option<String>,
    pub json: Option<PathBuf>,
}

impl Options {
    pub fn parse(mut arguments: impl Iterator<Item = String>) -> Result<Self, String> {
        let mut options = Self { repeats: DEFAULT_REPEATS, blocks: None, only: None, json: None };
        while let Some(name) = arguments.next() {
            if !["--repeats", "--blocks", "--only", "--json"].contains(&name.as_str()) {
                return Err(format!("unknown option {name}\n{USAGE}"));
            }
            let value = arguments.next().ok_or_else(|| format!("{name} needs a value\n{USAGE}"))?;
            match name.as_str() {
                "--repeats" => {
                    let repeats = value.parse().ok().filter(|repeats| *repeats > 0);
                    options.repeats =
                        repeats.ok_or_else(|| format!("--repeats {value}: no number above 0\n{USAGE}"))?;
                }
                "--blocks" => options.blocks = Some(value.into()),
                "--only" => options.only = Some(value),
                _ => options.json = Some(value.into()),
            }
        }
        Ok(options)
    }

    /// Whether `name` is to be measured.
    pub fn wants(&self, name: &str) -> bool {
        self.only.as_ref().is_none_or(|only| name.starts_with(only.as_str()))
    }
}
