//! What boards report about models, and what models must keep to on them.

pub mod latency;
pub mod limits;
pub mod measurement;
mod soundness;
