//! The spaces that ship, by name.

/// The space of the paper.
pub(super) const PAPER: &str = include_str!("../../../spaces/paper.toml");

/// Name and text of each: whoever adds one writes a line here.
const SHIPPED: &[(&str, &str)] = &[
    ("paper", PAPER),
    ("width32", include_str!("../../../spaces/width32.toml")),
    ("edge32", include_str!("../../../spaces/edge32.toml")),
    ("edge96", include_str!("../../../spaces/edge96.toml")),
    ("nas-bench-macro", include_str!("../../../spaces/nas-bench-macro.toml")),
    ("resnet8-mlperf-tiny", include_str!("../../../spaces/resnet8-mlperf-tiny.toml")),
];

/// Names of the spaces that ship.
pub fn names() -> impl Iterator<Item = &'static str> {
    SHIPPED.iter().map(|(name, _)| *name)
}

/// Name and text of the space of this name.
pub(super) fn find(name: &str) -> Option<(&'static str, &'static str)> {
    SHIPPED.iter().copied().find(|(known, _)| *known == name)
}
