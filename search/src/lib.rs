//! Finds architectures: strategies propose, evaluators answer, and the one study loop writes it all down.
//!
//! A study is a folder that can be copied, resumed, and read without this program. Libraries never print: a
//! running study sends [`StudyEvent`]s, and whoever runs it draws them.
//!
//! | module | holds |
//! |---|---|
//! | [`strategies`] | who proposes: random search, regularized evolution, TPE, policy-based RL; local search, NSGA-II, and a search guided by a regression |
//! | [`evaluators`] | who answers: a trainer process, a table, a constant, a cache of earlier trainings |
//! | [`study`] | the loop, and what is known of a study afterwards |
//! | [`config`] | `study.toml`: every choice that decides a study's result |
//! | [`pruning`] | which trials are stopped early |
//! | [`ratings`] | ratings of untrained networks, from a file |
//! | [`events`] | what a running study tells its observer |
//! | [`benchmark`] | strategies against a table of accuracies |
//! | [`storage`] | the seam to what keeps the trials |
//! | [`simulation`] | a strategy against a function, for judging strategies |
//! | `journal` | Optuna's journal format, appended as things happen |
//! | `track`, `tell` | ask and tell of one strategy, and the gate every result passes |
//! | `lock`, `seeding` | one writer at a time; generators derived from the study's seed |

pub mod benchmark;
pub mod config;
pub mod evaluators;
pub mod events;
pub mod pruning;
pub mod ratings;
pub mod simulation;
pub mod storage;
pub mod strategies;
pub mod study;

mod journal;
mod lock;
mod seeding;
mod tell;
mod track;

pub use config::StudyConfig;
pub use evaluators::{Ended, Evaluator, Report, Verdict};
pub use events::{Place, StudyEvent};
pub use pruning::Pruning;
pub use strategies::{Observation, Observed, Sought, Strategy, StrategyKind};
pub use study::{Baselines, Outcome, RandomBaseline, Study, StudyRecord};
