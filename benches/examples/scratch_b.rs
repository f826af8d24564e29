//! scratch
use solder_bench::data::{DataFolder, load_blocks, measured_contracts};
use solder_bench::workloads::{Family, Workload};
use solder_engine::{ExecuteOptions, Parallel, execute_block};
use solder_schedule::{BlockLabel, BlockSchedule, write_trace};
use std::time::Instant;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn run(w: &Workload, parallel: Option<Parallel>) -> (f64, Option<solder_engine::parallel::Report>) {
    let options = ExecuteOptions { parallel, ..Default::default() };
    let (block, state) = (w.block.clone(), w.state.clone());
    let t = Instant::now();
    let out = execute_block(&w.chain, w.fork, &block, &state, &options).unwrap();
    let s = t.elapsed().as_secs_f64();
    (s, out.parallel)
}

fn main() {
    let args: Vec<String> = std::env::args().collect();
    let out = &args[1];
    let repeats: usize = args[2].parse().unwrap();
    let workers: Vec<usize> = args[3].split(',').map(|x| x.parse().unwrap()).collect();
    let what = args.get(4).cloned().unwrap_or_default();
    let data = DataFolder::find();
    let mut sets: Vec<(String, Vec<Workload>)> = Vec::new();
    if what != "gen" {
        let path = args.get(5).map(|p| p.into()).or_else(|| data.as_ref().and_then(|d| d.blocks())).unwrap();
        sets.push(("blocks".into(), load_blocks(&path).unwrap()));
    }
    if what != "blocks" {
        let contracts = measured_contracts(data.as_ref()).unwrap();
        for f in Family::ALL {
            for gas in [20_000_000, 100_000_000] {
                if let Some(w) = f.generate(contracts.as_ref(), gas, 0x501d_e201) {
                    sets.push((format!("{}_{}", f.name(), gas / 1_000_000), vec![w]));
                }
            }
        }
    }
    for (name, set) in sets {
        for &n in &workers {
            let mut blocks = Vec::new();
            for w in &set {
                let plain = Parallel { workers: n, forced: true, ..Default::default() };
                let mut serial = f64::MAX;
                let mut par = f64::MAX;
                let mut rec = f64::MAX;
                let mut best = None;
                let mut gas = 0;
                for k in 0..=repeats {
                    let (a, _) = run(w, None);
                    let (b, _) = run(w, Some(plain));
                    let (c, r) = run(w, Some(Parallel { record: true, ..plain }));
                    if k == 0 {
                        continue;
                    }
                    serial = serial.min(a);
                    par = par.min(b);
                    if c < rec {
                        rec = c;
                        best = r.unwrap().schedule;
                    }
                }
                let schedule = best.unwrap();
                for t in &schedule.transactions {
                    gas += t.gas_used;
                }
                let label = BlockLabel {
                    number: w.block.header.number,
                    gas_used: gas,
                    transactions: w.block.transactions.len() as u64,
                    beneficiary: Some(w.block.header.beneficiary),
                    serial_seconds: Some(serial),
                    parallel_seconds: Some(par),
                };
                blocks.push(BlockSchedule { label, schedule });
            }
            write_trace(format!("{out}/{name}.w{n}.json").as_ref(), &blocks).unwrap();
        }
        eprintln!("{name}");
    }
}
