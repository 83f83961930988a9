//! JPEG: what its segments say (ITU-T T.81, annex B), and its pixels.

use image::metadata::Orientation;
use image::{DynamicImage, GrayImage, RgbImage};
use zune_core::bytestream::ZCursor;
use zune_core::colorspace::ColorSpace;
use zune_core::options::DecoderOptions;
use zune_jpeg::JpegDecoder;

use crate::colour::Colours;
use crate::{EXIF, Facts, LARGEST_SIDE, orientation};

const CUT_OFF: &str = "is a JPEG picture that is cut off; copy it again";

/// What the segments say, from the first to the end of the picture.
pub(crate) fn facts(bytes: &[u8]) -> Result<Facts, String> {
    let mut size = None;
    let mut turned = None;
    let mut rest = &bytes[2..];
    loop {
        let (marker, after) = next_marker(rest).ok_or(CUT_OFF)?;
        rest = after;
        match marker {
            0xd9 => break,
            // Restarts, and a marker without meaning, stand alone.
            0xd0..=0xd7 | 0x01 => continue,
            _ => {}
        }
        let data = segment(rest).ok_or(CUT_OFF)?;
        rest = &rest[2 + data.len()..];
        match marker {
            0xc0..=0xc2 => size = Some(frame(data)?),
            0xc3 | 0xc5..=0xc7 | 0xc9..=0xcb | 0xcd..=0xcf => {
                return Err("is a JPEG picture of a rare kind (lossless, hierarchical or arithmetic); save it again as \
                            a usual one"
                    .to_owned());
            }
            0xe1 if data.starts_with(EXIF) => {
                turned.get_or_insert_with(|| orientation(data));
            }
            _ => {}
        }
    }
    let (width, height) = size.ok_or("is a JPEG file without a picture")?;
    let profile = open(bytes)?.icc_profile();
    Ok(Facts {
        width,
        height,
        orientation: turned.unwrap_or(Orientation::NoTransforms),
        colours: profile.map_or(Colours::Standard, Colours::Profile),
    })
}

/// The next marker and what stands behind it. What lies before it is the data of a scan, where a byte 255 is followed by
/// 0.
fn next_marker(mut bytes: &[u8]) -> Option<(u8, &[u8])> {
    loop {
        let at = bytes.iter().position(|byte| *byte == 0xff)?;
        bytes = bytes.get(at + 1..)?;
        match bytes.first()? {
            0x00 => bytes = &bytes[1..],
            // A marker may have any number of these before it.
            0xff => {}
            marker => return Some((*marker, &bytes[1..])),
        }
    }
}

/// The data of a segment, which begins with its length.
fn segment(bytes: &[u8]) -> Option<&[u8]> {
    let (length, rest) = bytes.split_first_chunk::<2>()?;
    rest.get(..usize::from(u16::from_be_bytes(*length)).checked_sub(2)?)
}

/// Width and height of a frame of a kind that is read.
fn frame(data: &[u8]) -> Result<(u32, u32), String> {
    let [bits, h1, h0, w1, w0, components, ..] = *data else { return Err(CUT_OFF.to_owned()) };
    if bits != 8 {
        return Err(format!(
            "has {bits} bits a colour; a JPEG picture with 8 is read: save it as one, or as PNG"
        ));
    }
    if components == 4 {
        return Err("has the colours of a printer (CMYK); turn them into those of a screen: \
                    `magick FILE -colorspace sRGB OUT.png`"
            .to_owned());
    }
    if components != 1 && components != 3 {
        return Err(format!("has {components} colour components; 1 or 3 are read"));
    }
    Ok((u32::from(u16::from_be_bytes([w1, w0])), u32::from(u16::from_be_bytes([h1, h0]))))
}

/// A decoder that has read all up to the pixels, and fails rather than fills in.
fn open(bytes: &[u8]) -> Result<JpegDecoder<ZCursor<&[u8]>>, String> {
    let side = LARGEST_SIDE as usize;
    let options = DecoderOptions::default().set_strict_mode(true).set_max_width(side).set_max_height(side);
    let mut decoder = JpegDecoder::new_with_options(ZCursor::new(bytes), options);
    decoder.decode_headers().map_err(damaged)?;
    let is_grey = decoder.input_colorspace() == Some(ColorSpace::Luma);
    let wanted = if is_grey { ColorSpace::Luma } else { ColorSpace::RGB };
    decoder.set_options(options.jpeg_set_out_colorspace(wanted));
    Ok(decoder)
}

pub(crate) fn pixels(bytes: &[u8]) -> Result<DynamicImage, String> {
    let mut decoder = open(bytes)?;
    let values = decoder.decode().map_err(damaged)?;
    let (width, height) = decoder.dimensions().ok_or(CUT_OFF)?;
    let (width, height) = (width as u32, height as u32);
    let picture = if decoder.output_colorspace() == Some(ColorSpace::Luma) {
        GrayImage::from_raw(width, height, values).map(DynamicImage::ImageLuma8)
    } else {
        RgbImage::from_raw(width, height, values).map(DynamicImage::ImageRgb8)
    };
    picture.ok_or_else(|| CUT_OFF.to_owned())
}

fn damaged(error: impl std::fmt::Display) -> String {
    format!("is a JPEG picture that is damaged or cut off: {error}")
}
