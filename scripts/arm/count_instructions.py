"""The counting part of scripts/count-instructions: what one more inference adds to a process's instructions."""

import glob
import json
import os
import re
import subprocess
import sys

PROCESSORS = [("cortex-a53", {"TRACT_CPU_AARCH64_KIND": "a53"}), ("cortex-a72", {}), ("cortex-a76", {})]
FEW, MANY = 2, 6
LIBRARIES = "/usr/aarch64-linux-gnu"


def instructions(folder, runner, processor, knobs, model, engine, records):
    library = os.path.abspath(glob.glob(os.path.join(folder, "onnxruntime/capi/libonnxruntime.so.*"))[0])
    part = {"accuracy": {"data": [records]}}
    request = {"model": os.path.abspath(model), "engine": {"kind": engine, "threads": 1, "library": library}, "part": part}
    plugin = os.path.abspath(os.path.join(folder, "count_instructions.so"))
    command = ["qemu-aarch64", "-cpu", processor, "-L", LIBRARIES, "-plugin", plugin, runner, "measure-alone"]
    done = subprocess.run(command, input=json.dumps(request), capture_output=True, text=True, env={**os.environ, **knobs})
    last = done.stdout.splitlines()[-1:] or [""]
    if '"done"' not in last[0]:
        return None, f"{last[0]} {done.stderr[-300:]}"
    return int(re.search(r"instructions (\d+)", done.stderr).group(1)), ""


def per_inference(folder, runner, processor, knobs, model, engine):
    counts = []
    for records in (FEW, MANY):
        path = os.path.abspath(os.path.join(folder, f"{records}.bin"))
        with open(path, "wb") as file:
            file.write(bytes(3073 * records))
        count, problem = instructions(folder, runner, processor, knobs, model, engine, path)
        if count is None:
            return None, problem
        counts.append(count)
    return (counts[1] - counts[0]) / (MANY - FEW) / 1e6, ""


def main():
    folder, runner, *models = sys.argv[1:]
    print("Millions of instructions of one inference, counted under QEMU: not time.\n")
    print(f"{'model':<30}{'processor':<14}{'tract':>9}{'ort':>9}{'ort/tract':>11}")
    for model in models:
        for processor, knobs in PROCESSORS:
            row = []
            for engine in ("tract", "ort"):
                count, problem = per_inference(folder, runner, processor, knobs, model, engine)
                if count is None:
                    print(f"{engine} cannot run {model} on {processor}: {problem}", file=sys.stderr)
                row.append(count)
            cells = ["-" if count is None else f"{count:.1f}" for count in row]
            ratio = f"{row[1] / row[0]:.2f}" if None not in row else "-"
            print(f"{os.path.basename(model):<30}{processor:<14}{cells[0]:>9}{cells[1]:>9}{ratio:>11}", flush=True)


main()
