//! A network for the kernels, while a graph is being read: layers still change, and their weights are tract's.

use std::sync::Arc;

use kernels::{Activation, Convolution, Grid, Groups, Image, Layer, Network, Operation, Shape};
use tract_core::internal::Tensor;

/// A value: the image, or what a layer makes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Value {
    Image,
    Layer(usize),
}

/// Layers by number, and the order in which they are computed.
#[derive(Debug)]
pub(super) struct Draft {
    pub image: Image,
    layers: Vec<Drafted>,
    order: Vec<usize>,
}

/// A layer.
#[derive(Debug)]
pub(super) struct Drafted {
    pub source: Value,
    pub work: Work,
    pub rounded: Option<Grid>,
    pub sum_with: Option<Value>,
    pub activation: Activation,
    pub stored: Option<Grid>,
    pub shape: Shape,
}

/// What it computes.
#[derive(Debug)]
pub(super) enum Work {
    Convolution(Weighted),
    Mean,
    Copy,
    /// Each channel times its number in a value of one pixel.
    Scale(Value),
}

/// A convolution and its weights.
#[derive(Debug)]
pub(super) struct Weighted {
    pub kernel: usize,
    pub stride: usize,
    pub padding: [usize; 4],
    pub groups: Groups,
    /// Output channel × input channel × row × column.
    pub weights: Arc<Tensor>,
    /// One an output channel.
    pub bias: Vec<f32>,
}

impl Draft {
    pub(super) fn new(image: Image) -> Self {
        Self { image, layers: vec![], order: vec![] }
    }

    /// Appends a layer that neither adds nor rectifies.
    pub(super) fn push(&mut self, source: Value, work: Work, shape: Shape) -> Value {
        self.order.push(self.layers.len());
        let (rounded, sum_with, activation, stored) = (None, None, Activation::None, None);
        self.layers.push(Drafted { source, work, rounded, sum_with, activation, stored, shape });
        Value::Layer(self.layers.len() - 1)
    }

    pub(super) fn layer(&mut self, value: Value) -> Option<&mut Drafted> {
        match value {
            Value::Image => None,
            Value::Layer(number) => self.layers.get_mut(number),
        }
    }

    pub(super) fn shape(&self, value: Value) -> Shape {
        match value {
            Value::Image => self.image.shape,
            Value::Layer(number) => self.layers[number].shape,
        }
    }

    /// Lets a layer be computed last, now that everything it adds is there.
    pub(super) fn postpone(&mut self, value: Value) {
        if let Value::Layer(number) = value {
            self.order.retain(|other| *other != number);
            self.order.push(number);
        }
    }

    /// Whether a value is the one that is computed last.
    pub(super) fn is_last(&self, value: Value) -> bool {
        self.order.last().is_some_and(|number| value == Value::Layer(*number))
    }

    pub(super) fn has_convolutions(&self) -> bool {
        self.layers.iter().any(|layer| matches!(layer.work, Work::Convolution(_)))
    }

    /// The network as the kernels want it; `None` if weights are not f32.
    pub(super) fn network(&self) -> Option<Network<'_>> {
        let mut places = vec![0; self.layers.len()];
        for (place, number) in self.order.iter().enumerate() {
            places[*number] = place + 1;
        }
        let number = |value: Value| match value {
            Value::Image => 0,
            Value::Layer(layer) => places[layer],
        };
        let layers = self.order.iter().map(|layer| {
            let layer = &self.layers[*layer];
            let operation = match &layer.work {
                Work::Convolution(of) => Operation::Convolution(of.convolution(layer.shape.channels)?),
                Work::Mean => Operation::Mean,
                Work::Copy => Operation::Copy,
                Work::Scale(gate) => Operation::Scale(number(*gate)),
            };
            let Drafted { rounded, activation, stored, .. } = *layer;
            let (source, sum_with) = (number(layer.source), layer.sum_with.map(number));
            Some(Layer { source, operation, rounded, sum_with, activation, stored })
        });
        Some(Network { image: self.image.clone(), layers: layers.collect::<Option<_>>()? })
    }
}

impl Drafted {
    /// Whether nothing has been added yet, nor rectified, nor rounded but once, so that all that may still come.
    pub(super) fn is_open(&self) -> bool {
        let is_rounded_twice = self.rounded.is_some() && self.stored.is_some();
        self.activation == Activation::None && self.sum_with.is_none() && !is_rounded_twice
    }

    /// Makes room behind what it was rounded to at last.
    pub(super) fn reopen(&mut self) {
        if let Some(grid) = self.stored.take() {
            self.rounded = Some(grid);
        }
    }
}

impl Weighted {
    fn convolution(&self, output_channels: usize) -> Option<Convolution<'_>> {
        let Self { kernel, stride, padding, groups, ref weights, ref bias } = *self;
        let weights = weights.try_as_plain_ram().ok()?.as_slice::<f32>().ok()?;
        Some(Convolution { output_channels, kernel, stride, padding, groups, weights, bias })
    }
}
