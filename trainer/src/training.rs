//! One job: train an architecture, report each epoch, leave its weights behind.

use std::time::Instant;

use mfactor::Error;
use mfactor::protocol::{CONFUSION_FILE, Epoch, Evaluation, Job};
use mfactor::recipe::ClassWeights;
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng;
use tch::{Kind, Reduction, TchError, Tensor};

use crate::augmentation::{Augmentation, Sequence};
use crate::averaging::Average;
use crate::device::Backend;
use crate::evaluation;
use crate::failure::Failure;
use crate::images::Images;
use crate::network::Network;
use crate::optimizer::{OneCycle, Sgd};
use crate::weights;

/// Steps between two looks at the loss. Each look waits for a GPU to catch up.
const WATCH_EVERY: usize = 32;

/// Streams of a job's generator, so that what one part draws changes nothing for another.
#[derive(Clone, Copy)]
enum Stream {
    Weights = 1,
    Augmentation = 2,
}

/// Checks everything about a job that can be wrong before any training.
pub fn check(job: &Job) -> Result<(), Error> {
    job.recipe.check("the job")?;
    let image = job.space.image_of(&job.architecture)?;
    let smallest = image.height.min(image.width);
    if job.recipe.translate >= smallest {
        let problem = format!("is {}; images have only {smallest} pixels", job.recipe.translate);
        return Err(Error::input("the job, recipe.translate", problem));
    }
    Ok(())
}

/// How a training ended.
#[derive(Debug, Clone, PartialEq)]
pub enum Ended {
    /// After its whole budget; its files are written.
    Done(Evaluation),
    /// Early, as `on_epoch` said. There are no files.
    Pruned {
        /// Wall-clock seconds.
        seconds: f64,
        /// Training images seen.
        images: u64,
    },
}

/// Trains a job that passed [`check`] on images that fit its space, and writes its files. `on_epoch` is called
/// after each epoch and says whether to go on, which is heeded before the last; an error from it ends the training.
pub fn train(
    job: &Job,
    images: &Images,
    backend: Backend,
    on_epoch: &mut dyn FnMut(Epoch) -> Result<bool, Failure>,
) -> Result<Ended, Failure> {
    let begin = Instant::now();
    let epochs = job.recipe.epochs;
    let mut training = Training::new(job, images, backend)?;
    let mut validated = None;
    for epoch in 0..epochs {
        let epoch_begin = Instant::now();
        let loss = training.epoch(epoch)?;
        let seconds = epoch_begin.elapsed().as_secs_f64();
        let confusion = training.averaged(|network| evaluation::confusion(network, images))?;
        let accuracy = confusion.of(job.accuracy);
        validated = Some(confusion);
        let done = f64::from(epoch + 1);
        let go_on = on_epoch(Epoch {
            trial: job.trial,
            epoch: epoch + 1,
            epochs,
            loss,
            accuracy,
            images_per_second: training.images_an_epoch() as f64 / seconds,
            seconds_left: begin.elapsed().as_secs_f64() / done * (f64::from(epochs) - done),
        })?;
        if !go_on && epoch + 1 < epochs {
            let images = training.images_an_epoch() * u64::from(epoch + 1);
            return Ok(Ended::Pruned { seconds: begin.elapsed().as_secs_f64(), images });
        }
    }
    training.averaged(|network| weights::write(&job.output, network, images))?;
    let confusion = validated.expect("a recipe that was checked has an epoch");
    confusion.write(&job.output.join(CONFUSION_FILE))?;
    Ok(Ended::Done(Evaluation {
        accuracy: confusion.of(job.accuracy),
        seconds: begin.elapsed().as_secs_f64(),
        images: training.images_an_epoch() * u64::from(epochs),
    }))
}

/// A training under way.
struct Training<'a> {
    job: &'a Job,
    images: &'a Images,
    backend: Backend,
    network: Network,
    augmentation: Augmentation,
    class_weights: Option<Tensor>,
    weights: Sgd,
    offsets: Sgd,
    average: Option<Average>,
    schedule: OneCycle,
    /// Images a step; the few that are left over at the end of an epoch wait for the next.
    batch: usize,
    steps_an_epoch: usize,
}

impl<'a> Training<'a> {
    fn new(job: &'a Job, images: &'a Images, backend: Backend) -> Result<Self, Failure> {
        let recipe = &job.recipe;
        let rng = |stream: Stream| {
            let mut rng = ChaCha8Rng::seed_from_u64(job.seed);
            rng.set_stream(stream as u64);
            rng
        };
        let layers = job.space.lower(&job.architecture);
        let network = Network::new(layers, &mut rng(Stream::Weights), backend.device)?;
        let batch = recipe.batch_size.min(images.split.train.len());
        let steps_an_epoch = images.split.train.len() / batch;
        Ok(Self {
            job,
            images,
            backend,
            augmentation: Augmentation::new(
                &images.split.train,
                recipe,
                images.image_sides(),
                rng(Stream::Augmentation),
            ),
            class_weights: match recipe.class_weights {
                ClassWeights::None => None,
                ClassWeights::Balanced => Some(images.balanced_weights()?),
            },
            weights: Sgd::new(&network.parameters.weights, recipe.momentum, recipe.weight_decay)?,
            offsets: Sgd::new(&network.parameters.offsets, recipe.momentum, 0.0)?,
            average: match recipe.average_decay {
                0.0 => None,
                decay => Some(Average::new(&network.parameters, decay)?),
            },
            schedule: OneCycle::new(recipe, steps_an_epoch * recipe.epochs as usize),
            network,
            batch,
            steps_an_epoch,
        })
    }

    fn images_an_epoch(&self) -> u64 {
        (self.steps_an_epoch * self.batch) as u64
    }

    /// Trains one epoch, from 0, and returns the mean loss.
    fn epoch(&mut self, epoch: u32) -> Result<f64, Failure> {
        let sequence = self.augmentation.epoch(epoch, self.backend.device)?;
        let mut total = Tensor::f_zeros([], (Kind::Float, self.backend.device))?;
        for number in 0..self.steps_an_epoch {
            let step = epoch as usize * self.steps_an_epoch + number;
            let loss = self.step(step, &sequence.slice((number * self.batch) as i64, self.batch as i64)?)?;
            let _ = total.f_add_(&loss)?;
            if (number + 1) % WATCH_EVERY == 0 || number + 1 == self.steps_an_epoch {
                self.watch(f64::try_from(&total)? / (number + 1) as f64, step + 1)?;
            }
        }
        if !self.network.parameters.are_finite()? {
            return Err(Failure::NotFinite { epoch: epoch + 1 });
        }
        Ok(f64::try_from(&total)? / self.steps_an_epoch as f64)
    }

    /// One step on the images of `batch`; returns its loss without waiting for it.
    fn step(&mut self, step: usize, batch: &Sequence) -> Result<Tensor, TchError> {
        let inputs = self.images.varied(&batch.records, &batch.variations)?;
        let labels = self.images.labels(&batch.records)?;
        let (logits, tape) = self.network.train(&inputs, self.backend.kind)?;
        let smoothing = self.job.recipe.label_smoothing;
        let no_ignored_label = -100;
        let loss = logits.f_cross_entropy_loss(
            &labels,
            self.class_weights.as_ref(),
            Reduction::Mean,
            no_ignored_label,
            smoothing,
        )?;
        let parameters = &self.network.parameters;
        let gradients = parameters.gradients(tape.backward(&loss)?)?;
        let learning_rate = self.schedule.learning_rate(step);
        self.weights.step(&gradients.weights, learning_rate)?;
        self.offsets.step(&gradients.offsets, learning_rate)?;
        if let Some(average) = &mut self.average {
            average.follow(parameters)?;
        }
        loss.f_detach()
    }

    /// Looks at the network with its averages, if the recipe has them.
    fn averaged<T>(&mut self, look: impl FnOnce(&Network) -> Result<T, Failure>) -> Result<T, Failure> {
        let parameters = &mut self.network.parameters;
        if let Some(average) = &mut self.average {
            average.exchange(parameters);
        }
        let result = look(&self.network);
        if let Some(average) = &mut self.average {
            average.exchange(&mut self.network.parameters);
        }
        result
    }

    fn watch(&self, loss: f64, step: usize) -> Result<(), Failure> {
        let steps = self.steps_an_epoch * self.job.recipe.epochs as usize;
        if loss.is_finite() { Ok(()) } else { Err(Failure::Diverged { loss, step, steps }) }
    }
}

#[cfg(test)]
mod tests {
    use mfactor::Recipe;
    use tch::Device;

    use super::*;
    use crate::toy;

    const CPU: Backend = Backend { device: Device::Cpu, kind: Kind::Float };

    /// Trains the toy job after `change`; returns what came of it and the epochs.
    fn trained(backend: Backend, change: impl FnOnce(&mut Job)) -> (Result<Evaluation, Failure>, Vec<Epoch>) {
        let mut epochs = vec![];
        let result = train_toy(backend, change, &mut |epoch| {
            epochs.push(epoch);
            Ok(true)
        });
        let evaluation = result.map(|ended| match ended {
            Ended::Done(evaluation) => evaluation,
            Ended::Pruned { .. } => panic!("nobody asked for it"),
        });
        (evaluation, epochs)
    }

    fn train_toy(
        backend: Backend,
        change: impl FnOnce(&mut Job),
        on_epoch: &mut dyn FnMut(Epoch) -> Result<bool, Failure>,
    ) -> Result<Ended, Failure> {
        // Two threads on a busy machine wait for each other at every operation.
        tch::set_num_threads(1);
        let (data, output) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        toy::write_data(data.path());
        let mut job = toy::job(data.path(), &output.path().join("trial"));
        change(&mut job);
        let images = Images::load(&job.data, &job.space, job.space.image(), backend.device).unwrap();
        let result = train(&job, &images, backend, on_epoch);
        assert_eq!(
            matches!(result, Ok(Ended::Done(_))),
            job.output.exists(),
            "only a whole training is kept"
        );
        result
    }

    #[test]
    fn a_training_stops_when_it_is_told_to_and_when_nobody_listens() {
        let ended = train_toy(CPU, |job| job.recipe.epochs = 4, &mut |epoch| Ok(epoch.epoch < 2)).unwrap();
        let Ended::Pruned { seconds, images } = ended else { panic!("{ended:?}") };
        assert!(seconds > 0.0 && images == 2 * 9 * 32, "{images}");
        let mut gone = |_| Err(Failure::Conversation(Error::Interrupted("gone".to_owned())));
        let failure = train_toy(CPU, |_| {}, &mut gone).unwrap_err();
        assert!(matches!(failure, Failure::Conversation(_)), "{failure}");
    }

    #[test]
    fn the_loss_falls_and_the_network_learns() {
        let (result, epochs) = trained(CPU, |job| job.recipe.epochs = 4);
        let evaluation = result.unwrap();
        assert_eq!(epochs.iter().map(|epoch| epoch.epoch).collect::<Vec<_>>(), [1, 2, 3, 4]);
        assert!(epochs[3].loss < 0.7 * epochs[0].loss, "{epochs:?}");
        assert!(evaluation.accuracy > 0.9, "{evaluation:?}");
        assert_eq!(evaluation.accuracy, epochs[3].accuracy);
        assert_eq!(evaluation.images, 4 * 9 * 32, "300 records are 9 whole batches of 32");
        assert_eq!((epochs[0].epochs, epochs[3].seconds_left), (4, 0.0));
    }

    #[test]
    fn every_variation_and_weight_at_once_learns_too() {
        let all = |job: &mut Job| {
            let class_weights = ClassWeights::Balanced;
            job.recipe =
                Recipe { epochs: 4, brightness: 0.1, cutout: 3, class_weights, ..job.recipe.clone() };
        };
        assert!(trained(CPU, all).0.unwrap().accuracy > 0.8);
    }

    #[test]
    fn bfloat16_learns_too() {
        let (result, epochs) = trained(Backend { kind: Kind::BFloat16, ..CPU }, |job| job.recipe.epochs = 4);
        assert!(epochs.iter().all(|epoch| epoch.loss.is_finite()), "{epochs:?}");
        assert!(result.unwrap().accuracy > 0.9, "{epochs:?}");
    }

    #[test]
    fn averages_are_looked_at_and_the_training_goes_on_without_them() {
        tch::set_num_threads(1);
        let data = tempfile::tempdir().unwrap();
        toy::write_data(data.path());
        let job = toy::job(data.path(), "output".as_ref());
        let images = Images::load(&job.data, &job.space, job.space.image(), CPU.device).unwrap();
        let losses = |average_decay| {
            let recipe = Recipe { average_decay, ..job.recipe.clone() };
            let job = Job { recipe, ..job.clone() };
            let mut training = Training::new(&job, &images, CPU).unwrap();
            let first = training.epoch(0).unwrap();
            let values = training.network.parameters.weights.copy();
            training
                .averaged(|network| {
                    assert_eq!(network.parameters.weights == values, average_decay == 0.0);
                    Ok(())
                })
                .unwrap();
            assert_eq!(training.network.parameters.weights, values);
            (first, training.epoch(1).unwrap())
        };
        assert_eq!(losses(0.0), losses(0.99));
    }

    #[test]
    fn the_seed_decides_everything() {
        let losses = |seed| {
            let (result, epochs) = trained(CPU, |job| job.seed = seed);
            (result.unwrap().accuracy, epochs.into_iter().map(|epoch| epoch.loss).collect::<Vec<_>>())
        };
        let first = losses(11);
        assert_eq!(first, losses(11));
        assert_ne!(first.1, losses(12).1);
    }

    #[test]
    fn a_diverging_training_stops_early_and_says_so() {
        let (result, epochs) = trained(CPU, |job| job.recipe.learning_rate = 1e30);
        let failure = result.unwrap_err();
        assert!(matches!(failure, Failure::Diverged { .. }), "{failure}");
        assert!(failure.to_string().starts_with("training diverged: the loss was"), "{failure}");
        assert!(epochs.is_empty());
        let one_step = |job: &mut Job| {
            job.recipe = Recipe { epochs: 1, batch_size: 300, learning_rate: 1e39, ..job.recipe.clone() };
        };
        let failure = trained(CPU, one_step).0.unwrap_err();
        assert!(matches!(failure, Failure::NotFinite { epoch: 1 }), "{failure}");
    }

    #[test]
    fn wrong_jobs_are_refused_before_training() {
        let job = toy::job("data".as_ref(), "output".as_ref());
        check(&job).unwrap();
        let recipe = |recipe: Recipe| Job { recipe, ..job.clone() };
        for (job, expected) in [
            (recipe(Recipe { epochs: 0, ..job.recipe.clone() }), "recipe.epochs"),
            (recipe(Recipe { translate: 12, ..job.recipe.clone() }), "recipe.translate"),
            (Job { architecture: "7-37".parse().unwrap(), ..job.clone() }, "stage1.block1.kernel"),
        ] {
            let error = check(&job).unwrap_err();
            assert!(error.to_string().contains(expected), "{error}");
        }
    }
}
