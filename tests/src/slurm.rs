//! Slurm on this machine: a controller and four nodes on the loopback, in a folder of their own, which tests may kill.

use std::fs;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use tempfile::TempDir;

/// Names of the nodes.
pub const NODES: [&str; 4] = ["n1", "n2", "n3", "n4"];
/// Where Debian puts daemons.
const DAEMONS: &str = "/usr/sbin";
/// How long the nodes may take to come up, on a machine that does other work as well.
const LONGEST_START: Duration = Duration::from_secs(60);

/// No accounting, no cgroups, and nobody listens but on the loopback. A node that is dead is noticed after seconds.
const CONFIGURATION: &str = "\
ClusterName=mfactor
CommunicationParameters=NoCtldInAddrAny,NoInAddrAny
SlurmctldHost=@host(127.0.0.1)
SlurmctldPort=@port
AuthType=auth/munge
AuthInfo=socket=@folder/munge.socket
CredType=cred/munge
SlurmUser=@user
SlurmdUser=@user
StateSaveLocation=@folder/state
SlurmdSpoolDir=@folder/spool-%n
SlurmctldPidFile=@folder/slurmctld.pid
SlurmdPidFile=@folder/slurmd-%n.pid
SlurmctldLogFile=@folder/slurmctld.log
SlurmdLogFile=@folder/slurmd-%n.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
JobCompType=jobcomp/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
MpiDefault=none
SwitchType=switch/none
ReturnToService=2
SlurmdTimeout=15
KillWait=5
PartitionName=p Nodes=n[1-4] Default=YES MaxTime=1:00:00 State=UP
";

/// A running cluster. All of it is ended when it is dropped.
pub struct Slurm {
    folder: TempDir,
    daemons: Vec<(String, Child)>,
}

impl Slurm {
    /// Starts munge, the controller and the nodes.
    ///
    /// # Panics
    /// If Slurm is not installed or does not start.
    #[expect(clippy::new_without_default, reason = "starting a cluster is no default")]
    pub fn new() -> Self {
        let mut slurm = Self { folder: tempfile::tempdir().expect("a temporary folder"), daemons: vec![] };
        slurm.configure();
        let folder = slurm.folder.path().display().to_string();
        let munge = ["--foreground", "--force", "--num-threads=2"].map(str::to_owned).into_iter();
        let files = [
            ("key-file", "munge.key"),
            ("socket", "munge.socket"),
            ("pid-file", "munge.pid"),
            ("log-file", "munge.log"),
            ("seed-file", "munge.seed"),
        ];
        let files = files.map(|(option, name)| format!("--{option}={folder}/{name}"));
        slurm.daemon("munged", "munged", munge.chain(files));
        slurm.wait("munge", |slurm| slurm.path("munge.socket").exists());
        slurm.daemon("slurmctld", "slurmctld", ["-D".to_owned()]);
        for node in NODES {
            slurm.daemon(node, "slurmd", ["-D", "-N", node].map(str::to_owned));
        }
        let is_idle = |slurm: &Self| {
            let nodes = slurm.command("sinfo").args(["-h", "-N", "-o", "%T"]).output().expect("sinfo runs");
            String::from_utf8_lossy(&nodes.stdout).lines().filter(|state| *state == "idle").count()
                == NODES.len()
        };
        slurm.wait("Slurm", is_idle);
        slurm
    }

    fn configure(&self) {
        let held: Vec<_> =
            (0..=NODES.len()).map(|_| TcpListener::bind("127.0.0.1:0").expect("a port")).collect();
        let ports: Vec<u16> = held.iter().map(|port| port.local_addr().expect("an address").port()).collect();
        let said = |program: &str, option: &str| {
            let output = Command::new(program).arg(option).output().expect("it runs");
            String::from_utf8_lossy(&output.stdout).trim().to_owned()
        };
        let (host, user) = (said("hostname", "-s"), said("id", "-un"));
        let folder = self.folder.path().display().to_string();
        let mut text =
            CONFIGURATION.replace("@folder", &folder).replace("@host", &host).replace("@user", &user);
        text = text.replace("@port", &ports[0].to_string());
        for (node, port) in NODES.iter().zip(&ports[1..]) {
            let line = format!(
                "NodeName={node} NodeHostname={host} NodeAddr=127.0.0.1 Port={port} CPUs=2 CoresPerSocket=2 RealMemory=500 State=UNKNOWN\n"
            );
            text.insert_str(0, &line);
        }
        fs::create_dir(self.path("state")).expect("a folder");
        fs::write(self.path("slurm.conf"), text).expect("a file");
        let key = self.path("munge.key");
        fs::write(&key, "a key of the tests that nobody else trusts, and long enough").expect("a file");
        fs::set_permissions(&key, std::os::unix::fs::PermissionsExt::from_mode(0o600)).expect("it is ours");
    }

    fn daemon(&mut self, name: &str, program: &str, arguments: impl IntoIterator<Item = String>) {
        let path = Path::new(DAEMONS).join(program);
        assert!(
            path.is_file(),
            "{} is missing; run: sudo apt-get install slurmctld slurmd slurm-client munge",
            path.display()
        );
        let log = fs::File::create(self.path(&format!("{name}.out"))).expect("a log");
        let mut command = Command::new(path);
        command.args(arguments).env("SLURM_CONF", self.path("slurm.conf"));
        let child = command.stdin(Stdio::null()).stdout(log.try_clone().expect("a log")).stderr(log).spawn();
        self.daemons.push((name.to_owned(), child.expect("a daemon starts")));
    }

    fn wait(&self, what: &str, is_up: impl Fn(&Self) -> bool) {
        let began = Instant::now();
        while !is_up(self) {
            let log = || fs::read_to_string(self.path("slurmctld.log")).unwrap_or_default();
            assert!(began.elapsed() < LONGEST_START, "{what} does not start: {}", log());
            sleep(Duration::from_millis(100));
        }
    }

    /// A path in the cluster's folder.
    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// What the environment of a command has to say.
    pub fn environment(&self) -> (&'static str, String) {
        ("SLURM_CONF", self.path("slurm.conf").display().to_string())
    }

    /// A program of Slurm.
    pub fn command(&self, program: &str) -> Command {
        let mut command = Command::new(program);
        command.envs([self.environment()]);
        command
    }

    /// What a program of Slurm came to, arguments separated by blanks.
    ///
    /// # Panics
    /// If it cannot be run.
    pub fn run(&self, program: &str, arguments: &str) -> Output {
        self.command(program).args(arguments.split_whitespace()).output().expect("a program of Slurm runs")
    }

    /// Kills a node as a power cut would: its daemon, and all that runs on it.
    ///
    /// # Panics
    /// If there is no such node.
    pub fn kill_node(&mut self, node: &str) {
        let (_, daemon) = self.daemons.iter_mut().find(|(name, _)| name == node).expect("a node");
        daemon.kill().expect("it is ours");
        daemon.wait().expect("it was started here");
        let place = format!("SLURMD_NODENAME={node}");
        for (id, variables) in self.processes() {
            if variables.contains(&place) {
                // First who looks after it, and would tell the controller.
                parent(id).filter(|parent| is_step(*parent)).into_iter().for_each(kill);
                kill(id);
            }
        }
    }

    /// The processes of this cluster, and the variables with which each began.
    fn processes(&self) -> Vec<(u32, Vec<String>)> {
        let own = format!("SLURM_CONF={}", self.path("slurm.conf").display());
        let entries = fs::read_dir("/proc").expect("Linux has it").flatten();
        let process = |entry: fs::DirEntry| {
            let id = entry.file_name().to_str()?.parse().ok()?;
            let bytes = fs::read(entry.path().join("environ")).ok()?;
            let text = String::from_utf8_lossy(&bytes);
            let variables: Vec<String> = text.split('\0').map(str::to_owned).collect();
            variables.contains(&own).then_some((id, variables))
        };
        entries.filter_map(process).collect()
    }
}

impl Drop for Slurm {
    fn drop(&mut self) {
        self.processes().into_iter().for_each(|(id, _)| kill(id));
        for (_, daemon) in &mut self.daemons {
            let _ = daemon.kill();
            let _ = daemon.wait();
        }
    }
}

fn kill(id: u32) {
    let _ = Command::new("kill").args(["-KILL", &id.to_string()]).stderr(Stdio::null()).status();
}

fn parent(id: u32) -> Option<u32> {
    let status = fs::read_to_string(format!("/proc/{id}/status")).ok()?;
    status.lines().find_map(|line| line.strip_prefix("PPid:"))?.trim().parse().ok()
}

fn is_step(id: u32) -> bool {
    fs::read_to_string(format!("/proc/{id}/cmdline")).is_ok_and(|command| command.starts_with("slurmstepd"))
}
