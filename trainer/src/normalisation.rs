//! Which layers a batch norm can be computed together with.

use mfactor::Layer;
use mfactor::layers::Operation;

use crate::kernels::{BatchNorm, instructions};

/// A batch norm and the layers after it that are computed with it, in one go, when the last of them is due.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Normalisation {
    /// Position of the batch norm.
    pub batch_norm: usize,
    /// Position of the layer that it normalises.
    pub input: usize,
    /// An addition whose one input it is.
    pub addition: Option<Addition>,
    /// Whether the last layer is a rectification.
    pub is_rectified: bool,
    /// Position of the last layer, whose output is that of all.
    pub last: usize,
}

/// An addition to a batch norm.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Addition {
    /// Its position.
    pub layer: usize,
    /// Position of the layer that it adds.
    pub addend: usize,
}

impl Normalisation {
    /// Those of a network, each batch norm with as much of an addition and a rectification as follows it and has no other
    /// reader. Only what [`crate::kernels`] supports.
    pub fn all(layers: &[Layer]) -> Vec<Self> {
        let mut found: Vec<Self> = vec![];
        if instructions().is_none() {
            return found;
        }
        for (position, layer) in layers.iter().enumerate() {
            if !matches!(layer.operation, Operation::BatchNorm { channels } if BatchNorm::is_supported(channels))
            {
                continue;
            }
            let mut own = Self {
                batch_norm: position,
                input: layer.inputs[0],
                addition: None,
                is_rectified: false,
                last: position,
            };
            // Of an addition's two inputs the first is computed with it.
            let is_free = |next: &usize| found.iter().all(|other| other.sum() != Some(*next));
            if let Some(next) = only_reader(layers, own.last, Operation::Add).filter(is_free)
                && let Some(addend) = layers[next].inputs.iter().find(|input| **input != position)
            {
                (own.addition, own.last) = (Some(Addition { layer: next, addend: *addend }), next);
            }
            if let Some(next) = only_reader(layers, own.last, Operation::Relu) {
                (own.is_rectified, own.last) = (true, next);
            }
            found.push(own);
        }
        found
    }

    /// Positions of its layers.
    pub fn layers(&self) -> impl Iterator<Item = usize> {
        let rectification = self.is_rectified.then_some(self.last);
        [self.batch_norm].into_iter().chain(self.sum()).chain(rectification)
    }

    /// Position of what the addition adds.
    pub fn addend(&self) -> Option<usize> {
        self.addition.map(|addition| addition.addend)
    }

    fn sum(&self) -> Option<usize> {
        self.addition.map(|addition| addition.layer)
    }
}

/// The one layer that reads the output at `position`, if it is this operation.
fn only_reader(layers: &[Layer], position: usize, operation: Operation) -> Option<usize> {
    let mut readers = layers.iter().enumerate().filter(|(_, layer)| layer.inputs.contains(&position));
    let (reader, layer) = readers.next()?;
    (readers.next().is_none() && layer.operation == operation).then_some(reader)
}

#[cfg(test)]
mod tests {
    use mfactor::SearchSpace;

    use super::*;

    #[test]
    fn every_rectification_and_addition_goes_with_a_batch_norm() {
        let layers = SearchSpace::paper().lower(&"333-333-333".parse().unwrap());
        let found = Normalisation::all(&layers);
        let of = |operation: fn(&Operation) -> bool| {
            layers.iter().filter(|layer| operation(&layer.operation)).count()
        };
        assert_eq!(found.len(), of(|operation| matches!(operation, Operation::BatchNorm { .. })));
        assert_eq!(
            found.iter().filter(|one| one.is_rectified).count(),
            of(|operation| *operation == Operation::Relu)
        );
        assert_eq!(
            found.iter().filter(|one| one.addition.is_some()).count(),
            of(|operation| *operation == Operation::Add)
        );
        let name = |position: usize| &layers[position].name[..];
        let names: Vec<Vec<&str>> = found.iter().map(|one| one.layers().map(name).collect()).collect();
        assert!(names.contains(&vec!["stage1.block1.bn1", "stage1.block1.relu1"]), "{names:?}");
        assert!(names.contains(&vec!["stage2.block1.bn2", "stage2.block1.add", "stage2.block1.relu2"]));
        assert!(names.contains(&vec!["stage2.block1.shortcut.bn"]));
        for one in found.iter().filter(|one| one.addition.is_some()) {
            assert!(one.addend().is_some_and(|addend| addend < one.last && addend != one.batch_norm));
        }
    }
}
