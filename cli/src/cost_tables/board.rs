//! The models of a cost table measured on a board, as a signed release.

use std::path::{Path, PathBuf};

use engines::{EngineChoice, EngineKind};
use mfactor::Result;
use mfactor::measurement::{Measurement, Preset};
use targets::keys::Signer;
use targets::{
    Assignment, Board, Bundle, Contents, FlashEvent, FlashOptions, MeasureOptions, SshOptions, Target,
    flash_all,
};

use super::{DISTURBED, RETRIES, Records, Wanted};
use crate::flash_progress::FlashProgress;
use crate::output::Output;

/// A board, and how it gets a release.
pub struct OnBoard<'a> {
    /// What kind of board it is.
    pub target: &'a Target,
    /// The board.
    pub board: &'a Board,
    /// How it is reached.
    pub ssh: SshOptions,
    /// Who signs.
    pub signer: &'a Signer,
    /// The runner, built for the target.
    pub runner: &'a Path,
    /// The engines.
    pub engine: EngineChoice,
    /// The library of the one that is not the runner's own.
    pub library: Option<PathBuf>,
    /// Threads of one inference.
    pub threads: usize,
    /// Have the board trust this key from now on.
    pub repin: bool,
}

impl OnBoard<'_> {
    /// Measures what has no record yet, in rounds over all of it; and again what was disturbed, or of which the board did not
    /// hold still, for it throttled.
    ///
    /// # Errors
    /// As [`targets::flash`]. What was measured by then is kept.
    pub fn measure(
        &self,
        records: &mut Records,
        space: &str,
        models: &[Wanted],
        output: &Output,
    ) -> Result<()> {
        for attempt in 0..=RETRIES {
            let lacks = |model: &&Wanted| {
                self.engine.kinds().iter().any(|engine| !records.has(&model.model, *engine))
            };
            let missing: Vec<Wanted> = models.iter().filter(lacks).cloned().collect();
            if missing.is_empty() {
                return Ok(());
            }
            missing.iter().try_for_each(Wanted::write)?;
            self.measured(records, space, &missing, output)?;
            if attempt < RETRIES {
                records.forget_disturbed(DISTURBED);
            }
        }
        Ok(())
    }

    fn measured(&self, records: &mut Records, space: &str, models: &[Wanted], output: &Output) -> Result<()> {
        let files = models.iter().map(|model| model.model.clone()).collect();
        let mut progress = FlashProgress::new(output, &[self.board.name.as_str()]);
        let mut unfiled = None;
        let released = self.release(&format!("table-{space}"), files, Preset::Brief, &mut |event| {
            if let FlashEvent::Measured(record) = event {
                unfiled = unfiled.take().or(file(records, models, record).err());
            }
            progress.show(0, event);
        });
        progress.finish();
        released.and(unfiled.map_or(Ok(()), Err))
    }

    /// Has the board measure models, without accuracy, as a release of its own.
    ///
    /// # Errors
    /// As [`targets::flash`].
    pub fn release(
        &self,
        study: &str,
        models: Vec<PathBuf>,
        preset: Preset,
        on_event: &mut dyn FnMut(&FlashEvent),
    ) -> Result<()> {
        let contents = Contents {
            study: study.to_owned(),
            runner: self.runner.to_owned(),
            models,
            records: vec![],
            library: self.library.clone(),
        };
        let bundle = Bundle::make(self.target, &contents, self.signer)?;
        let options = FlashOptions {
            ssh: self.ssh.clone(),
            measure: Some(MeasureOptions { preset, threads: self.threads, engines: self.engine.names() }),
            // A probe comes again, as the release that it was, when the board has taken newer ones.
            allow_downgrade: true,
            repin: self.repin,
            dry_run: false,
        };
        let assignment = Assignment { board: self.board, target: self.target, bundle: &bundle };
        let results = flash_all(&[assignment], &options, &mut |_, event| on_event(&event));
        results.into_iter().find_map(Result::err).map_or(Ok(()), Err)
    }
}

/// Files a record under the model that it is of. What a board says of a model that it was not given is passed over.
fn file(records: &mut Records, models: &[Wanted], record: &Measurement) -> Result<()> {
    let is_of =
        |model: &&Wanted| model.model.file_name().is_some_and(|name| name == record.model.file.as_str());
    match (models.iter().find(is_of), EngineKind::named(&record.engine.name)) {
        (Some(model), Some(engine)) if model.is_of(record) => {
            records.add(&model.model, engine, record.clone())
        }
        _ => Ok(()),
    }
}
