//! The cores that this program may use: workers side by side do not get into each other's caches.

use mfactor::protocol::CORES_VARIABLE;
use mfactor::{Error, Result};

/// Ties this process, and all threads it starts from now on, to the cores that [`CORES_VARIABLE`] names. Where it
/// is not set nothing is tied.
///
/// # Errors
/// [`Error::Input`] for a list that is none, or a core that this machine lacks.
pub fn stay_on_cores() -> Result<()> {
    let Ok(list) = std::env::var(CORES_VARIABLE) else { return Ok(()) };
    let wrong = |problem: String| Error::input(format!("{CORES_VARIABLE}={list}"), problem);
    let cores = parse(&list).map_err(wrong)?;
    tie(&cores).map_err(|error| wrong(format!("the system refuses these cores: {error}")))
}

fn parse(list: &str) -> Result<Vec<usize>, String> {
    let number = |text: &str| {
        let core = text.parse().ok().filter(|core| *core < 1024);
        core.ok_or_else(|| format!("{text:?} is not the number of a core"))
    };
    list.split(',').map(number).collect()
}

#[cfg(target_os = "linux")]
fn tie(cores: &[usize]) -> std::io::Result<()> {
    let mut set = rustix::thread::CpuSet::new();
    cores.iter().for_each(|core| set.set(*core));
    Ok(rustix::thread::sched_setaffinity(None, &set)?)
}

#[cfg(not(target_os = "linux"))]
fn tie(_: &[usize]) -> std::io::Result<()> {
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_of_cores() {
        assert_eq!(parse("0").unwrap(), [0]);
        assert_eq!(parse("3,1").unwrap(), [3, 1]);
        for wrong in ["", "1,", "one", "4096", "-1"] {
            assert!(parse(wrong).is_err(), "{wrong}");
        }
    }
}
