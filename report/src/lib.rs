//! What a study and its measurements say: which model to ship, and whether the M-factor told the truth.
//!
//! Plain data in ([`Input`]), one serialisable value out ([`compare`]), and two ways to show it: [`terminal`]
//! and [`page`]. Nothing is read, written or printed here.
//!
//! | module | answers |
//! |---|---|
//! | [`recommendation`], [`baselines`] | which model to ship, and what stands beside it |
//! | [`agreement`], [`rank`], [`resample`] | whether a ranking agrees with what was measured, and how surely |
//! | [`inversions`] | which pairs M orders wrongly, and why |
//! | [`strategies`] | how the strategies did |
//! | [`models`], [`quantity`] | measurements as rows |
//! | [`numbers`] | figures as people read them |

pub mod agreement;
pub mod baselines;
mod compare;
pub mod inversions;
pub mod models;
mod notes;
pub mod numbers;
mod page;
pub mod quantity;
pub mod rank;
pub mod recommendation;
pub mod resample;
pub mod strategies;
mod terminal;
mod text;

pub use compare::{BenchComparison, Comparison, Input, SCHEMA, Sweep, compare};
pub use page::page;
pub use terminal::terminal;
