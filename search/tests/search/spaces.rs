//! Search spaces of all sorts.

use std::path::Path;

use mfactor::SearchSpace;

/// A space of stages, each with so many blocks that choose among these kernels.
pub fn space(stages: &[(usize, &[u8])]) -> SearchSpace {
    let mut text = "schema = 1\nname = \"test\"\nclasses = 10\n\
         image = { channels = 3, height = 32, width = 32 }\nstem = { kernel = 3, width = 8 }\n"
        .to_owned();
    for (blocks, kernels) in stages {
        text += &format!("[[stage]]\nblocks = {blocks}\nwidth = 8\nstride = 1\nkernels = {kernels:?}\n");
    }
    SearchSpace::parse(&text, "test space").unwrap()
}

/// A space that ships.
pub fn shipped(name: &str) -> SearchSpace {
    SearchSpace::load(Path::new(name)).unwrap()
}

/// A space of 2 · (2 + 4 + 8) · 2 = 56 networks with blocks that are not always there.
pub fn conditional() -> SearchSpace {
    let text = "schema = 2\nname = \"conditional\"\nclasses = 10\n\
         image = { channels = 3, height = 32, width = 32 }\nstem = { kernel = 3, width = [8, 16] }\n\
         head = { width = [0, 16] }\n[[stage]]\ndepth = [1, 2, 3]\nwidth = 8\nstride = 1\n\
         block = [{ kind = \"basic\", kernel = 3 }, { kind = \"inverted\", kernel = 5, expand = 2 }]\n";
    SearchSpace::parse(text, "conditional").unwrap()
}

/// Spaces with the number of trials to make in each; more than there are architectures in the small ones.
pub fn all() -> Vec<(SearchSpace, u64)> {
    vec![
        (SearchSpace::paper(), 60),
        (space(&[(1, &[3, 5, 7])]), 10),
        (space(&[(1, &[5])]), 3),
        (space(&[(2, &[3]), (2, &[3, 7])]), 10),
        (space(&[(3, &[3, 5, 7])]), 50),
        (space(&[(4, &[1, 3, 5, 7, 9]), (1, &[3])]), 80),
        (space(&[(9, &[3, 5, 7]), (9, &[3, 5, 7]), (9, &[3, 5, 7])]), 60),
        (space(&[(64, &[1, 3, 5, 7, 9]), (64, &[1, 3, 5, 7, 9])]), 40),
        (shipped("edge32"), 60),
        (shipped("edge96"), 40),
        (conditional(), 80),
    ]
}
