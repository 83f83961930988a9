//! The values of a network, in three flat tensors: an optimizer step is then a handful of operations, however
//! many layers there are.

use mfactor::Layer;
use mfactor::layers::TensorSpec;
use rand::RngExt;
use rand_chacha::ChaCha8Rng;
use tch::{Device, Kind, TchError, Tensor};

/// All tensors of a network. Convolution weights lie in memory as output × rows × columns × input, which is
/// what channels-last convolutions want.
pub struct Parameters {
    /// Weights of convolutions and linear layers, the ones that decay; f32.
    pub weights: Tensor,
    /// Scales and shifts of batch norms and biases of linear layers; f32.
    pub offsets: Tensor,
    /// Running means and variances; f32.
    pub statistics: Tensor,
    specs: Vec<Vec<TensorSpec>>,
}

/// Gradients with respect to the flat tensors of [`Parameters`], f32.
pub struct Gradients {
    /// With respect to the weights.
    pub weights: Tensor,
    /// With respect to the offsets.
    pub offsets: Tensor,
}

/// Which of the flat tensors holds a tensor.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Group {
    Weights,
    Offsets,
    Statistics,
}

fn group(spec: &TensorSpec) -> Group {
    match (spec.trainable, spec.shape.len()) {
        (false, _) => Group::Statistics,
        (true, 1) => Group::Offsets,
        (true, _) => Group::Weights,
    }
}

impl Parameters {
    /// Initial values drawn from `rng`: weights uniform with the variance 2 / inputs (He et al. 2015), scales and
    /// running variances 1, everything else 0.
    pub fn new(layers: &[Layer], rng: &mut ChaCha8Rng, device: Device) -> Result<Self, TchError> {
        let specs: Vec<Vec<TensorSpec>> = layers.iter().map(Layer::tensors).collect();
        let initial = |wanted: Group, rng: &mut ChaCha8Rng| {
            let of_group = specs.iter().flatten().filter(|spec| group(spec) == wanted);
            let values: Vec<f32> = of_group.flat_map(|spec| initial_values(spec, rng)).collect();
            Tensor::f_from_slice(&values)?.f_to_device(device)
        };
        Ok(Self {
            weights: initial(Group::Weights, rng)?,
            offsets: initial(Group::Offsets, rng)?,
            statistics: initial(Group::Statistics, rng)?,
            specs,
        })
    }

    /// Views of all tensors, layer by layer in the order of [`Layer::tensors`].
    pub fn views(&self) -> Result<Vec<Vec<Tensor>>, TchError> {
        self.views_of(&self.weights)
    }

    /// As [`Parameters::views`], but weights converted to `kind`, and weights and offsets with a gradient of their own.
    pub fn leaves(&self, kind: Kind) -> Result<Vec<Vec<Tensor>>, TchError> {
        let views = self.views_of(&self.weights.f_to_kind(kind)?)?;
        let leaf = |(view, spec): (Tensor, &TensorSpec)| match spec.trainable {
            true => view.f_detach()?.f_set_requires_grad(true),
            false => Ok(view),
        };
        views
            .into_iter()
            .zip(&self.specs)
            .map(|(views, specs)| views.into_iter().zip(specs).map(leaf).collect())
            .collect()
    }

    /// Gradients with respect to [`Parameters::leaves`] as flat tensors.
    pub fn gradients(&self, of_leaves: Vec<Vec<Option<Tensor>>>) -> Result<Gradients, TchError> {
        let (mut weights, mut offsets) = (vec![], vec![]);
        for (spec, gradient) in self.specs.iter().flatten().zip(of_leaves.into_iter().flatten()) {
            let target = match group(spec) {
                Group::Weights => &mut weights,
                Group::Offsets => &mut offsets,
                Group::Statistics => continue,
            };
            target.push(flat(&gradient.expect("every trainable tensor has a part in the loss"))?);
        }
        let joined = |parts: Vec<Tensor>| Tensor::f_cat(&parts, 0)?.f_to_kind(Kind::Float);
        Ok(Gradients { weights: joined(weights)?, offsets: joined(offsets)? })
    }

    fn views_of(&self, weights: &Tensor) -> Result<Vec<Vec<Tensor>>, TchError> {
        let [mut weights, mut offsets, mut statistics] = [
            self.split(weights, Group::Weights)?,
            self.split(&self.offsets, Group::Offsets)?,
            self.split(&self.statistics, Group::Statistics)?,
        ];
        let mut view = |spec: &TensorSpec| {
            let pieces = match group(spec) {
                Group::Weights => &mut weights,
                Group::Offsets => &mut offsets,
                Group::Statistics => &mut statistics,
            };
            shaped(&pieces.next().expect("there is a piece for every tensor of the group"), spec)
        };
        self.specs.iter().map(|specs| specs.iter().map(&mut view).collect()).collect()
    }

    fn split(&self, flat: &Tensor, wanted: Group) -> Result<std::vec::IntoIter<Tensor>, TchError> {
        let of_group = self.specs.iter().flatten().filter(|spec| group(spec) == wanted);
        let sizes: Vec<i64> = of_group.map(|spec| spec.len() as i64).collect();
        Ok(flat.f_split_with_sizes(&sizes, 0)?.into_iter())
    }

    /// Whether every value is a finite number.
    pub fn are_finite(&self) -> Result<bool, TchError> {
        for tensor in [&self.weights, &self.offsets, &self.statistics] {
            if i64::try_from(&tensor.f_isfinite()?.f_all()?)? == 0 {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// All tensors under their names, in f32 on the CPU, contiguous.
    pub fn named(&self) -> Result<Vec<(TensorSpec, Tensor)>, TchError> {
        let views = self.views()?.into_iter().flatten();
        let specs = self.specs.iter().flatten().cloned();
        specs
            .zip(views)
            .map(|(spec, view)| Ok((spec, view.f_to_device(Device::Cpu)?.f_contiguous()?)))
            .collect()
    }
}

fn initial_values(spec: &TensorSpec, rng: &mut ChaCha8Rng) -> Vec<f32> {
    if group(spec) == Group::Weights {
        let inputs: usize = spec.shape[1..].iter().product();
        let bound = (6.0 / inputs as f32).sqrt();
        return (0..spec.len()).map(|_| rng.random_range(-bound..bound)).collect();
    }
    let one = spec.name.ends_with(".weight") || spec.name.ends_with(".running_var");
    vec![if one { 1.0 } else { 0.0 }; spec.len()]
}

fn shaped(piece: &Tensor, spec: &TensorSpec) -> Result<Tensor, TchError> {
    let shape: Vec<i64> = spec.shape.iter().map(|size| *size as i64).collect();
    match shape[..] {
        [output, input, rows, columns] => {
            piece.f_view([output, rows, columns, input])?.f_permute([0, 3, 1, 2])
        }
        _ => piece.f_view(&shape[..]),
    }
}

/// All values in one row, in the order in which they lie in channels-last memory.
pub fn flat(tensor: &Tensor) -> Result<Tensor, TchError> {
    match tensor.dim() {
        4 => tensor.f_permute([0, 2, 3, 1])?.f_reshape([-1]),
        _ => tensor.f_reshape([-1]),
    }
}

#[cfg(test)]
mod tests {
    use mfactor::{SearchSpace, cost};
    use rand_chacha::rand_core::SeedableRng;

    use super::*;

    #[test]
    fn there_are_as_many_values_as_the_cost_says() {
        let space = SearchSpace::paper();
        for id in ["333-333-333", "777-777-777", "357-753-375"] {
            let layers = space.lower(&id.parse().unwrap());
            let parameters =
                Parameters::new(&layers, &mut ChaCha8Rng::seed_from_u64(1), Device::Cpu).unwrap();
            let trainable = parameters.weights.numel() + parameters.offsets.numel();
            assert_eq!(trainable as u64, cost::cost(&layers).parameters, "{id}");
        }
    }

    #[test]
    fn tensors_have_their_names_shapes_and_initial_values() {
        let layers = SearchSpace::paper().lower(&"733-333-333".parse().unwrap());
        let parameters = Parameters::new(&layers, &mut ChaCha8Rng::seed_from_u64(1), Device::Cpu).unwrap();
        let named = parameters.named().unwrap();
        let expected: Vec<TensorSpec> = layers.iter().flat_map(Layer::tensors).collect();
        assert_eq!(named.iter().map(|(spec, _)| spec.clone()).collect::<Vec<_>>(), expected);
        for (spec, tensor) in &named {
            let shape: Vec<usize> = tensor.size().iter().map(|size| *size as usize).collect();
            assert_eq!((&shape, tensor.is_contiguous()), (&spec.shape, true), "{}", spec.name);
        }
        let of = |name: &str| &named.iter().find(|(spec, _)| spec.name == name).unwrap().1;
        assert_eq!(f64::try_from(of("stem.bn.running_var").sum(Kind::Float)).unwrap(), 16.0);
        assert_eq!(f64::try_from(of("stem.bn.bias").abs().sum(Kind::Float)).unwrap(), 0.0);
        let deviation = f64::try_from(of("stage1.block1.conv1.weight").std(false)).unwrap();
        assert!((deviation / (2.0f64 / (16.0 * 49.0)).sqrt() - 1.0).abs() < 0.03, "{deviation}");
    }
}
