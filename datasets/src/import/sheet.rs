//! The contact sheet: for each class its name, and its first training images as a network will see them.

use std::path::Path;

use font8x8::{BASIC_FONTS, GREEK_FONTS, LATIN_FONTS, UnicodeFonts};
use mfactor::resize::Resize;
use mfactor::space::ImageShape;
use mfactor::{Error, Result, files};

/// Images of each class.
pub(super) const IMAGES: usize = 10;
/// Side of an image on the sheet at most.
const LARGEST: usize = 64;
/// Free pixels around images.
const GAP: usize = 2;
/// Pixels of a line of text.
const LINE: usize = 12;

/// Writes the sheet: of each class its name and the pixels of up to [`IMAGES`] of its images.
///
/// # Errors
/// [`Error::Io`] where it cannot be written.
pub(super) fn write(classes: &[(String, Vec<Vec<u8>>)], image: ImageShape, path: &Path) -> Result<()> {
    let side = image.height.min(LARGEST);
    let row = LINE + side + GAP;
    let (width, height) = (GAP + IMAGES * (side + GAP), GAP + classes.len() * row);
    let mut sheet = Sheet { width, pixels: vec![255; 3 * width * height] };
    let resize = Resize::new(image, ImageShape { height: side, width: side, ..image })?;
    for (number, (class, images)) in classes.iter().enumerate() {
        let top = GAP + number * row;
        sheet.text(class, top);
        for (column, pixels) in images.iter().enumerate() {
            sheet.image(&resize.apply(pixels), side, top + LINE, GAP + column * (side + GAP));
        }
    }
    let bytes = pictures::png(width, height, &sheet.pixels)
        .map_err(|problem| Error::Defect(format!("the contact sheet cannot be written: {problem}")))?;
    files::write(path, &bytes)
}

struct Sheet {
    width: usize,
    /// RGB.
    pixels: Vec<u8>,
}

impl Sheet {
    fn put(&mut self, row: usize, column: usize, colour: [u8; 3]) {
        if column < self.width {
            self.pixels[3 * (row * self.width + column)..][..3].copy_from_slice(&colour);
        }
    }

    fn text(&mut self, text: &str, top: usize) {
        for (number, letter) in text.chars().enumerate() {
            let fonts: [&dyn UnicodeFonts; 3] = [&BASIC_FONTS, &LATIN_FONTS, &GREEK_FONTS];
            let glyph = fonts.iter().find_map(|font| font.get(letter)).or_else(|| BASIC_FONTS.get('?'));
            for (row, bits) in glyph.unwrap_or_default().into_iter().enumerate() {
                for column in (0..8).filter(|column| bits >> column & 1 == 1) {
                    self.put(top + row + 1, GAP + 8 * number + column, [0; 3]);
                }
            }
        }
    }

    /// An image of one channel or three, channels × rows × columns.
    fn image(&mut self, planes: &[u8], side: usize, top: usize, left: usize) {
        let last = planes.len() / (side * side) - 1;
        for at in 0..side * side {
            let colour = [0, 1, 2].map(|channel: usize| planes[channel.min(last) * side * side + at]);
            self.put(top + at / side, left + at % side, colour);
        }
    }
}
