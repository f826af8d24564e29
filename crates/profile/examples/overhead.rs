//! What the meter costs: each block of a folder or an archive is executed plainly and metered, in turn; minima.

use std::time::Instant;

use solder_engine::trace::meter::Part;
use solder_engine::{ExecuteOptions, execute_block};
use solder_profile::{Subject, calibrate, profile_block};
use solder_spec::replay::Loader;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let path = arguments.next().ok_or("a folder or an archive of blocks")?;
    let repeat: u32 = arguments.next().map_or(Ok(10), |text| text.parse())?;
    let mut loader = Loader::default();
    let (mut all_plain, mut all_metered) = (0.0, 0.0);
    for id in loader.find(&path)? {
        let loaded = loader.load(&id)?;
        let subject = Subject {
            chain: &loaded.chain,
            fork: loaded.fork,
            block: &loaded.block,
            state: &loaded.state,
            transactions_only: false,
            cancel: None,
        };
        let costs = calibrate(&subject, 3)?;
        let (mut plain, mut metered) = (f64::INFINITY, f64::INFINITY);
        let mut best = None;
        for _ in 0..repeat {
            let start = Instant::now();
            let outcome = execute_block(
                &loaded.chain,
                loaded.fork,
                &loaded.block,
                &loaded.state,
                &ExecuteOptions::default(),
            )?;
            plain = plain.min(start.elapsed().as_secs_f64());
            drop(outcome);
            let start = Instant::now();
            let bill = profile_block(&subject, &costs, 1)?;
            let passed = start.elapsed().as_secs_f64();
            if passed < metered {
                metered = passed;
                best = Some(bill);
            }
        }
        let Some(bill) = best else { continue };
        let ns = bill.nanoseconds_per_tick;
        let sum = |part: Part| -> f64 {
            bill.transactions
                .iter()
                .flat_map(|bill| &bill.nodes)
                .map(|node| node.part(part).ticks as f64 * ns)
                .sum()
        };
        let rest: f64 = bill
            .transactions
            .iter()
            .flat_map(|bill| &bill.nodes)
            .map(|node| node.residual_ticks as f64 * ns)
            .sum();
        let meter: f64 = bill.transactions.iter().map(|bill| bill.meter_ticks as f64 * ns).sum();
        print!(
            "{id:>9} {:9.1} us {:9.1} us {:5.3}; meter {:.0} residual {:.0} ({:.3});",
            plain * 1e6,
            metered * 1e6,
            metered / plain,
            meter / 1e3,
            rest / 1e3,
            rest / 1e9 / plain,
            id = id.rsplit('/').next().unwrap_or_default(),
        );
        for part in Part::ALL {
            let ticks = sum(part);
            if ticks > 0.0 {
                print!(" {} {:.0}", part.name(), ticks / 1e3);
            }
        }
        println!();
        (all_plain, all_metered) = (all_plain + plain, all_metered + metered);
    }
    println!("all {:.1} us, {:.1} us, {:.3}", all_plain * 1e6, all_metered * 1e6, all_metered / all_plain);
    Ok(())
}
