//! What a network must be like to be planned: the gate behind which every size is trusted.

use super::network::{Convolution, Grid, Groups, Layer, Network, Operation, Shape};
use super::{Unsupported, refused};
use crate::routines::Routines;

/// Rows of the largest kernel.
const MOST_TAPS: usize = 16;

/// Numbers of the largest image, or of the weights of a layer: 256 MiB.
const MOST_NUMBERS: usize = 1 << 26;

/// Checks the image and all layers, and says the shape of every value.
pub(super) fn shapes(network: &Network<'_>, routines: &Routines) -> Result<Vec<Shape>, Unsupported> {
    let image = &network.image;
    fits("the image", &[image.shape.channels, image.shape.rows, image.shape.columns])?;
    if image.scale.len() != image.shape.channels || image.shift.len() != image.shape.channels {
        return refused("the image needs a scale and a shift for each channel");
    }
    let mut shapes = vec![image.shape];
    for (number, layer) in network.layers.iter().enumerate() {
        let shape = of_layer(layer, &shapes, routines)
            .map_err(|Unsupported(reason)| Unsupported(format!("layer {number}: {reason}")))?;
        shapes.push(shape);
    }
    if network.layers.is_empty() {
        return refused("there are no layers");
    }
    Ok(shapes)
}

/// The shape of a layer's output.
fn of_layer(layer: &Layer<'_>, shapes: &[Shape], routines: &Routines) -> Result<Shape, Unsupported> {
    let Some(source) = shapes.get(layer.source) else { return refused("it reads a value that comes later") };
    let shape = match &layer.operation {
        Operation::Convolution(convolution) => of_convolution(convolution, *source, routines)?,
        Operation::Mean => Shape { rows: 1, columns: 1, ..*source },
        Operation::Copy => *source,
        Operation::Scale(gate) => {
            let pixel = Shape { rows: 1, columns: 1, ..*source };
            if shapes.get(*gate) != Some(&pixel) {
                return refused("it multiplies by a value of another shape");
            }
            *source
        }
    };
    let grids = [layer.rounded, layer.stored];
    if !layer.activation.is_sound() || !grids.into_iter().flatten().all(Grid::is_sound) {
        return refused("its activation or steps have numbers that are none");
    }
    match layer.sum_with {
        Some(other) if shapes.get(other) != Some(&shape) => refused("it adds a value of another shape"),
        _ => Ok(shape),
    }
}

fn of_convolution(of: &Convolution<'_>, source: Shape, routines: &Routines) -> Result<Shape, Unsupported> {
    let Convolution { kernel, stride, output_channels, .. } = *of;
    let sizes = [kernel, stride];
    if sizes.iter().any(|size| !(1..=MOST_TAPS).contains(size))
        || of.padding.iter().any(|rows| *rows >= kernel)
    {
        return refused("its kernel, stride or padding is out of the ordinary");
    }
    let [above, left, below, right] = of.padding;
    let outputs = |values: usize| Some((values.checked_sub(kernel)?) / stride + 1);
    let rows = outputs(source.rows + above + below);
    let columns = outputs(source.columns + left + right);
    let (Some(rows), Some(columns)) = (rows, columns) else {
        return refused("its kernel is larger than its image");
    };
    let input_channels = match of.groups {
        Groups::One => source.channels,
        Groups::Each if output_channels != source.channels => {
            return refused("it keeps channels apart and changes their number");
        }
        Groups::Each if routines.depthwise(kernel, stride).is_none() => {
            return refused("there is no kernel of its size for channels apart");
        }
        Groups::Each => 1,
    };
    let shape = Shape { channels: output_channels, rows, columns };
    fits("its output", &[output_channels, rows, columns])?;
    let weights = fits("its weights", &[output_channels, input_channels, kernel, kernel])?;
    if of.weights.len() != weights || of.bias.len() != output_channels {
        return refused("its weights have another shape");
    }
    Ok(shape)
}

/// The product of some sizes, all of them at least 1, if it is no more than can be handled.
fn fits(what: &str, sizes: &[usize]) -> Result<usize, Unsupported> {
    let product = sizes.iter().try_fold(1usize, |product, size| product.checked_mul(*size));
    match product {
        Some(product) if (1..=MOST_NUMBERS).contains(&product) => Ok(product),
        _ => refused(&format!("{what}, {sizes:?}, has no sensible size")),
    }
}
