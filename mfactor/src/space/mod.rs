//! The search space as data: which networks a study may choose from.
//!
//! A space is a TOML file. The paper's (3 stages of 3 blocks, kernels 3, 5 or 7) ships inside the program as
//! [`SearchSpace::paper`]; any other file of the same form can take its place.

pub mod architecture;
pub mod cost;
pub mod layers;
pub mod point;

use std::path::Path;

use rand::RngExt;
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};

use crate::architecture::Architecture;
use crate::error::{Error, Result};
use crate::name;
use crate::space::point::{Choice, Point};
use crate::text::list;

/// Version of the space file's form.
pub const SCHEMA: u32 = 1;

const PAPER: &str = include_str!("../../../spaces/paper.toml");

/// A validated search space. Whatever deserialises into one has passed every check, so the rest of the
/// program may trust its fields.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "RawSpace", into = "RawSpace")]
pub struct SearchSpace {
    name: String,
    classes: usize,
    image: ImageShape,
    stem: Stem,
    stages: Vec<Stage>,
}

/// Shape of one input image.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ImageShape {
    /// Colour planes.
    pub channels: usize,
    /// Rows of pixels.
    pub height: usize,
    /// Columns of pixels.
    pub width: usize,
}

impl ImageShape {
    /// Bytes of one image with a byte for each channel of each pixel.
    pub fn bytes(&self) -> usize {
        self.channels * self.height * self.width
    }
}

/// The first convolution, the same in every architecture. Stride 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Stem {
    /// Kernel size, odd.
    pub kernel: usize,
    /// Output channels.
    pub width: usize,
}

/// A run of residual blocks of one width.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Stage {
    /// Number of residual blocks.
    pub blocks: usize,
    /// Channels of every block.
    pub width: usize,
    /// Stride of the first block; the others have stride 1.
    pub stride: usize,
    /// Kernel sizes to choose from for `conv1` of each block, ascending.
    pub kernels: Vec<u8>,
}

impl SearchSpace {
    /// The space of the paper: 3^9 = 19,683 architectures of ResNet-20 for 32×32 images.
    pub fn paper() -> Self {
        Self::parse(PAPER, "spaces/paper.toml").expect("the space that ships is valid, and a test says so")
    }

    /// Reads a space file.
    pub fn load(path: &Path) -> Result<Self> {
        let text = crate::files::read_text(path)?;
        Self::parse(&text, path.display())
    }

    /// Parses a space from TOML; `subject` names its source in error messages.
    pub fn parse(text: &str, subject: impl ToString) -> Result<Self> {
        toml::from_str(text).map_err(|error| Error::toml(subject, text, &error))
    }

    /// Name, for records and metadata.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Number of classes, the width of the logits.
    pub fn classes(&self) -> usize {
        self.classes
    }

    /// Shape of an input image.
    pub fn image(&self) -> ImageShape {
        self.image
    }

    /// The first convolution.
    pub fn stem(&self) -> Stem {
        self.stem
    }

    /// The stages, first to last.
    pub fn stages(&self) -> &[Stage] {
        &self.stages
    }

    /// All choices, in the order of the id's digits.
    pub fn choices(&self) -> impl Iterator<Item = Choice<'_>> {
        self.stages.iter().zip(1..).flat_map(|(stage, number)| {
            (1..=stage.blocks).map(move |block| Choice {
                name: format!("stage{number}.block{block}.kernel"),
                options: &stage.kernels,
            })
        })
    }

    /// Number of points; saturates at `u64::MAX`.
    pub fn size(&self) -> u64 {
        self.choices().fold(1, |size: u64, choice| size.saturating_mul(choice.options.len() as u64))
    }

    /// The architecture of a point.
    ///
    /// # Panics
    /// If the point is not one of this space: it has one valid option for every choice.
    pub fn architecture(&self, point: &Point) -> Architecture {
        let mut options = point.options().iter();
        let mut next = |stage: &Stage| -> Vec<u8> {
            (0..stage.blocks)
                .map(|_| stage.kernels[usize::from(*options.next().expect("one option for every choice"))])
                .collect()
        };
        let stages = self.stages.iter().map(&mut next).collect();
        assert!(options.next().is_none(), "one option for every choice");
        Architecture::new(stages).expect("the kernels of a validated space are well-formed")
    }

    /// The point of an architecture: the inverse of [`SearchSpace::architecture`].
    ///
    /// # Errors
    /// As [`SearchSpace::check`].
    pub fn point(&self, architecture: &Architecture) -> Result<Point> {
        self.check(architecture)?;
        let position = |(choice, kernel): (Choice<'_>, u8)| {
            let position = choice.options.iter().position(|option| *option == kernel);
            position.expect("the architecture was checked") as u8
        };
        Ok(Point::new(self.choices().zip(architecture.kernels()).map(position).collect()))
    }

    /// Whether the architecture belongs to this space; the error says what does not fit.
    pub fn check(&self, architecture: &Architecture) -> Result<()> {
        let refuse = |problem: String| Err(Error::input(format!("architecture {architecture}"), problem));
        let blocks: Vec<usize> = architecture.stages().iter().map(Vec::len).collect();
        let expected: Vec<usize> = self.stages.iter().map(|stage| stage.blocks).collect();
        if blocks != expected {
            let (has, wants) = (list(blocks), list(expected));
            return refuse(format!("has {has} blocks a stage; space {} has {wants}", self.name));
        }
        for (choice, kernel) in self.choices().zip(architecture.kernels()) {
            if !choice.options.contains(&kernel) {
                let (name, options) = (choice.name, list(choice.options));
                return refuse(format!("{name} is {kernel}; space {} has {options}", self.name));
            }
        }
        Ok(())
    }

    /// Architecture number `index` in the order of their ids, from 0.
    ///
    /// # Panics
    /// If `index` is not below [`SearchSpace::size`].
    pub fn nth(&self, mut index: u64) -> Architecture {
        assert!(index < self.size(), "there is no architecture {index} among {}", self.size());
        let radices: Vec<u64> = self.choices().map(|choice| choice.options.len() as u64).collect();
        let mut options = vec![0; radices.len()];
        for (digit, radix) in options.iter_mut().zip(&radices).rev() {
            *digit = (index % radix) as u8;
            index /= radix;
        }
        self.architecture(&Point::new(options))
    }

    /// All architectures in the order of their ids.
    pub fn architectures(&self) -> impl Iterator<Item = Architecture> + '_ {
        (0..self.size()).map(|index| self.nth(index))
    }

    /// An architecture drawn uniformly.
    pub fn sample(&self, rng: &mut ChaCha8Rng) -> Architecture {
        let draw = |choice: Choice<'_>| rng.random_range(0..choice.options.len()) as u8;
        self.architecture(&Point::new(self.choices().map(draw).collect()))
    }

    /// The architecture with the smallest kernel everywhere; it has the fewest parameters.
    pub fn smallest(&self) -> Architecture {
        self.nth(0)
    }

    /// The architecture with the largest kernel everywhere.
    pub fn largest(&self) -> Architecture {
        self.architecture(&Point::new(self.choices().map(|choice| choice.options.len() as u8 - 1).collect()))
    }

    /// P_min: trainable parameters of the smallest architecture.
    pub fn minimum_parameters(&self) -> u64 {
        self.cost(&self.smallest()).parameters
    }
}

/// What a space file says, before it is believed.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct RawSpace {
    schema: u32,
    name: String,
    classes: usize,
    image: ImageShape,
    stem: Stem,
    #[serde(rename = "stage")]
    stages: Vec<Stage>,
}

impl From<SearchSpace> for RawSpace {
    fn from(space: SearchSpace) -> Self {
        let SearchSpace { name, classes, image, stem, stages } = space;
        Self { schema: SCHEMA, name, classes, image, stem, stages }
    }
}

impl TryFrom<RawSpace> for SearchSpace {
    type Error = String;

    fn try_from(raw: RawSpace) -> Result<Self, String> {
        if raw.schema != SCHEMA {
            return Err(format!("schema is {}; this version reads {SCHEMA}", raw.schema));
        }
        if !name::is_name(&raw.name) {
            return Err(format!("name is {:?}; it {}", raw.name, name::RULE));
        }
        check_range("classes", raw.classes, 2, 256)?;
        check_range("image.channels", raw.image.channels, 1, 4)?;
        check_range("image.height", raw.image.height, 8, 512)?;
        check_range("image.width", raw.image.width, 8, 512)?;
        check_kernel("stem.kernel", raw.stem.kernel)?;
        check_range("stem.width", raw.stem.width, 1, 1024)?;
        check_range("the number of stages", raw.stages.len(), 1, 8)?;
        let mut stages = raw.stages;
        for (stage, number) in stages.iter_mut().zip(1..) {
            check_stage(stage, number)?;
            // The order in which choices are listed carries no meaning, so no strategy may see it.
            stage.kernels.sort_unstable();
        }
        Ok(Self { name: raw.name, classes: raw.classes, image: raw.image, stem: raw.stem, stages })
    }
}

fn check_range(key: &str, value: usize, low: usize, high: usize) -> Result<(), String> {
    if (low..=high).contains(&value) {
        Ok(())
    } else {
        Err(format!("{key} is {value}; it must be from {low} to {high}"))
    }
}

fn check_kernel(key: &str, kernel: usize) -> Result<(), String> {
    if kernel % 2 == 1 && kernel <= 9 {
        Ok(())
    } else {
        Err(format!("{key} is {kernel}; it must be odd and from 1 to 9"))
    }
}

fn check_stage(stage: &Stage, number: usize) -> Result<(), String> {
    check_range(&format!("stage {number}: blocks"), stage.blocks, 1, 64)?;
    check_range(&format!("stage {number}: width"), stage.width, 1, 1024)?;
    check_range(&format!("stage {number}: stride"), stage.stride, 1, 4)?;
    if stage.kernels.is_empty() {
        return Err(format!("stage {number}: kernels is empty; it needs at least one kernel size"));
    }
    for (position, kernel) in stage.kernels.iter().enumerate() {
        check_kernel(&format!("stage {number}: kernels[{position}]"), usize::from(*kernel))?;
        if stage.kernels[..position].contains(kernel) {
            return Err(format!("stage {number}: kernels lists {kernel} twice"));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use rand_chacha::rand_core::SeedableRng;

    use super::*;

    #[test]
    fn the_paper_has_19683_architectures() {
        let space = SearchSpace::paper();
        assert_eq!(space.size(), 19_683);
        assert_eq!(space.architectures().collect::<BTreeSet<_>>().len(), 19_683);
        assert_eq!(space.choices().next().map(|choice| choice.name).unwrap(), "stage1.block1.kernel");
    }

    #[test]
    fn architectures_come_in_the_order_of_their_ids() {
        let space = SearchSpace::paper();
        assert!(space.architectures().is_sorted());
        assert_eq!(space.smallest().to_string(), "333-333-333");
        assert_eq!(space.largest().to_string(), "777-777-777");
    }

    #[test]
    fn points_invert_architectures() {
        let space = SearchSpace::paper();
        let mut rng = ChaCha8Rng::seed_from_u64(3);
        for _ in 0..100 {
            let architecture = space.sample(&mut rng);
            assert_eq!(space.architecture(&space.point(&architecture).unwrap()), architecture);
        }
    }

    #[test]
    fn a_space_survives_toml_and_json() {
        let space = SearchSpace::paper();
        assert_eq!(SearchSpace::parse(&toml::to_string(&space).unwrap(), "written").unwrap(), space);
        assert_eq!(
            serde_json::from_str::<SearchSpace>(&serde_json::to_string(&space).unwrap()).unwrap(),
            space
        );
    }

    #[test]
    fn the_order_of_choices_does_not_matter() {
        let reversed = PAPER.replace("[3, 5, 7]", "[7, 3, 5]");
        assert_ne!(reversed, PAPER);
        assert_eq!(SearchSpace::parse(&reversed, "reversed").unwrap(), SearchSpace::paper());
    }

    #[test]
    fn a_malformed_space_names_file_and_key() {
        let cases = [
            ("schema = 1", "schema = 9", "schema"),
            ("classes = 10", "classes = 1", "classes"),
            ("classes = 10", "clases = 10", "clases"),
            ("kernels = [3, 5, 7]", "kernels = [3, 4, 7]", "stage 1: kernels[1]"),
            ("kernels = [3, 5, 7]", "kernels = []", "stage 1: kernels"),
            ("kernels = [3, 5, 7]", "kernels = [3, 3]", "twice"),
            ("blocks = 3", "blocks = 0", "stage 1: blocks"),
            ("width = 64", "width = -64", "width"),
        ];
        for (from, to, expected) in cases {
            assert!(PAPER.contains(from), "{from}");
            let error = SearchSpace::parse(&PAPER.replacen(from, to, 1), "some.toml").unwrap_err();
            assert_eq!(error.exit_code(), crate::exit::INPUT);
            let text = error.to_string();
            assert!(text.contains("some.toml") && text.contains(expected), "{to}: {text}");
        }
    }

    #[test]
    fn a_foreign_architecture_is_refused() {
        let space = SearchSpace::paper();
        for id in ["333-333", "333-333-3333", "333-333-339"] {
            let error = space.check(&id.parse().unwrap()).unwrap_err();
            assert!(error.to_string().contains(id), "{error}");
        }
    }
}
