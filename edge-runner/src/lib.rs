//! What runs on the board: load a model, check it, measure it, classify with it.
//!
//! It knows nothing of searching, training or writing models, and the library never prints.
//!
//! | module | holds |
//! |---|---|
//! | [`rounds`], [`record`], [`figures`], [`advice`] | models measured in turn, the record of each, all as a table, and which to ship |
//! | [`child`], [`measure`] | a part of a measurement, in a process of its own |
//! | [`timing`], [`verdict`] | its windows, and whether it may be believed |
//! | [`stop`] | signals that end it, with what is measured by then |
//! | [`release_measurer`] | what a flash has measured |
//! | [`health`] | the golden inputs through a model, on this machine |
//! | [`memory`], [`allocator`], [`energy`] | what it took |
//! | [`sensors`], [`thermal`] | which sensors of the board are read, and what of them is possible |
//! | [`heap`] | how freed memory is kept |
//! | [`board`], [`system`], [`affinity`] | facts about the machine, through one seam |
//! | [`classify`] | classes and probabilities of one image |

pub mod advice;
pub mod affinity;
pub mod allocator;
pub mod board;
pub mod child;
pub mod classify;
pub mod energy;
pub mod figures;
pub mod health;
pub mod heap;
pub mod measure;
pub mod memory;
pub mod record;
pub mod release_measurer;
pub mod rounds;
pub mod sensors;
pub mod stop;
pub mod system;
pub mod thermal;
pub mod timing;
pub mod verdict;
