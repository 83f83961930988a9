fn main() {
    use mfactor_convolution::Convolution;
    use std::time::Instant;
    for (c, h) in [(16, 32), (32, 16), (64, 8)] {
        for kernel in [3, 5, 7] {
            let conv = Convolution { images: 64, height: h, width: h, input_channels: c, output_channels: c, kernel };
            let images = vec![0.5f32; 64 * h * h * c];
            let weights = vec![0.5f32; kernel * kernel * c * c];
            let mut out = images.clone();
            let mut gw = weights.clone();
            let mut best = [1e9f64; 3];
            for _ in 0..12 {
                let t = Instant::now();
                conv.forward(&images, &weights, &mut out, 1);
                best[0] = best[0].min(t.elapsed().as_secs_f64() * 1e3);
                let t = Instant::now();
                conv.images_gradient(&weights, &images, &mut out, 1);
                best[1] = best[1].min(t.elapsed().as_secs_f64() * 1e3);
                let t = Instant::now();
                conv.weights_gradient(&images, &images, &mut gw, 1);
                best[2] = best[2].min(t.elapsed().as_secs_f64() * 1e3);
            }
            println!("{c}x{h} k{kernel} {best:.2?}");
        }
    }
}
