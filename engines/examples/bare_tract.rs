//! tract with nothing around it, for scripts/bench-runner: what the runner's checks, counters and seam cost.
//!
//! Prints one line: milliseconds to load, milliseconds of the first inference, median milliseconds of INFERENCES.

#![expect(clippy::print_stdout, reason = "an example prints its result")]

use std::hint::black_box;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use tract::prelude::*;

fn main() -> Result<()> {
    let mut arguments = std::env::args().skip(1);
    let path = arguments.next().context("MODEL INFERENCES")?;
    let inferences: usize = arguments.next().context("MODEL INFERENCES")?.parse()?;
    let start = Instant::now();
    let mut model = tract::onnx()?.load_buffer(&std::fs::read(path)?)?;
    model.set_input_fact(0, "1,3,32,32,u8")?;
    let mut state = model.into_model()?.into_runnable()?.spawn_state()?;
    let load = start.elapsed();
    let image = vec![100u8; 3 * 32 * 32];
    let mut run = || -> Result<Duration> {
        let start = Instant::now();
        let input = Tensor::from_bytes(DatumType::U8, &[1, 3, 32, 32], &image)?;
        black_box(state.run([input])?[0].as_slice::<f32>()?.to_vec());
        Ok(start.elapsed())
    };
    let first = run()?;
    let mut times = (0..inferences).map(|_| run()).collect::<Result<Vec<_>>>()?;
    times.sort_unstable();
    let ms = |time: Duration| time.as_secs_f64() * 1e3;
    let median = times.get(times.len() / 2).copied().unwrap_or(first);
    println!("{:.4} {:.4} {:.4}", ms(load), ms(first), ms(median));
    Ok(())
}
