//! The kernels for training, made for each instruction set, beside those of `crate::routines`: a table of its own, which programs
//! that only infer are linked without.

use super::depthwise_passes::{self as depthwise, Forward, ImagesGradient, WeightsGradient};
use super::domain::{self, Enter, Leave};
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
use crate::vector::{Bfloat16, Plain, Vector};

/// Everything for one instruction set.
pub(super) struct Routines {
    /// Numbers of a vector.
    pub lanes: usize,
    pub kernels: [OfKernel; 3],
    pub correlations: &'static [Correlation],
    pub float32: OfElement<f32>,
    pub bfloat16: OfElement<Bfloat16>,
}

/// The ways to the domain and back, for one size of kernels.
pub(super) struct OfKernel {
    pub kernel: usize,
    pub gather: unsafe fn(&Gather<'_>),
    pub float32: Ways<f32>,
    pub bfloat16: Ways<Bfloat16>,
}

/// The ways of tensors of one element to the domain and back.
pub(super) struct Ways<E> {
    pub spread: unsafe fn(&Enter<E>),
    pub evaluate: unsafe fn(&Enter<E>),
    pub collect: unsafe fn(&Leave<E>),
}

/// The passes over images of one element, without a domain between.
pub(super) struct OfElement<E> {
    pub moments: unsafe fn(&mut Moments<'_, E>),
    pub normalise: unsafe fn(&mut Normalise<'_, E>),
    pub gradient_sums: unsafe fn(&mut GradientSums<'_, E>),
    pub gradient: unsafe fn(&mut NormaliseGradient<'_, E>),
    pub depthwise: [[DepthwiseOf<E>; 2]; 3],
}

/// Sums over tiles that stay in registers: of so many input channels, and vectors of output channels.
pub(super) struct Correlation {
    pub vectors: usize,
    pub run: unsafe fn(&Correlate),
}

impl Routines {
    /// For so many output channels, in whole vectors.
    pub(super) fn correlation(&self, output_channels: usize) -> &Correlation {
        let vectors = output_channels / self.lanes;
        let fitting = self.correlations.iter().find(|of| vectors.is_multiple_of(of.vectors));
        fitting.expect("one vector divides all")
    }
}

/// Convolutions that keep channels apart, of one kernel and stride.
pub(super) struct DepthwiseOf<E> {
    pub kernel: usize,
    pub stride: usize,
    pub forward: unsafe fn(&mut Forward<'_, E>),
    /// None in steps of 1, where it is a forward pass too.
    pub images_gradient: Option<unsafe fn(&mut ImagesGradient<'_, E>)>,
    pub weights_gradient: unsafe fn(&mut WeightsGradient<'_, E>),
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

macro_rules! ways {
    ($features:tt $vector:ty, $element:ty, $points:path, $pairs:literal, $count:literal) => {
        Ways {
            spread: function!($features &Enter<$element>, |task| {
                domain::spread::<$vector, $element, $pairs, $count>(&$points, task)
            }),
            evaluate: function!($features &Enter<$element>, |task| {
                domain::evaluate::<$vector, $element, $pairs, $count, OUTPUTS>(&$points, task)
            }),
            collect: function!($features &Leave<$element>, |task| {
                domain::collect::<$vector, $element, $pairs, $count, OUTPUTS>(&$points, task)
            }),
        }
    };
}

macro_rules! of_kernel {
    ($features:tt $vector:ty, $points:path, $pairs:literal, $count:literal, $kernel:literal) => {
        OfKernel {
            kernel: $kernel,
            gather: function!($features &Gather<'_>, |task| {
                gradient::gather::<$vector, $pairs, $count, $kernel>(&$points, task)
            }),
            float32: ways!($features $vector, f32, $points, $pairs, $count),
            bfloat16: ways!($features $vector, Bfloat16, $points, $pairs, $count),
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

macro_rules! depthwise {
    ($features:tt $vector:ty, $element:ty, $kernel:literal) => {
        [
            depthwise!($features $vector, $element, $kernel, 1, None),
            depthwise!($features $vector, $element, $kernel, 2, Some(function!(
                $features &mut ImagesGradient<'_, $element>,
                |task| depthwise::images_gradient::<$vector, $element, $kernel>(task)
            ))),
        ]
    };
    ($features:tt $vector:ty, $element:ty, $kernel:literal, $stride:literal, $images_gradient:expr) => {
        DepthwiseOf {
            kernel: $kernel,
            stride: $stride,
            forward: function!($features &mut Forward<'_, $element>, |task| {
                depthwise::forward::<$vector, $element, $kernel, $stride>(task)
            }),
            images_gradient: $images_gradient,
            weights_gradient: function!($features &mut WeightsGradient<'_, $element>, |task| {
                depthwise::weights_gradient::<$vector, $element, $kernel, $stride>(task)
            }),
        }
    };
}

macro_rules! of_element {
    ($features:tt $vector:ty, $element:ty) => {
        OfElement {
            moments: function!($features &mut Moments<'_, $element>, |task| {
                normalise::moments::<$vector, $element>(task)
            }),
            normalise: function!($features &mut Normalise<'_, $element>, |task| {
                normalise::normalise::<$vector, $element>(task)
            }),
            gradient_sums: function!($features &mut GradientSums<'_, $element>, |task| {
                normalise::gradient_sums::<$vector, $element>(task)
            }),
            gradient: function!($features &mut NormaliseGradient<'_, $element>, |task| {
                normalise::gradient::<$vector, $element>(task)
            }),
            depthwise: [
                depthwise!($features $vector, $element, 3),
                depthwise!($features $vector, $element, 5),
                depthwise!($features $vector, $element, 7),
            ],
        }
    };
}

macro_rules! routines {
    ($name:ident, $vector:ty, $features:tt, $panels:tt) => {
        static $name: Routines = Routines {
            lanes: <$vector as Vector>::LANES,
            kernels: [
        of_kernel!($features $vector, Points::SIX, 2, 6, 3),
        of_kernel!($features $vector, Points::EIGHT, 3, 8, 5),
        of_kernel!($features $vector, Points::TEN, 4, 10, 7),
            ],
    correlations: correlations!($features $vector, $panels),
    float32: of_element!($features $vector, f32),
    bfloat16: of_element!($features $vector, Bfloat16),
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
