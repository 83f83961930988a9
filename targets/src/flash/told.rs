//! What a board tells, held against what was sent to it: names, sizes, hashes and models are the host's own, and of the
//! board's words remain figures that can be, and texts that are short and obey nobody.

use std::collections::BTreeSet;

use mfactor::latency::Latency;
use mfactor::measurement::{Energy, MeasuredModel, Measurement, SCHEMA, Verdict};
use mfactor::numbers::counted;
use mfactor::{golden, text};
use release::{BoardStatus, Collected, Manifest, ModelHealth, ReleaseModel, Wanted, is_id};

use crate::bundle::{Bundle, MeasureOptions};

/// Longest text of a board that is kept.
const LONGEST: usize = 400;
/// Reasons, settings and releases that are kept at most.
const MOST: usize = 1_000;

/// A text of a board.
fn short(text: &str) -> String {
    text::quoted(text, LONGEST)
}

fn shorten(text: &mut String) {
    *text = short(text);
}

fn shorten_all<'a>(texts: impl IntoIterator<Item = &'a mut Option<String>>) {
    texts.into_iter().flatten().for_each(shorten);
}

/// An id, or nothing that could be one.
pub(super) fn id(told: String) -> Result<String, String> {
    if is_id(&told) { Ok(told) } else { Err(format!("tells of a release {}, which is no id", short(&told))) }
}

/// What the board lacks, as far as it is of the release: each file once, from an offset in it. The names are those by which
/// the board asks; the second is for people.
pub(super) fn lacking(bundle: &Bundle, wanted: &[Wanted]) -> Result<Vec<(String, String, u64)>, String> {
    let mut seen = BTreeSet::new();
    let mut lacking = vec![];
    for Wanted { name, offset } in wanted {
        let Some(bytes) = bundle.bytes(name) else {
            return Err(format!("asks for {}, which is not in the release", short(name)));
        };
        if *offset > bytes.len() as u64 {
            return Err(format!("asks for {name} from byte {offset}, and it has {}", bytes.len()));
        }
        if !seen.insert(name) {
            return Err(format!("asks for {name} twice"));
        }
        let records = bundle.manifest.records.iter().find(|records| records.sha256 == *name);
        let shown = records.map_or(name, |records| &records.name);
        lacking.push((name.clone(), shown.clone(), *offset));
    }
    Ok(lacking)
}

/// The name of a model's file without its folder, which is what boards call it.
fn file_name(model: &ReleaseModel) -> &str {
    model.file.rsplit('/').next().unwrap_or(&model.file)
}

/// The model of the release that a board calls so.
fn model<'a>(manifest: &'a Manifest, told: &str) -> Result<&'a ReleaseModel, String> {
    manifest
        .models
        .iter()
        .find(|model| file_name(model) == told)
        .ok_or_else(|| format!("tells of a model {}, which is not in the release", short(told)))
}

/// The answers of the models: one for each of the release, and all of them right.
pub(super) fn health(manifest: &Manifest, told: Vec<ModelHealth>) -> Result<Vec<ModelHealth>, String> {
    let names: BTreeSet<&str> = told.iter().map(|health| health.model.as_str()).collect();
    if told.len() != manifest.models.len() || names.len() != told.len() {
        return Err(format!("checked {} models of {}", names.len(), manifest.models.len()));
    }
    for health in &told {
        let model = model(manifest, &health.model)?;
        let tolerance = golden::tolerance(&model.metadata.precision);
        let is_within = health.golden_difference.is_some_and(|difference| difference <= health.tolerance);
        if !health.is_healthy || !is_within || health.tolerance > tolerance {
            return Err(format!("switched although {} does not answer as it should", health.model));
        }
    }
    Ok(told)
}

/// What is being done on the board, for people.
pub(super) fn step(manifest: &Manifest, told: &str, step: &str) -> Result<(String, String), String> {
    Ok((file_name(model(manifest, told)?).to_owned(), short(step)))
}

/// A measurement of a model that was sent, as it was asked for. What the board says of the model gives way to what is
/// known of it, and the summary of the samples is made anew from them.
pub(super) fn measurement(
    bundle: &Bundle,
    asked: &MeasureOptions,
    told: Measurement,
) -> Result<Measurement, String> {
    let manifest = &bundle.manifest;
    let of_release = model(manifest, &told.model.file)?;
    let file = manifest.files.iter().find(|file| file.name == of_release.file);
    let file = file.ok_or_else(|| format!("{} is no file of the release", of_release.file))?;
    if told.model.sha256 != file.sha256 {
        return Err(format!(
            "measured another {} than was sent: {}",
            of_release.file,
            short(&told.model.sha256)
        ));
    }
    if told.schema != SCHEMA {
        return Err(format!("sent a measurement of schema {}; this version reads {SCHEMA}", told.schema));
    }
    let engine = &told.engine;
    if !asked.engines.contains(&engine.name) || engine.threads != asked.threads || told.preset != asked.preset
    {
        return Err(format!(
            "measured with {}, {}, preset {}; {}, {}, {} was asked for",
            short(&engine.name),
            counted(engine.threads, "thread"),
            told.preset.name(),
            asked.engines.join(" and "),
            counted(asked.threads, "thread"),
            asked.preset.name()
        ));
    }
    if told.board.architecture != manifest.architecture {
        let architecture = short(&told.board.architecture);
        return Err(format!("says it measured on {architecture}, and runs {}", manifest.architecture));
    }
    let model = MeasuredModel {
        file: file_name(of_release).to_owned(),
        sha256: file.sha256.clone(),
        model_bytes: file.bytes,
        parameters: of_release.metadata.parameters,
        metadata: of_release.metadata.clone(),
    };
    let mut kept = Measurement { model, ..told };
    kept.latency = summary(&kept.latency)?;
    check_figures(manifest, &mut kept)?;
    shorten_texts(&mut kept);
    Ok(kept)
}

/// The summary of samples, made anew.
fn summary(told: &Latency) -> Result<Latency, String> {
    let mut rest = told.samples_ns.as_slice();
    let mut windows = vec![];
    for length in &told.windows {
        let (window, after) =
            rest.split_at_checked(*length).ok_or("sent fewer samples than its windows have")?;
        windows.push(window.to_vec());
        rest = after;
    }
    if !rest.is_empty() {
        return Err("sent more samples than its windows have".to_owned());
    }
    if told.samples_ns.contains(&0) {
        return Err("sent samples of no time at all".to_owned());
    }
    Latency::from_windows(&windows).ok_or_else(|| "sent a measurement without samples".to_owned())
}

/// Figures that cannot be.
fn check_figures(manifest: &Manifest, told: &mut Measurement) -> Result<(), String> {
    let mut figures = vec![told.load_ms, told.first_inference_ms, told.processor_share];
    figures.extend(told.golden_difference);
    for round in &told.rounds {
        figures.extend([round.load_ms, round.first_inference_ms, round.processor_share]);
        figures.push(round.cool_down_seconds);
    }
    for energy in energies(told) {
        figures.extend([energy.idle_watts, energy.watts]);
        figures.extend(energy.samples_per_second);
    }
    if let Some(wrong) = figures.iter().find(|figure| !figure.is_finite() || **figure < 0.0) {
        return Err(format!("sent a figure that cannot be: {wrong}"));
    }
    if let Some(accuracy) = &mut told.accuracy {
        let records = manifest.records.iter().map(|records| records.bytes).sum::<u64>();
        if accuracy.images == 0 || accuracy.images > records || accuracy.correct > accuracy.images {
            let (correct, images) = (accuracy.correct, accuracy.images);
            return Err(format!("sent an accuracy that cannot be: {correct} of {images}"));
        }
        accuracy.accuracy = accuracy.correct as f64 / accuracy.images as f64;
    }
    Ok(())
}

fn energies(told: &Measurement) -> impl Iterator<Item = &Energy> {
    told.energy.iter().chain(told.rounds.iter().filter_map(|round| round.energy.as_ref()))
}

fn shorten_texts(told: &mut Measurement) {
    shorten(&mut told.tool_version);
    shorten(&mut told.engine.version);
    shorten(&mut told.board.name);
    shorten_all([&mut told.engine.kernels, &mut told.board.processor, &mut told.board.kernel]);
    let knobs = std::mem::take(&mut told.engine.knobs);
    told.engine.knobs = knobs.iter().take(MOST).map(|(name, value)| (short(name), short(value))).collect();
    for conditions in &mut told.conditions {
        shorten_all([&mut conditions.governor]);
    }
    if let Some(energy) = &mut told.energy {
        shorten(&mut energy.source);
    }
    shorten_verdict(&mut told.verdict);
    for round in &mut told.rounds {
        shorten_verdict(&mut round.verdict);
        if let Some(energy) = &mut round.energy {
            shorten(&mut energy.source);
        }
        for conditions in &mut round.conditions {
            shorten_all([&mut conditions.governor]);
        }
    }
}

fn shorten_verdict(verdict: &mut Verdict) {
    if let Verdict::Invalid { reasons } = verdict {
        reasons.truncate(MOST);
        reasons.iter_mut().for_each(shorten);
    }
}

/// What a board holds.
pub(super) fn status(mut told: BoardStatus) -> Result<BoardStatus, String> {
    told.releases.truncate(MOST);
    for release in &mut told.releases {
        release.id = id(std::mem::take(&mut release.id))?;
        shorten_all([&mut release.study, &mut release.target, &mut release.damage]);
        release.models.truncate(MOST);
        release.models.iter_mut().for_each(shorten);
    }
    shorten_all([&mut told.trusted_key, &mut told.target]);
    told.problems.truncate(MOST);
    told.problems.iter_mut().for_each(shorten);
    told.current = told.current.map(id).transpose()?;
    told.previous = told.previous.map(id).transpose()?;
    Ok(told)
}

/// What a board removed.
pub(super) fn collected(told: Collected) -> Result<Collected, String> {
    let ids = |told: Vec<String>| told.into_iter().take(MOST).map(id).collect::<Result<Vec<_>, _>>();
    let problems = told.problems.iter().take(MOST).map(|problem| short(problem)).collect();
    let (removed, kept) = (ids(told.removed)?, ids(told.kept)?);
    Ok(Collected { removed, kept, problems, freed_bytes: told.freed_bytes })
}
