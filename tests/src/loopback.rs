//! A board on this machine: a real OpenSSH server on the loopback with its own keys and its own home, and faults
//! that strike where a test wants them.

use std::fs;
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use release::{CURRENT, MANIFEST, Manifest, SIGNATURE, id};
use tempfile::TempDir;

/// The name under which ssh knows the board.
pub const HOST: &str = "loopback";
/// Where Debian puts the server; it has to be started by its whole path.
const SSHD: &str = "/usr/sbin/sshd";

/// What every session on the board runs in place of the user's shell: the command itself in the board's home, or
/// the fault that a test put into `hook`.
const SHELL: &str = r#"#!/bin/sh
cd "@/home" && HOME=$PWD PATH="@/bin:$PATH" && export HOME PATH
if [ -x "@/hook" ]; then exec "@/hook" "$SSH_ORIGINAL_COMMAND"; fi
exec sh -c "$SSH_ORIGINAL_COMMAND"
"#;

/// A running board. Its server is stopped when it is dropped.
pub struct LoopbackBoard {
    folder: TempDir,
    server: Child,
}

impl LoopbackBoard {
    /// Starts a server.
    ///
    /// # Panics
    /// If OpenSSH's server is not installed or does not start.
    #[expect(clippy::new_without_default, reason = "starting a server is no default")]
    pub fn new() -> Self {
        assert!(Path::new(SSHD).is_file(), "{SSHD} is missing; run: sudo apt-get install openssh-server");
        let folder = tempfile::tempdir().expect("a temporary folder");
        let path = folder.path();
        for name in ["home", "bin"] {
            fs::create_dir(path.join(name)).expect("a folder");
        }
        for name in ["host_key", "id"] {
            let mut keygen = Command::new("ssh-keygen");
            keygen.args(["-q", "-t", "ed25519", "-N", "", "-f"]).arg(path.join(name));
            assert!(keygen.status().expect("ssh-keygen runs").success());
        }
        program(&path.join("shell"), &SHELL.replace('@', &path.display().to_string()));
        let port = TcpListener::bind("127.0.0.1:0").expect("a port").local_addr().expect("a port").port();
        write_configurations(path, port);
        // As root the server wants this folder to exist; elsewhere it does without.
        let _ = fs::create_dir_all("/run/sshd");
        let log = fs::File::create(path.join("sshd.log")).expect("a log");
        let mut server = Command::new(SSHD);
        server.args(["-D", "-e", "-f"]).arg(path.join("sshd_config")).stdin(Stdio::null()).stderr(log);
        let server = server.spawn().expect("sshd starts");
        let board = Self { folder, server };
        let start = Instant::now();
        while TcpStream::connect(("127.0.0.1", port)).is_err() {
            let log = || fs::read_to_string(board.path("sshd.log")).unwrap_or_default();
            assert!(start.elapsed() < Duration::from_secs(30), "sshd does not listen: {}", log());
            sleep(Duration::from_millis(50));
        }
        board
    }

    /// A path in the board's folder.
    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// A path in our folder on the board.
    pub fn held(&self, name: &str) -> PathBuf {
        self.path("home/mfactor").join(name)
    }

    /// The client's configuration.
    pub fn ssh_config(&self) -> String {
        self.path("ssh_config").display().to_string()
    }

    /// Puts a program into the board's PATH, before all others.
    pub fn tool(&self, name: &str, script: &str) {
        program(&self.path("bin").join(name), &format!("#!/bin/sh\n{script}\n"));
    }

    /// Every session from now on runs this script instead; `$1` is the command, `$board` the board's folder.
    pub fn strike(&self, script: &str) {
        let text = format!("#!/bin/bash\nboard={}\n{script}\n", self.folder.path().display());
        program(&self.path("hook.new"), &text);
        fs::rename(self.path("hook.new"), self.path("hook")).expect("a hook");
    }

    /// Sessions are undisturbed again.
    pub fn calm(&self) {
        let _ = fs::remove_file(self.path("hook"));
    }

    /// Keeps what the board holds, to go back to it with [`LoopbackBoard::restore`].
    pub fn keep(&self) {
        copy(&self.path("home"), &self.path("kept"));
    }

    /// Makes the board hold again what it held.
    pub fn restore(&self) {
        // What a struck session left running may still write for a moment.
        let start = Instant::now();
        while fs::remove_dir_all(self.path("home")).is_err() && start.elapsed() < Duration::from_secs(10) {
            sleep(Duration::from_millis(50));
        }
        copy(&self.path("kept"), &self.path("home"));
    }

    /// The id of the active release, after looking at everything with our own eyes: `current` leads to a release whose
    /// manifest has its name's hash, whose files are those of the manifest, and whose runner finds every model's answers
    /// right.
    ///
    /// # Panics
    /// If it is not so.
    pub fn whole(&self) -> String {
        let link = fs::read_link(self.held(CURRENT)).expect("current is a link");
        let name = link.file_name().expect("a release").to_string_lossy().into_owned();
        let release = self.held("releases").join(&name);
        let text = fs::read(release.join(MANIFEST)).expect("a manifest");
        assert_eq!(id(&text), name, "the manifest is the one that the release is named after");
        assert!(release.join(SIGNATURE).is_file());
        let manifest = Manifest::parse(&text, "the manifest").expect("a manifest");
        for file in &manifest.files {
            let bytes = fs::read(release.join(&file.name)).expect("every file is there");
            assert_eq!(mfactor::files::sha256(&bytes), file.sha256, "{}", file.name);
            let mode = fs::metadata(release.join(&file.name)).expect("facts").permissions().mode();
            assert_eq!(mode & 0o777, file.mode, "{}", file.name);
        }
        let mut check = self.shell();
        let models = manifest.models.iter().map(|model| format!("'{}'", release.join(&model.file).display()));
        let models: Vec<String> = models.collect();
        check.env(
            "SSH_ORIGINAL_COMMAND",
            format!("'{}' check {}", release.join("edge-runner").display(), models.join(" ")),
        );
        let output = check.output().expect("the board's shell runs");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        name
    }

    /// The board's shell without ssh.
    fn shell(&self) -> Command {
        Command::new(self.path("shell"))
    }
}

impl Drop for LoopbackBoard {
    fn drop(&mut self) {
        let _ = self.server.kill();
        let _ = self.server.wait();
    }
}

fn write_configurations(folder: &Path, port: u16) {
    let at = folder.display();
    // HOME, because the login shell reads its start-up file before it runs anything, and that of whoever runs the tests
    // is none of the board's.
    let server = format!(
        "Port {port}\nListenAddress 127.0.0.1\nHostKey {at}/host_key\nAuthorizedKeysFile {at}/id.pub\nPidFile none\n\
         StrictModes no\nUsePAM no\nPasswordAuthentication no\nKbdInteractiveAuthentication no\n\
         PermitRootLogin prohibit-password\nForceCommand {at}/shell\nSetEnv HOME={at}/home\nMaxStartups 100\n\
         LogLevel ERROR\n"
    );
    let client = format!(
        "Host {HOST} {HOST}-*\nHostName 127.0.0.1\nPort {port}\nUser {}\nIdentityFile {at}/id\nIdentitiesOnly yes\n\
         UserKnownHostsFile {at}/known_hosts\nGlobalKnownHostsFile /dev/null\nStrictHostKeyChecking yes\n",
        user()
    );
    let key = fs::read_to_string(folder.join("host_key.pub")).expect("a host key");
    for (name, text) in [
        ("sshd_config", server),
        ("ssh_config", client),
        ("known_hosts", format!("[127.0.0.1]:{port} {key}")),
    ] {
        fs::write(folder.join(name), text).expect("a configuration");
    }
}

fn user() -> String {
    let output = Command::new("id").arg("-un").output().expect("id runs");
    String::from_utf8_lossy(&output.stdout).trim().to_owned()
}

fn program(path: &Path, text: &str) {
    fs::write(path, text).expect("a script");
    fs::set_permissions(path, fs::Permissions::from_mode(0o755)).expect("a script");
}

/// Copies a folder with links and modes.
fn copy(from: &Path, to: &Path) {
    let mut copy = Command::new("cp");
    assert!(copy.arg("-a").arg(from).arg(to).status().expect("cp runs").success());
}
