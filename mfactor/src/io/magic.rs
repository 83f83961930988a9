//! What a file is that is not what it should be, told by its first bytes: a message can then say what to do.
//!
//! Asked only after a file was refused, so what is told here decides nothing but words.

/// A form of file that people and programs put in the place of another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Nothing at all.
    Empty,
    /// Zero bytes alone: what a power cut or a broken download leaves.
    Zeros,
    /// The few lines that Git stores in the place of a large file.
    LfsPointer,
    /// A page of the web.
    Html,
    /// macOS's own file beside each file on a foreign disk.
    AppleDouble,
    /// gzip, perhaps with a tar archive in it.
    Gzip,
    /// Another compression: xz, bzip2, Zstandard, 7-Zip.
    Compressed,
    /// ZIP; PyTorch's own files are such.
    Zip,
    /// An archive of files.
    Tar,
    /// Python's pickle.
    Pickle,
    /// Hugging Face's tensors.
    Safetensors,
    /// An ONNX model.
    Onnx,
    /// A TensorFlow Lite model.
    TfLite,
    /// HDF5, Keras say.
    Hdf5,
    /// An array of NumPy.
    NumPy,
    /// Apache Parquet.
    Parquet,
    /// A picture.
    Picture,
    /// A PDF document.
    Pdf,
    /// A program.
    Program,
    /// JSON.
    Json,
    /// Other text.
    Text,
}

/// Bytes that are looked at.
pub const HEAD: usize = 4096;

/// What `bytes` begin like; `None` where that says nothing.
pub fn recognise(bytes: &[u8]) -> Option<Kind> {
    let head = &bytes[..bytes.len().min(HEAD)];
    if head.is_empty() {
        return Some(Kind::Empty);
    }
    let by_magic = MAGIC.iter().find(|(at, magic, _)| head.get(*at..).is_some_and(|h| h.starts_with(magic)));
    by_magic.map(|(_, _, kind)| *kind).or_else(|| by_form(head))
}

/// What to say of a file that should be `expected` and could not be read as it: what it is instead and what to do.
/// `None` where its first bytes say nothing, or are as they should be.
pub fn mistaken(bytes: &[u8], expected: Kind) -> Option<&'static str> {
    recognise(bytes).filter(|kind| *kind != expected).map(Kind::words)
}

const MAGIC: [(usize, &[u8], Kind); 26] = [
    (0, b"version https://git-lfs.github.com/spec/", Kind::LfsPointer),
    (0, b"\x00\x05\x16\x07", Kind::AppleDouble),
    (0, b"\x1f\x8b", Kind::Gzip),
    (0, b"\xfd7zXZ\x00", Kind::Compressed),
    (0, b"BZh", Kind::Compressed),
    (0, b"\x28\xb5\x2f\xfd", Kind::Compressed),
    (0, b"7z\xbc\xaf\x27\x1c", Kind::Compressed),
    (0, b"PK\x03\x04", Kind::Zip),
    (0, b"PK\x05\x06", Kind::Zip),
    (257, b"ustar", Kind::Tar),
    (4, b"TFL3", Kind::TfLite),
    (0, b"\x89HDF\r\n\x1a\n", Kind::Hdf5),
    (0, b"\x93NUMPY", Kind::NumPy),
    (0, b"PAR1", Kind::Parquet),
    (0, b"\x89PNG\r\n\x1a\n", Kind::Picture),
    (0, b"\xff\xd8\xff", Kind::Picture),
    (0, b"GIF8", Kind::Picture),
    (8, b"WEBPVP8", Kind::Picture),
    (4, b"ftyp", Kind::Picture),
    (0, b"II*\x00", Kind::Picture),
    (0, b"MM\x00*", Kind::Picture),
    (0, b"%PDF-", Kind::Pdf),
    (0, b"\x7fELF", Kind::Program),
    (0, b"MZ\x90\x00", Kind::Program),
    (0, b"\xcf\xfa\xed\xfe", Kind::Program),
    (0, b"#!", Kind::Program),
];

fn by_form(head: &[u8]) -> Option<Kind> {
    if head.iter().all(|byte| *byte == 0) {
        return Some(Kind::Zeros);
    }
    if matches!(head, [0x80, 2..=5, ..]) {
        return Some(Kind::Pickle);
    }
    // The length of a header in JSON, and the header.
    if head.get(8) == Some(&b'{') && head[..8] != [b' '; 8] {
        let length = head[..8].iter().rev().fold(0u64, |length, byte| length << 8 | u64::from(*byte));
        if (2..100 << 20).contains(&length) {
            return Some(Kind::Safetensors);
        }
    }
    // Field 1 is the version of the form, a small number; then comes the producer, a text or the graph.
    if matches!(head, [0x08, 1..=64, 0x12 | 0x1a | 0x22 | 0x2a | 0x32 | 0x3a | 0x42, ..]) {
        return Some(Kind::Onnx);
    }
    text_form(head)
}

fn text_form(head: &[u8]) -> Option<Kind> {
    let text = match std::str::from_utf8(head) {
        Ok(text) => text,
        // The end of the head may cut a character.
        Err(error) if head.len() == HEAD && error.valid_up_to() + 4 > HEAD => {
            std::str::from_utf8(&head[..error.valid_up_to()]).ok()?
        }
        Err(_) => return None,
    };
    if text.chars().any(|c| c.is_control() && !c.is_ascii_whitespace()) {
        return None;
    }
    let start = text.trim_start_matches(['\u{feff}', ' ', '\t', '\r', '\n']);
    let lower = start.get(..start.len().min(64)).unwrap_or(start).to_ascii_lowercase();
    if ["<!doctype", "<html", "<head", "<?xml"].iter().any(|tag| lower.starts_with(tag)) {
        return Some(Kind::Html);
    }
    let is_json = start.starts_with(['{', '[']);
    Some(if is_json { Kind::Json } else { Kind::Text })
}

impl Kind {
    /// What it is and what to do, to go behind the file's name.
    pub fn words(self) -> &'static str {
        match self {
            Self::Empty => "is empty; copy it again, or make it again",
            Self::Zeros => "holds nothing but zero bytes, as a copy that was cut off may; copy it again",
            Self::LfsPointer => {
                "is a Git LFS pointer, not the file it stands for; run `git lfs pull` in the repository it came from"
            }
            Self::Html => {
                "is a web page, not the file; download the file itself (its «raw» or «download» link)"
            }
            Self::AppleDouble => "is macOS's own note beside a file, not the file; name the one without `._`",
            Self::Gzip => "is compressed with gzip; unpack it first: `gunzip`, or `tar xzf` for an archive",
            Self::Compressed => "is a compressed file; unpack it first",
            Self::Zip => {
                "is a ZIP archive; unpack it first, or, if it is PyTorch's (.pt, .pth), export it with `mfactor export`"
            }
            Self::Tar => "is a tar archive; unpack it first: `tar xf`",
            Self::Pickle => {
                "is a Python pickle, which is never loaded; export the model with `mfactor export`"
            }
            Self::Safetensors => {
                "is a safetensors file, weights without a network; `mfactor export` makes a model of them"
            }
            Self::Onnx => "is an ONNX model; another file is wanted here",
            Self::TfLite => "is a TensorFlow Lite model; only ONNX models of `mfactor export` are run",
            Self::Hdf5 => "is an HDF5 file, of Keras say; only ONNX models of `mfactor export` are run",
            Self::NumPy => "is an array of NumPy; write plain bytes of the documented form instead",
            Self::Parquet => "is a Parquet table; another file is wanted here",
            Self::Picture => "is a picture; another file is wanted here",
            Self::Pdf => "is a PDF document; another file is wanted here",
            Self::Program => "is a program; another file is wanted here",
            Self::Json => "is JSON text; another file is wanted here",
            Self::Text => "is a text file; another file is wanted here",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_told_by_their_beginning() {
        let mut tar = vec![b'a'; 512];
        tar[257..262].copy_from_slice(b"ustar");
        let cases: [(&[u8], Option<Kind>); 19] = [
            (b"", Some(Kind::Empty)),
            (&[0; 5000], Some(Kind::Zeros)),
            (b"version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 1\n", Some(Kind::LfsPointer)),
            (b"\n\n<!DOCTYPE html>\n<html>", Some(Kind::Html)),
            (b"<HTML><body>", Some(Kind::Html)),
            (b"\x1f\x8b\x08\x00", Some(Kind::Gzip)),
            (b"PK\x03\x04\x14", Some(Kind::Zip)),
            (&tar, Some(Kind::Tar)),
            (b"\x80\x04\x95", Some(Kind::Pickle)),
            (b"\x40\x00\x00\x00\x00\x00\x00\x00{\"__metadata__\":{}}", Some(Kind::Safetensors)),
            (b"\x08\x08\x12\x07mfactor", Some(Kind::Onnx)),
            (b"\x1c\x00\x00\x00TFL3", Some(Kind::TfLite)),
            (b"\x89PNG\r\n\x1a\n", Some(Kind::Picture)),
            (b"\xff\xd8\xff\xe0", Some(Kind::Picture)),
            (b" {\"schema\": 2}", Some(Kind::Json)),
            (b"hello\n", Some(Kind::Text)),
            ("Größe".as_bytes(), Some(Kind::Text)),
            (b"\x07\x91\x13\xf0\x00\x01", None),
            (b"\xff\xfe\x00", None),
        ];
        for (bytes, expected) in cases {
            assert_eq!(recognise(bytes), expected, "{}", String::from_utf8_lossy(bytes));
        }
        let long = "é".repeat(3000);
        assert_eq!(recognise(&[b"x", long.as_bytes()].concat()), Some(Kind::Text), "a cut character");
    }

    #[test]
    fn what_is_as_expected_is_not_mistaken() {
        assert_eq!(mistaken(b"\x08\x08\x12\x07mfactor", Kind::Onnx), None);
        assert!(mistaken(b"\x08\x08\x12\x07mfactor", Kind::Safetensors).unwrap().contains("ONNX"));
    }
}
