//! Replays blocks and prints a line for each: `cargo run --release -p solder-spec --example replay -- PATH [REPEAT]`.

use std::process::ExitCode;

use solder_spec::InputError;
use solder_spec::replay::{LoadedBlock, Loader, Replay, ReplayOptions, replay};

fn main() -> ExitCode {
    let mut arguments = std::env::args().skip(1);
    let Some(path) = arguments.next() else {
        eprintln!("usage: replay PATH [REPEAT]");
        return ExitCode::from(2);
    };
    let repeat = arguments.next().and_then(|text| text.parse().ok()).unwrap_or(1);
    match run(&path, repeat) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::from(2)
        }
    }
}

fn run(path: &str, repeat: u32) -> Result<bool, InputError> {
    let mut loader = Loader::default();
    let (mut all_ok, mut gas, mut seconds) = (true, 0u64, 0f64);
    for id in loader.find(path)? {
        let loaded = loader.load(&id)?;
        let LoadedBlock { chain, fork, block, state, false_claims, .. } = &loaded;
        for claim in false_claims {
            all_ok = false;
            println!("{id}: {}: the header says {}, it is {}", claim.field, claim.claimed, claim.found);
        }
        match replay(chain, *fork, block, state, &ReplayOptions { repeat, ..Default::default() }) {
            Ok(found) => {
                all_ok &= found.is_ok();
                gas += found.gas_used;
                seconds += found.serial_seconds;
                println!("{}", line(&found));
            }
            Err(error) => {
                all_ok = false;
                println!("{id}: {error}");
            }
        }
    }
    println!("{gas} gas in {:.2} ms, {:.0} Mgas/s", seconds * 1e3, gas as f64 / seconds / 1e6);
    Ok(all_ok)
}

fn line(found: &Replay) -> String {
    let mark = |ok: Option<bool>| ok.map_or("-", |ok| if ok { "ok" } else { "WRONG" });
    format!(
        "{:>8} {:16} {:>4} transactions {:>8} gas {:>8.3} ms (cpu {:>8.3})  gas {} receipts {} bloom {}  memo {}/{}  {}",
        found.block,
        found.fork.name(),
        found.transactions,
        found.gas_used,
        found.serial_seconds * 1e3,
        found.serial_cpu_seconds * 1e3,
        mark(Some(found.gas_used_ok)),
        mark(found.receipts_root_ok),
        mark(Some(found.logs_bloom_ok)),
        found.keccak_memo.0,
        found.keccak_memo.0 + found.keccak_memo.1,
        found.state_digest,
    )
}
