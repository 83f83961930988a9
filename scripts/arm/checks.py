"""The checking part of scripts/test-arm: runners for ARM, under QEMU with a named processor, against this machine's.

Arguments: folder of models and records.bin, this machine's edge-runner, then ARCHITECTURE=RUNNER for each runner.
"""

import json
import os
import subprocess
import sys
import tempfile

# Emulators, C libraries, and the processors (with knobs) that choose different kernels in tract.
MACHINES = {
    "aarch64": ("qemu-aarch64-static", "/usr/aarch64-linux-gnu", [
        ("cortex-a53", {"TRACT_CPU_AARCH64_KIND": "a53"}),
        ("cortex-a72", {}),
        ("cortex-a76", {}),
    ]),
    "armv7": ("qemu-arm-static", "/usr/arm-linux-gnueabihf", [
        ("cortex-a7", {"TRACT_CPU_ARM32_NEON": "true"}),
        ("cortex-a15", {"TRACT_CPU_ARM32_NEON": "true"}),
        ("cortex-a15", {"TRACT_CPU_ARM32_NEON": "false"}),
    ]),
}
RECORDS = 3
TOLERANCE = {"f32": 1e-3, "int8": 0.15}


def run(command, text="", knobs=None):
    """Exit code, standard output and standard error."""
    done = subprocess.run(command, input=text, capture_output=True, text=True, timeout=900, env={**os.environ, **(knobs or {})})
    return done.returncode, done.stdout, done.stderr


def probabilities(command, model, records, number, knobs):
    code, out, talk = run([*command, "classify", model, records, "--record", str(number), "--top", "10", "--json"], knobs=knobs)
    assert code == 0, (command, model, talk)
    return {entry["class"]: entry["probability"] for entry in json.loads(out)["classes"]}


def check_parity(command, host, model, records, knobs):
    precision = "int8" if "int8" in os.path.basename(model) else "f32"
    for number in range(RECORDS):
        there, here = probabilities(command, model, records, number, knobs), probabilities([host], model, records, number, {})
        difference = max(abs(there[name] - here[name]) for name in here)
        assert difference <= TOLERANCE[precision], (command, model, number, difference)


def check_round(command, model, knobs):
    """A round's answer is whole: golden inputs, recounted parameters, and the label of an emulated processor."""
    request = {"model": model, "engine": {"kind": "tract", "threads": 1, "library": None}, "part": {"round": {"preset": "quick"}}}
    code, out, talk = run([*command, "measure-alone"], json.dumps(request), {"MFACTOR_EMULATED": "qemu", **knobs})
    assert code == 0, talk
    answer = json.loads(out.splitlines()[-1])["done"]["round"]
    assert answer["model_reasons"] == [], answer["model_reasons"]
    assert answer["board"]["emulated"] is True
    assert len(answer["samples_ns"]) >= 20
    return answer["engine"]["kernels"]


def check_bad_input(command, model, records, knobs):
    """Each is refused with the documented exit code, in a sentence that names it."""
    with tempfile.TemporaryDirectory() as folder:
        whole = open(model, "rb").read()
        bad = {"empty.onnx": b"", "text.onnx": b"no model", "cut.onnx": whole[: len(whole) // 2], "noise.onnx": bytes(range(256)) * 40}
        for name, content in bad.items():
            path = os.path.join(folder, name)
            open(path, "wb").write(content)
            code, _, talk = run([*command, "info", path], knobs=knobs)
            assert code == 3 and name in talk, (name, code, talk)
        ragged = os.path.join(folder, "ragged.bin")
        open(ragged, "wb").write(bytes(100))
        cases = [
            (["classify", model, ragged, "--record", "0"], 3, "ragged.bin"),
            (["classify", model, records, "--record", "1000000"], 3, "records.bin"),
            (["classify", model, os.path.join(folder, "none.png")], 3, "none.png"),
            (["info", os.path.join(folder, "none.onnx")], 3, "none.onnx"),
            (["classify", model, records, "--record", "0", "--threads", "0"], 2, "--threads"),
            (["classify", model, records, "--record", "0", "--engine", "ort", "--ort-library", "none.so"], 4, "none.so"),
        ]
        for arguments, expected, named in cases:
            code, _, talk = run([*command, *arguments], knobs=knobs)
            assert code == expected and named in talk, (arguments, code, talk)
        return len(bad) + len(cases)


def main():
    folder, host, *runners = sys.argv[1:]
    records = os.path.join(folder, "records.bin")
    models = sorted(os.path.join(folder, name) for name in os.listdir(folder) if name.endswith(".onnx"))
    for architecture, runner in (pair.split("=", 1) for pair in runners):
        emulator, libraries, processors = MACHINES[architecture]
        for processor, knobs in processors:
            command = [emulator, "-cpu", processor, "-L", libraries, runner]
            for model in models:
                check_parity(command, host, model, records, knobs)
            kernels = check_round(command, models[0], knobs)
            bad = check_bad_input(command, models[0], records, knobs)
            print(f"{architecture}, {processor}, {knobs or 'no knob'}: {len(models)} models answer as here, "
                  f"{bad} bad inputs are refused; {kernels}", flush=True)


main()
