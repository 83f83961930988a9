//! Exact figures of networks and spaces.

use std::path::Path;

use mfactor::cost::Count;
use mfactor::space::shipped as list;
use mfactor::{Architecture, SearchSpace, exit};

use super::{shipped, small};

/// Parameters, MACs, bytes and peak bytes.
fn counts(space: &SearchSpace, id: &str) -> [u64; 4] {
    let layers = space.lower(&id.parse().unwrap());
    Count::ALL.map(|count| count.of(&layers))
}

fn ends(space: &SearchSpace) -> [(u64, u64); 2] {
    [Count::Parameters, Count::Macs].map(|count| (space.minimum(count).value, space.maximum(count).value))
}

#[test]
fn names_of_shipped_spaces_are_those_in_their_files() {
    for name in list::names() {
        assert_eq!(shipped(name).name(), name);
    }
    let error = SearchSpace::load(Path::new("edge33")).unwrap_err();
    assert_eq!(error.exit_code(), exit::INPUT);
    assert!(error.to_string().contains("edge32"), "{error}");
}

#[test]
fn sizes_of_shipped_spaces() {
    let names = ["paper", "width32", "edge32", "edge96", "nas-bench-macro", "resnet8-mlperf-tiny"];
    let sizes = names.map(|name| shipped(name).size());
    assert_eq!(sizes, [19_683, 823_200, 28_681_445_376, 3_108_554_014_924_800_000, 6_561, 648]);
}

#[test]
fn networks_of_edge32() {
    let space = shipped("edge32");
    let pins = [
        ("s8-w8.i3e2-w16.i3e2-w32.i3e2", [3_682, 1_079_616, 13_960, 163_840]),
        ("s16-w16.b3.b3-w32.b3.b3-w64.b3.b3", [175_258, 26_657_408, 698_792, 196_608]),
        ("s16-w16.b3-w32.i3e4.i3e4-w64.i5e4.i3e6", [90_074, 14_418_560, 353_704, 327_680]),
        (
            "s24-w24.i5e6.i5e6.i5e6-w48.i5e6.i5e6.i5e6-w96.i5e6.i5e6.i5e6",
            [426_898, 78_797_760, 1_684_744, 1_277_952],
        ),
        ("s24-w24.b5.b5.b5-w48.b5.b5.b5-w96.b5.b5.b5", [1_099_522, 166_994_880, 4_393_384, 294_912]),
    ];
    for (id, expected) in pins {
        assert_eq!(counts(&space, id), expected, "{id}");
    }
    assert_eq!(space.smallest().to_string(), pins[0].0);
    assert_eq!(space.largest().to_string(), pins[4].0);
    assert_eq!(ends(&space), [(3_682, 1_099_522), (1_079_616, 166_994_880)]);
}

#[test]
fn networks_of_width32() {
    let space = shipped("width32");
    let pins = [
        ("s8-w8.b3-w16.b3mh-w32.b3mh", [11_266, 2_351_424, 44_488, 98_304]),
        ("s16-w16.b3-w32.b3-w64.b3", [78_042, 12_501_632, 310_824, 196_608]),
        ("s16-w16.b3.b3.b3-w32.b3.b3.b3-w64.b3.b3.b3", [272_474, 40_813_184, 1_086_760, 196_608]),
    ];
    for (id, expected) in pins {
        assert_eq!(counts(&space, id), expected, "{id}");
    }
    assert_eq!(space.smallest().to_string(), pins[0].0);
    assert_eq!(ends(&space), [(11_266, 1_082_882), (2_351_424, 160_572_672)]);
}

#[test]
fn networks_of_edge96() {
    let space = shipped("edge96");
    let pins = [
        ("r64-s8-w8.i3e1-w16.i3e3-w24.i3e3-w48.i3e3-w64.i3e3-h0", [28_906, 1_338_176, 112_616, 131_072]),
        (
            "r96-s16-w16.f3e2-w24.f3e4.i3e3-w32.i5e3.i3e6-w64.i3e6.i3e6s-w96.i5e6.i3e3s-h128",
            [379_282, 30_287_648, 1_501_704, 589_824],
        ),
    ];
    for (id, expected) in pins {
        assert_eq!(counts(&space, id), expected, "{id}");
    }
    assert_eq!(space.smallest().to_string(), pins[0].0);
    assert_eq!(ends(&space), [(28_906, 3_423_802), (1_338_176, 250_055_168)]);
}

/// The id of a network that NAS-Bench-Macro names by a digit a layer.
fn of_nas_bench_macro(digits: &str) -> Architecture {
    let token = |digit: char| match digit {
        '0' => ".d",
        '1' => ".i3e3",
        _ => ".i5e6",
    };
    let tokens: Vec<&str> = digits.chars().map(token).collect();
    let [one, two, three] = [&tokens[..2], &tokens[2..5], &tokens[5..]].map(|stage| stage.concat());
    format!("s32-w64{one}-w128{two}-w256{three}").parse().unwrap()
}

#[test]
fn networks_of_nas_bench_macro() {
    let space = shipped("nas-bench-macro");
    let pins = [
        ("00000000", [387_882, 7_713_280, 1_544_488]),
        ("11111111", [1_588_874, 53_246_464, 6_319_784]),
        ("22212202", [1_985_514, 85_164_544, 7_897_384]),
    ];
    for (digits, expected) in pins {
        assert_eq!(counts(&space, &of_nas_bench_macro(digits).to_string())[..3], expected, "{digits}");
    }
    assert_eq!(ends(&space), [(387_882, 2_932_586), (7_713_280, 105_660_928)]);
}

/// Against the published table, where a copy lies beside the repository.
#[test]
fn costs_of_all_networks_of_nas_bench_macro_are_the_published_ones() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/tables/nas-bench-macro_cifar10.json");
    let Ok(text) = std::fs::read_to_string(path) else { return };
    let table: serde_json::Map<String, serde_json::Value> = serde_json::from_str(&text).unwrap();
    assert_eq!(table.len(), 6_561);
    let space = shipped("nas-bench-macro");
    for (digits, published) in &table {
        let cost = space.cost(&of_nas_bench_macro(digits));
        let published = ["params", "flops"].map(|key| published[key].as_u64().unwrap());
        assert_eq!([cost.parameters, cost.macs], published, "{digits}");
    }
}

#[test]
fn extremes_are_those_of_brute_force() {
    let space = small();
    let networks: Vec<Architecture> = space.architectures().collect();
    assert_eq!(networks.len() as u128, space.size());
    for count in Count::ALL {
        let values: Vec<(u64, &Architecture)> =
            networks.iter().map(|network| (count.of(&space.lower(network)), network)).collect();
        let smallest = values.iter().min_by_key(|(value, _)| *value).unwrap();
        let largest = values.iter().rev().max_by_key(|(value, _)| *value).unwrap();
        for (extreme, expected) in [(space.minimum(count), smallest), (space.maximum(count), largest)] {
            assert_eq!(extreme.value, expected.0, "{count:?}");
            assert_eq!(count.of(&space.lower(&extreme.architecture)), extreme.value, "{count:?}");
            if count != Count::PeakActivations {
                assert_eq!(extreme.architecture, *expected.1, "{count:?}");
            }
        }
    }
}
