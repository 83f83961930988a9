"""Holds a Job's manifest on stdin against rules that an API server has and its schema cannot say; a sentence for each that is broken."""

import re
import sys

import yaml

LABEL = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?")


def broken(job):
    spec, name = job["spec"], job["metadata"]["name"]
    pod = spec["template"]["spec"]
    containers = {container["name"]: container for container in pod["containers"]}
    volumes = {volume["name"] for volume in pod.get("volumes", [])}
    policy = spec.get("podFailurePolicy")
    # A pod's host name is the job's name and its index.
    if not LABEL.fullmatch(name) or len(f"{name}-{spec['completions'] - 1}") > 63:
        yield f"{name!r} gives pods no host name"
    if policy and spec.get("podReplacementPolicy", "Failed") != "Failed":
        yield "podReplacementPolicy must be Failed beside a podFailurePolicy"
    if policy and pod["restartPolicy"] != "Never":
        yield "restartPolicy must be Never beside a podFailurePolicy"
    if "backoffLimitPerIndex" in spec and spec.get("completionMode") != "Indexed":
        yield "backoffLimitPerIndex needs completionMode Indexed"
    if "maxFailedIndexes" in spec and ("backoffLimitPerIndex" not in spec or spec["maxFailedIndexes"] > spec["completions"]):
        yield "maxFailedIndexes needs backoffLimitPerIndex and is at most completions"
    for rule in policy["rules"] if policy else []:
        codes = rule.get("onExitCodes")
        if ("onPodConditions" in rule) == bool(codes):
            yield "a rule has exit codes or conditions, and not both"
        if codes and codes.get("containerName") not in containers:
            yield f"no container is called {codes.get('containerName')!r}"
        if codes and (codes["values"] != sorted(set(codes["values"])) or codes["operator"] == "In" and 0 in codes["values"]):
            yield "exit codes are ordered, without 0 and without repetition"
    for container in containers.values():
        for mount in container.get("volumeMounts", []):
            if mount["name"] not in volumes or not mount["mountPath"].startswith("/") or ":" in mount["mountPath"]:
                yield f"{mount} mounts nothing"
        limits = container["resources"].get("limits", {})
        for resource in limits:
            if "/" in resource and container["resources"].get("requests", {}).get(resource, limits[resource]) != limits[resource]:
                yield f"{resource} is requested as it is limited, or not at all"
        for variable in container.get("env", []):
            if ("value" in variable) == ("valueFrom" in variable):
                yield f"{variable['name']} has a value or a source"


problems = list(broken(yaml.safe_load(sys.stdin)))
print("\n".join(problems))
sys.exit(bool(problems))
