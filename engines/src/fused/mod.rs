//! The part of a tract graph that this project's own kernels compute: as much as they know, from the image on, becomes one operator.
//! Whatever is unknown ends that part and stays tract's.
//!
//! It is done before tract optimises the graph, which is then small, so that loading takes less time as well.

mod activations;
mod draft;
mod operator;
mod reading;
mod walk;

use std::sync::Arc;

use kernels::{BadSetting, InstructionSet, KNOB, Plan};
use mfactor::Error;
use tract_core::internal::*;

use self::operator::Fused;
use self::walk::{Part, Walk};

/// Ends of the part that are tried, the farthest first: a graph from outside may be long and full of what is unknown.
const TRIES: usize = 12;

/// What is wrong with a setting: wrong use where it means nothing, bad input where the processor is another one.
pub(crate) fn refused(setting: BadSetting) -> Error {
    match setting {
        BadSetting::Unknown(_) => Error::Usage(format!("{KNOB} {setting}")),
        BadSetting::Missing(_) => Error::input(KNOB, setting.to_string()),
    }
}

/// Replaces what the kernels can compute, and says which they are; `None` if it is nothing.
pub(crate) fn fuse(model: &mut TypedModel, set: InstructionSet) -> TractResult<Option<String>> {
    // A graph that cannot be read is tract's, and so is what is to be said of it.
    let Some((part, plan)) = find(model, set).unwrap_or(None) else { return Ok(None) };
    let kernels = format!("{set}: {}", plan.kernels());
    replace(model, &part, plan)?;
    Ok(Some(kernels))
}

/// The longest part that the kernels take.
fn find(model: &TypedModel, set: InstructionSet) -> TractResult<Option<(Part, Plan)>> {
    let walk = Walk::new(model)?;
    let mut limit = walk.nodes();
    for _ in 0..TRIES {
        let Some(part) = walk.part(limit)? else { return Ok(None) };
        limit = part.node;
        if let Some(plan) = plan(&part, set) {
            return Ok(Some((part, plan)));
        }
    }
    Ok(None)
}

/// The plan of a part, if the kernels take all of it.
fn plan(part: &Part, set: InstructionSet) -> Option<Plan> {
    if !part.is_whole || !part.draft.has_convolutions() {
        return None;
    }
    let plan = Plan::new(&part.draft.network()?, set).ok()?;
    (plan.output().values() == part.shape.iter().product::<usize>()).then_some(plan)
}

fn replace(model: &mut TypedModel, part: &Part, plan: Plan) -> TractResult<()> {
    let fused = Fused::new(Arc::new(plan), part.shape.clone());
    let mut patch = TypedModelPatch::default();
    let image = patch.tap_model(model, model.inputs[0])?;
    let output = patch.wire_node("fused", fused, &[image])?;
    patch.shunt_outside(model, part.end, output[0])?;
    patch.apply(model)?;
    // What the part was made of is not kept beside it.
    model.compact()
}

#[cfg(test)]
mod tests {
    use mfactor::exit;

    use super::*;

    #[test]
    fn a_setting_without_meaning_is_wrong_use_and_one_for_another_processor_bad_input() {
        let error = refused(BadSetting::Unknown("AVX3".to_owned()));
        assert_eq!(error.exit_code(), exit::USAGE);
        assert!(
            error.to_string().contains("best, off, plain, avx2, avx2vnni, avx512, avx512vnni, neon"),
            "{error}"
        );
        let missing = InstructionSet::ALL.into_iter().find(|set| !set.is_available()).unwrap();
        let error = refused(BadSetting::Missing(missing));
        assert_eq!(error.exit_code(), exit::INPUT);
        assert!(error.to_string().contains("lacks"), "{error}");
    }
}
