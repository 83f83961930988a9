//! From a space to the models that a cost table is made of, and from their records to the table. They are measured
//! [`here`] or on a board ([`mod@board`]).

pub mod board;
pub mod here;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use edge_runner::record;
use engines::EngineKind;
use export::{Precision, untrained};
use mfactor::cost_model::sum_of_parts;
use mfactor::cost_table::{CostTable, Entry, Line, SCHEMA, WholeNetwork};
use mfactor::measurement::{EngineFacts, Measurement, Verdict};
use mfactor::{Architecture, Error, Quantity, Result, SearchSpace};
use report::prediction::{Sample, line};
use search::strategies::drawn;

/// Whole networks through which the lines go.
pub const FITTED: usize = 20;
/// Whole networks on which they are tried.
pub const HELD_OUT: usize = 30;
/// How often a whole network is measured, at different times: what else a machine does moves it more than small parts, which
/// need the caches and the memory less.
const TIMES: usize = 3;
/// Draws until there are so many different networks, in a space that has few.
const DRAWS: usize = 10 * (FITTED + HELD_OUT);

/// About what a model's records and metadata take, in bytes.
const RECORD_BYTES: u64 = 100_000;

/// How far a probe, the same network at several times, may be from itself, a share of 1.
pub const DRIFT: f64 = 0.05;
/// How far a model's windows may be from each other, a share of 1.
const DISTURBED: f64 = 0.10;
/// How often what was disturbed is measured again.
const RETRIES: usize = 2;

/// What a model is there for.
#[derive(Debug, Clone, PartialEq)]
enum Purpose {
    Part(String),
    Whole { held_out: bool },
}

/// One model of a table.
#[derive(Debug, Clone)]
pub struct Wanted {
    purpose: Purpose,
    space: SearchSpace,
    architecture: Architecture,
    precision: Precision,
    /// The file.
    pub model: PathBuf,
}

impl Wanted {
    /// Writes the model, unless it is there.
    ///
    /// # Errors
    /// As [`untrained::write`].
    pub fn write(&self) -> Result<()> {
        if self.model.exists() {
            return Ok(());
        }
        untrained::write(&self.space, &self.architecture, self.precision, &self.model)
    }

    /// About what the model and its records take on the disk.
    pub fn bytes(&self) -> u64 {
        self.space.cost(&self.architecture).model_bytes + RECORD_BYTES
    }

    /// Whether a record is of this model.
    fn is_of(&self, record: &Measurement) -> bool {
        let metadata = &record.model.metadata;
        metadata.space == self.space
            && metadata.architecture == self.architecture
            && metadata.precision == self.precision.name()
    }
}

/// The models of a table of a space in a precision: its parts, then whole networks, the same ones every time. Their files are
/// in `folder`.
///
/// # Errors
/// [`Error::Input`] where a part cannot be measured alone, or the space has too few networks to try a table on.
pub fn wanted(space: &SearchSpace, precision: Precision, folder: &Path) -> Result<Vec<Wanted>> {
    let mut models: Vec<Wanted> = vec![];
    let mut add = |purpose, space: SearchSpace, architecture| {
        let model = folder.join(format!("{:04}.{}.onnx", models.len(), precision.name()));
        models.push(Wanted { purpose, space, architecture, precision, model });
    };
    for part in space.parts() {
        let (alone, architecture) = space.network_of(&part)?;
        add(Purpose::Part(part.to_string()), alone, architecture);
    }
    let mut networks = drawn(space, DRAWS);
    networks.truncate(FITTED + HELD_OUT);
    if networks.len() < FITTED + HELD_OUT {
        let problem = format!(
            "has too few networks for a table: {} are measured whole to try it on; measure all of them instead",
            FITTED + HELD_OUT
        );
        return Err(Error::input(format!("space {}", space.name()), problem));
    }
    for _ in 0..TIMES {
        for (number, architecture) in networks.iter().enumerate() {
            add(Purpose::Whole { held_out: number >= FITTED }, space.clone(), architecture.clone());
        }
    }
    Ok(models)
}

/// Records of the models of a table, by model and engine.
#[derive(Debug, Default)]
pub struct Records {
    folder: PathBuf,
    records: BTreeMap<(PathBuf, &'static str), Measurement>,
    /// Why the last one was not taken that did not count.
    refused: Option<String>,
}

impl Records {
    /// Those that a folder holds already. What is no record of today's models on this machine is not looked at, and is
    /// measured again.
    pub fn read(folder: &Path, models: &[Wanted], engines: &[EngineKind]) -> Self {
        let mut records = BTreeMap::new();
        for (model, engine) in pairs(models, engines) {
            let name = model.model.file_stem().unwrap_or_default().to_string_lossy();
            let read = Measurement::read(&folder.join(format!("{name}.{}.json", engine.name())));
            if let Ok(record) = read
                && model.is_of(&record)
                && record.verdict == Verdict::Valid
                && record.tool_version == mfactor::version()
            {
                records.insert((model.model.clone(), engine.name()), record);
            }
        }
        Self { folder: folder.to_owned(), records, refused: None }
    }

    /// Models of which there is no record with an engine.
    pub fn missing<'a>(
        &'a self,
        models: &'a [Wanted],
        engine: EngineKind,
    ) -> impl Iterator<Item = &'a Wanted> + 'a {
        models.iter().filter(move |model| !self.has(&model.model, engine))
    }

    /// Whether there is a record of a model with an engine.
    pub fn has(&self, model: &Path, engine: EngineKind) -> bool {
        self.records.contains_key(&(model.to_owned(), engine.name()))
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.records.len()
    }

    /// Takes a record of a model in, and keeps it in the folder. One that does not count is not taken; why, is remembered.
    ///
    /// # Errors
    /// [`Error::Io`] if it cannot be written.
    pub fn add(&mut self, model: &Path, engine: EngineKind, record: Measurement) -> Result<()> {
        if let Verdict::Invalid { reasons } = &record.verdict {
            self.refused = Some(reasons.join("; "));
            return Ok(());
        }
        mfactor::files::write_json(&self.folder.join(record::file_name(&record)), &record)?;
        self.records.insert((model.to_owned(), engine.name()), record);
        Ok(())
    }

    /// Forgets the records of these models, in the folder, too.
    pub fn forget<'a>(&mut self, models: impl Iterator<Item = &'a Path>, engine: EngineKind) {
        models.for_each(|model| self.remove(&(model.to_owned(), engine.name())));
    }

    fn remove(&mut self, key: &(PathBuf, &'static str)) {
        if let Some(record) = self.records.remove(key) {
            // One that stays is replaced by the next.
            let _ = std::fs::remove_file(self.folder.join(record::file_name(&record)));
        }
    }

    /// Forgets the records whose windows are further from each other than this share, in the folder, too; whether there were
    /// any.
    pub fn forget_disturbed(&mut self, most: f64) -> bool {
        let disturbed = self.records.iter().filter(|(_, record)| record.latency.window_spread > most);
        let disturbed: Vec<_> = disturbed.map(|(key, _)| key.clone()).collect();
        disturbed.iter().for_each(|key| self.remove(key));
        !disturbed.is_empty()
    }

    /// The table of one engine, once every model has a record.
    ///
    /// # Errors
    /// [`Error::Invalid`] where one has none, or two of them are of different machines or engines.
    pub fn table(
        &self,
        target: &str,
        space: &SearchSpace,
        models: &[Wanted],
        engine: EngineKind,
    ) -> Result<CostTable> {
        let mut parts = BTreeMap::new();
        let mut networks: BTreeMap<(bool, &Architecture), Vec<Entry>> = BTreeMap::new();
        let mut first: Option<&Measurement> = None;
        let mut unix_seconds = 0;
        for model in models {
            let Some(record) = self.records.get(&(model.model.clone(), engine.name())) else {
                return Err(self.incomplete(models, engine));
            };
            let told = first.get_or_insert(record);
            if (&told.board, alike(&told.engine)) != (&record.board, alike(&record.engine)) {
                let problem =
                    "is of two machines or engines; remove it and build the table anew, on one of them";
                return Err(Error::file(&self.folder, problem));
            }
            unix_seconds = unix_seconds.max(record.unix_seconds);
            let took = Entry::of(record);
            match &model.purpose {
                Purpose::Part(name) => drop(parts.insert(name.clone(), took)),
                Purpose::Whole { held_out } => {
                    let times: &mut Vec<Entry> =
                        networks.entry((*held_out, &model.architecture)).or_default();
                    times.push(took);
                }
            }
        }
        let networks: Vec<WholeNetwork> = networks.into_iter().filter_map(typical).collect();
        let first = first.ok_or_else(|| Error::Defect("a space without a part".to_owned()))?;
        Ok(CostTable {
            schema: SCHEMA,
            tool_version: mfactor::version(),
            unix_seconds,
            target: target.to_owned(),
            space: space.name().to_owned(),
            precision: first.model.metadata.precision.clone(),
            engine: alike(&first.engine),
            board: first.board.clone(),
            lines: lines(space, &parts, &networks),
            parts,
            networks,
        })
    }
}

/// A network with what it took the time that was the middle one by median latency.
fn typical(((held_out, network), mut times): ((bool, &Architecture), Vec<Entry>)) -> Option<WholeNetwork> {
    times.sort_by(|one, other| one.latency_p50.total_cmp(&other.latency_p50));
    let took = times.get(times.len() / 2)?.clone();
    Some(WholeNetwork { architecture: network.clone(), held_out, took })
}

impl Records {
    /// That models have no record, and why the last of them has none.
    fn incomplete(&self, models: &[Wanted], engine: EngineKind) -> Error {
        let (missing, all) = (self.missing(models, engine).count(), models.len());
        let why = self.refused.as_deref().unwrap_or("they were not measured");
        Error::Invalid(format!(
            "{missing} of {all} models have no measurement with {} that counts: {why}; the others are kept, and the same command \
             goes on with them",
            engine.name()
        ))
    }
}

fn pairs<'a>(
    models: &'a [Wanted],
    engines: &'a [EngineKind],
) -> impl Iterator<Item = (&'a Wanted, EngineKind)> + 'a {
    engines.iter().flat_map(move |engine| models.iter().map(move |model| (model, *engine)))
}

/// An engine but for what depends on the model.
fn alike(engine: &EngineFacts) -> EngineFacts {
    EngineFacts { kernels: None, ..engine.clone() }
}

/// The line of each quantity that every part and network has.
fn lines(
    space: &SearchSpace,
    parts: &BTreeMap<String, Entry>,
    networks: &[WholeNetwork],
) -> BTreeMap<Quantity, Line> {
    let of = |quantity: Quantity| {
        let costs = parts.iter().map(|(name, entry)| Some((name.clone(), entry.get(quantity)?)));
        let costs: BTreeMap<String, f64> = costs.collect::<Option<_>>()?;
        let sample = |network: &WholeNetwork| {
            let architecture = &network.architecture;
            // What is the largest of the parts does not add up, and nor do weights beside it.
            let parameters =
                if quantity.adds_up() { space.cost(architecture).parameters as f64 } else { 0.0 };
            let parts = sum_of_parts(&costs, quantity, space, architecture)?;
            Some(Sample { parts, parameters, took: network.took.get(quantity)? })
        };
        let samples = |held_out: bool| {
            let networks = networks.iter().filter(|network| network.held_out == held_out);
            networks.map(sample).collect::<Option<Vec<_>>>()
        };
        Some((quantity, line(&samples(false)?, &samples(true)?)?))
    };
    Quantity::costs().filter(|quantity| !quantity.is_exact()).filter_map(of).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn why_a_table_is_not_whole_is_said() {
        let folder = tempfile::tempdir().unwrap();
        let space = SearchSpace::load(Path::new("resnet8-mlperf-tiny")).unwrap();
        let models = wanted(&space, Precision::F32, folder.path()).unwrap();
        let mut records = Records::read(folder.path(), &models, &[EngineKind::Tract]);
        records.refused = Some("the board throttled".to_owned());
        let error = records.table("host", &space, &models, EngineKind::Tract).unwrap_err();
        assert_eq!(error.exit_code(), mfactor::exit::INVALID);
        let expected = format!(
            "{0} of {0} models have no measurement with tract that counts: the board throttled",
            models.len()
        );
        assert!(error.to_string().contains(&expected), "{error}");
    }
}
