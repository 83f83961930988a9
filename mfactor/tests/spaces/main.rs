//! Spaces of schema 2: exact figures of those that ship, their extremes against brute force, and what is refused.

#![expect(clippy::unwrap_used, reason = "what a test cannot unwrap, it fails by")]

mod figures;
mod points;
mod refused;

use std::path::Path;

use mfactor::SearchSpace;
use mfactor::block::BlockKind;

fn shipped(name: &str) -> SearchSpace {
    SearchSpace::load(Path::new(name)).unwrap()
}

/// A space of few networks with every kind of block and choice.
const SMALL: &str = r#"
schema = 2
name = "small"
classes = 5
sizes = [12, 16]
image = { channels = 3, height = 16, width = 16 }
stem = { kernel = 3, stride = 2, width = [8, 16] }
head = { width = [0, 24] }
[[stage]]
depth = [1, 2]
width = [8, 16]
stride = 1
block = [
  { kind = "basic", kernel = 3, expand = 0.5 },
  { kind = "inverted", kernel = 5, expand = 2, squeeze = 4 },
  { kind = "identity" },
]
[[stage]]
depth = [1, 3]
width = [12, 24]
stride = 2
choose = "stage"
block = [
  { kind = "bottleneck", kernel = 3, expand = 0.25 },
  { kind = "fused", kernel = 3, expand = [1, 2], activation = "hard-swish" },
]
"#;

fn small() -> SearchSpace {
    let absent = BlockKind::ALL.map(BlockKind::name).into_iter().find(|kind| !SMALL.contains(kind));
    assert_eq!(absent, None, "a kind of block that the small space lacks is not tested");
    SearchSpace::parse(SMALL, "small").unwrap()
}
