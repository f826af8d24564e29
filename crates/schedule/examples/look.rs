//! scratch
use solder_schedule::analysis::*;
use solder_schedule::*;
fn main() {
    let args: Vec<String> = std::env::args().skip(1).collect();
    if args[0] == "svg" {
        let blocks = read_trace(args[1].as_ref()).unwrap();
        let b = match args.get(2) {
            Some(n) => blocks.iter().find(|b| b.label.number == n.parse::<u64>().unwrap()).unwrap(),
            None => blocks.iter().max_by_key(|b| b.schedule.wall).unwrap(),
        };
        println!("{}", picture::svg(b));
        return;
    }
    if args[0] == "sumf" {
        let blocks = read_trace(args[1].as_ref()).unwrap();
        let s = Summary::new(&blocks, Filter { min_gas: 4_000_000, min_transactions: 8 });
        println!(
            "blocks {} limit {:?} pred {:?} ratio {:?}",
            s.blocks,
            s.limit.map(|x| (x.unwrap() * 100.).round() / 100.),
            s.predicted_speedup.map(|x| (x.unwrap() * 100.).round() / 100.),
            [0, 1, 2, 3, 4].map(|i| (s.predicted_speedup[i].unwrap() / s.limit[i].unwrap() * 100.).round())
        );
        return;
    }
    let per = args[0] == "per";
    for path in &args[1..] {
        let blocks = read_trace(path.as_ref()).unwrap();
        let n = blocks[0].schedule.workers as usize;
        let (mut ser, mut meas, mut wall, mut pred, mut ex, mut pex, mut rex) =
            (0., 0., 0., [0.0; 6], 0., 0, 0);
        let (mut cp, mut wk) = (0., 0.);
        let mut abs = 0.0;
        for b in &blocks {
            ser += b.label.serial_seconds.unwrap();
            let m = b.label.parallel_seconds.unwrap();
            meas += m;
            wall += b.schedule.wall as f64 / 1e9;
            cp += critical_path(&b.schedule).nanoseconds as f64 / 1e9;
            wk += work(&b.schedule) as f64 / 1e9;
            let own = simulate(&b.schedule, n);
            ex += own.makespan as f64 / 1e9;
            pex += own.executions;
            let r = b
                .schedule
                .spans
                .iter()
                .filter(|s| s.activity == solder_engine::parallel::record::Activity::Execute)
                .count() as u64;
            rex += r;
            abs += (own.makespan as f64 / 1e9 - m).abs();
            for (k, w) in [1, 2, 4, 8, 16, 32].into_iter().enumerate() {
                pred[k] += simulate(&b.schedule, w).makespan as f64 / 1e9;
            }
            if per {
                println!(
                    "  {} txs {} gas {} serial {:.0}us meas {:.0} wall {:.0} sim {:.0} ({:+.1}%) execs rec {} sim {} cp {:.0} work {:.0}",
                    b.label.number,
                    b.label.transactions,
                    b.label.gas_used,
                    b.label.serial_seconds.unwrap() * 1e6,
                    m * 1e6,
                    b.schedule.wall as f64 / 1e3,
                    own.makespan as f64 / 1e3,
                    (own.makespan as f64 / 1e9 / m - 1.) * 100.,
                    r,
                    own.executions,
                    critical_path(&b.schedule).nanoseconds as f64 / 1e3,
                    work(&b.schedule) as f64 / 1e3
                );
            }
        }
        println!(
            "{:<40} W{n} serial {:.2}ms meas {:.2} wall {:.2} sim {:.2} err {:+.1}% mae {:.1}% execs rec {rex} sim {pex} cp {:.2} work {:.2} | speedups pred {:?} meas {:.2}",
            path.rsplit('/').next().unwrap(),
            ser * 1e3,
            meas * 1e3,
            wall * 1e3,
            ex * 1e3,
            (ex / meas - 1.) * 100.,
            abs / meas * 100.,
            cp * 1e3,
            wk * 1e3,
            pred.map(|p| (ser / p * 100.).round() / 100.),
            ser / meas
        );
    }
}
