//! PNG: what its chunks say, and its pixels (W3C, Portable Network Graphics, third edition).

use std::io::Cursor;

use image::codecs::png::PngDecoder;
use image::metadata::Orientation;
use image::{DynamicImage, ImageDecoder, Limits};

use crate::colour::Colours;
use crate::{Facts, LARGEST_SIDE, orientation};

/// Most memory that decoding may take, in bytes: 64 million pixels of 16 bits in four channels.
const MOST_MEMORY: u64 = 512 << 20;
/// `gAMA` of pictures that look right without it: 1/2.2, in 100,000ths.
const USUAL_GAMMA: f64 = 45_455.0;
/// `cHRM` of sRGB: white, red, green, blue, x and y each, in 100,000ths.
const SRGB: [u32; 8] = [31_270, 32_900, 64_000, 33_000, 30_000, 60_000, 15_000, 6_000];

/// What the chunks say, all of them: some of what matters may stand behind the pixels.
pub(crate) fn facts(bytes: &[u8]) -> Result<Facts, String> {
    let mut facts =
        Facts { width: 0, height: 0, orientation: Orientation::NoTransforms, colours: Colours::Standard };
    let (mut coded, mut profile, mut is_srgb, mut gamma, mut primaries) = (None, false, false, None, None);
    let mut rest = &bytes[8..];
    loop {
        let (name, data, after) = chunk(rest).ok_or("is cut off; copy it again")?;
        match name {
            b"IHDR" if data.len() == 13 => (facts.width, facts.height) = (number(data), number(&data[4..])),
            b"acTL" => {
                return Err(
                    "is an animated PNG; save the frame that is meant as a picture of its own".to_owned()
                );
            }
            b"eXIf" => facts.orientation = orientation(data),
            b"cICP" => coded = Some(data),
            b"iCCP" => profile = true,
            b"sRGB" => is_srgb = true,
            b"gAMA" if data.len() == 4 => gamma = Some(f64::from(number(data))),
            b"cHRM" if data.len() == 32 => primaries = Some(data),
            b"IEND" => break,
            _ => {}
        }
        rest = after;
    }
    // The order in which they win, see section 4.3 of the standard.
    facts.colours = match (coded, gamma) {
        (Some([1, 13, 0, 1]), _) => Colours::Standard,
        (Some(_), _) => return Err(other_colours("cICP")),
        _ if profile => Colours::Profile(icc(bytes)?),
        _ if is_srgb => Colours::Standard,
        _ if primaries.is_some_and(|primaries| !are_srgb(primaries)) => return Err(other_colours("cHRM")),
        (None, Some(gamma)) if gamma > 0.0 => Colours::Power(USUAL_GAMMA / gamma),
        (None, _) => Colours::Standard,
    };
    Ok(facts)
}

fn other_colours(chunk: &str) -> String {
    format!(
        "has colours of another space than sRGB ({chunk}); convert it: `magick FILE -colorspace sRGB OUT.png`"
    )
}

/// A chunk's name and data, and what stands behind it.
fn chunk(bytes: &[u8]) -> Option<(&[u8; 4], &[u8], &[u8])> {
    let (length, rest) = bytes.split_first_chunk::<4>()?;
    let (name, rest) = rest.split_first_chunk::<4>()?;
    let (data, rest) = rest.split_at_checked(u32::from_be_bytes(*length) as usize)?;
    Some((name, data, rest.get(4..)?))
}

fn number(data: &[u8]) -> u32 {
    data.first_chunk().map_or(0, |bytes| u32::from_be_bytes(*bytes))
}

fn are_srgb(primaries: &[u8]) -> bool {
    let told = primaries.chunks_exact(4).map(number);
    told.zip(SRGB).all(|(told, srgb)| told.abs_diff(srgb) <= 1_000)
}

fn decoder(bytes: &[u8]) -> image::ImageResult<PngDecoder<Cursor<&[u8]>>> {
    let mut limits = Limits::default();
    limits.max_image_width = Some(LARGEST_SIDE);
    limits.max_image_height = Some(LARGEST_SIDE);
    limits.max_alloc = Some(MOST_MEMORY);
    PngDecoder::with_limits(Cursor::new(bytes), limits)
}

fn icc(bytes: &[u8]) -> Result<Vec<u8>, String> {
    let profile = decoder(bytes).and_then(|mut decoder| decoder.icc_profile()).map_err(damaged)?;
    profile.ok_or_else(|| "has a colour profile that cannot be read".to_owned())
}

pub(crate) fn pixels(bytes: &[u8]) -> Result<DynamicImage, String> {
    let decoder = decoder(bytes).map_err(damaged)?;
    if decoder.total_bytes() > MOST_MEMORY {
        return Err(format!(
            "would take {} bytes of memory; {MOST_MEMORY} at most are taken",
            decoder.total_bytes()
        ));
    }
    DynamicImage::from_decoder(decoder).map_err(damaged)
}

fn damaged(error: image::ImageError) -> String {
    format!("is a PNG picture that is damaged or cut off: {error}")
}
