//! What a person sees of a picture is what a network gets, or the picture is refused. The files were written by Pillow:
//! 16×16 pixels, the left half red, the right half blue.

use std::path::{Path, PathBuf};

use mfactor::space::ImageShape;

const RED: [u8; 3] = [200, 40, 30];
const BLUE: [u8; 3] = [30, 60, 200];

fn file(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/files").join(name)
}

/// Left and right half of a picture as the network sees them.
fn halves(path: &Path) -> Result<[[u8; 3]; 2], String> {
    let shape = ImageShape { channels: 3, height: 16, width: 16 };
    let planes = pictures::load(path, shape).map_err(|error| {
        assert_eq!(error.exit_code(), mfactor::exit::INPUT);
        assert!(error.to_string().starts_with(&path.display().to_string()), "{error}");
        error.to_string()
    })?;
    Ok([8 * 16 + 2, 8 * 16 + 13].map(|at| [0, 256, 512].map(|plane| planes[plane + at])))
}

fn near(seen: [[u8; 3]; 2], expected: [[u8; 3]; 2]) -> bool {
    let close = |(a, b): (&u8, &u8)| a.abs_diff(*b) <= 8;
    seen.as_flattened().iter().zip(expected.as_flattened()).all(close)
}

#[test]
fn every_usual_form_is_read_alike() {
    for name in [
        "baseline.jpg",
        "progressive.jpg",
        "restarts.jpg",
        "rgb.jpg",
        "srgb-profile.jpg",
        "still.webp",
        "still.bmp",
    ] {
        let seen = halves(&file(name)).unwrap();
        assert!(near(seen, [RED, BLUE]), "{name}: {seen:?}");
    }
    // The nearest two of its palette.
    assert_eq!(halves(&file("palette.png")).unwrap(), [[204, 51, 51], [51, 102, 153]]);
    // Their luminance.
    let seen = halves(&file("grey.jpg")).unwrap();
    assert!(near(seen, [[87; 3], [67; 3]]), "{seen:?}");
}

#[test]
fn a_profile_that_exchanges_red_and_blue_is_applied() {
    for name in ["swapped-profile.jpg", "swapped-profile.png"] {
        let seen = halves(&file(name)).unwrap();
        assert!(near(seen, [[30, 40, 200], [200, 60, 30]]), "{name}: {seen:?}");
    }
}

#[test]
fn what_would_be_seen_otherwise_is_refused_with_words() {
    for (name, words) in [
        ("cmyk.jpg", "CMYK"),
        ("animated.png", "animated PNG"),
        ("still.gif", "a GIF picture; PNG, JPEG, WebP and BMP are read"),
        ("still.tif", "a TIFF or raw picture"),
    ] {
        let problem = halves(&file(name)).unwrap_err();
        assert!(problem.contains(words), "{problem}");
    }
}

#[test]
fn no_cut_or_damaged_picture_is_read() {
    let folder = tempfile::tempdir().unwrap();
    for name in [
        "baseline.jpg",
        "progressive.jpg",
        "restarts.jpg",
        "grey.jpg",
        "palette.png",
        "grey16.png",
        "still.webp",
        "still.bmp",
    ] {
        let whole = std::fs::read(file(name)).unwrap();
        let path = folder.path().join(name);
        for cut in (0..whole.len()).step_by(7).chain([whole.len() - 1]) {
            std::fs::write(&path, &whole[..cut]).unwrap();
            assert!(halves(&path).is_err(), "{name} cut at {cut} of {}", whole.len());
        }
    }
    let path = folder.path().join("no-picture.jpg");
    for (bytes, words) in [
        (&b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n"[..], "git lfs pull"),
        (b"<!DOCTYPE html><html>", "web page"),
        (b"", "is empty"),
        (b"\x08\x08\x12\x07mfactor", "ONNX model"),
        (b"\x01\x02\x03", "is not a PNG, JPEG, WebP or BMP picture"),
    ] {
        std::fs::write(&path, bytes).unwrap();
        let problem = halves(&path).unwrap_err();
        assert!(problem.contains(words), "{problem}");
    }
}

/// A PNG of raw pixels with further chunks before its data, each with its sum.
fn png(width: u32, height: u32, colour: u8, pixels: &[u8], chunks: &[(&[u8; 4], Vec<u8>)]) -> Vec<u8> {
    let mut bytes = b"\x89PNG\r\n\x1a\n".to_vec();
    let mut push = |name: &[u8; 4], data: &[u8]| {
        bytes.extend((data.len() as u32).to_be_bytes());
        bytes.extend(name);
        bytes.extend(data);
        bytes.extend(crc(&[name, data].concat()).to_be_bytes());
    };
    let [size, kind] = [[width.to_be_bytes(), height.to_be_bytes()].concat(), vec![8, colour, 0, 0, 0]];
    push(b"IHDR", &[size, kind].concat());
    chunks.iter().filter(|(name, _)| *name != b"eXIf").for_each(|(name, data)| push(name, data));
    let rows = pixels.chunks((pixels.len() / height as usize).max(1));
    let lines: Vec<u8> = rows.flat_map(|row| [&[0], row].concat()).collect();
    push(b"IDAT", &stored(&lines));
    // The standard allows it behind the pixels, where a decoder that stops there does not see it.
    chunks.iter().filter(|(name, _)| *name == b"eXIf").for_each(|(name, data)| push(name, data));
    push(b"IEND", &[]);
    bytes
}

/// zlib without compression.
fn stored(bytes: &[u8]) -> Vec<u8> {
    let length = (bytes.len() as u16).to_le_bytes();
    let (mut a, mut b) = (1u32, 0u32);
    for byte in bytes {
        a = (a + u32::from(*byte)) % 65_521;
        b = (b + a) % 65_521;
    }
    [&[0x78, 1, 1], &length[..], &length.map(|byte| !byte), bytes, &(b << 16 | a).to_be_bytes()].concat()
}

fn crc(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(u32::MAX, |crc, byte| {
        (0..8).fold(
            crc ^ u32::from(*byte),
            |crc, _| if crc & 1 == 1 { crc >> 1 ^ 0xedb8_8320 } else { crc >> 1 },
        )
    })
}

fn exif(orientation: u8, is_big: bool) -> Vec<u8> {
    if is_big {
        [&b"MM\0*\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0"[..], &[orientation, 0, 0, 0, 0, 0, 0]].concat()
    } else {
        [&b"II*\0\x08\0\0\0\x01\0\x12\x01\x03\0\x01\0\0\0"[..], &[orientation, 0, 0, 0, 0, 0, 0, 0]].concat()
    }
}

#[test]
fn all_eight_orientations_are_applied() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("turned.png");
    // Two columns, three rows; what a viewer shows of them, row by row (EXIF 2.3, tag 274).
    let pixels = [10, 20, 30, 40, 50, 60];
    let cases: [(u8, usize, [u8; 6]); 10] = [
        (1, 2, [10, 20, 30, 40, 50, 60]),
        (2, 2, [20, 10, 40, 30, 60, 50]),
        (3, 2, [60, 50, 40, 30, 20, 10]),
        (4, 2, [50, 60, 30, 40, 10, 20]),
        (5, 3, [10, 30, 50, 20, 40, 60]),
        (6, 3, [50, 30, 10, 60, 40, 20]),
        (7, 3, [60, 40, 20, 50, 30, 10]),
        (8, 3, [20, 40, 60, 10, 30, 50]),
        (0, 2, pixels),
        (9, 2, pixels),
    ];
    for (orientation, width, expected) in cases {
        for (is_big, head) in [(false, &b""[..]), (true, b""), (false, b"Exif\0\0")] {
            let chunk = (b"eXIf", [head, &exif(orientation, is_big)].concat());
            std::fs::write(&path, png(2, 3, 0, &pixels, &[chunk])).unwrap();
            let shape = ImageShape { channels: 1, height: 6 / width, width };
            assert_eq!(pictures::load(&path, shape).unwrap(), expected, "orientation {orientation}");
        }
    }
}

#[test]
fn a_photo_that_lies_on_its_side_is_set_up() {
    let folder = tempfile::tempdir().unwrap();
    let whole = std::fs::read(file("baseline.jpg")).unwrap();
    let data = [&b"Exif\0\0"[..], &exif(3, true)].concat();
    let segment = [&[0xff, 0xe1], &(data.len() as u16 + 2).to_be_bytes()[..], &data].concat();
    let path = folder.path().join("photo.jpg");
    std::fs::write(&path, [&whole[..2], &segment, &whole[2..]].concat()).unwrap();
    let seen = halves(&path).unwrap();
    assert!(near(seen, [BLUE, RED]), "{seen:?}");
}

#[test]
fn a_webp_picture_is_turned_too() {
    let folder = tempfile::tempdir().unwrap();
    let whole = std::fs::read(file("still.webp")).unwrap();
    for head in [&b""[..], b"Exif\0\0"] {
        let data = [head, &exif(3, false)].concat();
        let wide = [&b"VP8X\x0a\0\0\0\x08\0\0\0\x0f\0\0\x0f\0\0"[..], &whole[12..]].concat();
        let turned = [&b"EXIF"[..], &(data.len() as u32).to_le_bytes(), &data].concat();
        let body = [&b"WEBP"[..], &wide, &turned].concat();
        let path = folder.path().join("photo.webp");
        std::fs::write(&path, [&b"RIFF"[..], &(body.len() as u32).to_le_bytes(), &body].concat()).unwrap();
        let seen = halves(&path).unwrap();
        assert!(near(seen, [BLUE, RED]), "{seen:?}");
    }
}

#[test]
fn what_chunks_say_of_colours_is_applied_or_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("colours.png");
    let shape = ImageShape { channels: 1, height: 1, width: 2 };
    let read = |chunks: &[(&[u8; 4], Vec<u8>)]| {
        std::fs::write(&path, png(2, 1, 0, &[64, 255], chunks)).unwrap();
        pictures::load(&path, shape).map_err(|error| error.to_string())
    };
    let gamma = |value: u32| (b"gAMA", value.to_be_bytes().to_vec());
    let words =
        |numbers: [u32; 8]| numbers.iter().flat_map(|number| number.to_be_bytes()).collect::<Vec<u8>>();
    let srgb = words([31_270, 32_900, 64_000, 33_000, 30_000, 60_000, 15_000, 6_000]);
    let wide = words([31_270, 32_900, 68_000, 32_000, 26_500, 69_000, 15_000, 6_000]);
    assert_eq!(read(&[gamma(45_455), (b"cHRM", srgb)]).unwrap(), [64, 255]);
    // Linear light: 0.251 to the power of 1/2.2.
    assert_eq!(read(&[gamma(100_000)]).unwrap(), [136, 255]);
    assert_eq!(read(&[gamma(100_000), (b"sRGB", vec![0])]).unwrap(), [64, 255], "sRGB wins");
    assert!(read(&[(b"cHRM", wide)]).unwrap_err().contains("cHRM"));
    assert!(read(&[(b"cICP", vec![9, 16, 0, 1])]).unwrap_err().contains("cICP"));
    assert_eq!(read(&[(b"cICP", vec![1, 13, 0, 1]), gamma(100_000)]).unwrap(), [64, 255]);
    assert!(read(&[(b"acTL", vec![0, 0, 0, 2, 0, 0, 0, 0])]).unwrap_err().contains("animated"));
}

#[test]
fn transparent_pixels_are_refused_and_an_opaque_channel_is_not() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("alpha.png");
    let shape = ImageShape { channels: 3, height: 1, width: 2 };
    let read = |alpha: u8| {
        std::fs::write(&path, png(2, 1, 6, &[9, 8, 7, 255, 9, 8, 7, alpha], &[])).unwrap();
        pictures::load(&path, shape).map_err(|error| error.to_string())
    };
    assert_eq!(read(255).unwrap(), [9, 9, 8, 8, 7, 7]);
    for alpha in [0, 1, 254] {
        assert!(read(alpha).unwrap_err().contains("not opaque"));
    }
    // A colour of grey pixels that stands for nothing.
    std::fs::write(&path, png(2, 1, 0, &[9, 8], &[(b"tRNS", vec![0, 9])])).unwrap();
    assert!(pictures::load(&path, shape).unwrap_err().to_string().contains("not opaque"));
}

#[test]
fn sixteen_bits_keep_their_place() {
    let shape = ImageShape { channels: 1, height: 16, width: 16 };
    let seen = pictures::load(&file("grey16.png"), shape).unwrap();
    assert!(seen.iter().zip(0..=255u8).all(|(seen, expected)| seen.abs_diff(expected) <= 1), "{seen:?}");
}

#[test]
fn a_bomb_is_refused_before_it_is_decoded() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("bomb.png");
    for (width, height) in [(20_000, 1), (16_000, 16_000), (0, 5)] {
        std::fs::write(&path, png(width, height.max(1), 2, &[0; 3], &[])).unwrap();
        let problem = halves(&path).unwrap_err();
        assert!(problem.contains("pixels"), "{problem}");
    }
    let mut whole = std::fs::read(file("baseline.jpg")).unwrap();
    let frame = whole.windows(2).position(|bytes| bytes == [0xff, 0xc0]).unwrap();
    whole[frame + 5..frame + 9].copy_from_slice(&[0x3f, 0xff, 0x3f, 0xff]);
    let path = folder.path().join("bomb.jpg");
    std::fs::write(&path, whole).unwrap();
    assert!(halves(&path).unwrap_err().contains("16383×16383 pixels"));
    let sparse = folder.path().join("sparse.png");
    std::fs::File::create(&sparse).unwrap().set_len(100 << 30).unwrap();
    assert!(halves(&sparse).unwrap_err().contains("at most"));
    for (odd, words) in [(Path::new("/dev/zero"), "not a regular file"), (folder.path(), "is a folder")] {
        assert!(halves(odd).unwrap_err().contains(words));
    }
}

#[test]
fn only_grey_and_colour_are_made() {
    let shape = ImageShape { channels: 4, height: 16, width: 16 };
    assert!(pictures::load(&file("baseline.jpg"), shape).unwrap_err().to_string().contains("4 channels"));
}

#[test]
fn the_middle_is_kept_and_nothing_is_stretched() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("wide.png");
    let shape = ImageShape { channels: 1, height: 2, width: 2 };
    std::fs::write(&path, png(6, 2, 0, &[1, 2, 30, 40, 5, 6, 1, 2, 50, 60, 5, 6], &[])).unwrap();
    assert_eq!(pictures::load(&path, shape).unwrap(), [30, 40, 50, 60]);
    std::fs::write(&path, png(2, 4, 0, &[1, 2, 30, 40, 50, 60, 5, 6], &[])).unwrap();
    assert_eq!(pictures::load(&path, shape).unwrap(), [30, 40, 50, 60]);
}

#[test]
fn a_bomb_of_bmp_or_webp_is_refused_by_its_header() {
    let folder = tempfile::tempdir().unwrap();
    let mut bmp = std::fs::read(file("still.bmp")).unwrap();
    bmp[18..26].copy_from_slice(&[0, 0x7f, 0, 0, 0, 0x7f, 0, 0]);
    let path = folder.path().join("bomb.bmp");
    std::fs::write(&path, bmp).unwrap();
    assert!(halves(&path).unwrap_err().contains("32512×32512 pixels"));
}

#[test]
fn our_own_pictures_are_read_back() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("own.png");
    std::fs::write(&path, pictures::png(2, 1, &[1, 2, 3, 4, 5, 6]).unwrap()).unwrap();
    let shape = ImageShape { channels: 3, height: 1, width: 2 };
    assert_eq!(pictures::load(&path, shape).unwrap(), [1, 4, 2, 5, 3, 6]);
    assert!(pictures::png(2, 2, &[0; 6]).is_err());
}
