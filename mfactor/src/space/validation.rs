//! From what a space file says to a space: every check, each with the key in its error.

use crate::name;
use crate::space::architecture::LONGEST_ID;
use crate::space::block::{Activation, Block, BlockKind, Expansion};
use crate::space::extremes::longest_id;
use crate::space::file::{RawBlock, RawHead, RawSpace, RawStage, RawStem, Several};
use crate::space::{Choose, ImageShape, SearchSpace, Stage, Stem, choices};

/// Versions of the space file's form that are read.
const SCHEMAS: [u32; 2] = [1, 2];
/// Most networks of a space of schema 2.
const LARGEST_SPACE: u128 = 10u128.pow(38);
/// Most options of one choice.
const MOST_OPTIONS: usize = 255;

impl Several<usize> {
    /// The numbers in ascending order, each within these bounds.
    fn numbers(self, key: &str, low: usize, high: usize) -> Result<Vec<usize>, String> {
        let mut numbers = self.distinct(key)?;
        numbers.iter().try_for_each(|number| check_range(key, *number, low, high))?;
        if numbers.len() > MOST_OPTIONS {
            return Err(format!("{key} lists {} values; at most {MOST_OPTIONS} are allowed", numbers.len()));
        }
        // The order in which options are listed carries no meaning, so no strategy may see it.
        numbers.sort_unstable();
        Ok(numbers)
    }
}

impl TryFrom<RawSpace> for SearchSpace {
    type Error = String;

    fn try_from(raw: RawSpace) -> Result<Self, String> {
        if !SCHEMAS.contains(&raw.schema) {
            return Err(format!("schema is {}; this version reads 1 and 2", raw.schema));
        }
        if !name::is_name(&raw.name) {
            return Err(format!("name is {:?}; it {}", raw.name, name::RULE));
        }
        check_range("classes", raw.classes, 2, 256)?;
        check_range("image.channels", raw.image.channels, 1, 4)?;
        check_range("image.height", raw.image.height, 8, 512)?;
        check_range("image.width", raw.image.width, 8, 512)?;
        check_range("the number of stages", raw.stages.len(), 1, 8)?;
        let RawSpace { schema, name, classes, image, .. } = raw;
        let (sides, head) = ends(schema, raw.sizes, raw.head, image)?;
        let stem = stem(schema, raw.stem)?;
        let stages = (1..).zip(raw.stages).map(|(number, raw)| match schema {
            1 => kernels_stage(number, raw),
            _ => stage(number, raw, stem.activation),
        });
        let stages = stages.collect::<Result<_, String>>()?;
        let (choices, names_kernels_alone) = (vec![], false);
        let mut space =
            Self { schema, name, classes, image, sides, stem, stages, head, choices, names_kernels_alone };
        space.choices = choices::all(&space);
        space.names_kernels_alone = choices::are_kernels_alone(&space);
        if schema > 1 {
            check_whole(&space)?;
        }
        Ok(space)
    }
}

/// Sides of the image and widths of the head.
fn ends(
    schema: u32,
    sizes: Option<Several<usize>>,
    head: Option<RawHead>,
    image: ImageShape,
) -> Result<(Vec<usize>, Vec<usize>), String> {
    if schema == 1 && (sizes.is_some() || head.is_some()) {
        return Err("sizes and head belong to schema 2; this is schema 1".to_owned());
    }
    if sizes.is_some() && image.height != image.width {
        return Err(format!("sizes are sides of a square; the image is {}×{}", image.height, image.width));
    }
    let sides = sizes.map_or(Ok(vec![]), |sizes| sizes.numbers("sizes", 8, image.height))?;
    let head = head.map_or(Ok(vec![0]), |head| head.width.numbers("head.width", 0, 2048))?;
    Ok((sides, head))
}

fn stem(schema: u32, raw: RawStem) -> Result<Stem, String> {
    if schema == 1
        && (raw.stride.is_some() || raw.activation.is_some() || matches!(raw.width, Several::Many(_)))
    {
        return Err(
            "stem: stride, activation and lists of widths belong to schema 2; this is schema 1".to_owned()
        );
    }
    check_kernel("stem.kernel", raw.kernel)?;
    let stride = raw.stride.unwrap_or(1);
    check_range("stem.stride", stride, 1, 4)?;
    let widths = raw.width.numbers("stem.width", 1, 1024)?;
    Ok(Stem { kernel: raw.kernel, stride, widths, activation: raw.activation.unwrap_or_default() })
}

/// A stage of schema 1.
fn kernels_stage(number: usize, raw: RawStage) -> Result<Stage, String> {
    let RawStage {
        blocks: Some(blocks),
        width: Several::One(width),
        stride,
        kernels: Some(kernels),
        depth: None,
        choose: None,
        block: None,
    } = raw
    else {
        return Err(format!(
            "stage {number}: schema 1 has the keys blocks, width, stride and kernels, and one width a stage"
        ));
    };
    check_range(&format!("stage {number}: blocks"), blocks, 1, 64)?;
    check_range(&format!("stage {number}: width"), width, 1, 1024)?;
    check_range(&format!("stage {number}: stride"), stride, 1, 4)?;
    if kernels.is_empty() {
        return Err(format!("stage {number}: kernels is empty; it needs at least one kernel size"));
    }
    for (position, kernel) in kernels.iter().enumerate() {
        check_kernel(&format!("stage {number}: kernels[{position}]"), usize::from(*kernel))?;
        if kernels[..position].contains(kernel) {
            return Err(format!("stage {number}: kernels lists {kernel} twice"));
        }
    }
    let options = sorted(kernels.into_iter().map(Block::basic).collect());
    Ok(Stage { depths: vec![blocks], widths: vec![width], stride, choose: Choose::Block, options })
}

/// A stage of schema 2.
fn stage(number: usize, raw: RawStage, activation: Activation) -> Result<Stage, String> {
    let key = |key: &str| format!("stage {number}: {key}");
    if raw.blocks.is_some() || raw.kernels.is_some() {
        return Err(key("blocks and kernels belong to schema 1; in schema 2 they are depth and block"));
    }
    let (Some(depth), Some(blocks)) = (raw.depth, raw.block) else {
        return Err(key("needs depth, width, stride and block"));
    };
    let depths = depth.numbers(&key("depth"), 1, 64)?;
    let widths = raw.width.numbers(&key("width"), 1, 1024)?;
    check_range(&key("stride"), raw.stride, 1, 4)?;
    let mut options: Vec<Block> = vec![];
    for (position, block) in blocks.into_iter().enumerate() {
        for option in self::options(&key(&format!("block[{position}]")), block, activation)? {
            if options.contains(&option) {
                return Err(key(&format!("block[{position}] gives {option} a second time")));
            }
            options.push(option);
        }
    }
    check_range(&key("the number of its blocks to choose from"), options.len(), 1, MOST_OPTIONS)?;
    let choose = raw.choose.unwrap_or_default();
    Ok(Stage { depths, widths, stride: raw.stride, choose, options: sorted(options) })
}

/// The product of the lists of one entry.
fn options(key: &str, raw: RawBlock, inherited: Activation) -> Result<Vec<Block>, String> {
    let kind = raw.kind;
    if kind == BlockKind::Identity {
        let is_bare =
            raw.kernel.is_none() && raw.expand.is_none() && raw.squeeze.is_none() && raw.activation.is_none();
        return if is_bare {
            Ok(vec![Block::identity()])
        } else {
            Err(format!("{key}: an identity has no other keys"))
        };
    }
    let kernels =
        raw.kernel.ok_or_else(|| format!("{key}: needs kernel"))?.distinct(&format!("{key}.kernel"))?;
    let expand = raw.expand.unwrap_or(Several::One(1.0)).distinct(&format!("{key}.expand"))?;
    let squeeze = raw.squeeze.unwrap_or(Several::One(0)).distinct(&format!("{key}.squeeze"))?;
    let activations = match raw.activation.unwrap_or(Several::One(inherited)) {
        Several::One(activation) => vec![activation],
        Several::Many(activations) => activations,
    };
    let mut options = vec![];
    for kernel in kernels {
        check_kernel(&format!("{key}.kernel"), usize::from(kernel))?;
        for factor in &expand {
            let expansion = expansion(key, kind, *factor)?;
            for ratio in &squeeze {
                let squeezes = squeezes(key, kind, *ratio)?;
                let block = |activation: &Activation| Block {
                    kind,
                    kernel,
                    expansion,
                    squeezes,
                    activation: *activation,
                };
                options.extend(activations.iter().map(block));
            }
        }
    }
    Ok(options)
}

fn expansion(key: &str, kind: BlockKind, factor: f64) -> Result<Expansion, String> {
    Expansion::new(factor, kind).ok_or_else(|| {
        let allowed = if kind.expands_input() { "a whole number from 1 to 9" } else { "0.25, 0.5, 1 or 2" };
        format!("{key}.expand is {factor}; for a block of kind {} it must be {allowed}", kind.name())
    })
}

fn squeezes(key: &str, kind: BlockKind, ratio: u8) -> Result<bool, String> {
    match ratio {
        0 => Ok(false),
        4 if kind.expands_input() => Ok(true),
        4 => {
            let may = BlockKind::ALL.into_iter().filter(|kind| kind.expands_input()).map(BlockKind::name);
            let may = may.collect::<Vec<_>>().join(" and ");
            Err(format!("{key}.squeeze: blocks of kind {} have none; those of {may} may", kind.name()))
        }
        _ => Err(format!(
            "{key}.squeeze is {ratio}; it must be 0 for none, or 4 for a quarter of the channels inside"
        )),
    }
}

/// Blocks by their tokens: the order in which options are listed carries no meaning, so no strategy may see it.
fn sorted(mut options: Vec<Block>) -> Vec<Block> {
    options.sort_by_key(ToString::to_string);
    options
}

/// What can only be said of a space as a whole.
fn check_whole(space: &SearchSpace) -> Result<(), String> {
    check_fit(space)?;
    let size = space.size();
    if size > LARGEST_SPACE {
        return Err("the space has more than 10^38 networks; leave less to choose".to_owned());
    }
    if size == 1 {
        return Err("the space has one network; make at least one number a list of several".to_owned());
    }
    let longest = longest_id(space);
    if longest > LONGEST_ID {
        return Err(format!(
            "ids of its networks have up to {longest} characters; at most {LONGEST_ID} are allowed: fewer or shorter stages"
        ));
    }
    Ok(())
}

/// Refuses strides that are larger than what they are applied to.
fn check_fit(space: &SearchSpace) -> Result<(), String> {
    let image = space.seen(0);
    let mut side = image.height.min(image.width);
    let named = std::iter::once(("stem".to_owned(), space.stem.stride));
    let named = named
        .chain((1..).zip(&space.stages).map(|(number, stage)| (format!("stage {number}"), stage.stride)));
    for (name, stride) in named {
        if stride > side {
            return Err(format!(
                "{name}: stride is {stride}, and of an image of {}×{} only {side} rows or columns are left there",
                image.height, image.width
            ));
        }
        side = side.div_ceil(stride);
    }
    Ok(())
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
