//! Tensors that are stored in a model file: whole, in this file, and of a type that is run.

use mfactor::onnx::{DataType, Tensor, type_name};
use mfactor::text::list;

use crate::shapes::{self, Shape};

/// The shape of a stored tensor, whose data must be in this file, whole, in one of ONNX's two forms: bytes, or a list of
/// numbers. Engines read both; a tensor with both would be read by each as it likes.
pub(crate) fn shape(tensor: &Tensor) -> Result<Shape, String> {
    if !tensor.external_data.is_empty() || tensor.data_location != 0 {
        return Err("keeps its data in another file; models are one file: save it with onnx.save(model, path), which \
                    puts the data in, or export it again"
            .to_owned());
    }
    let data_type = DataType::try_from(tensor.data_type).ok();
    let Some(size) = data_type.and_then(element_size) else {
        return Err(format!(
            "is of type {}; weights are float32, int8, uint8 or int32: convert it, or export it again",
            type_name(tensor.data_type)
        ));
    };
    let shape: Option<Shape> = tensor.dims.iter().map(|dim| usize::try_from(*dim).ok()).collect();
    let shape = shape.ok_or_else(|| format!("has shape {}", list(&tensor.dims)))?;
    let values = shapes::product(&shape)?;
    let foreign = tensor.string_data.len()
        + tensor.int64_data.len()
        + tensor.double_data.len()
        + tensor.uint64_data.len()
        + if data_type == Some(DataType::Float) { tensor.int32_data.len() } else { tensor.float_data.len() };
    let numbers = tensor.float_data.len() + tensor.int32_data.len();
    if foreign > 0 || (numbers > 0 && !tensor.raw_data.is_empty()) {
        return Err("keeps its data in a form that is not its type's, or in two forms at once".to_owned());
    }
    if numbers > 0 {
        check_range(tensor, data_type)?;
        return if numbers == values { Ok(shape) } else { Err(misfit(numbers, "numbers", &shape)) };
    }
    let bytes = tensor.raw_data.len();
    if bytes == 0 || Some(bytes) != values.checked_mul(size) {
        return Err(misfit(bytes, "bytes", &shape));
    }
    Ok(shape)
}

fn misfit(count: usize, unit: &str, shape: &Shape) -> String {
    format!("has {count} {unit} of data, which do not fit its shape {}", list(shape))
}

/// A number that its type does not hold would be cut by each engine in its own way.
fn check_range(tensor: &Tensor, data_type: Option<DataType>) -> Result<(), String> {
    let range = match data_type {
        Some(DataType::Int8) => -128..=127,
        Some(DataType::Uint8) => 0..=255,
        _ => return Ok(()),
    };
    match tensor.int32_data.iter().find(|value| !range.contains(*value)) {
        Some(value) => Err(format!("holds {value}, which is no {}", type_name(tensor.data_type))),
        None => Ok(()),
    }
}

/// Bytes of an element of a stored tensor; `None` for a type that mfactor does not export.
fn element_size(data_type: DataType) -> Option<usize> {
    match data_type {
        DataType::Float | DataType::Int32 => Some(4),
        DataType::Int8 | DataType::Uint8 => Some(1),
        _ => None,
    }
}
