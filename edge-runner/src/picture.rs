//! Picture files as model input.

use std::io::Cursor;
use std::path::Path;

use image::imageops::FilterType;
use image::{DynamicImage, ImageReader, Limits};
use mfactor::space::ImageShape;
use mfactor::{Error, Result};

/// Largest width and height of a picture.
const LARGEST_SIDE: u32 = 16_384;
/// Most memory that decoding a picture may take, in bytes.
const MOST_MEMORY: u64 = 512 << 20;
/// Largest picture file, in bytes.
const LARGEST_FILE: u64 = 128 << 20;

/// A PNG or JPEG file, resized to `shape` (whatever its own proportions) as channels × rows × columns.
///
/// # Errors
/// [`Error::Input`] if it is no such file, is too large, or the model does not take 1 or 3 channels.
pub fn load(path: &Path, shape: ImageShape) -> Result<Vec<u8>> {
    let bytes = std::fs::metadata(path).map_err(Error::io("read", path))?.len();
    if bytes > LARGEST_FILE {
        return Err(Error::file(path, format!("has {bytes} bytes; a picture has at most {LARGEST_FILE}")));
    }
    let picture = decode(&mfactor::files::read(path)?).map_err(|error| {
        Error::file(path, format!("is not a PNG or JPEG picture that can be read: {error}"))
    })?;
    let resized = picture.resize_exact(shape.width as u32, shape.height as u32, FilterType::Triangle);
    planes(&resized, shape.channels)
        .ok_or_else(|| Error::file(path, format!("cannot be turned into {} channels", shape.channels)))
}

fn decode(bytes: &[u8]) -> image::ImageResult<DynamicImage> {
    let mut limits = Limits::default();
    limits.max_image_width = Some(LARGEST_SIDE);
    limits.max_image_height = Some(LARGEST_SIDE);
    limits.max_alloc = Some(MOST_MEMORY);
    let mut reader = ImageReader::new(Cursor::new(bytes)).with_guessed_format()?;
    reader.limits(limits);
    reader.decode()
}

fn planes(picture: &DynamicImage, channels: usize) -> Option<Vec<u8>> {
    let pixels = match channels {
        1 => picture.to_luma8().into_raw(),
        3 => picture.to_rgb8().into_raw(),
        _ => return None,
    };
    Some((0..channels).flat_map(|channel| pixels.iter().skip(channel).step_by(channels).copied()).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_picture_becomes_planes() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("red.png");
        image::RgbImage::from_fn(8, 4, |x, _| image::Rgb([200, (x * 10) as u8, 7])).save(&path).unwrap();
        let shape = ImageShape { channels: 3, height: 4, width: 8 };
        let pixels = load(&path, shape).unwrap();
        assert_eq!(pixels[..32], [200; 32]);
        assert_eq!(pixels[32..40], [0, 10, 20, 30, 40, 50, 60, 70]);
        assert_eq!(pixels[64..], [7; 32]);
        let smaller = ImageShape { channels: 1, height: 2, width: 2 };
        assert_eq!(load(&path, smaller).unwrap().len(), 4);
    }

    #[test]
    fn what_is_no_picture_is_refused_by_name() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("text.png");
        std::fs::write(&path, b"not a picture").unwrap();
        let shape = ImageShape { channels: 3, height: 4, width: 8 };
        let error = load(&path, shape).unwrap_err();
        assert_eq!(error.exit_code(), mfactor::exit::INPUT);
        assert!(error.to_string().contains("text.png"), "{error}");
        image::GrayImage::new(2, 2).save(&path).unwrap();
        assert!(load(&path, ImageShape { channels: 4, ..shape }).is_err());
    }
}
