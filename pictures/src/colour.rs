//! Colours: from what a file's numbers mean to sRGB, which networks are trained in.

use image::{DynamicImage, RgbImage};
use moxcms::{CmsError, ColorProfile, DataColorSpace, Layout, TransformOptions};

/// A change of at most this many steps of 255 is none that a person would see, and pixels stay as they are.
const UNSEEN: u8 = 2;

/// What the numbers of a file mean.
pub(crate) enum Colours {
    /// sRGB, said or not.
    Standard,
    /// sRGB after values from 0 to 1 are raised to this power.
    Power(f64),
    /// What this ICC profile says.
    Profile(Vec<u8>),
}

/// A picture with 8 bits a value, grey or RGB, in sRGB.
pub(crate) fn to_srgb(picture: DynamicImage, colours: Colours) -> Result<DynamicImage, String> {
    match colours {
        Colours::Standard => Ok(picture),
        Colours::Power(power) => Ok(raised(picture, power)),
        Colours::Profile(profile) => {
            let profile = ColorProfile::new_from_slice(&profile).map_err(unreadable)?;
            profiled(picture, &profile)
        }
    }
}

fn unreadable(error: CmsError) -> String {
    format!(
        "has a colour profile that cannot be read ({error}); convert it to sRGB: `magick FILE -colorspace sRGB OUT.png`"
    )
}

fn raised(picture: DynamicImage, power: f64) -> DynamicImage {
    let table: Vec<u8> =
        (0..=u8::MAX).map(|value| ((f64::from(value) / 255.0).powf(power) * 255.0).round() as u8).collect();
    if (0..=u8::MAX).all(|value| value.abs_diff(table[usize::from(value)]) <= UNSEEN) {
        return picture;
    }
    let raise = |values: &mut [u8]| values.iter_mut().for_each(|value| *value = table[usize::from(*value)]);
    match picture {
        DynamicImage::ImageLuma8(mut grey) => {
            raise(&mut grey);
            DynamicImage::ImageLuma8(grey)
        }
        other => {
            let mut rgb = other.into_rgb8();
            raise(&mut rgb);
            DynamicImage::ImageRgb8(rgb)
        }
    }
}

fn profiled(picture: DynamicImage, profile: &ColorProfile) -> Result<DynamicImage, String> {
    let layout = match (profile.color_space, picture.color().has_color()) {
        (DataColorSpace::Gray, false) => Layout::Gray,
        (DataColorSpace::Rgb, _) => Layout::Rgb,
        _ => {
            return Err(
                "has a colour profile that is not one of its kind of colours; convert it to sRGB".to_owned()
            );
        }
    };
    let srgb = ColorProfile::new_srgb();
    let transform = profile
        .create_transform_8bit(layout, &srgb, Layout::Rgb, TransformOptions::default())
        .map_err(unreadable)?;
    let (samples, seen) = samples(layout);
    let mut turned = vec![0; seen.len()];
    transform.transform(&samples, &mut turned).map_err(unreadable)?;
    if seen.iter().zip(&turned).all(|(before, after)| before.abs_diff(*after) <= UNSEEN) {
        return Ok(picture);
    }
    let (width, height) = (picture.width(), picture.height());
    let values =
        if layout == Layout::Gray { picture.into_luma8().into_raw() } else { picture.into_rgb8().into_raw() };
    let mut turned = vec![0; width as usize * height as usize * 3];
    transform.transform(&values, &mut turned).map_err(unreadable)?;
    let turned = RgbImage::from_raw(width, height, turned).ok_or("is larger than it says")?;
    Ok(DynamicImage::ImageRgb8(turned))
}

/// Colours from all over the space, in a layout and in RGB.
fn samples(layout: Layout) -> (Vec<u8>, Vec<u8>) {
    const STEPS: [u8; 6] = [0, 51, 102, 153, 204, 255];
    if layout == Layout::Gray {
        return (STEPS.to_vec(), STEPS.iter().flat_map(|grey| [*grey; 3]).collect());
    }
    let rgb: Vec<u8> = STEPS
        .iter()
        .flat_map(|r| STEPS.iter().flat_map(move |g| STEPS.iter().flat_map(move |b| [*r, *g, *b])))
        .collect();
    (rgb.clone(), rgb)
}
