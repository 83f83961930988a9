//! Ratings of untrained networks, from a file: what a regression may know before anything was trained.

use std::collections::HashMap;
use std::path::Path;

use mfactor::{Architecture, Error, Point, Result, SearchSpace, files};
use serde::Deserialize;

/// Fewest networks that a regression can learn from what others would be rated.
const FEWEST: usize = 20;

/// NASWOT of networks of one space, by point.
#[derive(Debug, Clone, PartialEq)]
pub struct Ratings(HashMap<Point, f64>);

#[derive(Deserialize)]
struct Row {
    architecture: Architecture,
    naswot: Option<f64>,
}

impl Ratings {
    /// Reads comma-separated values with the columns `architecture` and `naswot`, as `mfactor naswot` writes them. An empty
    /// rating is none.
    ///
    /// # Errors
    /// [`Error::Input`] naming the file and the line for a row that is none, a network of another space or one that comes
    /// twice; or where fewer than 20 networks are rated.
    pub fn load(path: &Path, space: &SearchSpace) -> Result<Self> {
        Self::parse(&files::read_text(path)?, path, space)
    }

    /// [`Ratings::load`] of a file whose text was read already; errors name `path`.
    ///
    /// # Errors
    /// As there.
    pub fn parse(text: &str, path: &Path, space: &SearchSpace) -> Result<Self> {
        let mut reader = csv::ReaderBuilder::new().trim(csv::Trim::All).from_reader(text.as_bytes());
        let mut ratings = HashMap::new();
        for (line, row) in (2..).zip(reader.deserialize()) {
            let refuse = |problem: String| Error::input(format!("{}:{line}", path.display()), problem);
            let Row { architecture, naswot } = row.map_err(|error: csv::Error| refuse(error.to_string()))?;
            let point = space.point(&architecture).map_err(|error| refuse(error.to_string()))?;
            if naswot.is_some_and(|rating| !rating.is_finite()) {
                return Err(refuse("the rating is not a finite number".to_owned()));
            }
            let Some(rating) = naswot else { continue };
            if ratings.insert(point, rating).is_some() {
                return Err(refuse(format!("{architecture} is rated twice")));
            }
        }
        if ratings.len() < FEWEST {
            return Err(Error::file(path, format!("rates {} networks; it takes {FEWEST}", ratings.len())));
        }
        Ok(Self(ratings))
    }

    /// The rating of a point.
    pub fn get(&self, point: &Point) -> Option<f64> {
        self.0.get(point).copied()
    }

    /// All points that are rated, in an order of their own.
    pub fn points(&self) -> Vec<&Point> {
        let mut points: Vec<&Point> = self.0.keys().collect();
        points.sort_unstable();
        points
    }
}

#[cfg(test)]
mod tests {
    use std::fmt::Write;

    use super::*;

    fn load(rows: &str) -> Result<Ratings> {
        let space = SearchSpace::paper();
        let mut text = "architecture,naswot\n".to_owned();
        for architecture in space.architectures().take(FEWEST - 1) {
            writeln!(text, "{architecture},{}", 3.5).unwrap();
        }
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("naswot.csv");
        std::fs::write(&path, text + rows).unwrap();
        Ratings::load(&path, &space)
    }

    #[test]
    fn a_file_is_read_and_what_is_wrong_with_it_is_said() {
        let ratings = load("777-777-777,7.25\n777-777-775,\n").unwrap();
        let point = SearchSpace::paper().point(&"777-777-777".parse().unwrap()).unwrap();
        assert_eq!((ratings.get(&point), ratings.points().len()), (Some(7.25), FEWEST));
        for (rows, words) in [
            ("", "it takes 20"),
            ("777-777-777,1\n777-777-777,2\n", "rated twice"),
            ("s8-w8.b3,1\n", "naswot.csv:21"),
            ("777-777-777,inf\n", "finite"),
            ("777-777-777,high\n", "naswot.csv:21"),
        ] {
            let error = load(rows).unwrap_err();
            assert_eq!(error.exit_code(), mfactor::exit::INPUT);
            assert!(error.to_string().contains(words), "{rows}: {error}");
        }
    }
}
