//! What a node of a tract graph does, in the kernels' words.

use std::collections::HashMap;
use std::sync::Arc;

use kernels::{Activation, Groups, Image, Shape};
use tract_core::internal::*;
use tract_core::ops::binary::TypedBinOp;
use tract_core::ops::cast::Cast;
use tract_core::ops::cnn::{Conv, KernelFormat};
use tract_core::ops::einsum::EinSum;
use tract_core::ops::element_wise::ElementWiseOp;
use tract_core::ops::nn::{DataFormat, HardSwish, Reduce, Reducer};
use tract_core::ops::quant::{DequantizeLinearF32, QuantizeLinearU8};

use super::draft::{Draft, Value, Weighted, Work};
use super::walk::Walk;

/// What is known of an outlet.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Known {
    /// A value as \[1, channels, rows, columns\].
    Pixels(Value),
    /// A value of one pixel, in any shape.
    Flat(Value),
    /// The sums over all pixels of a value's channels: a mean that is not yet divided.
    Sums(Value),
    /// A value as bytes, (value · inverse rounded) + zero point, which are yet to become numbers again.
    Bytes { value: Value, inverse: f32, zero_point: u8, is_only_reader: bool },
    /// min(slope · value + shift, 1) or what is inside, of which a maximum with 0 makes a hard sigmoid.
    Sloped { value: Value, slope: f32, shift: f32, is_capped: bool, is_only_reader: bool },
}

/// A draft that grows node by node.
pub(super) struct Reading<'a> {
    walk: &'a Walk<'a>,
    pub draft: Draft,
    pub known: HashMap<OutletId, Known>,
}

impl<'a> Reading<'a> {
    pub(super) fn new(walk: &'a Walk<'a>, image: Image) -> Self {
        let known = HashMap::from([(walk.model.inputs[0], Known::Pixels(Value::Image))]);
        Self { walk, draft: Draft::new(image), known }
    }

    /// Reads the next node in the order of evaluation.
    pub(super) fn node(&mut self, node: &TypedNode) -> TractResult<Option<Known>> {
        let Some(known) = self.operation(node)? else { return Ok(None) };
        let is_bytes = matches!(known, Known::Bytes { .. });
        if !is_bytes && self.datum_type(node.id.into())? != f32::datum_type() {
            return Ok(None);
        }
        self.known.insert(node.id.into(), known);
        Ok(Some(known))
    }

    fn operation(&mut self, node: &TypedNode) -> TractResult<Option<Known>> {
        let Some(first) = node.inputs.first() else { return Ok(None) };
        let first = self.known.get(first).copied();
        if let Some(binary) = node.op_as::<TypedBinOp>() {
            return self.binary(node, binary);
        }
        let Some(known) = first else { return Ok(None) };
        if node.op_is::<Cast>() {
            // An image of bytes becomes numbers.
            return Ok(self.is_only_reader(node, 0).then_some(known));
        }
        if let Some(of) = node.op_as::<Conv>() {
            return self.convolution(node, of, known);
        }
        if let Some(of) = node.op_as::<ElementWiseOp>() {
            let Known::Pixels(value) = known else { return Ok(None) };
            if let Some(bytes) = of.0.downcast_ref::<QuantizeLinearU8>() {
                let is_only_reader = self.is_only_reader(node, 0);
                let (inverse, zero_point) = (bytes.scale, bytes.zero_point);
                return Ok(Some(Known::Bytes { value, inverse, zero_point, is_only_reader }));
            }
            let is_known = of.0.is::<HardSwish>();
            return Ok(is_known.then(|| self.activated(node, 0, value, Activation::HardSwish)).flatten());
        }
        if let Some(of) = node.op_as::<DequantizeLinearF32>() {
            return self.numbers(node, of, known);
        }
        if let Some(of) = node.op_as::<Reduce>() {
            let Known::Pixels(value) = known else { return Ok(None) };
            let is_sum = of.reducer == Reducer::Sum && of.axes[..] == [2, 3];
            return Ok(is_sum.then_some(Known::Sums(value)));
        }
        if node.op_is::<AxisOp>() {
            return self.reshaped(node, known);
        }
        match node.op_as::<EinSum>() {
            Some(of) => self.linear(node, of, known),
            None => Ok(None),
        }
    }

    /// Another shape of one pixel leaves its channels in order, as long as no axis but one is longer than 1.
    fn reshaped(&self, node: &TypedNode, known: Known) -> TractResult<Option<Known>> {
        let (Known::Pixels(value) | Known::Flat(value)) = known else { return Ok(None) };
        let shape = self.draft.shape(value);
        let Some(axes) = self.walk.shape(node.id.into())? else { return Ok(None) };
        let is_flat =
            (shape.rows, shape.columns) == (1, 1) && axes.iter().filter(|axis| **axis != 1).count() <= 1;
        Ok((is_flat && value != Value::Image).then_some(Known::Flat(value)))
    }

    fn convolution(&mut self, node: &TypedNode, of: &Conv, known: Known) -> TractResult<Option<Known>> {
        let Known::Pixels(source) = known else { return Ok(None) };
        let (Some(weights), Some(bias)) = (self.constant(node, 1), self.constant(node, 2)) else {
            return Ok(None);
        };
        let pool = &of.pool_spec;
        let [kernel, columns] = pool.kernel_shape[..] else { return Ok(None) };
        let from = self.draft.shape(source);
        let groups = match of.group {
            1 => Groups::One,
            groups if groups == from.channels => Groups::Each,
            _ => return Ok(None),
        };
        let is_plain = of.q_params.is_none()
            && of.kernel_fmt == KernelFormat::OIHW
            && pool.data_format == DataFormat::NCHW
            && (kernel, pool.stride(0)) == (columns, pool.stride(1))
            && pool.dilations().iter().all(|dilation| *dilation == 1)
            && weights.datum_type() == f32::datum_type()
            && self.datum_type(node.inputs[0])? == f32::datum_type();
        let (Some([1, channels, rows, columns]), true) = (self.four_axes(node)?, is_plain) else {
            return Ok(None);
        };
        let Some(bias) = per_channel(&bias, channels, &[]) else { return Ok(None) };
        let padding = pool.computed_padding(&[from.rows, from.columns]);
        let [vertical, horizontal] = &padding[..] else { return Ok(None) };
        let padding = [vertical.pad_before, horizontal.pad_before, vertical.pad_after, horizontal.pad_after];
        let stride = pool.stride(0);
        let work = Work::Convolution(Weighted { kernel, stride, padding, groups, weights, bias });
        Ok(Some(Known::Pixels(self.draft.push(source, work, Shape { channels, rows, columns }))))
    }

    fn binary(&mut self, node: &TypedNode, of: &TypedBinOp) -> TractResult<Option<Known>> {
        let [left, right] = node.inputs[..] else { return Ok(None) };
        if of.1.is_some() {
            return Ok(None);
        }
        let (left, right) = (self.known.get(&left).copied(), self.known.get(&right).copied());
        let (known, place) = match (left, right) {
            (Some(Known::Pixels(left)), Some(Known::Pixels(right))) if of.0.name() == "Add" => {
                return Ok(self.sum(node, [left, right]).map(Known::Pixels));
            }
            (Some(Known::Pixels(left)), Some(Known::Pixels(right))) if of.0.name() == "Mul" => {
                return Ok(self.scaled(left, right).or_else(|| self.scaled(right, left)));
            }
            (Some(known), None) => (known, 0),
            (None, Some(known)) => (known, 1),
            _ => return Ok(None),
        };
        let Some(constant) = self.constant(node, 1 - place) else { return Ok(None) };
        let name = of.0.name();
        match known {
            Known::Pixels(Value::Image) if place == 0 && self.is_only_reader(node, 0) => {
                Ok(self.pixels(name, &constant))
            }
            Known::Pixels(value) => Ok(match (name, scalar(&constant)) {
                ("Max", Some(0.0)) => self.activated(node, place, value, Activation::Relu),
                ("Min", Some(6.0)) => self.activated(node, place, value, Activation::Relu6),
                ("Mul", Some(slope)) if value != Value::Image => {
                    let is_only_reader = self.is_only_reader(node, place);
                    Some(Known::Sloped { value, slope, shift: 0.0, is_capped: false, is_only_reader })
                }
                ("Add", _) => {
                    let channels = self.draft.shape(value).channels;
                    let is_biased = self.biased(node, place, value, &constant, &[1, channels, 1, 1]);
                    is_biased.then_some(known)
                }
                _ => None,
            }),
            Known::Sloped { .. } => Ok(self.hard_sigmoid(node, place, name, known, scalar(&constant))),
            Known::Sums(value) if (name, place) == ("Div", 0) => {
                let shape = self.draft.shape(value);
                let is_mean = scalar(&constant) == Some((shape.rows * shape.columns) as f32);
                let mean = Shape { rows: 1, columns: 1, ..shape };
                Ok(is_mean.then(|| Known::Pixels(self.draft.push(value, Work::Mean, mean))))
            }
            Known::Flat(value) if name == "Add" => {
                let channels = self.draft.shape(value).channels;
                let is_biased = self.biased(node, place, value, &constant, &[1, channels]);
                Ok(is_biased.then_some(known))
            }
            _ => Ok(None),
        }
    }

    /// The image's values, shifted or scaled channel by channel. What the image was before, nothing else reads.
    fn pixels(&mut self, name: &str, constant: &Tensor) -> Option<Known> {
        let image = &mut self.draft.image;
        let channels = image.shape.channels;
        let constant = per_channel(constant, channels, &[1, channels, 1, 1])?;
        for (channel, constant) in constant.into_iter().enumerate() {
            let (scale, shift) = (&mut image.scale[channel], &mut image.shift[channel]);
            (*scale, *shift) = match name {
                "Add" => (*scale, *shift + constant),
                "Sub" => (*scale, *shift - constant),
                "Mul" => (*scale * constant, *shift * constant),
                "Div" => (*scale / constant, *shift / constant),
                _ => return None,
            };
        }
        Some(Known::Pixels(Value::Image))
    }

    /// A linear layer: the sums of products, to which a bias is yet to be added.
    fn linear(&mut self, node: &TypedNode, of: &EinSum, known: Known) -> TractResult<Option<Known>> {
        let (Known::Flat(source), Some(weights)) = (known, self.constant(node, 1)) else { return Ok(None) };
        let Some(axes) = self.walk.shape(node.id.into())? else { return Ok(None) };
        let [1, channels] = axes[..] else { return Ok(None) };
        let from = self.draft.shape(source);
        let [rows, columns] = *weights.shape() else { return Ok(None) };
        let is_f32 = weights.datum_type() == f32::datum_type() && of.operating_dt == f32::datum_type();
        // Rows of the weights are outputs, or inputs.
        let by_output = is_product(of, 1) && (rows, columns) == (channels, from.channels);
        let by_input = is_product(of, 0) && (rows, columns) == (from.channels, channels);
        if !is_f32 || of.q_params.is_some() || node.inputs.len() != 2 || !(by_output || by_input) {
            return Ok(None);
        }
        let weights = if by_output {
            weights
        } else {
            weights.as_ref().clone().permute_axes(&[1, 0])?.into_arc_tensor()
        };
        let bias = vec![0.0; channels];
        let work = Weighted { kernel: 1, stride: 1, padding: [0; 4], groups: Groups::One, weights, bias };
        let shape = Shape { channels, rows: 1, columns: 1 };
        Ok(Some(Known::Flat(self.draft.push(source, Work::Convolution(work), shape))))
    }

    /// Adds a constant of a shape, or a single number, to the bias of a convolution; says whether it could be done.
    fn biased(
        &mut self,
        node: &TypedNode,
        place: usize,
        value: Value,
        constant: &Tensor,
        shape: &[usize],
    ) -> bool {
        if !self.is_open(node, place, value) {
            return false;
        }
        let Some(layer) = self.draft.layer(value) else { return false };
        let Some(constant) = per_channel(constant, layer.shape.channels, shape) else { return false };
        let Work::Convolution(of) = &mut layer.work else { return false };
        if layer.rounded.is_some() || layer.stored.is_some() {
            return false;
        }
        of.bias.iter_mut().zip(constant).for_each(|(bias, constant)| *bias += constant);
        true
    }

    /// A value whose channels are multiplied by those of a gate, a value of one pixel.
    fn scaled(&mut self, value: Value, gate: Value) -> Option<Known> {
        let shape = self.draft.shape(value);
        let pixel = Shape { rows: 1, columns: 1, ..shape };
        let is_gate = self.draft.shape(gate) == pixel && gate != Value::Image;
        is_gate.then(|| Known::Pixels(self.draft.push(value, Work::Scale(gate), shape)))
    }

    /// The sum of two values: added by the layer that makes one of them, where nothing else reads that.
    fn sum(&mut self, node: &TypedNode, values: [Value; 2]) -> Option<Value> {
        let shape = self.draft.shape(values[0]);
        if self.draft.shape(values[1]) != shape {
            return None;
        }
        let open = (0..2).find(|place| values[0] != values[1] && self.is_open(node, *place, values[*place]));
        let place = open.unwrap_or(0);
        let sum = match open {
            Some(place) => values[place],
            None => self.draft.push(values[0], Work::Copy, shape),
        };
        let layer = self.draft.layer(sum)?;
        layer.reopen();
        layer.sum_with = Some(values[1 - place]);
        self.draft.postpone(sum);
        Some(sum)
    }

    /// Whether a layer's value may still change: nothing else reads it, and it neither adds nor rectifies.
    pub(super) fn is_open(&mut self, node: &TypedNode, place: usize, value: Value) -> bool {
        self.is_only_reader(node, place) && self.draft.layer(value).is_some_and(|layer| layer.is_open())
    }

    pub(super) fn is_only_reader(&self, node: &TypedNode, place: usize) -> bool {
        let outlet = node.inputs[place];
        let model = self.walk.model;
        model.outlet_successors(outlet).len() == 1 && !model.outputs.contains(&outlet)
    }

    pub(super) fn datum_type(&self, outlet: OutletId) -> TractResult<DatumType> {
        Ok(self.walk.model.outlet_fact(outlet)?.datum_type)
    }

    fn constant(&self, node: &TypedNode, input: usize) -> Option<Arc<Tensor>> {
        self.walk.constants.get(node.inputs.get(input)?).cloned()
    }

    fn four_axes(&self, node: &TypedNode) -> TractResult<Option<[usize; 4]>> {
        Ok(self.walk.shape(node.id.into())?.and_then(|shape| shape[..].try_into().ok()))
    }
}

/// Whether an operator multiplies a row by a matrix, of which this axis counts the inputs.
fn is_product(of: &EinSum, inputs: usize) -> bool {
    let mut axes: Vec<_> =
        of.axes.iter_all_axes().map(|axis| (&axis.inputs[..], &axis.outputs[..])).collect();
    axes.sort();
    let axis = |place: usize| -> TVec<usize> { tvec!(place) };
    let none = TVec::<usize>::new();
    let mut expected = [
        ([axis(0), none.clone()], [axis(0)]),
        ([axis(1), axis(inputs)], [none.clone()]),
        ([none, axis(1 - inputs)], [axis(1)]),
    ];
    expected.sort();
    axes.len() == 3
        && axes.iter().zip(&expected).all(|(axis, (inputs, outputs))| *axis == (&inputs[..], &outputs[..]))
}

/// The numbers of a tensor.
fn numbers(tensor: &Tensor) -> Option<Vec<f32>> {
    let cast = tensor.cast_to::<f32>().ok()?;
    Some(cast.try_as_plain_ram().ok()?.as_slice::<f32>().ok()?.to_vec())
}

/// One number a channel: of a single number, or of a tensor of this shape; without a shape of any with as many numbers.
fn per_channel(tensor: &Tensor, channels: usize, shape: &[usize]) -> Option<Vec<f32>> {
    if let Some(number) = scalar(tensor) {
        return Some(vec![number; channels]);
    }
    let fits = tensor.len() == channels && (shape.is_empty() || tensor.shape() == shape);
    numbers(tensor).filter(|_| fits)
}

/// The only number of a tensor.
fn scalar(tensor: &Tensor) -> Option<f32> {
    (tensor.len() == 1).then(|| numbers(tensor))??.first().copied()
}
