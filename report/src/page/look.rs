//! How a strategy, a ranking or a quantity looks in every figure: a form and a class of the style sheet.

use super::chart::{Shape, shape};
use super::element::Element;
use crate::measured::{Measured, Ranking};
use crate::strategies::{BASELINE, RANDOM};

/// Form and colour class.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Look {
    pub(crate) shape: Shape,
    pub(crate) class: &'static str,
}

/// The look of a strategy. A strategy that is not of ours looks like `other`.
pub(crate) fn strategy(name: &str) -> Look {
    let (shape, class) = match name {
        BASELINE => (Shape::Diamond, "baseline"),
        RANDOM => (Shape::Circle, "random"),
        "evolution" => (Shape::Triangle, "evolution"),
        "tpe" => (Shape::Square, "tpe"),
        "rl" => (Shape::Cross, "rl"),
        _ => (Shape::Circle, "other"),
    };
    Look { shape, class }
}

pub(crate) fn ranking(ranking: Ranking) -> Look {
    let (shape, class) = match ranking {
        Ranking::MFactor => (Shape::Circle, "by-m"),
        Ranking::Netscore => (Shape::Square, "by-netscore"),
        Ranking::Parameters => (Shape::Triangle, "by-parameters"),
        Ranking::Macs => (Shape::Diamond, "by-macs"),
        Ranking::Accuracy => (Shape::Cross, "by-accuracy"),
    };
    Look { shape, class }
}

/// The colour class of a quantity's line.
pub(crate) fn quantity(quantity: Measured) -> &'static str {
    match quantity {
        Measured::TestAccuracy => "q-accuracy",
        Measured::LatencyP50 => "q-p50",
        Measured::LatencyP90 => "q-p90",
        Measured::PeakMemory => "q-memory",
        Measured::ModelBytes => "q-size",
        Measured::Energy => "q-energy",
    }
}

/// What a legend shows of a strategy.
pub(crate) fn strategy_label(name: &str) -> &str {
    if name == BASELINE { "smallest (baseline)" } else { name }
}

/// A legend: one entry a look.
pub(crate) fn legend<'a>(entries: impl IntoIterator<Item = (Look, &'a str)>) -> Element {
    let entry = |(look, label): (Look, &str)| {
        let mark = shape(look.shape, 7.0, 7.0, 4.0).class(&format!("mark {}", look.class));
        let swatch = Element::new("svg").attr("viewBox", "0 0 14 14").attr("aria-hidden", "true").child(mark);
        Element::new("li").child(swatch).child(Element::new("span").text(label))
    };
    Element::new("ul").class("legend").children(entries.into_iter().map(entry))
}
