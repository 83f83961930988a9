//! A PostgreSQL server on this machine with its own folder, which tests may crash.

use std::fs;
use std::net::TcpListener;
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use tempfile::TempDir;

/// Where Debian and Ubuntu put the programs of each version.
const VERSIONS: &str = "/usr/lib/postgresql";
/// As whom the server runs where the tests run as root, whom it refuses.
const USER: &str = "postgres";
/// The role that owns everything.
pub const OWNER: &str = "mfactor";
/// How long a server may take to come up, on a machine that does other work as well.
const LONGEST_START: Duration = Duration::from_secs(60);

/// A running server. It is stopped when it is dropped.
pub struct Postgres {
    folder: TempDir,
    port: u16,
    settings: Vec<String>,
    server: Option<Child>,
}

impl Postgres {
    /// Makes a server with these settings, as in `max_connections=200`, and starts it. Whoever reaches the loopback may log in
    /// as [`OWNER`] until [`Postgres::allow`] says otherwise.
    ///
    /// # Panics
    /// If PostgreSQL is not installed or does not start.
    pub fn new(settings: &[&str]) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755)).expect("it can be opened");
        let port = TcpListener::bind("127.0.0.1:0").expect("a port").local_addr().expect("a port").port();
        let settings = settings.iter().map(ToString::to_string).collect();
        let mut postgres = Self { folder, port, settings, server: None };
        postgres.give(postgres.folder.path());
        let made = postgres
            .program("initdb")
            .args(["--no-sync", "--auth=trust", "--encoding=UTF8", "--locale=C", "--username", OWNER, "-D"])
            .arg(postgres.path("data"))
            .output()
            .expect("initdb runs");
        assert!(made.status.success(), "initdb: {}", String::from_utf8_lossy(&made.stderr));
        postgres.start();
        postgres
    }

    /// A path in the server's folder.
    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Its port on the loopback.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The URL of a database of it, for its owner.
    pub fn url(&self, database: &str) -> String {
        format!("postgresql://{OWNER}@127.0.0.1:{}/{database}", self.port)
    }

    /// Makes an empty database; its URL.
    ///
    /// # Panics
    /// If the server refuses.
    pub fn database(&self, name: &str) -> String {
        self.sql("postgres", &format!("CREATE DATABASE \"{name}\""));
        self.url(name)
    }

    /// What psql prints of a statement, unaligned.
    ///
    /// # Panics
    /// If it fails.
    pub fn sql(&self, database: &str, statement: &str) -> String {
        let output = self
            .program("psql")
            .args([
                "-X",
                "-q",
                "-A",
                "-t",
                "-v",
                "ON_ERROR_STOP=1",
                "-h",
                "127.0.0.1",
                "-U",
                OWNER,
                "-d",
                database,
            ])
            .args(["-p", &self.port.to_string(), "-c", statement])
            .output()
            .expect("psql runs");
        assert!(output.status.success(), "{statement}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8_lossy(&output.stdout).trim_end().to_owned()
    }

    /// Says who may log in how, in the words of `pg_hba.conf`, from now on.
    ///
    /// # Panics
    /// If it cannot be written.
    pub fn allow(&self, lines: &str) {
        fs::write(self.path("data/pg_hba.conf"), lines).expect("a file of the server");
        self.sql("postgres", "SELECT pg_reload_conf()");
        // The server reads it in its own time.
        sleep(Duration::from_millis(300));
    }

    /// Hands a file to the server's user.
    ///
    /// # Panics
    /// If the system refuses.
    pub fn give(&self, path: &Path) {
        if let Some((user, group)) = other_user() {
            chown(path, Some(user), Some(group)).expect("root can give files away");
        }
    }

    /// Kills it as a power cut would, all that it started with it.
    ///
    /// # Panics
    /// If it does not run.
    pub fn crash(&mut self) {
        let mut server = self.server.take().expect("a server that runs");
        server.kill().expect("it is ours");
        server.wait().expect("it was started here");
    }

    /// Starts it after a crash or a stop.
    ///
    /// # Panics
    /// If it does not come up.
    pub fn start(&mut self) {
        let began = Instant::now();
        // What a crashed one left behind may need a moment to end.
        while !self.try_start() {
            let log = fs::read_to_string(self.path("log")).unwrap_or_default();
            assert!(began.elapsed() < LONGEST_START, "PostgreSQL does not start: {log}");
            sleep(Duration::from_millis(50));
        }
    }

    fn try_start(&mut self) -> bool {
        let log = fs::File::options().create(true).append(true).open(self.path("log")).expect("a log");
        let mut command = self.program("postgres");
        command.arg("-D").arg(self.path("data")).args([
            "-p",
            &self.port.to_string(),
            "-h",
            "127.0.0.1",
            "-k",
        ]);
        command.arg(self.folder.path()).args(["-c", "fsync=off"]);
        for setting in &self.settings {
            command.args(["-c", setting]);
        }
        let mut server =
            command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(log).spawn().expect("it starts");
        let is_up = loop {
            if server.try_wait().expect("it was started here").is_some() {
                break false;
            }
            let port = self.port.to_string();
            let ready = self.program("pg_isready").args(["-q", "-h", "127.0.0.1", "-p", &port]).status();
            if ready.is_ok_and(|status| status.success()) {
                break true;
            }
            sleep(Duration::from_millis(50));
        };
        self.server = is_up.then_some(server);
        is_up
    }

    /// Ends it at once, and whoever is connected with it.
    ///
    /// # Panics
    /// If it does not run.
    pub fn stop(&mut self) {
        let mut server = self.server.take().expect("a server that runs");
        let _ = Command::new("kill").args(["-QUIT", &server.id().to_string()]).status();
        server.wait().expect("it was started here");
    }

    fn program(&self, name: &str) -> Command {
        let path = programs().join(name);
        let mut command = match other_user() {
            None => Command::new(path),
            Some(_) => {
                let mut command = Command::new("setpriv");
                command.args(["--reuid", USER, "--regid", USER, "--clear-groups", "--"]).arg(path);
                command
            }
        };
        // Its own folder: where the tests run it may not be allowed to look.
        command.current_dir("/").env_remove("PGPASSWORD");
        command
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        if self.server.is_some() {
            self.stop();
        }
    }
}

/// User and group of the server, where the tests run as root.
fn other_user() -> Option<(u32, u32)> {
    if fs::metadata("/proc/self").expect("Linux has it").uid() != 0 {
        return None;
    }
    let users = fs::read_to_string("/etc/passwd").expect("a list of users");
    let line = users.lines().find(|line| line.starts_with(&format!("{USER}:")));
    let line = line.expect("the user postgres, whom the package makes: sudo apt-get install postgresql");
    let fields: Vec<&str> = line.split(':').collect();
    Some((fields[2].parse().expect("a number"), fields[3].parse().expect("a number")))
}

/// Folder of the newest version's programs.
fn programs() -> PathBuf {
    let versions = fs::read_dir(VERSIONS).into_iter().flatten().flatten();
    let number = |name: &str| name.parse::<u32>().ok();
    let newest = versions.filter_map(|entry| number(entry.file_name().to_str()?)).max();
    let newest = newest.expect("PostgreSQL is missing; run: sudo apt-get install postgresql");
    Path::new(VERSIONS).join(newest.to_string()).join("bin")
}
