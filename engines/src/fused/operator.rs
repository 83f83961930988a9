//! tract's operator for the part of a graph that the kernels compute.

use std::fmt;
use std::sync::Arc;

use kernels::{Plan, Workspace};
use tract_core::internal::*;

/// A plan in a graph. It takes the image, u8 \[1, channels, rows, columns\], and gives f32 of one shape.
#[derive(Debug, Clone)]
pub(super) struct Fused {
    plan: Arc<Plan>,
    shape: TVec<usize>,
}

impl Fused {
    /// The operator; `shape` has as many values as the plan's output.
    pub(super) fn new(plan: Arc<Plan>, shape: TVec<usize>) -> Self {
        Self { plan, shape }
    }
}

impl PartialEq for Fused {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.plan, &other.plan)
    }
}

impl Eq for Fused {}

impl Op for Fused {
    fn name(&self) -> StaticName {
        "Fused".into()
    }

    fn info(&self) -> TractResult<Vec<String>> {
        Ok(vec![format!("{:?}", self.plan)])
    }

    op_as_typed_op!();
}

impl EvalOp for Fused {
    not_out_of_plan!();

    fn state(&self, _context: &EvalContext) -> TractResult<Option<Box<dyn OpState>>> {
        Ok(Some(Box::new(State(Workspace::new(self.plan.clone())))))
    }
}

impl TypedOp for Fused {
    as_op!();

    fn output_facts(&self, _inputs: &[&TypedFact]) -> TractResult<TVec<TypedFact>> {
        Ok(tvec!(f32::fact(&self.shape)))
    }
}

/// The memory that a plan runs in. Nothing in it outlives a run.
struct State(Workspace);

impl Clone for State {
    fn clone(&self) -> Self {
        Self(Workspace::new(self.0.plan().clone()))
    }
}

impl fmt::Debug for State {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "State({:?})", self.0.plan())
    }
}

impl OpState for State {
    fn eval(
        &mut self,
        _context: &EvalContext,
        operator: &dyn Op,
        inputs: TVec<TValue>,
    ) -> TractResult<TVec<TValue>> {
        let fused = operator.downcast_ref::<Fused>().context("the state of another operator")?;
        let image = inputs.first().context("there is no image")?;
        let mut output = Tensor::zero::<f32>(&fused.shape)?;
        let image = image.try_as_plain_ram()?;
        self.0.run(image.as_slice::<u8>()?, output.try_as_plain_ram_mut()?.as_slice_mut::<f32>()?)?;
        Ok(tvec!(output.into_tvalue()))
    }

    fn reset_lanes(&mut self, _lanes: &[LaneId]) -> TractResult<()> {
        Ok(())
    }
}
