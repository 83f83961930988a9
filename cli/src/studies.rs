//! Reading a study for a command that works with it.

use std::path::Path;

use search::{Study, StudyRecord};

use crate::output::Output;

/// Reads a study and says what is damaged, and so left out, and what else should be known of it.
pub fn read(folder: &Path, output: &Output) -> mfactor::Result<StudyRecord> {
    let record = Study::read(folder)?;
    let damage = record.damage_in_short();
    damage.iter().for_each(|damage| output.say(format!("warning: {damage}; left out")));
    record.remarks.iter().for_each(|remark| output.say(format!("note: {remark}")));
    Ok(record)
}
