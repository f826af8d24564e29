//! Which instructions a kernel uses: the paths by name, what this machine has, and the choice at run time.
//!
//! A `Path` is a name; a `Kernel` is a path that this machine was found to have. Everything that runs vector
//! instructions takes a `Kernel` (or something packed for one), so that none can run where it would trap.

use super::error::KernelError;

/// A way to compute the same bits. Ordered from plain to fast.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Path {
    /// Plain Rust, on any processor.
    Scalar,
    /// 128-bit: widened to int16, `pmaddwd`.
    Sse41,
    /// 256-bit: widened to int16, `vpmaddwd`.
    Avx2,
    /// 256-bit `vpdpbusd` in its VEX encoding.
    AvxVnni,
    /// 512-bit: widened to int16, `vpmaddwd`.
    Avx512,
    /// 512-bit `vpdpbusd`.
    Avx512Vnni,
}

impl Path {
    /// Every path, from plain to fast.
    pub const ALL: [Path; 6] =
        [Path::Scalar, Path::Sse41, Path::Avx2, Path::AvxVnni, Path::Avx512, Path::Avx512Vnni];

    /// The name on the command line and in reports.
    pub const fn name(self) -> &'static str {
        match self {
            Path::Scalar => "scalar",
            Path::Sse41 => "sse41",
            Path::Avx2 => "avx2",
            Path::AvxVnni => "avxvnni",
            Path::Avx512 => "avx512",
            Path::Avx512Vnni => "avx512vnni",
        }
    }

    /// The instruction sets that the path needs, as `/proc/cpuinfo` names them.
    pub const fn needs(self) -> &'static str {
        match self {
            Path::Scalar => "nothing",
            Path::Sse41 => "ssse3 sse4_1",
            Path::Avx2 => "avx2",
            Path::AvxVnni => "avx2 avx_vnni",
            Path::Avx512 => "avx512f avx512bw avx512dq avx512vl",
            Path::Avx512Vnni => "avx512f avx512bw avx512dq avx512vl avx512_vnni",
        }
    }

    /// Multiply-accumulates that take about as long as it takes to start a thread, twice: 0.1 ms.
    pub const fn macs_worth_a_thread(self) -> u128 {
        match self {
            Path::Scalar => 1 << 19,
            Path::Sse41 => 1 << 21,
            Path::Avx2 => 1 << 23,
            Path::AvxVnni | Path::Avx512 => 1 << 24,
            Path::Avx512Vnni => 1 << 25,
        }
    }

    /// The path of that name.
    ///
    /// # Errors
    /// `UnknownPath` for anything else.
    pub fn parse(name: &str) -> Result<Path, KernelError> {
        Path::ALL.into_iter().find(|path| path.name() == name).ok_or_else(|| KernelError::UnknownPath {
            name: name.to_owned(),
            known: Path::ALL.map(Path::name).join(", "),
        })
    }

    const fn bit(self) -> u8 {
        1 << self as u8
    }
}

/// The set of paths that a machine can run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Features(u8);

impl Features {
    /// What this machine has.
    pub fn detect() -> Features {
        let mut found = Features(Path::Scalar.bit());
        #[cfg(target_arch = "x86_64")]
        {
            let sse41 = is_x86_feature_detected!("ssse3") && is_x86_feature_detected!("sse4.1");
            let avx2 = sse41 && is_x86_feature_detected!("avx2");
            let avx512 = avx2
                && is_x86_feature_detected!("avx512f")
                && is_x86_feature_detected!("avx512bw")
                && is_x86_feature_detected!("avx512dq")
                && is_x86_feature_detected!("avx512vl");
            let present = [
                (Path::Sse41, sse41),
                (Path::Avx2, avx2),
                (Path::AvxVnni, avx2 && is_x86_feature_detected!("avxvnni")),
                (Path::Avx512, avx512),
                (Path::Avx512Vnni, avx512 && is_x86_feature_detected!("avx512vnni")),
            ];
            for (path, has) in present {
                if has {
                    found.0 |= path.bit();
                }
            }
        }
        found
    }

    /// The same machine without everything faster than `path`: what a test masks.
    #[must_use]
    pub const fn up_to(self, path: Path) -> Features {
        Features(self.0 & (path.bit() | (path.bit() - 1)))
    }

    /// Whether the path can run.
    pub const fn has(self, path: Path) -> bool {
        self.0 & path.bit() != 0
    }

    /// The fastest path that can run.
    pub fn best(self) -> Path {
        Path::ALL.into_iter().rev().find(|&path| self.has(path)).unwrap_or(Path::Scalar)
    }
}

/// A path that this machine has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Kernel(Path);

impl Kernel {
    /// The plain kernel, which every other is tested against.
    pub const SCALAR: Kernel = Kernel(Path::Scalar);

    /// The fastest that this machine has.
    pub fn best() -> Kernel {
        Kernel(Features::detect().best())
    }

    /// Exactly this path.
    ///
    /// # Errors
    /// `UnavailablePath` where the machine lacks its instructions.
    pub fn forced(path: Path) -> Result<Kernel, KernelError> {
        if Features::detect().has(path) {
            Ok(Kernel(path))
        } else {
            Err(KernelError::UnavailablePath { path: path.name(), needs: path.needs() })
        }
    }

    /// Every kernel that this machine has, from plain to fast.
    pub fn available() -> Vec<Kernel> {
        let features = Features::detect();
        Path::ALL.into_iter().filter(|&path| features.has(path)).map(Kernel).collect()
    }

    /// Its path.
    pub const fn path(self) -> Path {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_come_back() {
        for path in Path::ALL {
            assert_eq!(Path::parse(path.name()), Ok(path));
        }
        assert!(matches!(Path::parse("avx"), Err(KernelError::UnknownPath { .. })));
    }

    #[test]
    fn a_masked_machine_chooses_the_best_that_is_left() {
        let machine = Features::detect();
        for kernel in Kernel::available() {
            assert_eq!(machine.up_to(kernel.path()).best(), kernel.path());
            assert_eq!(Kernel::forced(kernel.path()), Ok(kernel));
        }
        assert_eq!(machine.up_to(Path::Scalar).best(), Path::Scalar);
    }

    #[test]
    fn what_the_machine_lacks_is_refused() {
        let machine = Features::detect();
        for path in Path::ALL.into_iter().filter(|&path| !machine.has(path)) {
            assert!(matches!(Kernel::forced(path), Err(KernelError::UnavailablePath { .. })));
        }
    }
}
