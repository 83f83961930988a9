//! WebP and BMP: what their headers say, and their pixels, by the decoders of `image`; and pictures of our own as PNG.

use std::io::Cursor;

use image::codecs::bmp::BmpDecoder;
use image::codecs::png::PngEncoder;
use image::codecs::webp::WebPDecoder;
use image::metadata::Orientation;
use image::{DynamicImage, ExtendedColorType, ImageDecoder, ImageEncoder, ImageError, ImageResult};

use crate::colour::Colours;
use crate::{Facts, orientation};

/// Most memory that decoding may take, in bytes: 64 million pixels of 8 bits in four channels.
const MOST_MEMORY: u64 = 256 << 20;

pub(crate) fn webp_facts(bytes: &[u8]) -> Result<Facts, String> {
    let damaged = damaged("WebP");
    // The decoder fills what the last pixels lack.
    let told = bytes.get(4..8).and_then(<[u8]>::first_chunk).map_or(0, |size| u32::from_le_bytes(*size));
    if (bytes.len() as u64) < 8 + u64::from(told) {
        return Err("is a WebP picture that is cut off; copy it again".to_owned());
    }
    let decoder = WebPDecoder::new(Cursor::new(bytes)).map_err(&damaged)?;
    if decoder.has_animation() {
        return Err("is an animated WebP; save the frame that is meant as a picture of its own".to_owned());
    }
    facts(decoder).map_err(damaged)
}

pub(crate) fn webp_pixels(bytes: &[u8]) -> Result<DynamicImage, String> {
    pixels(WebPDecoder::new(Cursor::new(bytes)), "WebP")
}

pub(crate) fn bmp_facts(bytes: &[u8]) -> Result<Facts, String> {
    let damaged = damaged("BMP");
    facts(BmpDecoder::new(Cursor::new(bytes)).map_err(&damaged)?).map_err(damaged)
}

pub(crate) fn bmp_pixels(bytes: &[u8]) -> Result<DynamicImage, String> {
    pixels(BmpDecoder::new(Cursor::new(bytes)), "BMP")
}

fn facts(mut decoder: impl ImageDecoder) -> ImageResult<Facts> {
    let (width, height) = decoder.dimensions();
    let colours = decoder.icc_profile()?.map_or(Colours::Standard, Colours::Profile);
    let turned = decoder.exif_metadata()?.map_or(Orientation::NoTransforms, |exif| orientation(&exif));
    Ok(Facts { width, height, orientation: turned, colours })
}

fn pixels(decoder: ImageResult<impl ImageDecoder>, form: &str) -> Result<DynamicImage, String> {
    let decoder = decoder.map_err(damaged(form))?;
    if decoder.total_bytes() > MOST_MEMORY {
        return Err(format!(
            "would take {} bytes of memory; {MOST_MEMORY} at most are taken",
            decoder.total_bytes()
        ));
    }
    DynamicImage::from_decoder(decoder).map_err(damaged(form))
}

fn damaged(form: &str) -> impl Fn(ImageError) -> String {
    move |error| format!("is a {form} picture that is damaged or cut off: {error}")
}

/// An RGB picture, 3 bytes a pixel, row by row, as a PNG file.
///
/// # Errors
/// What is wrong, if `pixels` are not `width` × `height` of them.
pub fn png(width: usize, height: usize, pixels: &[u8]) -> Result<Vec<u8>, String> {
    if pixels.len() != 3 * width * height {
        return Err(format!("{} bytes are not {width}×{height} pixels of RGB", pixels.len()));
    }
    let mut bytes = vec![];
    PngEncoder::new(&mut bytes)
        .write_image(pixels, width as u32, height as u32, ExtendedColorType::Rgb8)
        .map_err(|error| error.to_string())?;
    Ok(bytes)
}
