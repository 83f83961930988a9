//! What a node of a tract graph does to single values: activations, and rounding to eight bits.

use kernels::{Activation, Grid};
use tract_core::internal::*;
use tract_core::ops::quant::DequantizeLinearF32;

use super::draft::{Value, Work};
use super::reading::{Known, Reading};

impl Reading<'_> {
    /// Bytes become numbers: those of the image, or those that a value was rounded to. Of the latter the steps in between are
    /// what counts.
    pub(super) fn numbers(
        &mut self,
        node: &TypedNode,
        of: &DequantizeLinearF32,
        known: Known,
    ) -> TractResult<Option<Known>> {
        let step = of.scale;
        match known {
            Known::Pixels(Value::Image) => {
                let is_bytes = self.datum_type(node.inputs[0])? == u8::datum_type();
                if !is_bytes || !self.is_only_reader(node, 0) {
                    return Ok(None);
                }
                self.draft.image.scale.fill(step);
                self.draft.image.shift.fill(of.zero_point as f32 * -step);
                Ok(Some(known))
            }
            Known::Bytes { value, inverse, zero_point, is_only_reader }
                if (step.recip(), of.zero_point) == (inverse, i32::from(zero_point)) =>
            {
                let is_only_reader = is_only_reader && self.is_only_reader(node, 0);
                Ok(self.rounded(value, is_only_reader, Grid { step, zero_point }))
            }
            _ => Ok(None),
        }
    }

    fn rounded(&mut self, value: Value, is_only_reader: bool, grid: Grid) -> Option<Known> {
        let shape = self.draft.shape(value);
        let layer = self.draft.layer(value);
        let is_open = layer.is_some_and(|layer| is_only_reader && layer.stored.is_none());
        let rounded = if is_open { value } else { self.draft.push(value, Work::Copy, shape) };
        self.draft.layer(rounded)?.stored = Some(grid);
        Some(Known::Pixels(rounded))
    }

    /// A value after an activation: as a part of the layer that makes it, where nothing else reads what was before.
    pub(super) fn activated(
        &mut self,
        node: &TypedNode,
        place: usize,
        value: Value,
        activation: Activation,
    ) -> Option<Known> {
        let is_only_reader = self.is_only_reader(node, place);
        self.activated_by(value, is_only_reader, activation).map(Known::Pixels)
    }

    fn activated_by(&mut self, value: Value, is_only_reader: bool, activation: Activation) -> Option<Value> {
        let shape = self.draft.shape(value);
        if let Some(layer) = self.draft.layer(value).filter(|_| is_only_reader) {
            let is_stored = layer.stored.is_some();
            let follows = match activation {
                Activation::Relu6 => layer.activation == Activation::Relu && !is_stored,
                // What was rounded is a sum already, or is not.
                _ if is_stored => layer.is_open(),
                _ => layer.activation == Activation::None,
            };
            if follows {
                layer.reopen();
                layer.activation = activation;
                return Some(value);
            }
        }
        // A minimum with 6 is known after a maximum with 0 only.
        if activation == Activation::Relu6 {
            return None;
        }
        let copy = self.draft.push(value, Work::Copy, shape);
        self.draft.layer(copy)?.activation = activation;
        Some(copy)
    }

    /// The next node of max(min(slope · value + shift, 1), 0), as tract writes a hard sigmoid.
    pub(super) fn hard_sigmoid(
        &mut self,
        node: &TypedNode,
        place: usize,
        name: &str,
        known: Known,
        constant: Option<f32>,
    ) -> Option<Known> {
        let Known::Sloped { value, slope, shift, is_capped, is_only_reader } = known else { return None };
        let is_only_reader = is_only_reader && self.is_only_reader(node, place);
        match (name, constant?, is_capped) {
            ("Add", constant, false) => {
                Some(Known::Sloped { value, slope, shift: shift + constant, is_capped, is_only_reader })
            }
            ("Min", 1.0, false) => {
                Some(Known::Sloped { value, slope, shift, is_capped: true, is_only_reader })
            }
            ("Max", 0.0, true) => {
                let activation = Activation::HardSigmoid { slope, shift };
                self.activated_by(value, is_only_reader, activation).map(Known::Pixels)
            }
            _ => None,
        }
    }
}
