//! What a network took for what: counts by true and predicted class, and the figures that come of them.

use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};
use crate::{files, text};

/// Version of the file's form.
pub const SCHEMA: u32 = 1;
/// Labels are bytes.
const MOST_CLASSES: usize = 256;
/// More images than any split has; sums of counts up to this are exact in f64.
const MOST_IMAGES: u64 = 1 << 48;

/// Which accuracy decides: it is the A of M.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AccuracyKind {
    /// The share of all images that are classified rightly.
    #[default]
    Plain,
    /// The mean of the classes' recalls, so that a rare class counts as much as a common one.
    Balanced,
}

impl AccuracyKind {
    /// A kind by its name in files and on the command line.
    ///
    /// # Errors
    /// [`Error::Input`] naming those that there are.
    pub fn parse(name: &str) -> Result<Self> {
        match name {
            "plain" => Ok(Self::Plain),
            "balanced" => Ok(Self::Balanced),
            other => {
                let subject = format!("accuracy {}", text::name(other));
                Err(Error::input(subject, "is not known; there are plain, balanced"))
            }
        }
    }

    /// What it is called in a sentence.
    pub fn label(self) -> &'static str {
        match self {
            Self::Plain => "accuracy",
            Self::Balanced => "balanced accuracy",
        }
    }

    /// Whether it is the share of all images. What is so is not written, and studies of versions without it stay the same.
    pub fn is_plain(&self) -> bool {
        *self == Self::Plain
    }
}

/// Counts of images by true and predicted class.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Confusion {
    schema: u32,
    /// Names of the classes, in the order of the labels.
    classes: Vec<String>,
    /// A row for each true class, in it a count for each predicted class.
    counts: Vec<Vec<u64>>,
}

/// Images of one class that were taken for another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Mistaken {
    /// The true class.
    pub class: usize,
    /// What it was taken for.
    pub taken_for: usize,
    /// How many images.
    pub count: u64,
}

impl Confusion {
    /// Counts with the classes' names: a row for each true class, in it a count for each predicted class.
    ///
    /// # Errors
    /// [`Error::Input`], naming `subject`, if there are not as many rows and columns as classes, from 1 to 256, or no images.
    pub fn new(classes: Vec<String>, counts: Vec<Vec<u64>>, subject: &str) -> Result<Self> {
        let confusion = Self { schema: SCHEMA, classes, counts };
        confusion.check().map_err(|problem| Error::input(subject, problem))?;
        Ok(confusion)
    }

    /// Reads what [`Confusion::write`] wrote.
    ///
    /// # Errors
    /// [`Error::Io`] if the file cannot be read; [`Error::Input`] naming it if it is none.
    pub fn read(path: &Path) -> Result<Self> {
        let confusion: Self = files::read_json(path)?;
        confusion.check().map_err(|problem| Error::file(path, problem))?;
        Ok(confusion)
    }

    /// Writes it as one JSON object.
    ///
    /// # Errors
    /// As [`files::write`].
    pub fn write(&self, path: &Path) -> Result<()> {
        // On one line: of 256 classes a number a line would be three times the file.
        let bytes = serde_json::to_vec(self)
            .map_err(|error| Error::Defect(format!("a confusion cannot be written as JSON: {error}")))?;
        files::write(path, &bytes)
    }

    fn check(&self) -> Result<(), String> {
        if self.schema != SCHEMA {
            return Err(format!("schema is {}; this version reads {SCHEMA}", self.schema));
        }
        let classes = self.classes.len();
        if !(1..=MOST_CLASSES).contains(&classes) {
            return Err(format!("has {classes} classes; there are from 1 to {MOST_CLASSES}"));
        }
        if self.counts.len() != classes || self.counts.iter().any(|row| row.len() != classes) {
            return Err(format!(
                "counts must have {classes} rows of {classes}, for there are {classes} classes"
            ));
        }
        let images = self.counts.iter().flatten().try_fold(0_u64, |sum, count| sum.checked_add(*count));
        match images {
            Some(1..=MOST_IMAGES) => Ok(()),
            _ => Err("counts must sum to at least 1 image and to no more than a data set has".to_owned()),
        }
    }

    /// Names of the classes, in the order of the labels.
    pub fn classes(&self) -> &[String] {
        &self.classes
    }

    /// The counts, a row for each true class.
    pub fn counts(&self) -> &[Vec<u64>] {
        &self.counts
    }

    /// Images of a class.
    pub fn images_of(&self, class: usize) -> u64 {
        self.counts[class].iter().sum()
    }

    /// All images.
    pub fn images(&self) -> u64 {
        self.counts.iter().flatten().sum()
    }

    /// Images that were classified rightly.
    pub fn right(&self) -> u64 {
        (0..self.classes.len()).map(|class| self.counts[class][class]).sum()
    }

    /// The share of a class's images that were classified rightly; `None` of a class without images.
    pub fn recall(&self, class: usize) -> Option<f64> {
        let images = self.images_of(class);
        (images > 0).then(|| self.counts[class][class] as f64 / images as f64)
    }

    /// The share of all images that were classified rightly.
    pub fn accuracy(&self) -> f64 {
        self.right() as f64 / self.images() as f64
    }

    /// Mean of the recalls of all classes that have images (Brodersen et al. 2010, doi:10.1109/ICPR.2010.764, for more
    /// than two classes).
    pub fn balanced_accuracy(&self) -> f64 {
        let recalls: Vec<f64> = (0..self.classes.len()).filter_map(|class| self.recall(class)).collect();
        recalls.iter().sum::<f64>() / recalls.len() as f64
    }

    /// The accuracy that decides.
    pub fn of(&self, kind: AccuracyKind) -> f64 {
        match kind {
            AccuracyKind::Plain => self.accuracy(),
            AccuracyKind::Balanced => self.balanced_accuracy(),
        }
    }

    /// Classes that have images, the one with the lowest recall first; as the labels have them where two are equal.
    pub fn by_recall(&self) -> Vec<(usize, f64)> {
        let recalls = (0..self.classes.len()).filter_map(|class| Some((class, self.recall(class)?)));
        let mut recalls: Vec<_> = recalls.collect();
        recalls.sort_by(|(_, a), (_, b)| a.total_cmp(b));
        recalls
    }

    /// Pairs of classes of which the first was taken for the second, the largest share of the first's images first.
    pub fn mistaken(&self) -> Vec<Mistaken> {
        let pairs = self.counts.iter().enumerate().flat_map(|(class, row)| {
            let pair = move |(taken_for, count): (usize, &u64)| Mistaken { class, taken_for, count: *count };
            row.iter().enumerate().map(pair)
        });
        let mut pairs: Vec<_> = pairs.filter(|pair| pair.class != pair.taken_for && pair.count > 0).collect();
        pairs.sort_by(|a, b| self.share(b).total_cmp(&self.share(a)).then(b.count.cmp(&a.count)));
        pairs
    }

    /// The share of a class's images that were mistaken so.
    pub fn share(&self, pair: &Mistaken) -> f64 {
        pair.count as f64 / self.images_of(pair.class) as f64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(counts: &[&[u64]]) -> Result<Confusion> {
        let names = (0..counts.len()).map(|class| format!("c{class}")).collect();
        Confusion::new(names, counts.iter().map(|row| row.to_vec()).collect(), "test")
    }

    #[test]
    fn a_rare_class_counts_as_much_as_a_common_one() {
        // 90 of 100, 1 of 4, and a class without images.
        let confusion = of(&[&[90, 6, 4], &[3, 1, 0], &[0, 0, 0]]).unwrap();
        assert_eq!((confusion.images(), confusion.right()), (104, 91));
        assert_eq!(confusion.of(AccuracyKind::Plain), 91.0 / 104.0);
        assert_eq!(confusion.of(AccuracyKind::Balanced), (0.9 + 0.25) / 2.0);
        assert_eq!((confusion.recall(1), confusion.recall(2)), (Some(0.25), None));
        assert_eq!(confusion.by_recall(), [(1, 0.25), (0, 0.9)]);
        let mistaken: Vec<_> =
            confusion.mistaken().iter().map(|pair| (pair.class, pair.taken_for, pair.count)).collect();
        assert_eq!(mistaken, [(1, 0, 3), (0, 1, 6), (0, 2, 4)]);
    }

    #[test]
    fn what_is_no_confusion_is_refused() {
        for (counts, problem) in [
            (&[][..], "0 classes"),
            (&[&[1, 2][..], &[1]][..], "2 rows of 2"),
            (&[&[1, 2][..]][..], "1 rows of 1"),
            (&[&[0][..]][..], "at least 1 image"),
            (&[&[u64::MAX, 1][..], &[0, 0]][..], "no more than"),
        ] {
            let error = of(counts).unwrap_err().to_string();
            assert!(error.starts_with("test") && error.contains(problem), "{error}");
        }
        let many: Vec<Vec<u64>> = vec![vec![1; 257]; 257];
        assert!(of(&many.iter().map(Vec::as_slice).collect::<Vec<_>>()).is_err());
    }

    #[test]
    fn a_file_comes_back_and_a_damaged_one_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("confusion.json");
        let confusion = of(&[&[5, 1], &[0, 7]]).unwrap();
        confusion.write(&path).unwrap();
        assert_eq!(Confusion::read(&path).unwrap(), confusion);
        let text = std::fs::read_to_string(&path).unwrap();
        for (from, to) in [("\"schema\":1", "\"schema\":2"), ("\"c1\"", "\"c1\",\"c2\""), ("7", "-7")] {
            assert!(text.contains(from), "{text}");
            std::fs::write(&path, text.replace(from, to)).unwrap();
            let error = Confusion::read(&path).unwrap_err();
            assert_eq!(error.exit_code(), crate::exit::INPUT);
            assert!(error.to_string().contains("confusion.json"), "{error}");
        }
    }

    #[test]
    fn names_are_those_of_json() {
        for (name, kind) in [("plain", AccuracyKind::Plain), ("balanced", AccuracyKind::Balanced)] {
            assert_eq!(AccuracyKind::parse(name).unwrap(), kind);
            assert_eq!(serde_json::to_value(kind).unwrap(), name);
        }
        assert!(AccuracyKind::parse("top5").unwrap_err().to_string().contains("plain, balanced"));
    }
}
