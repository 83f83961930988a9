//! Points, ids and files of spaces of schema 2.

use std::collections::BTreeSet;

use mfactor::space::shipped as list;
use mfactor::{Architecture, Point, SearchSpace, exit};
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng;

use super::{shipped, small};

#[test]
fn every_network_has_an_id_and_a_point_of_its_own() {
    let space = small();
    let mut ids = BTreeSet::new();
    for network in space.architectures() {
        let parsed: Architecture = network.to_string().parse().unwrap();
        assert_eq!(parsed, network);
        let point = space.point(&parsed).unwrap();
        assert_eq!(space.canonical(point.clone()), point);
        assert_eq!(space.architecture(&point), network);
        assert!(ids.insert(network.to_string()));
    }
    // Sides, stems, heads; widths and blocks of the two stages.
    assert_eq!(ids.len(), 2 * 2 * 2 * (2 * (3 + 9)) * (2 * 2 * 3));
}

#[test]
fn what_is_inactive_is_0() {
    let space = shipped("edge32");
    let names: Vec<String> = space.choices().map(|choice| choice.name).collect();
    let position = |name: &str| names.iter().position(|known| known == name).unwrap();
    let mut options = vec![0; names.len()];
    options[position("stage1.block3")] = 5;
    let point = Point::new(options.clone());
    assert!(space.is_active(&point, position("stage1.block1")));
    assert!(!space.is_active(&point, position("stage1.block3")));
    assert_eq!(space.canonical(point), Point::new(vec![0; names.len()]));
    options[position("stage1.depth")] = 2;
    assert_eq!(space.canonical(Point::new(options.clone())), Point::new(options));
}

#[test]
fn neighbours_differ_in_one_choice() {
    let space = small();
    for architecture in space.architectures().step_by(5) {
        let point = space.point(&architecture).unwrap();
        let neighbours = space.neighbours(&architecture);
        let unlike: Vec<usize> =
            (0..point.options().len()).filter(|choice| space.is_active(&point, *choice)).collect();
        let options: usize = space
            .choices()
            .enumerate()
            .filter(|(choice, _)| unlike.contains(choice))
            .map(|(_, choice)| choice.options.len() - 1)
            .sum();
        assert_eq!(neighbours.len(), options, "{architecture}");
        for neighbour in &neighbours {
            assert_ne!(*neighbour, architecture);
            space.check(neighbour).unwrap();
            let other = space.point(neighbour).unwrap();
            let is_active_in_both =
                |choice: &usize| space.is_active(&point, *choice) && space.is_active(&other, *choice);
            let both: Vec<usize> = (0..point.options().len()).filter(is_active_in_both).collect();
            let differ = both.iter().filter(|choice| point.options()[**choice] != other.options()[**choice]);
            assert_eq!(differ.count(), 1, "{architecture} and {neighbour}");
        }
    }
}

#[test]
fn samples_belong_to_the_space_and_reach_every_depth() {
    let space = shipped("edge32");
    let mut rng = ChaCha8Rng::seed_from_u64(1);
    let mut depths = [0; 3];
    for _ in 0..300 {
        let network = space.sample(&mut rng);
        space.check(&network).unwrap();
        depths[network.stages()[0].blocks.len() - 1] += 1;
    }
    assert!(depths.iter().all(|count| (70..130).contains(count)), "{depths:?}");
}

#[test]
fn a_space_survives_toml_and_json() {
    for space in list::names().map(shipped).chain([small()]) {
        let written = toml::to_string(&space).unwrap();
        assert_eq!(SearchSpace::parse(&written, "written").unwrap(), space, "{written}");
        let json = serde_json::to_string(&space).unwrap();
        assert_eq!(serde_json::from_str::<SearchSpace>(&json).unwrap(), space);
    }
}

#[test]
fn where_kernels_of_basic_blocks_are_the_only_choice_ids_are_digits() {
    let text = "schema = 2\nname = \"digits\"\nclasses = 3\nimage = { channels = 1, height = 8, width = 8 }\n\
         stem = { kernel = 3, width = 8, activation = \"relu6\" }\n[[stage]]\ndepth = 2\nwidth = 8\nstride = 1\n\
         block = [{ kind = \"basic\", kernel = [3, 5], expand = 2 }]\n";
    let space = SearchSpace::parse(text, "digits").unwrap();
    let ids: Vec<String> = space.architectures().map(|network| network.to_string()).collect();
    assert_eq!(ids, ["33", "35", "53", "55"]);
    let layers = space.lower(&"35".parse().unwrap());
    assert!(layers.iter().any(|layer| layer.output.channels == 16), "twice the width inside");
    assert!(space.check(&"s8-w8.b3md6.b5md6".parse().unwrap()).is_err());
}

#[test]
fn a_foreign_network_is_refused_with_what_does_not_fit() {
    let (edge, small) = (shipped("edge32"), small());
    for (space, id, expected) in [
        (&edge, "357-333-377", "another form"),
        (&edge, "s16-w16.b3-w32.b3", "blocks a stage"),
        (&edge, "s16-w16.b3-w32.b3-w64.b3.b3.b3.b3", "1/2/3"),
        (&edge, "s12-w16.b3-w32.b3-w64.b3", "stem.width is 12"),
        (&edge, "s16-w16.b3-w36.b3-w64.b3", "stage2.width is 36"),
        (&edge, "s16-w16.b7-w32.b3-w64.b3", "stage1.block1 is b7"),
        (&edge, "s16-w16.b3-w32.b3-w64.b3.i3e4s", "stage3.block2 is i3e4s"),
        (&edge, "r32-s16-w16.b3-w32.b3-w64.b3", "image.size"),
        (&edge, "s16-w16.b3-w32.b3-w64.b3-h0", "head.width"),
        (&small, "s8-w8.d-w12.n3mq-h0", "image.size"),
        (&small, "r12-s8-w8.d-w12.n3mq.f3e1h.n3mq-h0", "one kind a stage"),
    ] {
        let error = space.check(&id.parse().unwrap()).unwrap_err();
        assert_eq!(error.exit_code(), exit::INPUT);
        assert!(error.to_string().contains(expected) && error.to_string().contains(id), "{error}");
    }
}
