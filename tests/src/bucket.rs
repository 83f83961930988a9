//! An S3 server (SeaweedFS) on this machine with its own folder, which tests may crash.

use std::fs;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use tempfile::TempDir;

/// The bucket that there is.
pub const BUCKET: &str = "mfactor-tests";
/// What logs in.
pub const KEY: &str = "key-of-the-tests";
/// What nobody may ever read in a file, a message or a list of processes.
pub const SECRET: &str = "wJalr-secret-of-the-store";
/// What logs in with the same secret and may only read.
pub const READER: &str = "key-of-a-reader";
/// How long a server may take to come up, on a machine that does other work as well.
const LONGEST_START: Duration = Duration::from_secs(90);
/// Parts of the server, each with a port for HTTP and one for gRPC.
const PARTS: [&str; 4] = ["master", "volume", "filer", "s3"];

/// A running server. It is stopped when it is dropped.
pub struct BucketServer {
    folder: TempDir,
    ports: Vec<u16>,
    server: Option<Child>,
}

impl BucketServer {
    /// Starts a server with one empty bucket.
    ///
    /// # Panics
    /// If SeaweedFS is not installed or does not start.
    #[expect(clippy::new_without_default, reason = "starting a server is no default")]
    pub fn new() -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        // Not Admin, whose files make buckets that are not there.
        let identity = serde_json::json!({ "identities": [
            { "name": "tests", "credentials": [{ "accessKey": KEY, "secretKey": SECRET }],
              "actions": ["Read", "Write", "List"] },
            { "name": "reader", "credentials": [{ "accessKey": READER, "secretKey": SECRET }], "actions": ["Read", "List"] },
        ] });
        fs::write(folder.path().join("identities.json"), identity.to_string()).expect("a file");
        let held: Vec<_> =
            (0..2 * PARTS.len()).map(|_| TcpListener::bind("127.0.0.1:0").expect("a port")).collect();
        let ports = held.iter().map(|port| port.local_addr().expect("an address").port()).collect();
        drop(held);
        let mut server = Self { folder, ports, server: None };
        server.start();
        let made = server.ask_filer(&format!("POST /buckets/{BUCKET}/"));
        assert!(made.contains(" 201 ") || made.contains(" 200 "), "the bucket cannot be made: {made}");
        server
    }

    /// The store in a part of the bucket.
    pub fn url(&self, prefix: &str) -> String {
        format!("s3://{BUCKET}/{prefix}")
    }

    /// Port of S3 on the loopback.
    pub fn port(&self) -> u16 {
        self.ports[PARTS.len() - 1]
    }

    /// What the environment of a command has to say, for the server at this port: itself, or whoever passes on to it.
    pub fn environment(&self, port: u16) -> [(&'static str, String); 4] {
        [
            ("AWS_ACCESS_KEY_ID", KEY.to_owned()),
            ("AWS_SECRET_ACCESS_KEY", SECRET.to_owned()),
            ("AWS_ENDPOINT_URL", format!("http://127.0.0.1:{port}")),
            ("AWS_REGION", "us-east-1".to_owned()),
        ]
    }

    /// Kills it as a power cut would.
    ///
    /// # Panics
    /// If it does not run.
    pub fn crash(&mut self) {
        let mut server = self.server.take().expect("a server that runs");
        server.kill().expect("it is ours");
        server.wait().expect("it was started here");
    }

    /// Its process, for who kills it in the middle of something.
    ///
    /// # Panics
    /// If it does not run.
    pub fn id(&self) -> u32 {
        self.server.as_ref().expect("a server that runs").id()
    }

    /// Starts it, after a crash too.
    ///
    /// # Panics
    /// If it does not come up.
    pub fn start(&mut self) {
        let log = || fs::read_to_string(self.folder.path().join("log")).unwrap_or_default();
        let mut server = self.command().spawn().expect("weed starts; to install it, run: scripts/venv");
        let began = Instant::now();
        while !self.is_up() {
            let ended = server.try_wait().expect("it was started here");
            assert!(
                ended.is_none() && began.elapsed() < LONGEST_START,
                "SeaweedFS does not start: {}",
                log()
            );
            sleep(Duration::from_millis(100));
        }
        self.server = Some(server);
    }

    fn command(&self) -> Command {
        let path = |name: &str| -> PathBuf { self.folder.path().join(name) };
        let log = fs::File::options().create(true).append(true).open(path("log")).expect("a log");
        let mut command = Command::new("weed");
        command.args(["server", "-s3", "-ip=127.0.0.1", "-ip.bind=127.0.0.1", "-master.telemetry=false"]);
        command.args([
            "-volume.max=8",
            "-master.volumeSizeLimitMB=64",
            "-s3.port.iceberg=0",
            "-s3.port.lance=0",
        ]);
        for (part, port) in PARTS.iter().zip(&self.ports) {
            command.arg(format!("-{part}.port={port}"));
        }
        for (part, port) in PARTS.iter().zip(&self.ports[PARTS.len()..]) {
            command.arg(format!("-{part}.port.grpc={port}"));
        }
        command.arg(format!("-dir={}", self.folder.path().display()));
        command.arg(format!("-s3.config={}", path("identities.json").display()));
        let other = log.try_clone().expect("a log");
        command.current_dir(self.folder.path()).stdin(Stdio::null()).stdout(log).stderr(other);
        command
    }

    /// Whether S3 answers, and there is somebody to whom files can be written.
    fn is_up(&self) -> bool {
        ask(self.port(), "GET /").is_some()
            && ask(self.ports[0], "GET /dir/assign").is_some_and(|text| text.contains("fid"))
    }

    fn ask_filer(&self, request: &str) -> String {
        ask(self.ports[2], request).expect("the server answers")
    }
}

impl Drop for BucketServer {
    fn drop(&mut self) {
        if self.server.is_some() {
            self.crash();
        }
    }
}

/// The answer to a request without a body; `None` if there is none.
fn ask(port: u16, request: &str) -> Option<String> {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).ok()?;
    let text = format!(
        "{request} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
    );
    stream.write_all(text.as_bytes()).ok()?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).ok()?;
    (!answer.is_empty()).then_some(answer)
}
