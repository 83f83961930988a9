//! Flashing a real OpenSSH server on this machine, and breaking it in every way: after each fault the board holds one
//! whole release, old or new, that passes its health check, and the next flash succeeds.

mod aarch64;
mod at_rest;
mod cost_table;
mod fleets;
mod hostile;
mod in_search;
mod interrupted;
mod logins;
#[path = "../../../engines/tests/engines/model.rs"]
#[expect(dead_code, clippy::unwrap_used, reason = "made for the runner's tests, which need more of it")]
mod model;
mod place;
mod refused;
mod road;
mod second_engine;
mod signals;
mod table;
mod trust;
