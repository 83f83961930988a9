//! The operators of ONNX that exported models are made of. The guard admits these and no others.

/// An operator of ONNX's standard set.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum OnnxOperator {
    /// Element-wise sum.
    Add,
    /// Conversion between element types.
    Cast,
    /// Values held between two bounds.
    Clip,
    /// A stored tensor in a node of its own.
    Constant,
    /// Convolution.
    Conv,
    /// int8 to f32.
    DequantizeLinear,
    /// All dimensions but the first made one.
    Flatten,
    /// Matrix product with bias.
    Gemm,
    /// Mean over rows and columns.
    GlobalAveragePool,
    /// min(max(alpha · x + beta, 0), 1).
    HardSigmoid,
    /// x · hard-sigmoid(x), since opset 14.
    HardSwish,
    /// Element-wise product.
    Mul,
    /// Convolution of int8 values.
    QLinearConv,
    /// f32 to int8.
    QuantizeLinear,
    /// max(x, 0).
    Relu,
    /// Element-wise difference.
    Sub,
}

impl OnnxOperator {
    /// All operators.
    pub const ALL: [Self; 16] = [
        Self::Add,
        Self::Cast,
        Self::Clip,
        Self::Constant,
        Self::Conv,
        Self::DequantizeLinear,
        Self::Flatten,
        Self::Gemm,
        Self::GlobalAveragePool,
        Self::HardSigmoid,
        Self::HardSwish,
        Self::Mul,
        Self::QLinearConv,
        Self::QuantizeLinear,
        Self::Relu,
        Self::Sub,
    ];

    /// The name in files.
    pub fn name(self) -> &'static str {
        match self {
            Self::Add => "Add",
            Self::Cast => "Cast",
            Self::Clip => "Clip",
            Self::Constant => "Constant",
            Self::Conv => "Conv",
            Self::DequantizeLinear => "DequantizeLinear",
            Self::Flatten => "Flatten",
            Self::Gemm => "Gemm",
            Self::GlobalAveragePool => "GlobalAveragePool",
            Self::HardSigmoid => "HardSigmoid",
            Self::HardSwish => "HardSwish",
            Self::Mul => "Mul",
            Self::QLinearConv => "QLinearConv",
            Self::QuantizeLinear => "QuantizeLinear",
            Self::Relu => "Relu",
            Self::Sub => "Sub",
        }
    }

    /// The operator of this name.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|operator| operator.name() == name)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn names_are_found_and_are_different() {
        let names: BTreeSet<&str> = OnnxOperator::ALL.iter().map(|operator| operator.name()).collect();
        assert_eq!(names.len(), OnnxOperator::ALL.len());
        for operator in OnnxOperator::ALL {
            assert_eq!(OnnxOperator::named(operator.name()), Some(operator));
        }
        assert_eq!(OnnxOperator::named("Loop"), None);
    }
}
