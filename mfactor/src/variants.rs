//! The variants of an enum as files name them, for tests that a list of all of them is whole.

use serde::de::DeserializeOwned;

/// Names of the variants of `T`, in the order of its definition, by what it answers to a name that it has not.
///
/// # Panics
/// If `T` is no enum, or has variants with contents.
pub(crate) fn variants<T: DeserializeOwned>() -> Vec<String> {
    let refused = serde_json::from_str::<T>("\"\"").err().expect("no variant has an empty name").to_string();
    let (_, names) = refused.split_once("expected one of ").expect("an enum says what it expects");
    names.split('`').skip(1).step_by(2).map(str::to_owned).collect()
}
