//! An Indexed Job of Kubernetes.

use std::fmt::Write;

use serde_json::json;

use super::{Plan, Submission};

/// What pods are asked to have.
#[derive(Debug, Clone, PartialEq)]
pub struct Kubernetes {
    /// Workers.
    pub pods: u32,
    /// The image, whose entry point is `mfactor`.
    pub image: String,
    /// Namespace, if not that of the context.
    pub namespace: Option<String>,
    /// A Secret with the database's password under the key `password`.
    pub secret: String,
    /// A Secret whose keys are the variables that log in to a bucket. It may be absent: pods can have a role.
    pub store_secret: String,
    /// A claim that is mounted where the store's folder is.
    pub claim: Option<String>,
    /// Cores of each pod, as in `4`.
    pub cpu: String,
    /// Memory, as in `8Gi`.
    pub memory: String,
    /// GPUs.
    pub gpus: u32,
}

impl Plan {
    /// The manifest, for `kubectl apply -f -`. Drained and evicted pods do not count; what trying again does not mend ends the
    /// job.
    pub fn kubernetes(&self, kubernetes: &Kubernetes) -> Submission {
        let namespace = kubernetes.namespace.as_ref();
        let command = ["kubectl", "apply", "-f", "-"].map(str::to_owned);
        let command =
            command.into_iter().chain(namespace.into_iter().flat_map(|name| ["-n".to_owned(), name.clone()]));
        Submission { command: command.collect(), input: self.manifest(kubernetes) }
    }

    fn manifest(&self, kubernetes: &Kubernetes) -> String {
        let Kubernetes { pods, image, namespace, secret, store_secret, claim, cpu, memory, gpus } =
            kubernetes;
        let mut environment = String::new();
        for (name, value) in self.environment() {
            let _ = writeln!(environment, "            - {{name: {name}, value: {}}}", json!(value));
        }
        let namespace =
            namespace.as_ref().map_or(String::new(), |name| format!("\n  namespace: {}", json!(name)));
        let gpus = if *gpus > 0 { format!("nvidia.com/gpu: \"{gpus}\", ") } else { String::new() };
        let folder = self.artifacts.as_deref().and_then(|url| url.strip_prefix("file://"));
        let store = claim.as_ref().zip(folder);
        let mount = store.map_or(String::new(), |(_, path)| {
            format!("\n            - {{name: store, mountPath: {}}}", json!(path))
        });
        let volume = store.map_or(String::new(), |(claim, _)| {
            format!("\n        - {{name: store, persistentVolumeClaim: {{claimName: {}}}}}", json!(claim))
        });
        let is_bucket = self.artifacts.as_deref().is_some_and(|url| url.starts_with("s3://"));
        let login = if is_bucket {
            format!(
                "\n          envFrom:\n            - secretRef: {{name: {}, optional: true}}",
                json!(store_secret)
            )
        } else {
            String::new()
        };
        let arguments = json!(self.command()[1..]);
        let (name, image, secret) = (object_name(&self.study), json!(image), json!(secret));
        format!(
            "\
apiVersion: batch/v1
kind: Job
metadata:
  name: {name}{namespace}
spec:
  completionMode: Indexed
  completions: {pods}
  parallelism: {pods}
  backoffLimitPerIndex: 20
  maxFailedIndexes: {pods}
  podReplacementPolicy: Failed
  podFailurePolicy:
    rules:
      - action: Ignore
        onPodConditions: [{{type: DisruptionTarget, status: \"True\"}}]
      - action: FailJob
        onExitCodes: {{containerName: worker, operator: In, values: [2, 3, 4]}}
  ttlSecondsAfterFinished: 86400
  template:
    spec:
      restartPolicy: Never
      terminationGracePeriodSeconds: 60
      automountServiceAccountToken: false
      securityContext: {{runAsNonRoot: true, runAsUser: 65532, fsGroup: 65532, seccompProfile: {{type: RuntimeDefault}}}}
      containers:
        - name: worker
          image: {image}
          args: {arguments}{login}
          env:
{environment}            - name: PGPASSWORD
              valueFrom: {{secretKeyRef: {{name: {secret}, key: password}}}}
            - {{name: XDG_CACHE_HOME, value: /tmp}}
            - name: MFACTOR_WORKER_NAME
              valueFrom: {{fieldRef: {{fieldPath: metadata.name}}}}
          resources:
            requests: {{cpu: {cpu}, memory: {memory}}}
            limits: {{{gpus}memory: {memory}}}
          securityContext: {{allowPrivilegeEscalation: false, readOnlyRootFilesystem: true, capabilities: {{drop: [ALL]}}}}
          volumeMounts:
            - {{name: scratch, mountPath: /tmp}}{mount}
      volumes:
        - {{name: scratch, emptyDir: {{sizeLimit: 10Gi}}}}{volume}
",
            cpu = json!(cpu),
            memory = json!(memory),
        )
    }
}

/// A name that Kubernetes takes: lower-case letters, digits and dashes.
fn object_name(study: &str) -> String {
    let lower = study.to_lowercase();
    let fitting = |character: char| if character.is_ascii_alphanumeric() { character } else { '-' };
    let name: String = format!("mfactor-{lower}").chars().map(fitting).take(52).collect();
    name.trim_end_matches('-').to_owned()
}

#[cfg(test)]
mod tests {
    use std::fs::File;
    use std::io::Write;
    use std::process::Command;

    use super::super::tests::plan;
    use super::*;

    fn job(pods: u32) -> Kubernetes {
        Kubernetes {
            pods,
            image: "registry.example.org/mfactor:1.0.0".to_owned(),
            namespace: Some("lab".to_owned()),
            secret: "mfactor-database".to_owned(),
            store_secret: "mfactor-store".to_owned(),
            claim: Some("shared".to_owned()),
            cpu: "4".to_owned(),
            memory: "8Gi".to_owned(),
            gpus: 1,
        }
    }

    #[test]
    fn what_was_asked_for_stands_in_the_manifest_and_no_secret() {
        let submission = plan().kubernetes(&job(16));
        assert_eq!(submission.command.join(" "), "kubectl apply -f - -n lab");
        insta::assert_snapshot!(submission.input);
    }

    /// Whether a program takes a manifest, and what it says.
    fn judged(program: &str, arguments: &[&str], manifest: &str) -> (bool, String) {
        let mut file = tempfile::NamedTempFile::with_suffix(".yaml").unwrap();
        file.write_all(manifest.as_bytes()).unwrap();
        let mut command = Command::new(program);
        command.args(arguments).stdin(File::open(file.path()).unwrap());
        if program != "python3" {
            command.arg(file.path());
        }
        let output = command.output().unwrap_or_else(|error| panic!("{program}: {error}; run: scripts/venv"));
        (output.status.success(), format!("{output:?}"))
    }

    #[test]
    #[ignore = "needs kubernetes-validate: scripts/test"]
    fn an_api_server_would_take_the_manifest() {
        let rules = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/kubernetes_rules.py");
        let schema = |manifest: &str| judged("kubernetes-validate", &["--strict", "-k", "1.33"], manifest);
        let server = |manifest: &str| judged("python3", &[rules], manifest);
        let bucket = Plan { artifacts: Some("s3://lab/mfactor".to_owned()), ..plan() };
        let long = Plan { study: format!("Study.{}", "x".repeat(57)), ..plan() };
        let bare = Kubernetes { namespace: None, claim: None, gpus: 0, ..job(1) };
        for (plan, job) in [(plan(), job(16)), (plan(), job(1000)), (bucket, bare), (long, job(100_000))] {
            let manifest = plan.kubernetes(&job).input;
            for (is_taken, said) in [schema(&manifest), server(&manifest)] {
                assert!(is_taken, "{said}\n{manifest}");
            }
        }
        let good = plan().kubernetes(&job(16)).input;
        let misspelt = good.replace("completionMode", "completionsMode");
        assert!(!schema(&misspelt).0, "a key that is none is refused");
        for (from, to, word) in [
            (
                "podReplacementPolicy: Failed",
                "podReplacementPolicy: TerminatingOrFailed",
                "podReplacementPolicy",
            ),
            ("restartPolicy: Never", "restartPolicy: OnFailure", "restartPolicy"),
            ("completionMode: Indexed", "completionMode: NonIndexed", "Indexed"),
            ("containerName: worker", "containerName: workers", "workers"),
            ("values: [2, 3, 4]", "values: [0, 3, 4]", "without 0"),
            ("name: scratch, mountPath", "name: scrap, mountPath", "mounts nothing"),
        ] {
            assert!(good.contains(from));
            let (is_taken, said) = server(&good.replace(from, to));
            assert!(!is_taken && said.contains(word), "{to}: {said}");
        }
    }

    #[test]
    fn names_are_those_that_kubernetes_takes() {
        assert_eq!(object_name("Cifar_10.v2"), "mfactor-cifar-10-v2");
        assert!(object_name(&"x".repeat(64)).len() <= 52);
        assert_eq!(object_name("a-."), "mfactor-a");
    }
}
