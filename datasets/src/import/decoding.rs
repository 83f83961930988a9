//! Pictures to records, several at once, into a staging file: of all that is read only one batch is held.

use std::fs::File;
use std::io::Write;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::thread;

use mfactor::resize::Resize;
use mfactor::space::ImageShape;
use mfactor::{Error, Result};

use super::Skipped;
use super::listing::{Listed, Listing};
use crate::Progress;

/// Name of the staging file, which is gone before the folder gets its name.
pub(super) const STAGING_FILE: &str = ".staging";
/// Pictures that are held at once, in each thread.
const BATCH: usize = 16;
/// Threads at the most: a picture of the largest size takes 512 MB while it is decoded.
const MOST_THREADS: usize = 8;
/// Side of a thumbnail.
pub(super) const THUMBNAIL: usize = 8;

/// A picture that was decoded.
#[derive(Debug)]
pub(super) struct Decoded {
    /// Its number in the listing.
    pub listed: usize,
    /// 8×8 grey values.
    pub thumbnail: [u8; THUMBNAIL * THUMBNAIL],
}

/// What came of all pictures. Picture number n in `pictures` has record n in the staging file.
#[derive(Debug)]
pub(super) struct Staged {
    pub pictures: Vec<Decoded>,
    pub skipped: Vec<Skipped>,
    staging: File,
    bytes: usize,
}

impl Staged {
    /// The pixels of picture `number`: channels × rows × columns.
    pub fn pixels(&self, number: usize, folder: &Path) -> Result<Vec<u8>> {
        let mut pixels = vec![0; self.bytes];
        self.staging
            .read_exact_at(&mut pixels, (number * self.bytes) as u64)
            .map_err(Error::io("read", &folder.join(STAGING_FILE)))?;
        Ok(pixels)
    }
}

/// Decodes all pictures of a listing into the staging file in `folder`.
///
/// # Errors
/// [`Error::Io`] where that cannot be written. Pictures that cannot be used are no error here.
pub(super) fn decode(
    listing: &Listing,
    image: ImageShape,
    folder: &Path,
    on_progress: &mut dyn FnMut(Progress),
) -> Result<Staged> {
    let path = folder.join(STAGING_FILE);
    let mut options = File::options();
    let mut staging =
        options.read(true).write(true).create_new(true).open(&path).map_err(Error::io("write", &path))?;
    let threads = thread::available_parallelism().map_or(1, usize::from).min(MOST_THREADS);
    let (mut pictures, mut skipped) = (vec![], vec![]);
    for (number, batch) in listing.pictures.chunks(BATCH * threads).enumerate() {
        let first = number * BATCH * threads;
        on_progress(Progress::Reading { done: first, total: listing.pictures.len() });
        for (result, listed) in load(batch, image).into_iter().zip(first..) {
            match result {
                Ok(pixels) => {
                    staging.write_all(&pixels).map_err(Error::io("write", &path))?;
                    pictures.push(Decoded { listed, thumbnail: thumbnail(&pixels, image)? });
                }
                Err(problem) => {
                    skipped.push(Skipped { file: listing.pictures[listed].name.clone(), problem });
                }
            }
        }
    }
    Ok(Staged { pictures, skipped, staging, bytes: image.bytes() })
}

/// The pixels of each picture, or what is wrong with it, in order.
fn load(batch: &[Listed], image: ImageShape) -> Vec<Result<Vec<u8>, String>> {
    let of_one = |listed: &Listed| match pictures::load(&listed.path, image) {
        Ok(pixels) => Ok(pixels),
        Err(Error::Input { problem, .. }) => Err(problem),
        Err(Error::Io { source, .. }) => Err(format!("cannot be read: {source}")),
        Err(other) => Err(other.to_string()),
    };
    thread::scope(|scope| {
        let parts =
            batch.chunks(BATCH).map(|part| scope.spawn(move || part.iter().map(of_one).collect::<Vec<_>>()));
        let parts: Vec<_> = parts.collect();
        let joined = parts.into_iter().zip(batch.chunks(BATCH)).map(|(part, listed)| {
            // A decoder that panics is a damaged picture like others, but which of them it was is not known.
            part.join()
                .unwrap_or_else(|_| listed.iter().map(|_| Err("makes the decoder fail".to_owned())).collect())
        });
        joined.flatten().collect()
    })
}

fn thumbnail(pixels: &[u8], image: ImageShape) -> Result<[u8; THUMBNAIL * THUMBNAIL]> {
    let small = ImageShape { height: THUMBNAIL, width: THUMBNAIL, ..image };
    let planes = Resize::new(image, small)?.apply(pixels);
    let mean = |at: usize| {
        let values = planes.iter().skip(at).step_by(THUMBNAIL * THUMBNAIL);
        (values.map(|value| usize::from(*value)).sum::<usize>() / image.channels) as u8
    };
    Ok(std::array::from_fn(mean))
}
