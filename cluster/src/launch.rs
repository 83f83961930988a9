//! Scripts and manifests with which the scheduler that is there starts workers: Slurm, Kubernetes, HyperQueue, ssh. None of
//! them holds a secret, and each can be read before it is handed over.

mod kubernetes;
mod slurm;

use std::path::PathBuf;

pub use kubernetes::Kubernetes;
pub use slurm::Slurm;

/// What every worker is told.
#[derive(Debug, Clone, PartialEq)]
pub struct Plan {
    /// The study, a [`mfactor::name`].
    pub study: String,
    /// URL of the database, which has no password in it.
    pub database: String,
    /// URL of the store.
    pub artifacts: Option<String>,
    /// The program, as the machines find it.
    pub program: PathBuf,
    /// Further arguments of `mfactor worker`.
    pub arguments: Vec<String>,
    /// Further variables that the worker reads, none of them a secret.
    pub variables: Vec<(String, String)>,
}

/// Variables that say where a bucket is and are no secret.
pub const STORE_VARIABLES: [&str; 5] =
    ["AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL", "AWS_REGION", "AWS_DEFAULT_REGION", "AWS_ALLOW_HTTP"];

/// A command and what goes to its standard input.
#[derive(Debug, Clone, PartialEq)]
pub struct Submission {
    /// Program and arguments.
    pub command: Vec<String>,
    /// Empty where it reads nothing.
    pub input: String,
}

impl Plan {
    /// Variables that the worker reads.
    fn environment(&self) -> Vec<(&str, &str)> {
        let artifacts = self.artifacts.as_deref().map(|url| ("MFACTOR_ARTIFACTS", url));
        let variables = self.variables.iter().map(|(name, value)| (&**name, &**value));
        [("MFACTOR_DATABASE", &*self.database)].into_iter().chain(artifacts).chain(variables).collect()
    }

    /// `PROGRAM worker STUDY …`.
    fn command(&self) -> Vec<String> {
        let head = [self.program.display().to_string(), "worker".to_owned(), self.study.clone()];
        head.into_iter().chain(self.arguments.iter().cloned()).collect()
    }

    /// So many workers of HyperQueue, each with so many cores and GPUs.
    pub fn hyperqueue(&self, tasks: u32, cpus: u32, gpus: u32) -> Submission {
        let array = format!("1-{tasks}");
        let mut command: Vec<String> =
            ["hq", "submit", "--array", &array, "--crash-limit", "unlimited", "--cpus"]
                .map(str::to_owned)
                .to_vec();
        command.push(cpus.to_string());
        if gpus > 0 {
            command.extend(["--resource".to_owned(), format!("gpus/nvidia={gpus}")]);
        }
        for (name, value) in self.environment() {
            command.extend(["--env".to_owned(), format!("{name}={value}")]);
        }
        command.extend(["--name".to_owned(), format!("mfactor-{}", self.study), "--".to_owned()]);
        command.extend(self.command());
        Submission { command, input: String::new() }
    }

    /// A worker on another machine that outlives the login, as a unit of the user's systemd.
    pub fn ssh(&self, host: &str) -> Submission {
        let mut words: Vec<String> =
            ["systemd-run", "--user", "--collect", "--unit"].map(str::to_owned).to_vec();
        words.push(format!("mfactor-{}", self.study));
        for (name, value) in self.environment() {
            words.push(format!("--setenv={name}={value}"));
        }
        words.push("--".to_owned());
        words.extend(self.command());
        let remote: Vec<String> = words.iter().map(|word| quoted(word)).collect();
        let command = ["ssh", "-o", "BatchMode=yes", "--", host].map(str::to_owned);
        Submission { command: command.into_iter().chain([remote.join(" ")]).collect(), input: String::new() }
    }
}

impl Submission {
    /// What would be done, as a person would type it.
    pub fn text(&self) -> String {
        if self.input.is_empty() {
            let words: Vec<String> = self.command.iter().map(|word| quoted(word)).collect();
            return words.join(" ") + "\n";
        }
        self.input.clone()
    }
}

/// A word that a shell takes as it is.
fn quoted(word: &str) -> String {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_./:=,@%+".contains(&byte);
    if !word.is_empty() && word.bytes().all(is_plain) {
        return word.to_owned();
    }
    format!("'{}'", word.replace('\'', "'\\''"))
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    pub fn plan() -> Plan {
        Plan {
            study: "cifar10".to_owned(),
            database: "postgresql://mfactor@db/optuna?sslmode=verify-full&sslrootcert=/etc/it's.pem"
                .to_owned(),
            artifacts: Some("file:///shared/mfactor".to_owned()),
            program: PathBuf::from("/opt/mfactor/bin/mfactor"),
            arguments: ["--trainers", "auto"].map(str::to_owned).to_vec(),
            variables: vec![],
        }
    }

    #[test]
    fn words_go_through_a_shell_unchanged() {
        let words = ["plain", "", "a b", "it's", "$HOME", "a;b", "\"x\"", "back\\slash", "new\nline"];
        let script = format!("printf '%s\\0' {}", words.map(quoted).join(" "));
        let output = std::process::Command::new("sh").args(["-c", &script]).output().unwrap();
        let expected: String = words.iter().map(|word| format!("{word}\0")).collect();
        assert_eq!(String::from_utf8_lossy(&output.stdout), expected);
    }

    #[test]
    fn hyperqueue_and_ssh() {
        let text = plan().hyperqueue(16, 4, 1).text();
        let expected = "hq submit --array 1-16 --crash-limit unlimited --cpus 4 --resource gpus/nvidia=1 --env \
                        'MFACTOR_DATABASE=postgresql://mfactor@db/optuna?sslmode=verify-full&sslrootcert=/etc/it'\\''s.pem' --env \
                        MFACTOR_ARTIFACTS=file:///shared/mfactor --name mfactor-cifar10 -- /opt/mfactor/bin/mfactor worker cifar10 \
                        --trainers auto\n";
        assert_eq!(text, expected);
        let ssh = plan().ssh("ws1");
        assert_eq!(ssh.command[..5], ["ssh", "-o", "BatchMode=yes", "--", "ws1"]);
        // The far shell takes the words apart again.
        let remote = ssh.command[5].replacen("systemd-run", "printf '%s\\n'", 1);
        let output = std::process::Command::new("sh").args(["-c", &remote]).output().unwrap();
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(said.contains(&format!("--setenv=MFACTOR_DATABASE={}\n", plan().database)), "{said}");
        assert!(
            said.ends_with("--\n/opt/mfactor/bin/mfactor\nworker\ncifar10\n--trainers\nauto\n"),
            "{said}"
        );
    }
}
