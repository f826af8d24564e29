//! Tells the module what it was built with and from (`versions()`).

use std::error::Error;
use std::path::Path;
use std::process::Command;
use std::{env, fs};

fn main() -> Result<(), Box<dyn Error>> {
    let rustc = env::var("RUSTC")?;
    let version = String::from_utf8(Command::new(rustc).arg("--version").output()?.stdout)?;
    println!("cargo::rustc-env=SOLDER_RUSTC={}", version.trim());
    println!("cargo::rustc-env=SOLDER_TARGET={}", env::var("TARGET")?);
    println!("cargo::rustc-env=SOLDER_PROFILE={}", env::var("PROFILE")?);

    let lock = Path::new(&env::var("CARGO_MANIFEST_DIR")?).join("../../Cargo.lock");
    println!("cargo::rerun-if-changed={}", lock.display());
    let text = fs::read_to_string(&lock)?;
    println!("cargo::rustc-env=SOLDER_REVM={}", locked_version(&text, "revm").ok_or("revm is not locked")?);
    Ok(())
}

/// The version of `package` in a Cargo.lock.
fn locked_version<'a>(lock: &'a str, package: &str) -> Option<&'a str> {
    let (_, rest) = lock.split_once(&format!("name = \"{package}\"\nversion = \""))?;
    rest.split_once('"').map(|(version, _)| version)
}
