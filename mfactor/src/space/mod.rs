//! The search space as data: which networks a study may choose from.
//!
//! A space is a TOML file. The paper's (3 stages of 3 blocks, kernels 3, 5 or 7) ships inside the program as
//! [`SearchSpace::paper`], others under their names ([`shipped`]); any other file of the same form can take its place.

pub mod architecture;
pub mod block;
mod choices;
pub mod cost;
pub mod extremes;
mod file;
pub mod layers;
mod network;
pub mod operation;
pub mod parts;
pub mod plan;
pub mod point;
pub mod shipped;
mod validation;

use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};
use crate::space::block::{Activation, Block};
use crate::space::point::Choice;

/// A validated search space. Whatever deserialises into one has passed every check, so the rest of the
/// program may trust its fields.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "file::RawSpace", into = "file::RawSpace")]
pub struct SearchSpace {
    schema: u32,
    name: String,
    classes: usize,
    image: ImageShape,
    /// Sides of the square that a network may see, ascending; none if all see the image as it is.
    sides: Vec<usize>,
    stem: Stem,
    stages: Vec<Stage>,
    /// Widths of the 1×1 convolution before the pool, ascending; 0 for none.
    head: Vec<usize>,
    choices: Vec<Choice>,
    /// Whether ids are of kernel digits.
    names_kernels_alone: bool,
}

/// Shape of one input image.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
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

/// The first convolution.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stem {
    /// Kernel size, odd.
    pub kernel: usize,
    /// Stride.
    pub stride: usize,
    /// Output channels to choose from, ascending.
    pub widths: Vec<usize>,
    /// Its activation, and that of the head.
    pub activation: Activation,
}

/// A run of blocks of one width.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stage {
    /// Numbers of blocks to choose from, ascending.
    pub depths: Vec<usize>,
    /// Channels of every block to choose from, ascending.
    pub widths: Vec<usize>,
    /// Stride of the first block; the others have stride 1.
    pub stride: usize,
    /// Who chooses among the options.
    pub choose: Choose,
    /// Blocks to choose from, by their tokens.
    pub options: Vec<Block>,
}

/// Who chooses the kind of a block.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Choose {
    /// Every block for itself.
    #[default]
    Block,
    /// All blocks of a stage alike.
    Stage,
}

impl Stage {
    /// The largest number of blocks.
    pub fn deepest(&self) -> usize {
        self.depths.last().copied().unwrap_or_default()
    }

    /// Choices of a block that the stage has, if it has several options.
    fn block_choices(&self) -> usize {
        match self.choose {
            Choose::Block => self.deepest(),
            Choose::Stage => 1,
        }
    }
}

impl SearchSpace {
    /// The space of the paper: 3^9 = 19,683 architectures of ResNet-20 for 32×32 images.
    pub fn paper() -> Self {
        Self::parse(shipped::PAPER, "spaces/paper.toml")
            .expect("the space that ships is valid, and a test says so")
    }

    /// Reads a space file. A name of a space that ships, [`shipped::names`], does as well if there is no such file.
    pub fn load(path: &Path) -> Result<Self> {
        if let Some((name, text)) = path.to_str().and_then(shipped::find).filter(|_| !path.exists()) {
            return Self::parse(text, format!("spaces/{name}.toml"));
        }
        let is_bare = path.components().count() == 1 && path.extension().is_none() && !path.exists();
        if is_bare {
            let known: Vec<&str> = shipped::names().collect();
            let problem = format!("is neither a file nor a space that ships; there are {}", known.join(", "));
            return Err(Error::input(
                format!("space {}", crate::text::name(&path.to_string_lossy())),
                problem,
            ));
        }
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

    /// Shape of an image of the data sets that fit. What a network sees of it may be smaller: [`plan::Plan::image`].
    pub fn image(&self) -> ImageShape {
        self.image
    }

    /// Sides of the square that networks may see, ascending; none if all see the image as it is.
    pub fn sides(&self) -> &[usize] {
        &self.sides
    }

    /// The first convolution.
    pub fn stem(&self) -> &Stem {
        &self.stem
    }

    /// The stages, first to last.
    pub fn stages(&self) -> &[Stage] {
        &self.stages
    }

    /// Widths of the 1×1 convolution before the pool, ascending; 0 for none.
    pub fn head(&self) -> &[usize] {
        &self.head
    }

    /// Whether the kernels of basic blocks are all there is to choose, and ids are of digits.
    pub fn names_kernels_alone(&self) -> bool {
        self.names_kernels_alone
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use rand_chacha::ChaCha8Rng;
    use rand_chacha::rand_core::SeedableRng;

    use super::shipped::PAPER;
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
