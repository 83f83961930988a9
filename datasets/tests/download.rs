//! Fetches CIFAR-10 from a server on this machine: good, wrong and broken archives.

#![expect(clippy::unwrap_used, reason = "what a test cannot unwrap, it fails by")]

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpListener;
use std::path::Path;
use std::thread::JoinHandle;

use datasets::{FetchOptions, Progress, fetch};
use flate2::Compression;
use flate2::write::GzEncoder;
use md5::{Digest, Md5};
use mfactor::{Error, exit};

const FILE_BYTES: usize = 10_000 * 3_073;

/// Serves one request with `body`, of which the header promises `promised` bytes.
fn serve(body: Vec<u8>, promised: usize) -> (String, JoinHandle<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/cifar-10-binary.tar.gz", listener.local_addr().unwrap());
    let server = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let mut lines = BufReader::new(stream.try_clone().unwrap()).lines();
        while !lines.next().unwrap().unwrap().is_empty() {}
        write!(stream, "HTTP/1.1 200 OK\r\nContent-Length: {promised}\r\n\r\n").unwrap();
        // The client may hang up early.
        let _ = stream.write_all(&body);
    });
    (url, server)
}

/// A gzipped tar with files of these paths and sizes, filled with zeros.
fn archive(files: &[(&str, usize)]) -> Vec<u8> {
    let mut tar = tar::Builder::new(GzEncoder::new(vec![], Compression::fast()));
    for (path, size) in files {
        let mut header = tar::Header::new_gnu();
        // Written by hand: the builder itself refuses paths that lead outside.
        header.as_old_mut().name[..path.len()].copy_from_slice(path.as_bytes());
        header.set_size(*size as u64);
        header.set_mode(0o644);
        header.set_cksum();
        tar.append(&header, std::io::repeat(0).take(*size as u64)).unwrap();
    }
    tar.into_inner().unwrap().finish().unwrap()
}

fn md5(bytes: &[u8]) -> String {
    mfactor::files::hex(&Md5::digest(bytes))
}

/// Fetches `body` into a folder below `place` and returns what came of it, and what was reported.
fn fetch_body(
    place: &Path,
    body: Vec<u8>,
    promised: usize,
    md5: Option<String>,
) -> (Result<usize, Error>, Vec<Progress>) {
    let (url, server) = serve(body, promised);
    let options = FetchOptions { url: Some(url), md5 };
    let mut reports = vec![];
    let fetched = fetch("cifar10", &place.join("cifar10"), &options, &mut |report| reports.push(report));
    server.join().unwrap();
    (fetched.map(|set| set.test().unwrap().len()), reports)
}

fn names(folder: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(folder).unwrap();
    entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
}

fn six_files() -> Vec<(String, usize)> {
    let train = (1..=5).map(|number| format!("cifar-10-batches-bin/data_batch_{number}.bin"));
    train.chain(["cifar-10-batches-bin/test_batch.bin".to_owned()]).map(|path| (path, FILE_BYTES)).collect()
}

#[test]
fn a_good_archive_is_unpacked_and_nothing_else_in_it() {
    let place = tempfile::tempdir().unwrap();
    let six = six_files();
    let mut files: Vec<(&str, usize)> = six.iter().map(|(path, size)| (path.as_str(), *size)).collect();
    files.insert(0, ("../outside.bin", 10));
    files.insert(1, ("cifar-10-batches-bin/../../data_batch_1.bin", 10));
    files.insert(2, ("/tmp/mfactor-outside.bin", 10));
    files.push(("cifar-10-batches-bin/readme.html", 10));
    let body = archive(&files);
    let (length, sum) = (body.len(), md5(&body));
    let (fetched, reports) = fetch_body(place.path(), body, length, Some(sum.to_uppercase()));
    assert_eq!(fetched.unwrap(), 10_000);
    assert_eq!(names(place.path()), ["cifar10"]);
    assert_eq!(names(&place.path().join("cifar10")), ["cifar-10-batches-bin"]);
    assert_eq!(names(&place.path().join("cifar10/cifar-10-batches-bin")).len(), 6);
    assert!(!Path::new("/tmp/mfactor-outside.bin").exists());
    let all = Progress::Downloading { bytes: length as u64, total: Some(length as u64) };
    assert!(reports.contains(&all), "{reports:?}");
    assert!(reports.contains(&Progress::Unpacking { file: "test_batch.bin".to_owned() }));
    let nobody = FetchOptions { url: Some("http://127.0.0.1:9/".to_owned()), md5: None };
    fetch("cifar10", &place.path().join("cifar10"), &nobody, &mut |_| panic!("it is there already")).unwrap();
}

#[test]
fn a_wrong_archive_is_refused_by_its_sum() {
    let place = tempfile::tempdir().unwrap();
    let body = b"not the archive".to_vec();
    let error = fetch_body(place.path(), body.clone(), 15, None).0.unwrap_err();
    assert_eq!(error.exit_code(), exit::INPUT);
    let text = error.to_string();
    let published = "c32a1d4ab5d03f1284b67883e8d87530";
    assert!(text.contains("cifar-10-binary.tar.gz") && text.contains(published), "{text}");
    assert!(text.contains(&md5(&body)), "{text}");
    assert!(names(place.path()).is_empty(), "nothing is left behind");
}

#[test]
fn a_wrong_table_is_refused_by_its_sum_and_leaves_nothing() {
    let place = tempfile::tempdir().unwrap();
    let (url, server) = serve(b"{}".to_vec(), 2);
    let options = FetchOptions { url: Some(url), md5: None };
    let folder = place.path().join("tables/nas-bench-macro");
    let error = datasets::fetch_table("nas-bench-macro", Some(&folder), &options, &mut |_| ()).unwrap_err();
    server.join().unwrap();
    assert_eq!(error.exit_code(), exit::INPUT);
    assert!(
        error.to_string().contains("686dee8363cc21cca8c1f321ad5749454f2d9b9ca5972682e137e539bc522297"),
        "{error}"
    );
    assert!(names(place.path()).is_empty(), "nothing is left behind");
}

#[test]
fn a_download_that_breaks_off_is_refused() {
    let place = tempfile::tempdir().unwrap();
    let error = fetch_body(place.path(), vec![1; 1_000], 5_000, None).0.unwrap_err();
    assert_eq!(error.exit_code(), exit::BOARD);
    assert!(error.to_string().contains("1000 of 5000 bytes"), "{error}");
    assert!(names(place.path()).is_empty(), "nothing is left behind");
}

#[test]
fn a_folder_with_other_files_keeps_them() {
    let place = tempfile::tempdir().unwrap();
    std::fs::create_dir(place.path().join("cifar10")).unwrap();
    std::fs::write(place.path().join("cifar10/mine.txt"), "mine").unwrap();
    fetch_body(place.path(), vec![0; 10], 10, None).0.unwrap_err();
    assert_eq!(names(&place.path().join("cifar10")), ["mine.txt"]);
}

#[test]
fn an_archive_that_lacks_or_shortens_a_file_is_refused_by_its_name() {
    let six = six_files();
    let whole: Vec<(&str, usize)> = six.iter().map(|(path, _)| (path.as_str(), FILE_BYTES)).collect();
    let mut lacking = whole.clone();
    lacking.remove(2);
    let mut short = whole;
    short[0].1 = 100;
    for (files, expected) in
        [(lacking, "lacks cifar-10-batches-bin/data_batch_3.bin"), (short, "data_batch_1.bin")]
    {
        let place = tempfile::tempdir().unwrap();
        let body = archive(&files);
        let (length, sum) = (body.len(), md5(&body));
        let error = fetch_body(place.path(), body, length, Some(sum)).0.unwrap_err();
        assert_eq!(error.exit_code(), exit::INPUT);
        assert!(error.to_string().contains(expected), "{error}");
        assert!(names(place.path()).is_empty(), "nothing is left behind");
    }
}

#[test]
fn a_server_that_is_not_there_is_the_networks_fault() {
    let place = tempfile::tempdir().unwrap();
    let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let options = FetchOptions { url: Some(format!("http://{free}/x")), md5: None };
    let error = fetch("cifar10", &place.path().join("cifar10"), &options, &mut |_| ()).unwrap_err();
    assert_eq!(error.exit_code(), exit::BOARD);
}
