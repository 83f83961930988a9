//! The kernels for bytes, made for each instruction set that has dot products: tables of functions without type parameters.

use super::direct::{self, Direct};
#[cfg(target_arch = "aarch64")]
use super::dots::Dot;
#[cfg(target_arch = "x86_64")]
use super::dots::{Avx512Vnni, AvxVnni};
use super::dots::{Dots, Plain};
use super::output::Output;
use crate::InstructionSet;
use crate::depthwise::{self, Depthwise};
use crate::routines::{Sums, function};
use crate::vector::Vector;

/// Everything for one instruction set.
pub(crate) struct Routines {
    pub panels: &'static [Panel],
    pub depthwise: [DepthwiseOf; 6],
    /// What a byte is more than the number that is stored for it.
    pub byte_zero: u8,
}

impl Routines {
    /// The place of a depthwise convolution in the table.
    pub(crate) fn depthwise(&self, kernel: usize, stride: usize) -> Option<usize> {
        self.depthwise.iter().position(|of| (of.kernel, of.stride) == (kernel, stride))
    }
}

/// Products of matrices whose sums stay in registers.
pub(crate) struct Panel {
    pub sums: Sums,
    pub direct: unsafe fn(&Direct),
}

/// A depthwise convolution of one kernel and stride.
pub(crate) struct DepthwiseOf {
    pub kernel: usize,
    pub stride: usize,
    pub run: unsafe fn(&Depthwise<u8, Output>),
}

/// Those of an instruction set; `None` if it has no dot products.
pub(crate) fn of(set: InstructionSet) -> Option<&'static Routines> {
    match set {
        InstructionSet::Plain => Some(&PLAIN),
        #[cfg(target_arch = "x86_64")]
        InstructionSet::Avx2Vnni => Some(&AVX_VNNI),
        #[cfg(target_arch = "x86_64")]
        InstructionSet::Avx512Vnni => Some(&AVX512_VNNI),
        #[cfg(target_arch = "aarch64")]
        InstructionSet::NeonDot => Some(&NEON_DOT),
        _ => None,
    }
}

macro_rules! panels {
    ($features:tt $dots:ty, [$(($rows:literal, $vectors:literal)),*]) => {
        &[$(Panel {
            sums: Sums { rows: $rows, vectors: $vectors },
            direct: function!($features &Direct, |task| direct::direct::<$dots, $rows, $vectors>(task)),
        }),*]
    };
}

macro_rules! depthwise {
    ($features:tt $vector:ty, [$(($kernel:literal, $stride:literal)),*]) => {
        [$(DepthwiseOf {
            kernel: $kernel,
            stride: $stride,
            run: function!($features &Depthwise<u8, Output>, |task| {
                depthwise::depthwise::<$vector, u8, Output, $kernel, $stride>(task)
            }),
        }),*]
    };
}

macro_rules! routines {
    ($name:ident, $dots:ty, $features:tt, $panels:tt) => {
        static $name: Routines = Routines {
    panels: panels!($features $dots, $panels),
            depthwise: depthwise!(
                $features <$dots as Dots>::Float, [(3, 1), (3, 2), (5, 1), (5, 2), (7, 1), (7, 2)]
            ),
            byte_zero: <<$dots as Dots>::Float as Vector>::BYTE_ZERO,
        };
    };
}

// Ordered as those of `crate::routines`.
routines!(PLAIN, Plain, [], [(4, 2), (8, 1), (4, 1), (1, 1)]);
#[cfg(target_arch = "x86_64")]
routines!(AVX_VNNI, AvxVnni, ["avx2,fma,avxvnni"], [(4, 2), (8, 1), (4, 1), (1, 1)]);
#[cfg(target_arch = "x86_64")]
routines!(
    AVX512_VNNI,
    Avx512Vnni,
    ["avx512f,avx512vnni"],
    [(4, 4), (8, 2), (16, 1), (4, 2), (8, 1), (4, 1), (1, 1)]
);
#[cfg(target_arch = "aarch64")]
routines!(NEON_DOT, Dot, ["neon,dotprod"], [(8, 2), (4, 4), (8, 1), (4, 2), (4, 1), (1, 1)]);
