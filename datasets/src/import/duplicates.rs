//! Pictures that are nearly the same in two parts: what a network was trained on is then asked of it again.
//!
//! Thumbnails of 8×8 grey values are compared. Candidates share eight neighbouring bits of a difference hash (Krawetz 2013,
//! "Kind of like that": is a pixel brighter than its neighbour); of 64 bits at most seven may differ.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use super::Part;
use super::decoding::{Decoded, Staged};
use super::listing::Listing;

/// Most bits that may differ: any two hashes that differ in fewer than eight bits share one byte of the eight.
const MOST_BITS: u32 = 7;
/// Largest mean difference of two thumbnails, of 255: what another compression or size changes.
const MOST_DIFFERENCE: u32 = 3;
/// Others that a picture is compared with in one bucket: where thousands are alike, a part of them is told.
const MOST_COMPARED: usize = 4096;
/// Pairs that are listed.
const MOST_LISTED: usize = 100;

/// What was found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Duplicates {
    /// Pairs of pictures in two parts that are nearly the same.
    pub pairs: usize,
    /// The first of them.
    pub listed: Vec<Pair>,
}

/// Two pictures that are nearly the same.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Pair {
    /// One.
    pub first: String,
    /// Its part.
    pub first_part: Part,
    /// The other.
    pub second: String,
    /// Its part.
    pub second_part: Part,
    /// Whether they have one label.
    pub same_class: bool,
}

/// Finds them among all decoded pictures.
pub(super) fn find(listing: &Listing, staged: &Staged, parts: &[Part]) -> Duplicates {
    let pairs = pairs(&staged.pictures, parts);
    let pair = |(a, b): &(usize, usize)| {
        let of = |number: usize| &listing.pictures[staged.pictures[number].listed];
        Pair {
            first: of(*a).name.clone(),
            first_part: parts[*a],
            second: of(*b).name.clone(),
            second_part: parts[*b],
            same_class: of(*a).label == of(*b).label,
        }
    };
    Duplicates { pairs: pairs.len(), listed: pairs.iter().take(MOST_LISTED).map(pair).collect() }
}

fn pairs(pictures: &[Decoded], parts: &[Part]) -> BTreeSet<(usize, usize)> {
    let hashes: Vec<u64> = pictures.iter().map(|picture| hash(&picture.thumbnail)).collect();
    let mut found = BTreeSet::new();
    for byte in 0..8 {
        let mut buckets: BTreeMap<u8, Vec<usize>> = BTreeMap::new();
        for (number, hash) in hashes.iter().enumerate() {
            buckets.entry(hash.to_le_bytes()[byte]).or_default().push(number);
        }
        for bucket in buckets.values() {
            for (at, a) in bucket.iter().enumerate() {
                for b in bucket[at + 1..].iter().take(MOST_COMPARED) {
                    let may_be =
                        parts[*a] != parts[*b] && (hashes[*a] ^ hashes[*b]).count_ones() <= MOST_BITS;
                    if may_be && are_alike(&pictures[*a].thumbnail, &pictures[*b].thumbnail) {
                        found.insert((*a, *b));
                    }
                }
            }
        }
    }
    found
}

fn hash(thumbnail: &[u8; 64]) -> u64 {
    (0..64).filter(|at| thumbnail[*at] > thumbnail[(at + 1) % 64]).fold(0, |hash, at| hash | 1 << at)
}

fn are_alike(a: &[u8; 64], b: &[u8; 64]) -> bool {
    let difference: u32 = a.iter().zip(b).map(|(a, b)| u32::from(a.abs_diff(*b))).sum();
    difference <= 64 * MOST_DIFFERENCE
}
