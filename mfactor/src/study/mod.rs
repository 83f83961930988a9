//! What a study is made of: trials, what they are scored by, and how they are trained.

pub mod confusion;
pub mod costs;
pub mod front;
pub mod objective;
pub mod paper;
pub mod proposer;
pub mod protocol;
pub mod quantity;
pub mod recipe;
pub mod statistics;
pub mod trial;
