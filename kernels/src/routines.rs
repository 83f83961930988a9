//! The kernels, made for each instruction set: tables of functions without type parameters.

#[cfg(target_arch = "x86_64")]
use std::sync::LazyLock;

use crate::InstructionSet;
use crate::depthwise::{self, Depthwise};
use crate::direct::{self, Direct};
use crate::finish::Target;
use crate::points::Points;
use crate::pointwise::{self, Mean, Pointwise};
#[cfg(target_arch = "aarch64")]
use crate::vector::Neon;
use crate::vector::Plain;
use crate::vector::Vector;
#[cfg(target_arch = "x86_64")]
use crate::vector::{Avx2, Avx512};
use crate::winograd::{self, Collect, Products, Spread, Weigh};

/// Everything for one instruction set.
pub(crate) struct Routines {
    /// Numbers of a vector.
    pub lanes: usize,
    /// Tiles that the minimal filtering algorithm works on at once: a multiple of the rows of all panels.
    pub tiles: usize,
    /// [`Vector::TILES_TOGETHER`].
    pub tiles_together: usize,
    pub transforms: [Transforms; 6],
    /// What it costs to fetch a vector of weights, in multiplications of a vector. A whole network's weights in the domain of the
    /// minimal filtering algorithm are more than most second caches hold, and images of 8 × 8 pixels use each but four times.
    /// Found by trying on x86-64; for NEON 0 until a board has been asked: there it keeps the instructions fewest.
    pub fetch: f64,
    pub panels: &'static [Panel],
    pub depthwise: [DepthwiseOf; 6],
    pub pointwise: unsafe fn(&Pointwise),
    pub mean: unsafe fn(&Mean),
}

impl Routines {
    /// The place of a depthwise convolution in the table.
    pub(crate) fn depthwise(&self, kernel: usize, stride: usize) -> Option<usize> {
        self.depthwise.iter().position(|of| (of.kernel, of.stride) == (kernel, stride))
    }
}

/// The minimal filtering algorithm's ways to its domain and back, for one size of kernels and of tiles.
pub(crate) struct Transforms {
    /// Outputs of a tile in one dimension.
    pub outputs: usize,
    pub kernel: usize,
    pub points: usize,
    pub weigh: unsafe fn(&Weigh<'_>),
    pub spread: unsafe fn(&Spread),
    pub collect: unsafe fn(&Collect),
}

/// Sums that stay in registers: so many rows, and vectors of each.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Sums {
    pub rows: usize,
    pub vectors: usize,
}

/// Products of matrices whose sums stay in registers.
pub(crate) struct Panel {
    pub sums: Sums,
    pub products: unsafe fn(&Products),
    pub direct: unsafe fn(&Direct),
}

/// A depthwise convolution of one kernel and stride.
pub(crate) struct DepthwiseOf {
    pub kernel: usize,
    pub stride: usize,
    pub run: unsafe fn(&Depthwise),
}

/// Those of an instruction set that this program has been made for.
pub(crate) fn of(set: InstructionSet) -> Option<&'static Routines> {
    match set.of_numbers() {
        InstructionSet::Plain => Some(&PLAIN),
        #[cfg(target_arch = "x86_64")]
        InstructionSet::Avx2 => Some(&AVX2),
        #[cfg(target_arch = "x86_64")]
        InstructionSet::Avx512 if *HAS_AVX512_IN_HALVES => Some(&AVX512_IN_HALVES),
        #[cfg(target_arch = "x86_64")]
        InstructionSet::Avx512 => Some(&AVX512),
        #[cfg(target_arch = "aarch64")]
        InstructionSet::Neon => Some(&NEON),
        _ => None,
    }
}

/// Whether the processor takes two steps for 512 bits: Zen 4, AMD's family 19h, whose others have no AVX-512. Asked once, for a virtual
/// machine answers no sooner than its host does, and a trainer would ask for each layer.
#[cfg(target_arch = "x86_64")]
static HAS_AVX512_IN_HALVES: LazyLock<bool> = LazyLock::new(|| {
    use std::arch::x86_64::__cpuid;
    let vendor = __cpuid(0);
    let is_amd = [vendor.ebx, vendor.edx, vendor.ecx].map(u32::to_le_bytes).as_flattened() == b"AuthenticAMD";
    let signature = __cpuid(1).eax;
    let family = ((signature >> 8) & 0xf) + ((signature >> 20) & 0xff);
    is_amd && family == 0x19
});

/// A function without type parameters whose body, all of it inlined, may use the instructions.
macro_rules! function {
    ([$($feature:literal)?] $task:ty, |$name:ident| $body:expr) => {{
        /// # Safety
        /// As for what it calls.
        $(#[target_feature(enable = $feature)])?
        unsafe fn function($name: $task) {
            // SAFETY: the caller's promise.
            unsafe { $body }
        }
        function
    }};
}

pub(crate) use function;

macro_rules! transforms {
    ($features:tt $vector:ty, $points:path, $pairs:literal, $count:literal, $outputs:literal, $kernel:literal) => {
        Transforms {
            outputs: $outputs,
            kernel: $kernel,
            points: $count,
            weigh: function!($features &Weigh<'_>, |task| {
                winograd::weigh::<$vector, $pairs, $count, $kernel, { $kernel * $kernel }>(&$points, task)
            }),
            spread: function!($features &Spread, |task| {
                winograd::spread::<$vector, $pairs, $count>(&$points, task)
            }),
            collect: function!($features &Collect, |task| {
                winograd::collect::<$vector, $pairs, $count, $outputs>(&$points, task)
            }),
        }
    };
}

macro_rules! panels {
    ($features:tt $vector:ty, [$(($rows:literal, $vectors:literal)),*]) => {
        &[$(Panel {
            sums: Sums { rows: $rows, vectors: $vectors },
            products: function!($features &Products, |task| winograd::products::<$vector, $rows, $vectors>(task)),
            direct: function!($features &Direct, |task| direct::direct::<$vector, $rows, $vectors>(task)),
        }),*]
    };
}

macro_rules! depthwise {
    ($features:tt $vector:ty, [$(($kernel:literal, $stride:literal)),*]) => {
        [$(DepthwiseOf {
            kernel: $kernel,
            stride: $stride,
            run: function!($features &Depthwise, |task| {
                depthwise::depthwise::<$vector, f32, Target, $kernel, $stride>(task)
            }),
        }),*]
    };
}

macro_rules! routines {
    ($name:ident, $vector:ty, $features:tt, $tiles:literal, $fetch:literal, $panels:tt) => {
        const $name: Routines = Routines {
            lanes: <$vector as Vector>::LANES,
            tiles: $tiles,
            tiles_together: <$vector as Vector>::TILES_TOGETHER,
            fetch: $fetch,
            transforms: [
        transforms!($features $vector, Points::SIX, 2, 6, 4, 3),
        transforms!($features $vector, Points::EIGHT, 3, 8, 4, 5),
        transforms!($features $vector, Points::TEN, 4, 10, 4, 7),
        transforms!($features $vector, Points::FOUR, 1, 4, 2, 3),
        transforms!($features $vector, Points::SIX, 2, 6, 2, 5),
        transforms!($features $vector, Points::EIGHT, 3, 8, 2, 7),
            ],
    panels: panels!($features $vector, $panels),
    depthwise: depthwise!($features $vector, [(3, 1), (3, 2), (5, 1), (5, 2), (7, 1), (7, 2)]),
            pointwise: function!($features & Pointwise, |task| pointwise::pointwise::<$vector>(task)),
            mean: function!($features & Mean, |task| pointwise::mean::<$vector>(task)),
        };
    };
}

// Panels of a set are ordered by how quick they are where they fit: many sums at once hide how long a multiplication takes, and
// of rows and vectors that make equally many, those that load least for each.
routines!(PLAIN, Plain, [], 8, 8.0, [(4, 2), (8, 1), (4, 1), (1, 1)]);
#[cfg(target_arch = "x86_64")]
routines!(AVX2, Avx2, ["avx2,fma"], 16, 5.0, [(4, 2), (8, 1), (4, 1), (1, 1)]);
#[cfg(target_arch = "x86_64")]
routines!(AVX512, Avx512, ["avx512f"], 16, 12.0, [(4, 4), (8, 2), (4, 2), (8, 1), (4, 1), (1, 1)]);
/// Where a multiplication takes twice as long, what is fetched meanwhile costs half as many of them.
#[cfg(target_arch = "x86_64")]
const AVX512_IN_HALVES: Routines = Routines { fetch: 5.0, ..AVX512 };
#[cfg(target_arch = "aarch64")]
routines!(NEON, Neon, ["neon"], 8, 0.0, [(8, 2), (4, 4), (8, 1), (4, 2), (4, 1), (1, 1)]);
