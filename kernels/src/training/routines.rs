//! The kernels for training, made for each instruction set, beside those of `crate::routines`: a table of its own, which programs
//! that only infer are linked without.

use super::gradient::{self, Correlate, Gather};
use super::normalise::{self, GradientSums, Moments, Normalise, NormaliseGradient};
use super::tiles::OUTPUTS;
use crate::InstructionSet;
use crate::points::Points;
use crate::routines::function;
#[cfg(target_arch = "aarch64")]
use crate::vector::Neon;
#[cfg(target_arch = "x86_64")]
use crate::vector::{Avx2, Avx512};
use crate::vector::{Plain, Vector};
use crate::winograd::Spread;

/// Everything for one instruction set.
pub(super) struct Routines {
    pub kernels: [OfKernel; 3],
    pub correlations: &'static [Correlation],
    pub moments: unsafe fn(&mut Moments<'_>),
    pub normalise: unsafe fn(&mut Normalise<'_>),
    pub gradient_sums: unsafe fn(&mut GradientSums<'_>),
    pub gradient: unsafe fn(&mut NormaliseGradient<'_>),
}

/// The gradients' ways to the domain and back, for one size of kernels.
pub(super) struct OfKernel {
    pub kernel: usize,
    pub evaluate: unsafe fn(&Spread),
    pub gather: unsafe fn(&mut Gather<'_>),
}

/// Sums over tiles that stay in registers: of so many input channels, and vectors of output channels.
pub(super) struct Correlation {
    pub vectors: usize,
    pub run: unsafe fn(&Correlate),
}

/// Those of an instruction set that this program has been made for.
pub(super) fn of(set: InstructionSet) -> Option<&'static Routines> {
    match set.of_numbers() {
        InstructionSet::Plain => Some(&PLAIN),
        #[cfg(target_arch = "x86_64")]
        InstructionSet::Avx2 => Some(&AVX2),
        #[cfg(target_arch = "x86_64")]
        InstructionSet::Avx512 => Some(&AVX512),
        #[cfg(target_arch = "aarch64")]
        InstructionSet::Neon => Some(&NEON),
        _ => None,
    }
}

macro_rules! of_kernel {
    ($features:tt $vector:ty, $points:path, $pairs:literal, $count:literal, $kernel:literal) => {
        OfKernel {
            kernel: $kernel,
            evaluate: function!($features &Spread, |task| {
                gradient::evaluate::<$vector, $pairs, $count, OUTPUTS>(&$points, task)
            }),
            gather: function!($features &mut Gather<'_>, |task| {
                gradient::gather::<$vector, $pairs, $count, $kernel, { $kernel * $kernel }>(&$points, task)
            }),
        }
    };
}

macro_rules! correlations {
    ($features:tt $vector:ty, [$(($rows:literal, $vectors:literal)),*]) => {
        &[$({
            const { assert!(<$vector as Vector>::LANES % $rows == 0, "a panel's rows divide a vector") };
            Correlation {
                vectors: $vectors,
                run: function!($features &Correlate, |task| gradient::correlate::<$vector, $rows, $vectors>(task)),
            }
        }),*]
    };
}

macro_rules! routines {
    ($name:ident, $vector:ty, $features:tt, $panels:tt) => {
        static $name: Routines = Routines {
            kernels: [
        of_kernel!($features $vector, Points::SIX, 2, 6, 3),
        of_kernel!($features $vector, Points::EIGHT, 3, 8, 5),
        of_kernel!($features $vector, Points::TEN, 4, 10, 7),
            ],
    correlations: correlations!($features $vector, $panels),
    moments: function!($features &mut Moments<'_>, |task| normalise::moments::<$vector>(task)),
    normalise: function!($features &mut Normalise<'_>, |task| normalise::normalise::<$vector>(task)),
            gradient_sums: function!($features &mut GradientSums<'_>, |task| {
                normalise::gradient_sums::<$vector>(task)
            }),
            gradient: function!($features &mut NormaliseGradient<'_>, |task| {
                normalise::gradient::<$vector>(task)
            }),
        };
    };
}

// The first whose vectors divide those of the output channels is taken.
routines!(PLAIN, Plain, [], [(4, 2), (4, 1)]);
#[cfg(target_arch = "x86_64")]
routines!(AVX2, Avx2, ["avx2,fma"], [(4, 2), (8, 1)]);
#[cfg(target_arch = "x86_64")]
routines!(AVX512, Avx512, ["avx512f"], [(4, 4), (8, 2), (16, 1)]);
#[cfg(target_arch = "aarch64")]
routines!(NEON, Neon, ["neon"], [(4, 4), (4, 2), (4, 1)]);
