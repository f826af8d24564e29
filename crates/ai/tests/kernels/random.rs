//! Seeded values for the property tests, and the seed's way in and out.

use solder_ai::kernels::{Features, Kernel, Path};

/// SplitMix64.
pub struct Random(u64);

impl Random {
    pub fn new(seed: u64) -> Random {
        Random(seed)
    }

    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut value = self.0;
        value = (value ^ (value >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        value = (value ^ (value >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        value ^ (value >> 31)
    }

    /// A value of the range, both ends included.
    pub fn within(&mut self, minimum: i64, maximum: i64) -> i64 {
        let width = (maximum - minimum) as u64 + 1;
        minimum + (if width == 0 { self.next() } else { self.next() % width }) as i64
    }

    pub fn size(&mut self, minimum: usize, maximum: usize) -> usize {
        self.within(minimum as i64, maximum as i64) as usize
    }

    /// One of the styles that a case draws once: uniform, or only the ends of the type, or small.
    pub fn int8s(&mut self, length: usize) -> Vec<i8> {
        let style = self.next() % 5;
        (0..length)
            .map(|_| match style {
                0 => -128,
                1 => [-128, 127][self.size(0, 1)],
                2 => [-128, -127, -1, 0, 1, 127][self.size(0, 5)],
                _ => self.next() as i8,
            })
            .collect()
    }
}

/// The number of cases and the seed of the first; each case adds one.
pub fn cases(default: u64) -> (u64, u64) {
    let read = |name: &str, otherwise| std::env::var(name).map_or(otherwise, |text| text.parse().unwrap());
    let (seed, count) = (read("SOLDER_KERNEL_SEED", 1), read("SOLDER_KERNEL_CASES", default));
    println!("SOLDER_KERNEL_SEED={seed} SOLDER_KERNEL_CASES={count}");
    (seed, count)
}

/// The kernels of this machine, and a line for each path that it cannot test.
pub fn kernels() -> Vec<Kernel> {
    for path in Path::ALL.into_iter().filter(|&path| !Features::detect().has(path)) {
        println!("untested: {} (this machine lacks {})", path.name(), path.needs());
    }
    Kernel::available()
}
