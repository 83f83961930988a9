//! The model card beside an ONNX file: what the model is, how it was trained and checked, and what not to trust
//! it with (after Mitchell et al. 2019, arXiv:1810.03993).

use std::path::{Path, PathBuf};

use mfactor::block::BlockKind;
use mfactor::layers::{Layer, Operation};
use mfactor::recipe::ClassWeights;
use mfactor::statistics::wilson;
use mfactor::{AccuracyKind, ModelMetadata, markdown};

use crate::ExportedModel;

/// Where the card of a model lies: beside it, with the ending `.md`.
pub fn path(model: &Path) -> PathBuf {
    model.with_extension("md")
}

/// The card of a model, in Markdown.
pub fn text(model: &ExportedModel) -> String {
    [
        head(model),
        interface(model),
        accuracy(model),
        training(&model.metadata),
        checks(model),
        limits(&model.metadata),
        data(&model.metadata),
    ]
    .join("\n")
}

fn head(model: &ExportedModel) -> String {
    let metadata = &model.metadata;
    format!(
        "---\nlibrary_name: onnx\npipeline_tag: image-classification\ndatasets: [{data}]\n---\n\n\
         # {architecture}, {precision}\n\n\
         A small residual network that tells {classes} classes of images apart, found by a search for networks that \
         are both accurate and small: study {study}, trial {trial}, strategy {strategy}. Written by \
         `mfactor export` {version}.\n",
        data = markdown::yaml(&metadata.data),
        architecture = metadata.architecture,
        precision = markdown::text(&metadata.precision),
        classes = metadata.classes.len(),
        study = markdown::code(&metadata.study),
        trial = metadata.trial,
        strategy = markdown::text(&metadata.strategy),
        version = markdown::text(&metadata.tool_version),
    )
}

fn interface(model: &ExportedModel) -> String {
    let metadata = &model.metadata;
    let image = metadata.image().expect("a model that was written has an architecture of its space");
    let file = model.path.file_name().unwrap_or_default().to_string_lossy();
    let rows = [
        ("file", format!("{}, {} bytes", markdown::code(&file), model.model_bytes)),
        ("SHA-256", format!("`{}`", model.sha256)),
        (
            "input",
            format!(
                "`{}`: unsigned bytes [batch, {}, {}, {}], pixels as they are; the scaling is in the graph",
                crate::graph_writer::INPUT,
                image.channels,
                image.height,
                image.width
            ),
        ),
        (
            "output",
            format!("`{}`: one logit for each class, in the order below", crate::graph_writer::OUTPUT),
        ),
        ("classes", metadata.classes.iter().map(|name| markdown::text(name)).collect::<Vec<_>>().join(", ")),
        ("weights", markdown::text(&metadata.precision)),
        ("parameters", format!("{}, before batch norm was folded", metadata.parameters)),
        ("multiply-accumulates", format!("{} an image", metadata.macs)),
        built(metadata),
    ];
    section("The file", &markdown::table(["", ""], rows.map(|(name, value)| [name.to_owned(), value])))
}

/// What the architecture's name says of it.
fn built(metadata: &ModelMetadata) -> (&'static str, String) {
    let id = &metadata.architecture;
    if metadata.space.names_kernels_alone() {
        return ("kernels", format!("{id} (`conv1` of each block, stage by stage)"));
    }
    let kinds = BlockKind::ALL.map(|kind| format!("{} {}", kind.letter(), kind.name())).join(", ");
    (
        "architecture",
        format!("{id} (stem, then width and blocks of each stage: {kinds}, with the kernel's size)"),
    )
}

fn accuracy(model: &ExportedModel) -> String {
    let metadata = &model.metadata;
    let [low, high] = wilson(metadata.test_accuracy, model.test_images);
    let validation = match metadata.accuracy {
        AccuracyKind::Plain => "validation".to_owned(),
        kind => format!("validation, {}", kind.label()),
    };
    let rows = [
        (
            &*validation,
            percent(metadata.validation_accuracy),
            "the search chose by it, so it is on the high side",
        ),
        (
            "test",
            format!("{} ({} to {})", percent(metadata.test_accuracy), percent(low), percent(high)),
            "measured once with this file, in ONNX Runtime at batch 1; nothing was chosen by it",
        ),
        (
            "M-factor",
            format!("{:.4}", metadata.m_factor),
            "from the validation accuracy and what the network costs",
        ),
    ];
    let body = markdown::table(
        ["", "", ""],
        rows.map(|(name, value, note)| [name.to_owned(), value, note.to_owned()]),
    );
    let rest = format!(
        "\nThe interval is Wilson's, 95 %, over {} test images. α of M is {}, its P_min {}.\n",
        model.test_images, metadata.alpha, metadata.minimum_parameters
    );
    section("How good it is", &(body + &rest))
}

fn training(metadata: &ModelMetadata) -> String {
    let recipe = &metadata.recipe;
    let mut changes = vec![];
    if recipe.translate > 0 {
        changes.push(format!("shifted by up to {} pixels", recipe.translate));
    }
    if recipe.flip {
        changes.push("mirrored at random".to_owned());
    }
    if recipe.brightness > 0.0 {
        changes.push(format!("made brighter or darker by up to {:.0} %", 100.0 * recipe.brightness));
    }
    if recipe.cutout > 0 {
        changes.push(format!("with a square of {0}×{0} pixels hidden", recipe.cutout));
    }
    let weights = match recipe.class_weights {
        ClassWeights::None => "",
        ClassWeights::Balanced => "; every class weighs as much as any other in the loss",
    };
    let averaged = match recipe.average_decay {
        0.0 => String::new(),
        decay => format!("; values averaged over the steps with a decay of {decay}"),
    };
    let images = if changes.is_empty() { "as they are".to_owned() } else { changes.join(" and ") };
    section(
        "How it was trained",
        &format!(
            "From scratch with SGD (Nesterov momentum {momentum}, weight decay {decay}, label smoothing {smoothing}) and a \
             one-cycle learning rate with its peak of {rate} after {warm_up} of the steps; {epochs} epochs in batches of \
             {batch}{averaged}; training images {images}{weights}. Seed {seed}.\n",
            momentum = recipe.momentum,
            decay = recipe.weight_decay,
            smoothing = recipe.label_smoothing,
            rate = recipe.learning_rate,
            warm_up = recipe.warm_up,
            epochs = recipe.epochs,
            batch = recipe.batch_size,
            seed = metadata.seed,
        ),
    )
}

fn checks(model: &ExportedModel) -> String {
    let rows = model.checks.iter().map(|check| {
        [
            markdown::text(&format!("{} {}", check.engine.name, check.engine.version)),
            check.images.to_string(),
            format!("{:.1e}", check.largest_difference),
        ]
    });
    let body = markdown::table(["engine", "images", "largest difference of a logit"], rows)
        + &format!(
            "\nCompared with the trainer's own answers, before the file was handed out. The logits of {} fixed images are in \
             the file (`mfactor.golden_logits`); the runner compares its own with them before it measures.\n\n\
             Latency, memory and energy are no property of the file but of a board: `mfactor measure` and \
             `mfactor flash` file them under `measurements/`, `mfactor compare` shows them.\n",
            model.metadata.golden_logits.len()
        );
    section("How it was checked", &body)
}

/// What an int8 model does not gain, if its network has much of it.
fn int8_caution(metadata: &ModelMetadata) -> String {
    let layers = metadata.space.lower(&metadata.architecture);
    let is_depthwise =
        |layer: &&Layer| matches!(layer.operation, Operation::Convolution { groups, .. } if groups > 1);
    let depthwise = layers.iter().filter(is_depthwise).count();
    let in_float = |layer: &&Layer| {
        matches!(layer.operation, Operation::HardSwish | Operation::HardSigmoid | Operation::Scale)
    };
    let in_float = layers.iter().filter(in_float).count();
    if metadata.precision != "int8" || depthwise + in_float == 0 {
        return String::new();
    }
    format!(
        "- It is smaller than the f32 model, and may not be faster: {depthwise} of its convolutions are depthwise, which \
         gain little from int8 in either engine, and {in_float} of its other steps (hard-swish, squeeze-and-excitation) \
         are made in f32 between conversions. Measure both before one ships.\n"
    )
}

fn limits(metadata: &ModelMetadata) -> String {
    let epochs = metadata.recipe.epochs;
    section(
        "Limits",
        &format!(
            "- It answers with one of its classes whatever it is shown, and its logits are not calibrated: a large one is \
             no probability.\n\
             - It has seen images like those of {data} only. Nothing was tested on other cameras, light or noise, or on \
             images made to mislead it.\n\
             - It comes from one training of {epochs} {word}, a budget to rank networks by. A longer training of the same \
             network is likely to be better; another seed gives other weights and another accuracy.\n\
             - The accuracy is an average over the test images; single classes may be much worse.\n\
             {caution}- Not for decisions about people.\n",
            caution = int8_caution(metadata),
            data = markdown::text(&metadata.data),
            word = if epochs == 1 { "epoch" } else { "epochs" },
        ),
    )
}

fn data(metadata: &ModelMetadata) -> String {
    let about = match metadata.data.as_str() {
        "digits" => {
            "Optical Recognition of Handwritten Digits (E. Alpaydin, C. Kaynak; UCI Machine Learning Repository, \
             doi:10.24432/C50P49), licensed CC BY 4.0; the 8×8 images are enlarged."
        }
        "cifar10" => {
            "CIFAR-10 (A. Krizhevsky, Learning Multiple Layers of Features from Tiny Images, 2009). Its author states no \
             licence. It is a labelled part of 80 Million Tiny Images, which its makers withdrew in 2020 for \
             offensive content."
        }
        _ => "A data set of the user's own: its terms apply to what was learned from it.",
    };
    section(
        "Data and licence",
        &format!("{about}\n\nThe licence of mfactor covers the program, not this model.\n"),
    )
}

fn section(name: &str, body: &str) -> String {
    format!("## {name}\n\n{body}")
}

fn percent(share: f64) -> String {
    format!("{:.2} %", 100.0 * share)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use mfactor::measurement::EngineFacts;
    use mfactor::{Recipe, SearchSpace, metadata};

    use super::*;
    use crate::check::EngineCheck;

    fn model(data: &str) -> ExportedModel {
        let space = SearchSpace::paper();
        ExportedModel {
            m_factor_by_bytes: 0.5,
            int8: None,
            path: PathBuf::from("runs/s/models/333-333-333.onnx"),
            sha256: "ab".repeat(32),
            model_bytes: 1_090_000,
            metadata: ModelMetadata {
                schema: metadata::SCHEMA,
                tool_version: "0.1.0".to_owned(),
                architecture: space.smallest(),
                parameters: 272_474,
                macs: 40_813_184,
                minimum_parameters: 272_474,
                space,
                alpha: 1.0,
                m_factor: 0.8554,
                validation_accuracy: 0.7474,
                accuracy: mfactor::AccuracyKind::Plain,
                test_accuracy: 0.75,
                data: data.to_owned(),
                classes: vec!["a|b".to_owned(), "c".to_owned()],
                recipe: Recipe::default(),
                seed: 7,
                study: "s".to_owned(),
                trial: 3,
                strategy: "rl".to_owned(),
                precision: "f32".to_owned(),
                golden_logits: vec![vec![0.1, 0.2]],
            },
            test_images: 10_000,
            checks: vec![EngineCheck {
                engine: EngineFacts {
                    name: "tract".to_owned(),
                    version: "0.23.9".to_owned(),
                    threads: 1,
                    knobs: BTreeMap::new(),
                    kernels: None,
                },
                images: 64,
                largest_difference: 1.2e-6,
            }],
        }
    }

    #[test]
    fn a_card_says_what_how_and_what_not() {
        let text = text(&model("cifar10"));
        for part in [
            "# 333-333-333, f32",
            "study `s`, trial 3, strategy rl",
            "`333-333-333.onnx`, 1090000 bytes",
            "| classes | a\\|b, c |",
            "| test | 75.00 % (74.14 % to 75.84 %) |",
            "3 epochs in batches of 64",
            "| tract 0.23.9 | 64 | 1.2e-6 |",
            "## Limits",
            "withdrew in 2020",
        ] {
            assert!(text.contains(part), "{part} is not in\n{text}");
        }
        assert_eq!(path(Path::new("m/333-333-333.int8.onnx")), Path::new("m/333-333-333.int8.md"));
    }

    #[test]
    fn what_a_recipe_and_an_objective_have_of_their_own_is_said() {
        let mut model = model("cifar10");
        model.metadata.accuracy = AccuracyKind::Balanced;
        let recipe = &mut model.metadata.recipe;
        (recipe.cutout, recipe.brightness, recipe.class_weights) = (8, 0.2, ClassWeights::Balanced);
        let text = text(&model);
        for part in [
            "| validation, balanced accuracy | 74.74 % |",
            "mirrored at random and made brighter or darker by up to 20 % and with a square of 8×8 pixels hidden",
            "every class weighs as much as any other",
        ] {
            assert!(text.contains(part), "{part} is not in\n{text}");
        }
    }

    #[test]
    fn what_metadata_says_stays_text() {
        let mut hostile = model("x]\n---\n# owned");
        hostile.metadata.study = "`<img src=x onerror=alert(1)>`".to_owned();
        hostile.metadata.classes = vec!["a|b".to_owned(), "[c](javascript:alert(1))\n\n<script>".to_owned()];
        hostile.metadata.strategy = "**x** https://evil.example \u{1b}[2J".to_owned();
        let text = text(&hostile);
        assert!(text.starts_with(
            "---\nlibrary_name: onnx\npipeline_tag: image-classification\ndatasets: [\"x]\\\\n"
        ));
        assert!(text.contains("study `` `<img src=x onerror=alert(1)>` ``,"), "{text}");
        assert!(text.contains("| a\\|b, \\[c\\](javascript:alert(1))\\\\n\\\\n\\<script\\> |"), "{text}");
        assert!(text.contains("\\*\\*x\\*\\* https\\://evil.example \\\\u{1b}\\[2J"), "{text}");
        assert!(!text.lines().any(|line| line == "# owned") && !text.contains('\u{1b}'));
    }

    #[test]
    fn the_data_set_is_named_with_its_terms() {
        assert!(super::text(&model("digits")).contains("CC BY 4.0"));
        assert!(super::text(&model("mine")).contains("user's own"));
    }

    #[test]
    fn wilsons_interval() {
        // scipy 1.17.1: stats.binomtest(15, 20).proportion_ci(method="wilson").
        let [low, high] = wilson(0.75, 20);
        assert!((low - 0.531_299).abs() < 1e-5 && (high - 0.888_138).abs() < 1e-5, "{low} {high}");
    }

    #[test]
    fn int8_says_what_it_does_not_gain() {
        let caution = "may not be faster: 1 of its convolutions";
        let mut model = model("cifar10");
        model.metadata.space = SearchSpace::load(Path::new("edge32")).unwrap();
        model.metadata.architecture = "s8-w8.b3-w16.i3e2-w32.b3".parse().unwrap();
        assert!(!text(&model).contains(caution));
        assert!(text(&model).contains("i inverted") && !text(&model).contains("| kernels |"));
        model.metadata.precision = "int8".to_owned();
        assert!(text(&model).contains(caution), "{}", text(&model));
        model.metadata.architecture = "s8-w8.b3-w16.b3-w32.b3".parse().unwrap();
        assert!(!text(&model).contains("may not be faster"));
    }
}
