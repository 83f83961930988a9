//! What a study and its measurements say: which model to ship, and whether the M-factor told the truth.
//!
//! Plain data in ([`Input`]), one serialisable value out ([`compare`]), and two ways to show it: [`terminal`]
//! and [`page`]. Nothing is read, written or printed here.
//!
//! | module | answers |
//! |---|---|
//! | `compare` | the comparison, as one value of numbers |
//! | [`recommendation`], [`baselines`] | which model to ship, and what stands beside it |
//! | [`agreement`], [`rank`], [`resample`] | whether a ranking agrees with what was measured, and how surely |
//! | [`inversions`] | which pairs M orders wrongly, and why |
//! | [`strategies`] | how the strategies did |
//! | [`seeds`] | how they did over repeated seeds |
//! | [`mod@bench`], [`models`], [`measured`], `energy` | measurements as rows, and whether an energy may be told |
//! | [`by_class`] | how a network does class by class |
//! | [`side_by_side`] | boards, engines and precisions beside each other |
//! | [`pick`] | a model for each budget |
//! | [`by_parameters`], `find` | what a search for what a board takes brought against one for few parameters; and against networks that were named beside it |
//! | [`prediction`], [`mod@blame`] | how what was told of networks beforehand agrees with what was measured, and which block is to blame |
//! | [`trust`] | how far a regression over the trials can be trusted |
//! | [`front`] | how much of a front each strategy covered |
//! | [`doubts`] | what is doubtful about what was read |
//! | [`mod@words`], `headline`, `notes` | all of that in sentences |
//! | `terminal`, `text`; `page` | how it looks in a terminal, and on a page |
//! | [`confirm`] | which networks chance cannot tell apart, after several trainings |

pub mod agreement;
pub mod baselines;
pub mod bench;
pub mod blame;
pub mod by_class;
pub mod by_parameters;
mod compare;
pub mod confirm;
pub mod doubts;
mod energy;
mod find;
pub mod front;
mod headline;
pub mod inversions;
pub mod measured;
pub mod models;
mod notes;
mod page;
pub mod pick;
pub mod prediction;

pub mod rank;
pub mod recommendation;
pub mod resample;
pub mod seeds;
pub mod side_by_side;
pub mod strategies;
mod terminal;
mod text;
pub mod trust;
pub mod words;

pub use bench::Filed;
pub use compare::{BenchComparison, Comparison, Input, SCHEMA, Sweep, check_measurement, compare};
pub use page::page;
pub use seeds::Repeat;
pub use terminal::terminal;
