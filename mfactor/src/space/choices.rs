//! The choices of a space, and the way between points and architectures.

use rand::RngExt;
use rand_chacha::ChaCha8Rng;

use crate::architecture::{Architecture, ArchitectureStage};
use crate::error::{Error, Result};
use crate::space::block::{Block, BlockKind};
use crate::space::point::{Choice, Condition, Label, Point};
use crate::space::{Choose, SearchSpace, Stage};
use crate::text::list;

/// The choices of a space whose other fields are known.
pub(super) fn all(space: &SearchSpace) -> Vec<Choice> {
    let mut choices = vec![];
    let numbers = |choices: &mut Vec<Choice>, name: String, options: &[usize]| {
        if options.len() > 1 {
            let options = options.iter().map(|number| Label::Number(*number as u64)).collect();
            choices.push(Choice { name, options, when: None });
        }
    };
    numbers(&mut choices, "image.size".to_owned(), &space.sides);
    numbers(&mut choices, "stem.width".to_owned(), &space.stem.widths);
    for (number, stage) in (1..).zip(&space.stages) {
        numbers(&mut choices, format!("stage{number}.width"), &stage.widths);
        let depth = choices.len();
        numbers(&mut choices, format!("stage{number}.depth"), &stage.depths);
        if space.is_block_choice(stage) {
            (1..=stage.block_choices())
                .for_each(|block| choices.push(of_block(space, number, stage, block, depth)));
        }
    }
    numbers(&mut choices, "head.width".to_owned(), &space.head);
    choices
}

/// The choice of block number `block`; `depth` is the position of the stage's choice of its depth, if it has one.
fn of_block(space: &SearchSpace, number: usize, stage: &Stage, block: usize, depth: usize) -> Choice {
    let (name, options) = match (space.schema, stage.choose) {
        (1, _) => {
            let kernels = stage.options.iter().map(|option| Label::Number(option.kernel.into()));
            (format!("stage{number}.block{block}.kernel"), kernels.collect())
        }
        (_, Choose::Block) => (format!("stage{number}.block{block}"), tokens(stage)),
        (_, Choose::Stage) => (format!("stage{number}.block"), tokens(stage)),
    };
    let least = stage.depths.iter().position(|depth| *depth >= block).unwrap_or(0) as u8;
    Choice { name, options, when: (least > 0).then_some(Condition { choice: depth, least }) }
}

fn tokens(stage: &Stage) -> Vec<Label> {
    stage.options.iter().map(|option| Label::Token(option.to_string())).collect()
}

/// Whether the kernels of basic blocks are all there is to choose.
pub(super) fn are_kernels_alone(space: &SearchSpace) -> bool {
    let alike = |block: &Block| Block { kernel: 1, ..*block };
    let is_plain = |stage: &Stage| {
        let first = stage.options[0];
        let are_alike = stage.options.iter().all(|option| alike(option) == alike(&first));
        let is_fixed = stage.widths.len() == 1 && stage.depths.len() == 1;
        is_fixed && stage.choose == Choose::Block && first.kind == BlockKind::Basic && are_alike
    };
    let is_fixed = space.sides.len() < 2 && space.stem.widths.len() == 1 && space.head.len() == 1;
    is_fixed && space.stages.iter().all(is_plain)
}

impl SearchSpace {
    /// All choices, in the order in which points list them.
    pub fn choices(&self) -> impl Iterator<Item = Choice> + '_ {
        self.choices.iter().cloned()
    }

    /// Whether the options of a stage's blocks are choices. In spaces of schema 1 they always were.
    pub(super) fn is_block_choice(&self, stage: &Stage) -> bool {
        self.schema == 1 || stage.options.len() > 1
    }

    /// Whether a choice is there to be made at a point: the blocks beyond the depth of a stage are not.
    pub fn is_active(&self, point: &Point, choice: usize) -> bool {
        self.choices[choice].when.is_none_or(|when| when.holds(point))
    }

    /// The point with 0 for every inactive choice, which is how two points of one architecture are the same.
    pub fn canonical(&self, mut point: Point) -> Point {
        for choice in 0..self.choices.len() {
            if !self.is_active(&point, choice) {
                point.options_mut()[choice] = 0;
            }
        }
        point
    }

    /// The architectures that differ from one of this space in one choice, in the order of choices and options. A choice that
    /// makes others active takes the first option of each.
    ///
    /// # Panics
    /// If the architecture is not of this space.
    pub fn neighbours(&self, architecture: &Architecture) -> Vec<Architecture> {
        let point = self.point(architecture).expect("an architecture of this space");
        let active = (0..self.choices.len()).filter(|choice| self.is_active(&point, *choice));
        let moved = active.flat_map(|choice| {
            let others = (0..self.choices[choice].options.len() as u8)
                .filter(|option| *option != point.options()[choice])
                .collect::<Vec<_>>();
            others
                .into_iter()
                .map(|option| {
                    let mut moved = point.clone();
                    moved.options_mut()[choice] = option;
                    self.architecture(&self.canonical(moved))
                })
                .collect::<Vec<_>>()
        });
        moved.collect()
    }

    /// Number of canonical points; saturates at `u128::MAX`.
    pub fn size(&self) -> u128 {
        self.completions(0, &Point::new(vec![0; self.choices.len()]))
    }

    /// Number of canonical points that agree with `point` in all choices before `from`.
    fn completions(&self, from: usize, point: &Point) -> u128 {
        let options = |choice: &Choice| choice.options.len() as u128;
        let factor = |(position, choice): (usize, &Choice)| match choice.when {
            // Counted with the choice on which it depends.
            Some(when) if when.choice >= from => 1,
            Some(when) if !when.holds(point) => 1,
            Some(_) => options(choice),
            None => (0..choice.options.len() as u128).fold(0, |sum: u128, option| {
                let is_active = |other: &&Choice| {
                    other.when.is_some_and(|when| when.choice == position && u128::from(when.least) <= option)
                };
                let active = self.choices[position + 1..].iter().filter(is_active);
                sum.saturating_add(
                    active.fold(1, |product: u128, other| product.saturating_mul(options(other))),
                )
            }),
        };
        let factors = self.choices.iter().enumerate().skip(from).map(factor);
        factors.fold(1, u128::saturating_mul)
    }

    /// The architecture of a point.
    ///
    /// # Panics
    /// If the point is not one of this space: it has one valid option for every choice.
    pub fn architecture(&self, point: &Point) -> Architecture {
        let plan = self.plan(point);
        let said = |is_said: bool, number: usize| is_said.then_some(number as u16);
        let are_widths_said = !self.names_kernels_alone;
        let stages = plan.stages.into_iter().map(|stage| match are_widths_said {
            true => ArchitectureStage { width: Some(stage.width as u16), blocks: stage.blocks },
            false => {
                let blocks = stage.blocks.iter().map(|block| Block::basic(block.kernel)).collect();
                ArchitectureStage { width: None, blocks }
            }
        });
        Architecture {
            stages: stages.collect(),
            side: said(self.sides.len() > 1, plan.image.height),
            stem: said(are_widths_said, plan.stem),
            head: said(self.head.len() > 1, plan.head),
        }
    }

    /// The point of an architecture: the inverse of [`SearchSpace::architecture`].
    ///
    /// # Errors
    /// As [`SearchSpace::check`].
    pub fn point(&self, architecture: &Architecture) -> Result<Point> {
        let refuse = |problem: String| Error::input(format!("architecture {architecture}"), problem);
        self.options(architecture).map(Point::new).map_err(refuse)
    }

    /// Whether the architecture belongs to this space; the error says what does not fit.
    pub fn check(&self, architecture: &Architecture) -> Result<()> {
        self.point(architecture).map(drop)
    }

    fn options(&self, architecture: &Architecture) -> Result<Vec<u8>, String> {
        if architecture.is_of_kernels() != self.names_kernels_alone {
            let example = self.architecture(&Point::new(vec![0; self.choices.len()]));
            return Err(format!("is of another form than those of space {}, as {example}", self.name));
        }
        let blocks: Vec<usize> = architecture.stages.iter().map(|stage| stage.blocks.len()).collect();
        let has_depths = |stages: &[Stage]| {
            stages.iter().zip(&blocks).all(|(stage, blocks)| stage.depths.contains(blocks))
        };
        if blocks.len() != self.stages.len() || !has_depths(&self.stages) {
            let wants = list(self.stages.iter().map(|stage| alternatives(&stage.depths)));
            return Err(format!("has {} blocks a stage; space {} has {wants}", list(blocks), self.name));
        }
        let mut options = vec![];
        self.number(&mut options, "image.size", architecture.side, &self.sides, self.sides.len() > 1)?;
        let are_widths_said = !self.names_kernels_alone;
        self.number(&mut options, "stem.width", architecture.stem, &self.stem.widths, are_widths_said)?;
        for (number, (stage, own)) in (1..).zip(self.stages.iter().zip(&architecture.stages)) {
            let name = format!("stage{number}.width");
            self.number(&mut options, &name, own.width, &stage.widths, are_widths_said)?;
            if stage.depths.len() > 1 {
                options.push(position(&stage.depths, &own.blocks.len()));
            }
            self.blocks(&mut options, number, stage, &own.blocks)?;
        }
        self.number(&mut options, "head.width", architecture.head, &self.head, self.head.len() > 1)?;
        Ok(options)
    }

    /// Appends the option of a choice among numbers, if it is one.
    fn number(
        &self,
        options: &mut Vec<u8>,
        name: &str,
        own: Option<u16>,
        all: &[usize],
        is_said: bool,
    ) -> Result<(), String> {
        match own.map(usize::from) {
            None if !is_said => return Ok(()),
            None => return Err(format!("does not say its {name}, which space {} leaves open", self.name)),
            Some(_) if !is_said => {
                return Err(format!("says its {name}, which space {} does not leave open", self.name));
            }
            Some(own) if !all.contains(&own) => {
                return Err(format!("{name} is {own}; space {} has {}", self.name, list(all)));
            }
            Some(own) if all.len() > 1 => options.push(position(all, &own)),
            Some(_) => {}
        }
        Ok(())
    }

    /// Appends the options of a stage's choices of blocks.
    fn blocks(
        &self,
        options: &mut Vec<u8>,
        number: usize,
        stage: &Stage,
        own: &[Block],
    ) -> Result<(), String> {
        let is_own = |option: &Block, own: &Block| match self.names_kernels_alone {
            true => option.kernel == own.kernel,
            false => option == own,
        };
        for (block, chosen) in (1..).zip(own) {
            let Some(option) = stage.options.iter().position(|option| is_own(option, chosen)) else {
                let (name, all) = match self.names_kernels_alone {
                    true => (
                        format!("block{block}.kernel is {}", chosen.kernel),
                        list(stage.options.iter().map(|option| option.kernel)),
                    ),
                    false => (format!("block{block} is {chosen}"), list(&stage.options)),
                };
                return Err(format!("stage{number}.{name}; space {} has {all}", self.name));
            };
            if stage.choose == Choose::Stage && chosen != &own[0] {
                return Err(format!(
                    "has different blocks in stage {number}; space {} has one kind a stage",
                    self.name
                ));
            }
            if self.is_block_choice(stage) && block <= stage.block_choices() {
                options.push(option as u8);
            }
        }
        if self.is_block_choice(stage) {
            let inactive = stage.block_choices().saturating_sub(own.len());
            options.extend(std::iter::repeat_n(0, inactive));
        }
        Ok(())
    }

    /// Architecture number `index` in the order of their points, from 0.
    ///
    /// # Panics
    /// If `index` is not below [`SearchSpace::size`].
    pub fn nth(&self, mut index: u128) -> Architecture {
        assert!(index < self.size(), "there is no architecture {index} among {}", self.size());
        let mut point = Point::new(vec![0; self.choices.len()]);
        for choice in 0..self.choices.len() {
            while self.is_active(&point, choice) {
                let count = self.completions(choice + 1, &point);
                if index < count {
                    break;
                }
                index -= count;
                point.options_mut()[choice] += 1;
            }
        }
        self.architecture(&point)
    }

    /// All architectures in the order of their points.
    pub fn architectures(&self) -> impl Iterator<Item = Architecture> + '_ {
        (0..self.size()).map(|index| self.nth(index))
    }

    /// An architecture drawn with every option of every choice as likely as the others. Where depths are chosen each is
    /// as likely as another, so networks of small depth are likelier than they are frequent.
    pub fn sample(&self, rng: &mut ChaCha8Rng) -> Architecture {
        let draw = |choice: &Choice| rng.random_range(0..choice.options.len()) as u8;
        self.architecture(&self.canonical(Point::new(self.choices.iter().map(draw).collect())))
    }
}

fn position<T: PartialEq>(all: &[T], one: &T) -> u8 {
    all.iter().position(|option| option == one).expect("it was looked for before") as u8
}

/// `2`, or `1/2/3` of several.
fn alternatives(depths: &[usize]) -> String {
    depths.iter().map(ToString::to_string).collect::<Vec<_>>().join("/")
}
