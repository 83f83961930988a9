//! tract with nothing around it, for scripts/bench-runner: what the runner's checks, counters and seam cost.
//!
//! Prints one line: milliseconds to load, milliseconds of the first inference, median milliseconds of INFERENCES.

#![expect(clippy::print_stdout, reason = "an example prints its result")]

use std::hint::black_box;
use std::io::Cursor;
use std::time::{Duration, Instant};

use tract_core::internal::*;
use tract_onnx::prelude::{Framework, InferenceModelExt};

fn main() -> TractResult<()> {
    let mut arguments = std::env::args().skip(1);
    let path = arguments.next().context("MODEL INFERENCES")?;
    let inferences: usize = arguments.next().context("MODEL INFERENCES")?.parse()?;
    let start = Instant::now();
    let mut model = tract_onnx::onnx().model_for_read(&mut Cursor::new(std::fs::read(path)?))?;
    model.set_input_fact(0, u8::fact([1, 3, 32, 32]).into())?;
    let mut state = model.into_optimized()?.into_runnable()?.spawn()?;
    let load = start.elapsed();
    let image = vec![100u8; 3 * 32 * 32];
    let mut run = || -> TractResult<Duration> {
        let start = Instant::now();
        let input = Tensor::from_shape(&[1, 3, 32, 32], &image)?;
        let outputs = state.run(tvec!(input.into_tvalue()))?;
        black_box(outputs[0].try_as_plain_ram()?.as_slice::<f32>()?.to_vec());
        Ok(start.elapsed())
    };
    let first = run()?;
    let mut times = (0..inferences).map(|_| run()).collect::<TractResult<Vec<_>>>()?;
    times.sort_unstable();
    let ms = |time: Duration| time.as_secs_f64() * 1e3;
    let median = times.get(times.len() / 2).copied().unwrap_or(first);
    println!("{:.4} {:.4} {:.4}", ms(load), ms(first), ms(median));
    Ok(())
}
