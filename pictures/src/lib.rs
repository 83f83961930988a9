//! Picture files as a network's input: the pixels that a person would see, or a refusal that says what is in the way.
//!
//! Decoders are lenient: they leave a picture lying on its side, read colours of another space as they are, show what is
//! behind transparent pixels, and fill what a damaged file lacks. A network would answer, and be wrong. Here each of
//! these is applied or refused.
//!
//! | what a picture has | what happens |
//! |---|---|
//! | EXIF orientation, all eight (JPEG; `eXIf` of PNG; WebP) | applied |
//! | an ICC profile, `gAMA` | applied where it changes a colour by more than two steps of 255 |
//! | `cICP` and `cHRM` of other colours than sRGB; CMYK | refused |
//! | pixels that are not opaque | refused: what is behind them is not said |
//! | 16 bits, 1 to 4 bits, palettes, grey, interlacing, progressive scans | read |
//! | several pictures that move (APNG, WebP) | refused |
//! | GIF, TIFF, HEIF and other forms than PNG, JPEG, WebP and BMP | refused by name |
//! | files whose form is damaged, that are cut off, or larger than the limits | refused, the last before anything is decoded |
//! | pixels that are not square (`pHYs`), text, thumbnails, gain maps | not looked at, as by most viewers |
//!
//! | module | holds |
//! |---|---|
//! | `jpeg`, `png`, `others` | what decoders pass over, form by form |
//! | `colour` | profiles and what they do to a colour |

mod colour;
mod jpeg;
mod others;
mod png;

pub use others::png;

use std::path::Path;

use image::imageops::FilterType;
use image::metadata::Orientation;
use image::{DynamicImage, RgbImage};
use mfactor::magic::{self, Kind};
use mfactor::space::ImageShape;
use mfactor::{Error, Result, files};

use crate::colour::Colours;

/// Largest width and height of a picture.
const LARGEST_SIDE: u32 = 16_384;
/// Most pixels of a picture: what a camera of 64 megapixels makes.
const MOST_PIXELS: u64 = 1 << 26;
/// Largest picture file, in bytes.
const LARGEST_FILE: u64 = 128 << 20;

/// How a picture becomes an input, in words: what [`load`] does, for whoever has to say it.
pub const FIT: &str =
    "the largest part from the middle that has the input's proportions, resized by a triangle filter";

/// A PNG, JPEG, WebP or BMP file as a person sees it, made `shape` as [`FIT`] says: channels × rows × columns.
///
/// # Errors
/// [`Error::Input`] if it is no such file, is damaged, too large, or has something that a person would see and this
/// would not; and if the model does not take 1 or 3 channels.
pub fn load(path: &Path, shape: ImageShape) -> Result<Vec<u8>> {
    let bytes = files::read_at_most(path, LARGEST_FILE)?;
    let picture = decode(&bytes).map_err(|problem| Error::file(path, problem))?;
    let resized =
        middle(&picture, shape).resize_exact(shape.width as u32, shape.height as u32, FilterType::Triangle);
    planes(&resized, shape.channels).ok_or_else(|| {
        Error::file(
            path,
            format!("cannot be turned into {} channels; the model must take 1 or 3", shape.channels),
        )
    })
}

/// The largest part from the middle that has the proportions of `shape`, to the pixel.
fn middle(picture: &DynamicImage, shape: ImageShape) -> DynamicImage {
    let (width, height) = (u64::from(picture.width()), u64::from(picture.height()));
    let (columns, rows) = (shape.width as u64, shape.height as u64);
    let kept_width = width.min((height * columns + rows / 2) / rows).max(1);
    let kept_height = height.min((width * rows + columns / 2) / columns).max(1);
    let (left, top) = ((width - kept_width) / 2, (height - kept_height) / 2);
    picture.crop_imm(left as u32, top as u32, kept_width as u32, kept_height as u32)
}

/// What a file says beside its pixels.
struct Facts {
    /// Its size.
    width: u32,
    height: u32,
    /// How it is to be turned.
    orientation: Orientation,
    /// What its numbers mean.
    colours: Colours,
}

/// The picture upright, opaque, in sRGB, with 8 bits a value; or what is in the way, to go behind the file's name.
fn decode(bytes: &[u8]) -> std::result::Result<DynamicImage, String> {
    let (facts, read): (_, fn(&[u8]) -> _) = match bytes {
        [0x89, b'P', b'N', b'G', 0x0d, 0x0a, 0x1a, 0x0a, ..] => (png::facts(bytes)?, png::pixels),
        [0xff, 0xd8, 0xff, ..] => (jpeg::facts(bytes)?, jpeg::pixels),
        [b'R', b'I', b'F', b'F', _, _, _, _, b'W', b'E', b'B', b'P', ..] => {
            (others::webp_facts(bytes)?, others::webp_pixels)
        }
        [b'B', b'M', ..] => (others::bmp_facts(bytes)?, others::bmp_pixels),
        _ => return Err(no_picture(bytes)),
    };
    let (width, height) = (facts.width, facts.height);
    let pixels = u64::from(width) * u64::from(height);
    if pixels == 0 || width.max(height) > LARGEST_SIDE || pixels > MOST_PIXELS {
        return Err(format!(
            "has {width}×{height} pixels; sides from 1 to {LARGEST_SIDE} and {MOST_PIXELS} pixels at most are read"
        ));
    }
    let picture = opaque(read(bytes)?)?;
    let mut picture = colour::to_srgb(picture, facts.colours)?;
    picture.apply_orientation(facts.orientation);
    Ok(picture)
}

/// Grey or RGB with 8 bits a value, from a picture that hides nothing.
fn opaque(picture: DynamicImage) -> std::result::Result<DynamicImage, String> {
    let colour = picture.color();
    if colour.has_alpha() && picture.to_rgba8().pixels().any(|pixel| pixel.0[3] != u8::MAX) {
        return Err(
            "has pixels that are not opaque, and does not say what is behind them; put it on a background \
                    first: `magick FILE -background white -flatten OUT.png`"
                .to_owned(),
        );
    }
    Ok(if colour.has_color() {
        DynamicImage::ImageRgb8(picture.into_rgb8())
    } else {
        DynamicImage::ImageLuma8(picture.into_luma8())
    })
}

/// Names what is none of the forms that are read.
fn no_picture(bytes: &[u8]) -> String {
    const OTHERS: [(usize, &[u8], &str); 10] = [
        (0, b"GIF8", "a GIF picture"),
        (0, b"II*\0", "a TIFF or raw picture"),
        (0, b"MM\0*", "a TIFF or raw picture"),
        (0, b"II+\0", "a TIFF picture"),
        (4, b"ftyp", "a HEIF or AVIF picture, or a film"),
        (0, b"\0\0\0\x0cJXL ", "a JPEG XL picture"),
        (0, b"\xff\x0a", "a JPEG XL picture"),
        (0, b"\0\0\0\x0cjP  ", "a JPEG 2000 picture"),
        (0, b"8BPS", "a Photoshop file"),
        (0, b"RIFF", "a film or a sound"),
    ];
    let is = |(at, magic, _): &&(usize, &[u8], &str)| bytes.get(*at..).is_some_and(|b| b.starts_with(magic));
    if let Some((_, _, form)) = OTHERS.iter().find(is) {
        return format!("is {form}; PNG, JPEG, WebP and BMP are read: convert it, `magick FILE OUT.png` say");
    }
    match magic::mistaken(bytes, Kind::Picture) {
        Some(words) => format!("is not a PNG, JPEG, WebP or BMP picture: it {words}"),
        None => "is not a PNG, JPEG, WebP or BMP picture".to_owned(),
    }
}

fn planes(picture: &DynamicImage, channels: usize) -> Option<Vec<u8>> {
    let pixels = match channels {
        1 => picture.to_luma8().into_raw(),
        3 => RgbImage::into_raw(picture.to_rgb8()),
        _ => return None,
    };
    Some((0..channels).flat_map(|channel| pixels.iter().skip(channel).step_by(channels).copied()).collect())
}

/// What stands before EXIF data in a JPEG file, and in other forms where a program put them there as they were.
const EXIF: &[u8] = b"Exif\0\0";

/// How the EXIF data of a picture say that it is to be turned; as it is where they do not, or are damaged.
fn orientation(exif: &[u8]) -> Orientation {
    let exif = exif.strip_prefix(EXIF).unwrap_or(exif);
    Orientation::from_exif_chunk(exif).unwrap_or(Orientation::NoTransforms)
}
