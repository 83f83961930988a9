//! Reads a tract graph from the image on, in the order of its evaluation, as far as the kernels know what it does.
//!
//! The graph is the one that ONNX says, not yet optimised: plain convolutions, sums, maxima with 0. A node that is not understood
//! yields no value, and what reads it is not understood either.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use kernels::{Image, Shape};
use tract_core::internal::*;

use super::draft::{Draft, Value};
use super::reading::{Known, Reading};

/// A graph, and the values of all its constants.
pub(super) struct Walk<'a> {
    pub model: &'a TypedModel,
    order: Vec<usize>,
    pub constants: HashMap<OutletId, Arc<Tensor>>,
}

/// A part of the graph that has been understood.
pub(super) struct Part {
    pub draft: Draft,
    /// Where it ends, and the place of that node in the order of evaluation.
    pub end: OutletId,
    pub node: usize,
    /// The shape of what comes out.
    pub shape: TVec<usize>,
    /// Whether nothing but the end is read from outside, and the end is what the draft computes last.
    pub is_whole: bool,
}

impl<'a> Walk<'a> {
    /// Evaluates all that depends on no image.
    pub(super) fn new(model: &'a TypedModel) -> TractResult<Self> {
        let order = model.eval_order()?;
        let mut constants: HashMap<OutletId, Arc<Tensor>> = HashMap::new();
        for id in &order {
            let node = model.node(*id);
            if let Some(constant) = node.outputs.first().and_then(|output| output.fact.konst.as_ref()) {
                constants.insert((*id).into(), constant.clone());
                continue;
            }
            let inputs = node
                .inputs
                .iter()
                .map(|input| constants.get(input).map(|constant| constant.clone().into_tvalue()));
            let Some(inputs) = inputs.collect::<Option<TVec<TValue>>>().filter(|inputs| !inputs.is_empty())
            else {
                continue;
            };
            // What cannot be evaluated is left to tract, whose words are better than ours.
            if let Ok(Some(outputs)) = node.op.eval_out_of_plan(inputs) {
                for (slot, output) in outputs.into_iter().enumerate() {
                    constants.insert(OutletId::new(*id, slot), output.into_arc_tensor());
                }
            }
        }
        Ok(Self { model, order, constants })
    }

    /// How many nodes there are.
    pub(super) fn nodes(&self) -> usize {
        self.order.len()
    }

    /// The longest part that ends before a place in the order of evaluation; `None` if there is none.
    pub(super) fn part(&self, limit: usize) -> TractResult<Option<Part>> {
        let Some(image) = self.image()? else { return Ok(None) };
        let mut reading = Reading::new(self, image);
        let mut end = None;
        for (place, id) in self.order[..limit].iter().enumerate() {
            if let Some(Known::Pixels(value) | Known::Flat(value)) = reading.node(self.model.node(*id))?
                && value != Value::Image
            {
                end = Some((place, value));
            }
        }
        let Some((node, value)) = end else { return Ok(None) };
        let end = OutletId::new(self.order[node], 0);
        let shape = self.shape(end)?;
        let is_whole =
            shape.is_some() && reading.draft.is_last(value) && !self.is_read_inside(&reading.known, end);
        Ok(Some(Part { draft: reading.draft, end, node, shape: shape.unwrap_or_default(), is_whole }))
    }

    /// The graph's only input, if it is an image of bytes.
    fn image(&self) -> TractResult<Option<Image>> {
        let [input] = self.model.inputs[..] else { return Ok(None) };
        if self.model.outlet_fact(input)?.datum_type != u8::datum_type() {
            return Ok(None);
        }
        let Some(shape) = self.shape(input)? else { return Ok(None) };
        let [1, channels, rows, columns] = shape[..] else { return Ok(None) };
        let shape = Shape { channels, rows, columns };
        Ok(Some(Image { shape, scale: vec![1.0; channels], shift: vec![0.0; channels] }))
    }

    /// The shape of an outlet, if it is one of numbers.
    pub(super) fn shape(&self, outlet: OutletId) -> TractResult<Option<TVec<usize>>> {
        Ok(self.model.outlet_fact(outlet)?.shape.as_concrete().map(|shape| shape.into()))
    }

    /// Whether a node outside reads what is known, but for the image and the end.
    fn is_read_inside(&self, known: &HashMap<OutletId, Known>, end: OutletId) -> bool {
        let inside: HashSet<usize> = known.keys().map(|outlet| outlet.node).collect();
        known.keys().filter(|outlet| **outlet != end && **outlet != self.model.inputs[0]).any(|outlet| {
            let readers = self.model.outlet_successors(*outlet);
            self.model.outputs.contains(outlet) || readers.iter().any(|reader| !inside.contains(&reader.node))
        })
    }
}
