//! Layers under construction: the one place that knows what a block is made of.

use crate::layers::Layer;
use crate::operation::Operation;
use crate::space::ImageShape;
use crate::space::block::{Activation, Block, BlockKind};

/// Layers under construction.
pub(super) struct Network {
    pub layers: Vec<Layer>,
}

/// Names of a convolution and of its batch norm.
type Names<'a> = [&'a str; 2];

/// What a convolution is, beside what it reads.
struct Form {
    width: usize,
    kernel: usize,
    stride: usize,
    groups: usize,
}

impl Form {
    fn dense(width: usize, kernel: usize, stride: usize) -> Self {
        Self { width, kernel, stride, groups: 1 }
    }
}

impl Network {
    pub fn new(image: ImageShape) -> Self {
        let layer =
            Layer { name: "image".to_owned(), operation: Operation::Image, inputs: vec![], output: image };
        Self { layers: vec![layer] }
    }

    /// Appends a layer and returns its position.
    fn push(&mut self, name: &str, operation: Operation, inputs: Vec<usize>) -> usize {
        let output = operation.output(self.layers[inputs[0]].output);
        self.layers.push(Layer { name: name.to_owned(), operation, inputs, output });
        self.layers.len() - 1
    }

    /// Convolution that keeps the size at stride 1, and its batch norm.
    fn convolution(&mut self, input: usize, names: Names, form: Form) -> usize {
        let Form { width, kernel, stride, groups } = form;
        let operation = Operation::Convolution {
            input_channels: self.channels(input),
            output_channels: width,
            kernel,
            stride,
            padding: kernel / 2,
            groups,
        };
        let convolution = self.push(names[0], operation, vec![input]);
        self.push(names[1], Operation::BatchNorm { channels: width }, vec![convolution])
    }

    fn channels(&self, position: usize) -> usize {
        self.layers[position].output.channels
    }

    /// An activation, which is called `relu1` or, if it is another, `activation1`.
    fn activate(&mut self, block: &str, number: &str, activation: Activation, input: usize) -> usize {
        let (name, operation) = match activation {
            Activation::Relu => ("relu", Operation::Relu),
            Activation::Relu6 => ("activation", Operation::Relu6),
            Activation::HardSwish => ("activation", Operation::HardSwish),
        };
        self.push(&format!("{block}.{name}{number}"), operation, vec![input])
    }

    /// A convolution, its batch norm and its activation, before the first block or after the last.
    pub fn end(
        &mut self,
        name: &str,
        input: usize,
        width: usize,
        [kernel, stride]: [usize; 2],
        activation: Activation,
    ) -> usize {
        let names = [&*format!("{name}.conv"), &*format!("{name}.bn")];
        let top = self.convolution(input, names, Form::dense(width, kernel, stride));
        self.activate(name, "", activation, top)
    }

    /// Global average pool and the linear layer.
    pub fn classify(&mut self, input: usize, classes: usize) {
        let features = self.channels(input);
        let pool = self.push("pool", Operation::GlobalAveragePool, vec![input]);
        let linear = Operation::Linear { input_features: features, output_features: classes };
        self.push("linear", linear, vec![pool]);
    }

    /// A block of a stage of this width; `stride` is that of the convolution that has it.
    pub fn block(&mut self, name: &str, input: usize, width: usize, block: &Block, stride: usize) -> usize {
        match block.kind {
            BlockKind::Basic => self.basic(name, input, width, block, stride),
            BlockKind::Bottleneck => self.bottleneck(name, input, width, block, stride),
            BlockKind::Fused => self.fused(name, input, width, block, stride),
            BlockKind::Inverted => self.inverted(name, input, width, block, stride),
            BlockKind::Identity => self.shortcut(name, input, width, stride),
        }
    }

    /// Convolution number `number` of a block.
    fn step(&mut self, name: &str, number: usize, input: usize, form: Form) -> usize {
        self.convolution(input, [&format!("{name}.conv{number}"), &format!("{name}.bn{number}")], form)
    }

    fn basic(&mut self, name: &str, input: usize, width: usize, block: &Block, stride: usize) -> usize {
        let inside = block.expansion.channels(width);
        let mut top = self.step(name, 1, input, Form::dense(inside, block.kernel.into(), stride));
        top = self.activate(name, "1", block.activation, top);
        top = self.step(name, 2, top, Form::dense(width, 3, 1));
        self.add_shortcut(name, [top, input], stride);
        self.activate(name, "2", block.activation, self.layers.len() - 1)
    }

    fn bottleneck(&mut self, name: &str, input: usize, width: usize, block: &Block, stride: usize) -> usize {
        let inside = block.expansion.channels(width);
        let mut top = self.step(name, 1, input, Form::dense(inside, 1, 1));
        top = self.activate(name, "1", block.activation, top);
        top = self.step(name, 2, top, Form::dense(inside, block.kernel.into(), stride));
        top = self.activate(name, "2", block.activation, top);
        top = self.step(name, 3, top, Form::dense(width, 1, 1));
        self.add_shortcut(name, [top, input], stride);
        self.activate(name, "3", block.activation, self.layers.len() - 1)
    }

    fn fused(&mut self, name: &str, input: usize, width: usize, block: &Block, stride: usize) -> usize {
        let inside = block.expansion.channels(self.channels(input));
        let mut top = self.step(name, 1, input, Form::dense(inside, block.kernel.into(), stride));
        top = self.activate(name, "1", block.activation, top);
        top = self.squeeze(name, top, block);
        top = self.step(name, 2, top, Form::dense(width, 1, 1));
        self.add_input(name, [top, input], stride)
    }

    fn inverted(&mut self, name: &str, input: usize, width: usize, block: &Block, stride: usize) -> usize {
        let channels = self.channels(input);
        let mut top = input;
        let mut inside = channels;
        if block.expansion.factor() != 1.0 {
            inside = block.expansion.channels(channels);
            top = self.step(name, 1, top, Form::dense(inside, 1, 1));
            top = self.activate(name, "1", block.activation, top);
        }
        let form = Form { width: inside, kernel: block.kernel.into(), stride, groups: inside };
        top = self.step(name, 2, top, form);
        top = self.activate(name, "2", block.activation, top);
        top = self.squeeze(name, top, block);
        top = self.step(name, 3, top, Form::dense(width, 1, 1));
        self.add_input(name, [top, input], stride)
    }

    /// Squeeze-and-excitation with a quarter of the channels (Hu et al. 2018; hard-sigmoid as in Howard et al. 2019),
    /// if the block has it.
    fn squeeze(&mut self, name: &str, input: usize, block: &Block) -> usize {
        if !block.squeezes {
            return input;
        }
        let named = |part: &str| format!("{name}.squeeze.{part}");
        let channels = self.channels(input);
        let inside = (channels / 4).max(1);
        let linear = |input_features: usize, output_features: usize| Operation::Linear {
            input_features,
            output_features,
        };
        let mut top = self.push(&named("pool"), Operation::GlobalAveragePool, vec![input]);
        top = self.push(&named("linear1"), linear(channels, inside), vec![top]);
        top = self.push(&named("relu"), Operation::Relu, vec![top]);
        top = self.push(&named("linear2"), linear(inside, channels), vec![top]);
        top = self.push(&named("gate"), Operation::HardSigmoid, vec![top]);
        self.push(&named("scale"), Operation::Scale, vec![input, top])
    }

    /// The input itself, or projected to the block's shape (He et al. 2015, option B).
    fn shortcut(&mut self, name: &str, input: usize, width: usize, stride: usize) -> usize {
        if stride == 1 && self.channels(input) == width {
            return input;
        }
        let names = [&*format!("{name}.shortcut.conv"), &*format!("{name}.shortcut.bn")];
        self.convolution(input, names, Form::dense(width, 1, stride))
    }

    fn add_shortcut(&mut self, name: &str, [top, input]: [usize; 2], stride: usize) -> usize {
        let shortcut = self.shortcut(name, input, self.channels(top), stride);
        self.push(&format!("{name}.add"), Operation::Add, vec![top, shortcut])
    }

    /// The sum with the input where it has the same shape.
    fn add_input(&mut self, name: &str, [top, input]: [usize; 2], stride: usize) -> usize {
        if stride > 1 || self.channels(input) != self.channels(top) {
            return top;
        }
        self.push(&format!("{name}.add"), Operation::Add, vec![top, input])
    }
}
