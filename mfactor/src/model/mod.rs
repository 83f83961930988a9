//! A model file: its format, what it says of itself, and the inputs on which answers are compared.

pub mod golden;
pub mod metadata;
pub mod onnx;
