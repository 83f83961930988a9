//! A host that is not ours: whatever it says, the agent answers in words or ends, and what is current stays whole.

use std::fs;

use proptest::prelude::*;
use proptest::strategy::ValueTree;
use release::manifest::LARGEST_MANIFEST;
use release::{Reply, Request};

use crate::place::{MODEL, Made, Place, line};

/// Whole, and the one that it was.
fn is_unharmed(place: &Place, current: &Made) {
    let status = place.status();
    assert_eq!(status.current.as_ref(), Some(&current.id));
    assert!(status.releases.iter().all(|release| release.damage.is_none()), "{status:?}");
}

fn failed(replies: &[Reply]) -> String {
    match replies.last() {
        Some(Reply::Failed { failure }) => mfactor::Error::from(failure.clone()).to_string(),
        other => panic!("{other:?}"),
    }
}

#[test]
fn ids_that_are_paths_lead_nowhere() {
    let (place, _, new) = Place::with_two();
    let long = "a".repeat(100_000);
    for id in ["../../../../etc", "/etc", "", ".", "a\nb", "a\0b", "\u{1b}[2J", &"0".repeat(64), &long] {
        for request in [Request::Check { id: id.to_owned() }, Request::Activate { id: id.to_owned() }] {
            let error = failed(&place.say(&line(&request)));
            assert!(error.len() < 600 && !error.contains('\u{1b}'), "{error}");
        }
    }
    assert!(!place.path("unconfirmed.json").exists());
    is_unharmed(&place, &new);
}

#[test]
fn names_offsets_and_sizes_that_lie_are_refused() {
    let (place, _, new) = Place::with_two();
    let made = place.make("third", 3);
    let stage = line(&place.stage(&made));
    for name in ["../x", "/etc/passwd", "", "manifest.json", "models", "a\0b", &"x".repeat(1 << 20)] {
        let file = line(&Request::File { name: name.to_owned(), offset: 0 });
        assert!(failed(&place.say(&[stage.clone(), file].concat())).len() < 300, "{name:?}");
        let records = line(&Request::Records { sha256: name.to_owned(), offset: 0 });
        assert!(failed(&place.say(&[stage.clone(), records].concat())).len() < 300, "{name:?}");
    }
    for offset in [1, 1 << 40, u64::MAX] {
        let file = line(&Request::File { name: MODEL.to_owned(), offset });
        let error = failed(&place.say(&[stage.clone(), file].concat()));
        assert!(error.contains("cannot go on from byte"), "{error}");
    }
    let seal = line(&Request::Seal);
    assert!(failed(&place.say(&[stage, seal].concat())).contains("edge-runner"), "nothing was sent");
    is_unharmed(&place, &new);
}

#[test]
fn manifests_that_lie_are_refused_though_they_are_signed() {
    let (place, _, new) = Place::with_two();
    type Change = fn(&mut release::Manifest);
    let changes: [(Change, &str); 8] = [
        (|manifest| manifest.files[1].name = "../../x".to_owned(), "is no plain relative path"),
        (|manifest| manifest.files[1].name = "a/".repeat(60) + "x", "is no plain relative path"),
        (|manifest| manifest.files[1].bytes = u64::MAX, "at most"),
        (|manifest| manifest.files[1].sha256 = "../x".to_owned(), "is no SHA-256"),
        (|manifest| manifest.records[0].sha256 = "../x".to_owned(), "is no SHA-256"),
        (|manifest| manifest.files[0].mode = 0o4755, "mode 4755"),
        (|manifest| manifest.architecture = "vax\u{1b}[2J".to_owned(), "is for vax\\u{1b}[2J"),
        (|manifest| manifest.models.push(manifest.models[0].clone()), "stands twice"),
    ];
    for (change, expected) in changes {
        let made = place.make_with("lies", 3, change);
        let error = failed(&place.say(&line(&place.stage(&made))));
        assert!(error.contains(expected) && !error.contains('\u{1b}'), "{error}");
    }
    let huge = place.make_with("huge", 3, |manifest| manifest.files[1].bytes = 1 << 30);
    let answer = place.ask(&place.stage(&huge));
    assert!(matches!(answer, Reply::Wanted { .. } | Reply::Failed { .. }), "as the disk has room");
    is_unharmed(&place, &new);
}

#[test]
fn what_is_no_request_is_answered_and_ends_the_dialogue() {
    let (place, _, new) = Place::with_two();
    let status = line(&Request::Status);
    let cases: [&[u8]; 8] = [
        b"\xff\xfe\n",
        b"\n",
        b"{}\n",
        b"{\"request\":\"pwn\"}\n",
        b"{\"request\":\"collect\",\"keep\":-1}\n",
        b"{\"request\":\"collect\",\"keep\":18446744073709551616}\n",
        b"{\"request\":\"\x1b[2J\"}\n",
        &[b'['; 100_000],
    ];
    for case in cases {
        let replies = place.say(&[case, &status].concat());
        assert_eq!(replies.len(), 1, "what follows cannot be told from it: {replies:?}");
        assert!(!failed(&replies).contains('\u{1b}'));
    }
    let endless = vec![b'a'; 3 * LARGEST_MANIFEST];
    assert!(failed(&place.say(&endless)).contains("is longer than"));
    assert!(place.say(b"").is_empty());
    is_unharmed(&place, &new);
}

#[test]
fn an_upload_that_breaks_off_ends_the_dialogue_and_goes_on_later() {
    let (place, _, new) = Place::with_two();
    let made = place.make("third", 3);
    let file = line(&Request::File { name: "edge-runner".to_owned(), offset: 0 });
    let said = [line(&place.stage(&made)), file, made.files["edge-runner"][..100].to_vec()].concat();
    assert!(failed(&place.say(&said)).contains("broke off"));
    is_unharmed(&place, &new);
    let Reply::Wanted { files, .. } = place.ask(&place.stage(&made)) else { panic!("nothing is wanted") };
    assert!(files.iter().any(|file| file.name == "edge-runner" && file.offset == 100), "{files:?}");
    assert!(matches!(place.flash(&made), Reply::Activated { .. }));
}

/// Requests in any order, with names and numbers that may be anything.
fn request(made: Made, key: String) -> impl Strategy<Value = Request> {
    let id = prop_oneof![Just(made.id.clone()), "[a-f0-9]{64}", any::<String>()];
    let name = prop_oneof![Just("edge-runner".to_owned()), Just(MODEL.to_owned()), any::<String>()];
    let offset = prop_oneof![Just(0), Just(u64::MAX), any::<u64>()];
    let stage = (any::<bool>(), any::<bool>(), prop_oneof![Just(made.manifest.clone()), any::<String>()]);
    prop_oneof![
        stage.prop_map(move |(allow_downgrade, repin, manifest)| Request::Stage {
            manifest,
            signature: made.signature.clone(),
            public_key: key.clone(),
            allow_downgrade,
            repin,
        }),
        (name.clone(), offset.clone()).prop_map(|(name, offset)| Request::File { name, offset }),
        (name, offset).prop_map(|(sha256, offset)| Request::Records { sha256, offset }),
        Just(Request::Seal),
        id.clone().prop_map(|id| Request::Check { id }),
        id.prop_map(|id| Request::Activate { id }),
        Just(Request::Status),
        any::<usize>().prop_map(|keep| Request::Collect { keep }),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_dialogue_harms_what_is_current(seed in any::<u64>()) {
        let (place, _, new) = Place::with_two();
        let made = place.make("third", 3);
        let mut runner = proptest::test_runner::TestRunner::new_with_rng(
            ProptestConfig::default(),
            proptest::test_runner::TestRng::from_seed(
                proptest::test_runner::RngAlgorithm::ChaCha,
                &seed.to_le_bytes().repeat(4),
            ),
        );
        let dialogue = proptest::collection::vec(request(made, place.key()), 1..12);
        let requests = dialogue.new_tree(&mut runner).unwrap().current();
        let mut said: Vec<u8> = requests.iter().flat_map(line).collect();
        // And some of it is no request at all.
        if seed % 3 == 0 && !said.is_empty() {
            let at = seed as usize % said.len();
            said[at] ^= 1 << (seed % 7);
        }
        place.say(&said);
        is_unharmed(&place, &new);
        prop_assert!(fs::read_dir(place.outside("")).unwrap().count() == 1, "nothing beside the folder");
    }
}
