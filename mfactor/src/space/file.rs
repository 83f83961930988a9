//! What a space file says, as it is written and read, before it is believed ([`super::validation`]). Schema 1 has one list
//! of kernels a stage; in schema 2 every number may be a list, and a list is a choice.

use std::fmt::Display;

use serde::{Deserialize, Serialize};

use crate::space::block::{Activation, Block, BlockKind};
use crate::space::{Choose, ImageShape, SearchSpace, Stage};

/// A space file.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawSpace {
    pub schema: u32,
    pub name: String,
    pub classes: usize,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sizes: Option<Several<usize>>,
    pub image: ImageShape,
    pub stem: RawStem,
    #[serde(rename = "stage")]
    pub stages: Vec<RawStage>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub head: Option<RawHead>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawStem {
    pub kernel: usize,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stride: Option<usize>,
    pub width: Several<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub activation: Option<Activation>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawStage {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub blocks: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub depth: Option<Several<usize>>,
    pub width: Several<usize>,
    pub stride: usize,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kernels: Option<Vec<u8>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub choose: Option<Choose>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub block: Option<Vec<RawBlock>>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawBlock {
    pub kind: BlockKind,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kernel: Option<Several<u8>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expand: Option<Several<f64>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub squeeze: Option<Several<u8>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub activation: Option<Several<Activation>>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawHead {
    pub width: Several<usize>,
}

/// A value, or a list of values to choose from.
#[derive(Clone, Serialize, Deserialize)]
#[serde(untagged, expecting = "is neither a value that this key takes nor a list of such values")]
pub(super) enum Several<T> {
    One(T),
    Many(Vec<T>),
}

impl<T> Several<T> {
    /// One value as it is, several as a list.
    fn of(mut values: Vec<T>) -> Self {
        match values.len() {
            1 => Self::One(values.remove(0)),
            _ => Self::Many(values),
        }
    }

    /// The values, none of them twice.
    pub fn distinct(self, key: &str) -> Result<Vec<T>, String>
    where
        T: PartialEq + Display,
    {
        let values = match self {
            Self::One(value) => vec![value],
            Self::Many(values) => values,
        };
        if values.is_empty() {
            return Err(format!("{key} is an empty list; it needs at least one value"));
        }
        for (position, value) in values.iter().enumerate() {
            if values[..position].contains(value) {
                return Err(format!("{key} lists {value} twice"));
            }
        }
        Ok(values)
    }
}

impl From<SearchSpace> for RawSpace {
    fn from(space: SearchSpace) -> Self {
        let SearchSpace { schema, name, classes, image, sides, stem, stages, head, .. } = space;
        let is_first = schema == 1;
        let stem = RawStem {
            kernel: stem.kernel,
            stride: (!is_first).then_some(stem.stride),
            width: Several::of(stem.widths),
            activation: (!is_first).then_some(stem.activation),
        };
        Self {
            schema,
            name,
            classes,
            sizes: (!sides.is_empty()).then_some(Several::of(sides)),
            image,
            stem,
            stages: stages.into_iter().map(|stage| raw_stage(stage, is_first)).collect(),
            head: (!is_first).then_some(RawHead { width: Several::of(head) }),
        }
    }
}

fn raw_stage(stage: Stage, is_first: bool) -> RawStage {
    let Stage { depths, widths, stride, choose, options } = stage;
    RawStage {
        blocks: is_first.then_some(depths[0]),
        depth: (!is_first).then_some(Several::of(depths)),
        width: Several::of(widths),
        stride,
        kernels: is_first.then(|| options.iter().map(|option| option.kernel).collect()),
        choose: (!is_first).then_some(choose),
        block: (!is_first).then(|| options.iter().map(raw_block).collect()),
    }
}

fn raw_block(block: &Block) -> RawBlock {
    let has_keys = block.kind != BlockKind::Identity;
    RawBlock {
        kind: block.kind,
        kernel: has_keys.then_some(Several::One(block.kernel)),
        expand: has_keys.then_some(Several::One(block.expansion.factor())),
        squeeze: has_keys.then_some(Several::One(if block.squeezes { 4 } else { 0 })),
        activation: has_keys.then_some(Several::One(block.activation)),
    }
}
