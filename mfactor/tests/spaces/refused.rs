//! Space files that are refused, with the words that say where and why.

use mfactor::{SearchSpace, exit};

use super::SMALL;

/// What is changed in a space file, to what, and what the error must say.
const CASES: [[&str; 3]; 27] = [
    ["schema = 2", "schema = 3", "schema"],
    ["schema = 2", "schema = 1", "schema 2"],
    ["sizes = [12, 16]", "sizes = []", "sizes is an empty list"],
    ["sizes = [12, 16]", "sizes = [12, 17]", "sizes is 17"],
    ["sizes = [12, 16]", "size = 12", "size"],
    ["width = 16 }", "width = 20 }", "square"],
    ["stride = 2, width", "stride = 0, width", "stem.stride"],
    ["width = [8, 16] }", "width = [8, 8] }", "stem.width lists 8 twice"],
    ["width = [8, 16] }", "width = [8, \"x\"] }", "line 7"],
    ["width = [8, 16] }", "width = -8 }", "line 7"],
    ["width = [8, 16] }", "width = [8], activation = \"gelu\" }", "gelu"],
    ["width = [0, 24]", "width = [0, 3000]", "head.width is 3000"],
    ["depth = [1, 2]", "depth = [0, 2]", "stage 1: depth is 0"],
    ["depth = [1, 2]", "blocks = 2", "stage 1: blocks and kernels belong to schema 1"],
    ["depth = [1, 2]\n", "", "stage 1: needs depth"],
    ["stride = 1", "stride = 9", "stage 1: stride is 9"],
    ["choose = \"stage\"", "choose = \"net\"", "net"],
    ["kernel = 3, expand = 0.5", "kernel = [3, 4], expand = 0.5", "stage 1: block[0].kernel is 4"],
    ["kernel = 3, expand = 0.5", "kernel = 3, expand = 0.7", "stage 1: block[0].expand is 0.7"],
    ["kernel = 3, expand = 0.5", "kernel = 3, squeeze = 4", "stage 1: block[0].squeeze"],
    ["kernel = 3, expand = 0.5", "expand = 0.5", "stage 1: block[0]: needs kernel"],
    ["expand = 2, squeeze = 4", "expand = 2, squeeze = 3", "stage 1: block[1].squeeze is 3"],
    ["expand = 2, squeeze = 4", "expand = 0.5", "a whole number"],
    ["{ kind = \"identity\" }", "{ kind = \"identity\", kernel = 3 }", "stage 1: block[2]: an identity"],
    ["{ kind = \"identity\" }", "{ kind = \"ghost\" }", "ghost"],
    ["{ kind = \"identity\" }", "{ kind = \"basic\", kernel = [1, 3], expand = 0.5 }", "b3mh a second time"],
    ["{ kind = \"identity\" }", "{ kind = \"basic\", kernal = 3 }", "kernal"],
];

#[test]
fn a_malformed_space_names_file_and_key() {
    for [from, to, expected] in CASES {
        assert!(SMALL.contains(from), "{from}");
        let error = SearchSpace::parse(&SMALL.replacen(from, to, 1), "some.toml").unwrap_err();
        assert_eq!(error.exit_code(), exit::INPUT);
        let text = error.to_string();
        assert!(text.contains("some.toml") && text.contains(expected), "{to}: {text}");
    }
}

#[test]
fn spaces_that_are_too_large_too_small_or_do_not_fit_are_refused() {
    let text = |depth: &str, stages: usize, block: &str| {
        let stage = format!("[[stage]]\ndepth = {depth}\nwidth = 8\nstride = 2\nblock = [{block}]\n");
        format!(
            "schema = 2\nname = \"x\"\nclasses = 2\nimage = {{ channels = 1, height = 16, width = 16 }}\n\
             stem = {{ kernel = 3, width = 8 }}\n{}",
            stage.repeat(stages)
        )
    };
    let many = "{ kind = \"basic\", kernel = [1, 3, 5, 7, 9] }";
    for (text, expected) in [
        (text("1", 1, "{ kind = \"basic\", kernel = 3 }"), "one network"),
        (text("64", 1, many), "10^38"),
        (text("1", 6, many), "stage 5: stride is 2"),
        (text("[1, 40]", 1, "{ kind = \"inverted\", kernel = [3, 5], expand = 2 }"), "characters"),
    ] {
        let error = SearchSpace::parse(&text, "some.toml").unwrap_err();
        assert_eq!(error.exit_code(), exit::INPUT);
        assert!(error.to_string().contains(expected), "{expected}: {error}");
    }
}
