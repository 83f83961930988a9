//! ONNX Runtime, loaded at run time: the second engine, and the host's judge of an exported model.

use std::path::{Path, PathBuf};
use std::sync::Mutex;

use mfactor::measurement::EngineFacts;
use mfactor::space::ImageShape;
use mfactor::{Error, Result};
use ort::environment::Environment;
use ort::logging::LogLevel;
use ort::session::builder::GraphOptimizationLevel;
use ort::value::TensorRef;

use crate::engine::{Engine, Observer, Session, Signature, check_image};
use crate::library;

/// ONNX Runtime allows one environment in a process, for ever, from one library.
static ENVIRONMENT: Mutex<Option<(PathBuf, Environment)>> = Mutex::new(None);

/// On x86-64 without VNNI instructions, products of uint8 and int8 are summed in 16 bits and saturate; this setting
/// makes ONNX Runtime sum them rightly there. With VNNI it changes no answer and takes twice as long.
#[cfg(target_arch = "x86_64")]
const PRECISE_SUMS: (&str, &str) = ("session.x64quantprecision", "1");

/// Settings that this processor needs.
fn settings() -> &'static [(&'static str, &'static str)] {
    #[cfg(target_arch = "x86_64")]
    if !is_x86_feature_detected!("avx512vnni") && !is_x86_feature_detected!("avxvnni") {
        return &[PRECISE_SUMS];
    }
    &[]
}

/// ONNX Runtime from a library on this machine.
pub struct OnnxRuntime {
    environment: Environment,
    version: String,
    threads: usize,
}

impl OnnxRuntime {
    /// Loads the library at `library`, or the one that [`library::find`] finds. A process keeps the first
    /// library it loads.
    ///
    /// # Errors
    /// [`Error::Missing`] if there is none, or it cannot be loaded here.
    pub fn new(library: Option<&Path>, threads: usize) -> Result<Self> {
        let path = library::find(library)?;
        // A panic while the lock was held leaves either nothing or a whole environment behind it.
        let mut loaded = ENVIRONMENT.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        let (path, environment) = match loaded.as_ref() {
            Some((path, environment)) => (path.clone(), environment.clone()),
            None => {
                let environment = start(&path)?;
                *loaded = Some((path.clone(), environment.clone()));
                (path, environment)
            }
        };
        Ok(Self { environment, version: version(&path), threads })
    }
}

fn start(path: &Path) -> Result<Environment> {
    let unusable =
        |reason: String| library::missing(format!("ONNX Runtime at {} ({reason})", path.display()));
    let builder = ort::init_from(path).map_err(|error| unusable(error.to_string()))?;
    builder.with_name("mfactor").with_telemetry(false).build().map_err(|error| unusable(error.to_string()))
}

/// The version from the library's file name, `libonnxruntime.so.1.32.0`, else what its build says.
fn version(path: &Path) -> String {
    let path = path.canonicalize().unwrap_or_else(|_| path.to_owned());
    let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    match name.split_once(".so.") {
        Some((_, version)) => version.to_owned(),
        None => ort::info().to_owned(),
    }
}

impl Engine for OnnxRuntime {
    fn facts(&self) -> EngineFacts {
        EngineFacts {
            name: "ort".to_owned(),
            version: self.version.clone(),
            threads: self.threads,
            knobs: settings().iter().map(|(name, value)| (name.to_string(), value.to_string())).collect(),
            kernels: None,
        }
    }

    fn allocates_here(&self) -> bool {
        false
    }

    fn load(&self, model: &[u8], signature: Signature, subject: &str) -> Result<Box<dyn Session>> {
        let session = commit(&self.environment, self.threads, model)
            .map_err(|error| Error::input(subject, format!("ONNX Runtime refuses this model: {error}")))?;
        Ok(Box::new(OnnxRuntimeSession { session, signature }))
    }

    fn observe(&self, model: &[u8], image: ImageShape, subject: &str) -> Result<Option<Box<dyn Observer>>> {
        let session = commit(&self.environment, self.threads, model)
            .map_err(|error| Error::input(subject, format!("ONNX Runtime refuses this model: {error}")))?;
        let shape = [1, image.channels, image.height, image.width];
        Ok(Some(Box::new(OnnxRuntimeObserver { session, shape, subject: subject.to_owned() })))
    }
}

fn commit(environment: &Environment, threads: usize, model: &[u8]) -> ort::Result<ort::session::Session> {
    let mut builder = ort::session::Session::builder(environment)?
        .with_log_level(LogLevel::Fatal)?
        .with_intra_threads(threads)?
        .with_inter_threads(1)?
        .with_optimization_level(GraphOptimizationLevel::All)?
        .with_dimension_override("batch", 1)?;
    for (name, value) in settings() {
        builder = builder.with_config_entry(name, value)?;
    }
    builder.commit_from_memory(model)
}

struct OnnxRuntimeObserver {
    session: ort::session::Session,
    shape: [usize; 4],
    subject: String,
}

impl Observer for OnnxRuntimeObserver {
    fn run(&mut self, image: &[u8], see: &mut dyn FnMut(&str, &[f32]) -> Result<()>) -> Result<()> {
        let broken =
            |error: ort::Error| Error::input(&self.subject, format!("ONNX Runtime cannot run it: {error}"));
        let input = TensorRef::from_array_view((self.shape, image)).map_err(broken)?;
        let outputs = self.session.run(ort::inputs![input]).map_err(broken)?;
        for (name, value) in outputs.iter() {
            see(name, value.try_extract_tensor::<f32>().map_err(broken)?.1)?;
        }
        Ok(())
    }
}

struct OnnxRuntimeSession {
    session: ort::session::Session,
    signature: Signature,
}

impl Session for OnnxRuntimeSession {
    fn run(&mut self, image: &[u8]) -> Result<Vec<f32>> {
        check_image(image, self.signature)?;
        let shape = self.signature.image;
        answer(&mut self.session, [1, shape.channels, shape.height, shape.width], image)
            .map_err(|error| Error::input("model", format!("ONNX Runtime cannot run it: {error}")))
    }
}

fn answer(session: &mut ort::session::Session, shape: [usize; 4], image: &[u8]) -> ort::Result<Vec<f32>> {
    let input = TensorRef::from_array_view((shape, image))?;
    let outputs = session.run(ort::inputs![input])?;
    let (_, logits) = outputs[0].try_extract_tensor::<f32>()?;
    Ok(logits.to_vec())
}
