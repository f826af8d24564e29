//! The command line.

use std::path::PathBuf;

const USAGE: &str = "usage: bench-engine [--repeats N] [--blocks PATH] [--only NAME] [--json FILE]

  --repeats N    runs of each engine per block, at least 1; times are minima (default 21)
  --blocks PATH  block folders, or an archive of them, instead of the data folder's
  --only NAME    only this: serial_vs_revm, recovery, erc20_100, or a family such as native
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

    /// Whether `name` is to be measured: it is what was asked for, or one of that family.
    pub fn wants(&self, name: &str) -> bool {
        let Some(only) = &self.only else { return true };
        name.strip_prefix(only.as_str()).is_some_and(|rest| rest.is_empty() || rest.starts_with('_'))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(line: &str) -> Result<Options, String> {
        Options::parse(line.split_whitespace().map(str::to_owned))
    }

    #[test]
    fn options_are_read() {
        let options = parse("--repeats 3 --only native_100 --blocks a/b --json out").unwrap();
        assert_eq!(options.repeats, 3);
        assert_eq!(options.blocks, Some("a/b".into()));
        assert_eq!(options.json, Some("out".into()));
        assert!(options.wants("native_100"));
        assert!(!options.wants("native_1000") && !options.wants("native"));
    }

    #[test]
    fn a_family_is_wanted_as_a_whole() {
        let options = parse("--only native").unwrap();
        assert!(options.wants("native_1") && options.wants("native_1000"));
        assert!(!options.wants("serial_vs_revm"));
        assert!(parse("").unwrap().wants("anything"));
    }

    #[test]
    fn wrong_options_are_refused() {
        for line in ["--repeats", "--repeats 0", "--repeats many", "--fast", "native"] {
            assert!(parse(line).is_err(), "{line}");
        }
    }
}
