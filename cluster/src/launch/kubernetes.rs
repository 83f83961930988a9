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
        let Kubernetes { pods, image, namespace, secret, claim, cpu, memory, gpus } = kubernetes;
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
          args: {arguments}
          env:
{environment}            - name: PGPASSWORD
              valueFrom: {{secretKeyRef: {{name: {secret}, key: password}}}}
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
    use super::super::tests::plan;
    use super::*;

    #[test]
    fn what_was_asked_for_stands_in_the_manifest_and_no_secret() {
        let kubernetes = Kubernetes {
            pods: 16,
            image: "registry.example.org/mfactor:1.0.0".to_owned(),
            namespace: Some("lab".to_owned()),
            secret: "mfactor-database".to_owned(),
            claim: Some("shared".to_owned()),
            cpu: "4".to_owned(),
            memory: "8Gi".to_owned(),
            gpus: 1,
        };
        let submission = plan().kubernetes(&kubernetes);
        assert_eq!(submission.command.join(" "), "kubectl apply -f - -n lab");
        insta::assert_snapshot!(submission.input);
    }

    #[test]
    fn names_are_those_that_kubernetes_takes() {
        assert_eq!(object_name("Cifar_10.v2"), "mfactor-cifar-10-v2");
        assert!(object_name(&"x".repeat(64)).len() <= 52);
        assert_eq!(object_name("a-."), "mfactor-a");
    }
}
