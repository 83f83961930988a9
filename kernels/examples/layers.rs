//! What the passes of a training take for single layers: forward, gradient of the images, gradient of the weights. Arguments: an
//! instruction set, `float32` or `bfloat16`, and for each layer `images,rows,columns,input channels,output channels,kernel,stride,groups`, with the rows and
//! columns of an output. Prints a line of three times for each, in milliseconds of this thread's processor time, which other programs have no part in. `scripts/bench-layers` sets libtorch's beside them.

#![expect(clippy::print_stdout, reason = "an example prints its result")]

use kernels::InstructionSet;
use kernels::training::{Bfloat16, Depthwise, Element, Filter, Pointwise};

/// Seconds of each pass: a hundred times as long as it may take until Linux has counted them.
const SECONDS: f64 = 0.4;

fn main() {
    let mut words = std::env::args().skip(1);
    let set = words.next().and_then(|word| word.parse().ok()).expect("an instruction set");
    let is_half = match words.next().as_deref() {
        Some("float32") => false,
        Some("bfloat16") => true,
        _ => panic!("a type of number"),
    };
    for layer in words {
        let numbers: Vec<usize> = layer.split(',').map(|word| word.parse().expect("a number")).collect();
        let sizes = <[usize; 8]>::try_from(numbers).expect("eight numbers");
        let [forward, of_images, of_weights] =
            if is_half { passes(set, sizes, Bfloat16::nearest) } else { passes(set, sizes, |number| number) };
        println!("{forward:.4} {of_images:.4} {of_weights:.4}");
    }
}

/// Milliseconds of the three passes of a layer, over images of `element`.
fn passes<E: Element + Clone>(set: InstructionSet, sizes: [usize; 8], element: fn(f32) -> E) -> [f64; 3] {
    let [count, height, width, input_channels, output_channels, kernel, stride, groups] = sizes;
    let pixels = count * height * width;
    let weights = vec![0.01; kernel * kernel * input_channels * output_channels / groups];
    let (images, slope) = (
        vec![element(0.5); pixels * stride * stride * input_channels],
        vec![element(0.25); pixels * output_channels],
    );
    let (mut outputs, mut of_images, mut of_weights) = (slope.clone(), images.clone(), weights.clone());
    if groups > 1 {
        let own = Depthwise { images: count, height, width, channels: output_channels, kernel, stride };
        [
            mean(|| own.forward(set, &images, &weights, &mut outputs, 1)),
            mean(|| own.images_gradient(set, &weights, &slope, &mut of_images, 1)),
            mean(|| own.weights_gradient(set, &images, &slope, &mut of_weights, 1)),
        ]
    } else if kernel == 1 {
        let own = Pointwise { images: count, height, width, input_channels, output_channels, stride };
        [
            mean(|| own.forward(set, &images, &weights, &mut outputs, 1)),
            mean(|| own.images_gradient(set, &weights, &slope, &mut of_images, 1)),
            mean(|| own.weights_gradient(set, &images, &slope, &mut of_weights, 1)),
        ]
    } else {
        let own = Filter { images: count, height, width, input_channels, output_channels, kernel, stride };
        [
            mean(|| own.forward(set, &images, &weights, &mut outputs, 1)),
            mean(|| own.images_gradient(set, &weights, &slope, &mut of_images, 1)),
            mean(|| own.weights_gradient(set, &images, &slope, &mut of_weights, 1)),
        ]
    }
}

/// The mean milliseconds of some runs.
fn mean(mut run: impl FnMut()) -> f64 {
    run();
    let (start, mut runs) = (clock(), 0);
    while runs == 0 || clock() - start < SECONDS {
        run();
        runs += 1;
    }
    1e3 * (clock() - start) / f64::from(runs)
}

/// Seconds that this thread has had a processor, as Linux counts them.
fn clock() -> f64 {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").expect("Linux counts a thread's time");
    let nanoseconds = text.split_whitespace().next().and_then(|word| word.parse::<f64>().ok());
    nanoseconds.expect("the first number is the time on a processor") / 1e9
}
