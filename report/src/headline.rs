//! The comparison in two or three sentences: what to ship, and whether M told the truth.

use mfactor::numbers::counted;

use crate::agreement::Verdict;
use crate::by_parameters::ByParameters;
use crate::compare::Comparison;
use crate::measured::{Measured, Ranking};

/// What to ship where, and for which quantities M's ranking holds.
pub(crate) fn headline(comparison: &Comparison) -> Vec<String> {
    let mut sentences = vec![ship(comparison)];
    sentences.extend(crate::find::find(comparison));
    sentences.extend(truth(comparison));
    sentences.extend(better_ranking(comparison));
    sentences.extend(comparison.by_parameters.as_ref().map(ByParameters::words));
    sentences
}

/// By how much another ranking's tau-b must be larger to be named.
const CLEARLY: f64 = 0.1;

/// The ranking that agrees best with the median latency, where it is clearly not M's.
fn better_ranking(comparison: &Comparison) -> Option<String> {
    let mut found: Vec<(Ranking, f64, f64, Vec<&str>)> = Vec::new();
    for bench in &comparison.benches {
        let of_latency = bench.agreement.iter().filter(|own| own.quantity == Measured::LatencyP50);
        let known: Vec<(Ranking, f64)> = of_latency
            .filter(|own| own.verdict != Verdict::TooFew)
            .filter_map(|own| Some((own.ranking, own.kendall?.value)))
            .collect();
        let m = known.iter().find(|(ranking, _)| *ranking == Ranking::MFactor).map(|(_, tau)| *tau);
        let best = known.iter().max_by(|(_, a), (_, b)| a.total_cmp(b));
        let Some((m, (ranking, tau))) = m.zip(best).filter(|(m, (_, tau))| *tau > m + CLEARLY) else {
            continue;
        };
        match found.iter_mut().find(|(own, ..)| own == ranking) {
            Some((.., benches)) => benches.push(&bench.short),
            None => found.push((*ranking, *tau, m, vec![&bench.short])),
        }
    }
    let phrase = |(ranking, tau, m, benches): &(Ranking, f64, f64, Vec<&str>)| {
        format!("{} on {} (τ-b {tau:+.2}, M's is {m:+.2})", ranking.label(comparison.accuracy), list(benches))
    };
    let phrases: Vec<String> = found.iter().map(phrase).collect();
    (!phrases.is_empty()).then(|| format!("What ranks latency better than M: {}.", phrases.join("; ")))
}

fn ship(comparison: &Comparison) -> String {
    let mut places: Vec<(String, Vec<&str>)> = Vec::new();
    for recommendation in &comparison.recommendations {
        let model = recommendation.model.as_ref();
        let what = model.map_or_else(String::new, |candidate| candidate.model.architecture.to_string());
        let bench =
            comparison.benches.iter().find(|bench| Some(&bench.bench) == recommendation.bench.as_ref());
        let place = bench.map_or("", |bench| bench.short.as_str());
        match places.iter_mut().find(|(known, _)| *known == what) {
            Some((_, known)) => known.push(place),
            None => places.push((what, vec![place])),
        }
    }
    let phrase = |(what, places): &(String, Vec<&str>)| match (what.as_str(), comparison.benches.is_empty()) {
        ("", true) => "nothing yet: no trial is complete".to_owned(),
        (what, true) => format!("{what}, by the search alone: nothing that counts was measured yet"),
        ("", false) => format!("nothing on {}: no measured model keeps the limits", list(places)),
        (what, false) => format!("{what} on {}", list(places)),
    };
    format!("Ship {}.", places.iter().map(phrase).collect::<Vec<_>>().join("; "))
}

/// For which quantities M's ranking holds, on how many benches.
fn truth(comparison: &Comparison) -> Option<String> {
    let verdicts = |quantity: Measured| {
        let of_m = move |bench: &crate::compare::BenchComparison| {
            let mut agreements = bench.agreement.iter();
            agreements
                .find(|own| own.quantity == quantity && own.ranking == Ranking::MFactor)
                .map(|own| own.verdict)
        };
        comparison.benches.iter().filter_map(of_m).collect::<Vec<Verdict>>()
    };
    let all: Vec<(Measured, Vec<Verdict>)> = Measured::ALL
        .into_iter()
        .map(|quantity| (quantity, verdicts(quantity)))
        .filter(|(_, verdicts)| !verdicts.is_empty())
        .collect();
    if all.is_empty() {
        return None;
    }
    if all.iter().flat_map(|(_, verdicts)| verdicts).all(|verdict| *verdict == Verdict::TooFew) {
        return Some(
            "Whether M told the truth is open: too few models were measured to compare rankings.".to_owned(),
        );
    }
    let with = |wanted: Verdict| -> Vec<String> {
        let named = all.iter().filter_map(|(quantity, verdicts)| {
            let count = verdicts.iter().filter(|verdict| **verdict == wanted).count();
            let everywhere = count == verdicts.len();
            (count > 0).then(|| match everywhere {
                true => quantity.label().to_owned(),
                false => format!("{} (on {count} of {})", quantity.label(), counted(verdicts.len(), "bench")),
            })
        });
        named.collect()
    };
    let parts = [
        (Verdict::Agrees, "holds for"),
        (Verdict::Contradicts, "is the wrong way round for"),
        (Verdict::Undecided, "is not told from chance for"),
    ];
    let phrases: Vec<String> = parts
        .into_iter()
        .filter_map(|(verdict, phrase)| {
            let quantities = with(verdict);
            let names: Vec<&str> = quantities.iter().map(String::as_str).collect();
            (!names.is_empty()).then(|| format!("{phrase} {}", list(&names)))
        })
        .collect();
    let said = if phrases.is_empty() { "has nothing to rank".to_owned() } else { phrases.join("; it ") };
    Some(format!("M's ranking {said}."))
}

/// `a`, `a and b`, `a, b and c`.
pub(crate) fn list(names: &[&str]) -> String {
    match names {
        [] => String::new(),
        [one] => (*one).to_owned(),
        [first @ .., last] => format!("{} and {last}", first.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_read_well() {
        assert_eq!([list(&["a"]), list(&["a", "b"]), list(&["a", "b", "c"])], ["a", "a and b", "a, b and c"]);
    }
}
