//! scratch
fn main() {
    let path = std::env::args().nth(1).unwrap();
    let blocks = solder_schedule::read_trace(path.as_ref()).unwrap();
    let b = blocks.iter().max_by_key(|b| b.schedule.wall).unwrap();
    println!("{}", solder_schedule::picture::svg(b));
}
