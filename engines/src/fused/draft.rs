//! A network for the kernels, while a graph is being read: layers still change, and their weights are tract's.

use std::sync::Arc;

use kernels::{Activation, Convolution, Groups, Image, Layer, Network, Operation, Shape};
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
    pub sum_with: Option<Value>,
    pub activation: Activation,
    pub shape: Shape,
}

/// What it computes.
#[derive(Debug)]
pub(super) enum Work {
    Convolution(Weighted),
    Mean,
    Copy,
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
        self.layers.push(Drafted { source, work, sum_with: None, activation: Activation::None, shape });
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
            };
            let sum_with = layer.sum_with.map(number);
            Some(Layer { source: number(layer.source), operation, sum_with, activation: layer.activation })
        });
        Some(Network { image: self.image.clone(), layers: layers.collect::<Option<_>>()? })
    }
}

impl Weighted {
    fn convolution(&self, output_channels: usize) -> Option<Convolution<'_>> {
        let Self { kernel, stride, padding, groups, ref weights, ref bias } = *self;
        let weights = weights.try_as_plain_ram().ok()?.as_slice::<f32>().ok()?;
        Some(Convolution { output_channels, kernel, stride, padding, groups, weights, bias })
    }
}
