//! What boards report about models, what they will say of others, and what models must keep to on them.

pub mod cost_model;
pub mod cost_table;
pub mod latency;
pub mod limits;
pub mod measured_networks;
pub mod measurement;
mod soundness;
