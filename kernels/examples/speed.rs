//! How quick the kernels are here, beside what the processor can do at most: the paper's smallest and largest network with random
//! weights, by each instruction set in turn. Run it with `--release`. Argument: seconds for each, 1 if there is none.

#![expect(clippy::print_stdout, reason = "an example prints its result")]
#![expect(unsafe_code, reason = "the peak is measured in instructions")]

use std::hint::black_box;
use std::sync::Arc;
use std::time::{Duration, Instant};

use kernels::{
    Activation, Convolution, Grid, Groups, Image, InstructionSet, Layer, Network, Operation, Plan, Shape,
    Workspace,
};

const SIZE: usize = 32;

fn main() {
    let seconds = std::env::args().nth(1).and_then(|word| word.parse().ok()).unwrap_or(1.0);
    let budget = Duration::from_secs_f64(seconds);
    for kernel in [3, 7] {
        let net = ResNet::new(kernel);
        let ways = InstructionSet::available().flat_map(|set| [(set, false), (set, true)]);
        for (set, in_eight_bits) in ways {
            let plan = Plan::new(&net.network(in_eight_bits), set).expect("every layer has a kernel");
            let bits = if in_eight_bits { "int8" } else { "f32" };
            let what = plan.kernels();
            let mut workspace = Workspace::new(Arc::new(plan));
            let (image, mut logits) = (vec![100u8; 3 * SIZE * SIZE], [0.0f32; 10]);
            let (median, least) =
                time(budget, || workspace.run(&image, &mut logits).expect("values are small"));
            let rate = net.macs as f64 / median / 1e9;
            println!(
                "{0}{0}{0} {bits:<4} {set:<12} p50 {1:.4} ms, least {2:.4} ms, {rate:.0} GMAC/s ({what})",
                kernel,
                1e3 * median,
                1e3 * least
            );
        }
    }
    for (set, peak) in peaks() {
        println!("peak {set}: {peak:.0} GMAC/s");
    }
}

/// Median and least seconds of a run.
fn time(budget: Duration, mut run: impl FnMut()) -> (f64, f64) {
    (0..10).for_each(|_| run());
    let mut times = vec![];
    let start = Instant::now();
    while start.elapsed() < budget {
        let start = Instant::now();
        run();
        times.push(start.elapsed().as_secs_f64());
    }
    times.sort_unstable_by(f64::total_cmp);
    (times[times.len() / 2], times[0])
}

/// ResNet-20 for CIFAR with shortcuts of 1 × 1, whose blocks all begin with one size of kernel.
struct ResNet {
    convolutions: Vec<Owned>,
    macs: usize,
}

struct Owned {
    source: usize,
    sum_with: Option<usize>,
    kernel: usize,
    stride: usize,
    channels: usize,
    weights: Vec<f32>,
}

impl ResNet {
    fn new(kernel: usize) -> Self {
        let mut net = Self { convolutions: vec![], macs: 0 };
        let (mut size, mut inputs) = (SIZE, 16);
        let mut last = net.push(0, 3, (3, 1, 16), size, None);
        for (stage, channels) in [16, 32, 64].into_iter().enumerate() {
            for block in 0..3 {
                let stride = if stage > 0 && block == 0 { 2 } else { 1 };
                size /= stride;
                let first = net.push(last, inputs, (kernel, stride, channels), size, None);
                let other = match stride {
                    1 => last,
                    _ => net.push(last, inputs, (1, 2, channels), size, None),
                };
                last = net.push(first, channels, (3, 1, channels), size, Some(other));
                inputs = channels;
            }
        }
        net
    }

    /// Appends a convolution (kernel, stride, channels) with outputs of this size, and gives its value's number.
    fn push(
        &mut self,
        source: usize,
        inputs: usize,
        (kernel, stride, channels): (usize, usize, usize),
        size: usize,
        sum_with: Option<usize>,
    ) -> usize {
        let volume = kernel * kernel * inputs;
        let scale = (2.0 / volume as f32).sqrt();
        let weights =
            (0..channels * volume).map(|place| scale / 127.0 * ((place * 7919 % 255) as f32 - 127.0));
        self.macs += volume * channels * size * size;
        self.convolutions.push(Owned {
            source,
            sum_with,
            kernel,
            stride,
            channels,
            weights: weights.collect(),
        });
        self.convolutions.len()
    }

    fn network(&self, in_eight_bits: bool) -> Network<'_> {
        static ZEROS: [f32; 64] = [0.0; 64];
        let layers = self.convolutions.iter().map(|of| {
            let operation = Operation::Convolution(Convolution {
                output_channels: of.channels,
                kernel: of.kernel,
                stride: of.stride,
                padding: [of.kernel / 2; 4],
                groups: Groups::One,
                weights: &of.weights,
                bias: &ZEROS[..of.channels],
            });
            // Shortcuts are not rectified.
            let is_shortcut = of.kernel == 1;
            let activation = if is_shortcut { Activation::None } else { Activation::Relu };
            let grid = |zero_point| in_eight_bits.then_some(Grid { step: 0.04, zero_point });
            let rounded = of.sum_with.and_then(|_| grid(128));
            let stored = grid(if is_shortcut { 128 } else { 0 });
            Layer { source: of.source, operation, rounded, sum_with: of.sum_with, activation, stored }
        });
        let mut layers: Vec<_> = layers.collect();
        let last = layers.len();
        let plain = |source, operation| Layer {
            source,
            operation,
            rounded: None,
            sum_with: None,
            activation: Activation::None,
            stored: None,
        };
        layers.push(plain(last, Operation::Mean));
        let head = &self.convolutions[self.convolutions.len() - 1].weights[..640];
        let linear = Convolution {
            output_channels: 10,
            kernel: 1,
            stride: 1,
            padding: [0; 4],
            groups: Groups::One,
            weights: head,
            bias: &ZEROS[..10],
        };
        layers.push(plain(last + 1, Operation::Convolution(linear)));
        let shape = Shape { channels: 3, rows: SIZE, columns: SIZE };
        Network { image: Image { shape, scale: vec![0.015625; 3], shift: vec![-2.0; 3] }, layers }
    }
}

/// Multiply-adds in registers alone, in billions of numbers a second.
fn peaks() -> Vec<(InstructionSet, f64)> {
    // Short, lest something else on the machine be measured with it.
    const ROUNDS: usize = 50_000;
    let mut peaks = vec![];
    let mut peak = |set: InstructionSet, lanes: usize, run: unsafe fn(usize) -> f32| {
        if set.is_available() {
            // SAFETY: the processor has the instructions.
            let best = (0..1000).map(|_| {
                let start = Instant::now();
                black_box(unsafe { run(black_box(ROUNDS)) });
                start.elapsed().as_secs_f64()
            });
            let best = best.fold(f64::INFINITY, f64::min);
            peaks.push((set, (ROUNDS * lanes * SUMS) as f64 / best / 1e9));
        }
    };
    #[cfg(target_arch = "x86_64")]
    {
        peak(InstructionSet::Avx2, 8, avx2);
        peak(InstructionSet::Avx512, 16, avx512);
    }
    #[cfg(target_arch = "aarch64")]
    peak(InstructionSet::Neon, 4, neon);
    peaks
}

/// Sums that do not wait for each other: as many as fit into the registers of all instruction sets.
const SUMS: usize = 12;

macro_rules! sums {
    ($name:ident, $feature:literal, $splat:path, $fma:expr, $first:expr) => {
        #[target_feature(enable = $feature)]
        unsafe fn $name(rounds: usize) -> f32 {
            let (mut sums, factor) = ([$splat(1.0); SUMS], $splat(0.999));
            for _ in 0..rounds {
                for sum in &mut sums {
                    *sum = $fma(*sum, factor);
                }
            }
            let mut total = 0.0;
            for sum in sums {
                total += $first(sum);
            }
            total
        }
    };
}
#[cfg(target_arch = "x86_64")]
use std::arch::x86_64::*;
#[cfg(target_arch = "x86_64")]
sums!(avx2, "avx2,fma", _mm256_set1_ps, |sum, factor| _mm256_fmadd_ps(sum, factor, factor), |sum| {
    _mm256_cvtss_f32(sum)
});
#[cfg(target_arch = "x86_64")]
sums!(avx512, "avx512f", _mm512_set1_ps, |sum, factor| _mm512_fmadd_ps(sum, factor, factor), |sum| {
    _mm512_cvtss_f32(sum)
});
#[cfg(target_arch = "aarch64")]
use std::arch::aarch64::*;
#[cfg(target_arch = "aarch64")]
sums!(neon, "neon", vdupq_n_f32, |sum, factor| vfmaq_f32(sum, factor, factor), |sum| {
    vgetq_lane_f32::<0>(sum)
});
