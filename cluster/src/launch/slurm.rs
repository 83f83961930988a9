//! A job array of Slurm.

use super::{Plan, Submission, quoted};

/// What a job array is asked to have; what is `None` is the site's choice.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Slurm {
    /// Workers.
    pub tasks: u32,
    /// Cores of each.
    pub cpus: u32,
    /// Partition.
    pub partition: Option<String>,
    /// Account that pays.
    pub account: Option<String>,
    /// Generic resources, as in `gpu:1`.
    pub gres: Option<String>,
    /// Longest time, as in `8:00:00`.
    pub time: Option<String>,
    /// Run before the worker, as in `module load cuda`.
    pub prolog: Option<String>,
}

impl Plan {
    /// The script, for `sbatch`. A worker that was killed is asked for again; one that was told to leave hands back first.
    pub fn slurm(&self, slurm: &Slurm) -> Submission {
        let mut lines = vec!["#!/bin/bash".to_owned()];
        lines.extend(self.directives(slurm).into_iter().map(|directive| format!("#SBATCH {directive}")));
        let exports = self.environment().into_iter();
        lines.extend(exports.map(|(name, value)| format!("export {name}={}", quoted(value))));
        lines.push("export MFACTOR_WORKER_NAME=slurm-$SLURM_ARRAY_JOB_ID-$SLURM_ARRAY_TASK_ID".to_owned());
        lines.extend(slurm.prolog.clone());
        let command: Vec<String> = self.command().iter().map(|word| quoted(word)).collect();
        lines.push(format!("{} &", command.join(" ")));
        lines.push(TAIL.to_owned());
        Submission { command: vec!["sbatch".to_owned()], input: lines.join("\n") }
    }

    fn directives(&self, slurm: &Slurm) -> Vec<String> {
        let fixed = [
            format!("--job-name=mfactor-{}", self.study),
            format!("--array=1-{}", slurm.tasks),
            format!("--ntasks=1 --cpus-per-task={}", slurm.cpus),
            format!("--output=mfactor-{}-%a.log --open-mode=append", self.study),
            "--requeue --signal=B:TERM@60".to_owned(),
        ];
        let chosen = [
            ("partition", &slurm.partition),
            ("account", &slurm.account),
            ("gres", &slurm.gres),
            ("time", &slurm.time),
        ];
        let chosen =
            chosen.into_iter().filter_map(|(name, value)| Some(format!("--{name}={}", value.as_ref()?)));
        fixed.into_iter().chain(chosen).collect()
    }
}

/// `--signal` reaches the script alone, and `wait` comes back from a signal before the worker does.
const TAIL: &str = "\
pid=$!
told=
trap 'told=1; kill -TERM $pid' TERM
wait $pid; code=$?
[ -z \"$told\" ] || { wait $pid; code=$?; }
# Killed: this element of the array begins again.
[ $code -le 130 ] || scontrol requeue \"${SLURM_ARRAY_JOB_ID}_${SLURM_ARRAY_TASK_ID}\"
exit $code
";

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::super::tests::plan;
    use super::*;

    fn script(plan: &Plan) -> String {
        let slurm = Slurm {
            tasks: 16,
            cpus: 4,
            gres: Some("gpu:1".to_owned()),
            time: Some("8:00:00".to_owned()),
            prolog: Some("module() { :; }; module load cuda".to_owned()),
            ..Slurm::default()
        };
        plan.slurm(&slurm).input
    }

    #[test]
    fn what_was_asked_for_is_asked_of_slurm() {
        let text = script(&plan());
        for line in [
            "#SBATCH --array=1-16",
            "#SBATCH --ntasks=1 --cpus-per-task=4",
            "#SBATCH --gres=gpu:1",
            "#SBATCH --time=8:00:00",
            "export MFACTOR_ARTIFACTS=file:///shared/mfactor",
            "/opt/mfactor/bin/mfactor worker cifar10 --trainers auto &",
        ] {
            assert!(text.lines().any(|found| found == line), "{line} is missing in\n{text}");
        }
        assert!(!text.contains("partition"), "{text}");
    }

    /// Runs the script with a worker of this shell text, and `scontrol` that says what it was told.
    fn run(worker: &str, signal: bool) -> (Option<i32>, String) {
        let folder = tempfile::tempdir().unwrap();
        let program = folder.path().join("worker");
        std::fs::write(&program, format!("#!/bin/bash\n{worker}\n")).unwrap();
        Command::new("chmod").arg("+x").arg(&program).status().unwrap();
        let text = script(&Plan { program, ..plan() });
        let text = text.replacen("#!/bin/bash", "#!/bin/bash\nscontrol() { echo \"$@\"; }", 1);
        let told = if signal { "(sleep 0.3; kill -TERM $$) &\n" } else { "" };
        let text = text.replacen("told=\n", &format!("told=\n{told}"), 1);
        let mut command = Command::new("bash");
        command.args(["-c", &text]).env("SLURM_ARRAY_JOB_ID", "7").env("SLURM_ARRAY_TASK_ID", "3");
        let output = command.output().unwrap();
        (output.status.code(), String::from_utf8_lossy(&output.stdout).trim().to_owned())
    }

    #[test]
    fn a_killed_worker_begins_again_and_one_that_hands_back_is_waited_for() {
        assert_eq!(run("exit 0", false), (Some(0), String::new()));
        assert_eq!(run("exit 3", false), (Some(3), String::new()));
        assert_eq!(run("kill -9 $$", false), (Some(137), "requeue 7_3".to_owned()));
        let hands_back = "trap 'sleep 0.2; echo handed back; exit 130' TERM; while :; do sleep 0.05; done";
        assert_eq!(run(hands_back, true), (Some(130), "handed back".to_owned()));
    }
}
