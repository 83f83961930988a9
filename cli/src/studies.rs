//! Reading a study for a command that works with it.

use std::path::Path;

use mfactor::protocol::CONFUSION_FILE;
use mfactor::{Architecture, Confusion};
use report::by_class::ByClass;
use report::trust::Trust;
use search::strategies::Outlook;
use search::study::trial_folder;
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

/// A trial class by class; `None` where its training left no word of that, as those of earlier versions did. A file that cannot
/// be read is said, and left out.
pub fn by_class(folder: &Path, architecture: Architecture, trial: u64, output: &Output) -> Option<ByClass> {
    let path = trial_folder(folder, trial).join(CONFUSION_FILE);
    if !path.exists() {
        return None;
    }
    match Confusion::read(&path) {
        Ok(confusion) => Some(ByClass::new(architecture, trial, &confusion)),
        Err(error) => {
            output.say(format!("left out: {error}"));
            None
        }
    }
}

/// How far what an outlook expects can be trusted.
pub fn trust(outlook: &Outlook) -> Option<Trust> {
    let (reached, predicted): (Vec<f64>, Vec<f64>) =
        outlook.known.iter().map(|prediction| (prediction.score, prediction.predicted)).unzip();
    Trust::new(&reached, &predicted)
}
