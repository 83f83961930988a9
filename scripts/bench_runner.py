"""The measuring part of scripts/bench-runner: programs take turns in rounds, medians are printed, one table a model."""

import glob
import json
import os
import re
import statistics
import subprocess
import sys
import tempfile
import time

ROUNDS = 5
STARTS = 20
SECONDS = 1.0

LOOP = """
import json, sys, time, resource
start = time.perf_counter()
{load}
load = time.perf_counter() - start
start = time.perf_counter()
run()
first = time.perf_counter() - start
warm = time.perf_counter() + 0.3
while time.perf_counter() < warm:
    run()
times = []
end = time.perf_counter() + {seconds}
while time.perf_counter() < end:
    start = time.perf_counter()
    run()
    times.append(time.perf_counter() - start)
times.sort()
peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
print(json.dumps([1e3 * load, 1e3 * first, 1e3 * times[len(times) // 2], peak]))
"""

ONNX_RUNTIME = """
import numpy, onnxruntime
options = onnxruntime.SessionOptions()
options.intra_op_num_threads = options.inter_op_num_threads = 1
session = onnxruntime.InferenceSession({model!r}, options, providers=["CPUExecutionProvider"])
image = numpy.full((1, 3, 32, 32), 100, numpy.uint8)
run = lambda: session.run(None, {{"image": image}})
"""

OPENVINO = """
import numpy, openvino
core = openvino.Core()
model = core.read_model({model!r})
model.reshape([1, 3, 32, 32])
settings = {{"INFERENCE_NUM_THREADS": 1, "PERFORMANCE_HINT": "LATENCY", "INFERENCE_PRECISION_HINT": "f32"}}
request = core.compile_model(model, "CPU", settings).create_infer_request()
image = numpy.full((1, 3, 32, 32), 100, numpy.uint8)
run = lambda: request.infer([image])
"""

NCNN = """
import numpy, ncnn
net = ncnn.Net()
net.opt.num_threads = 1
net.load_param({param!r})
net.load_model({weights!r})
image = numpy.full((3, 32, 32), 100, numpy.float32)
def run():
    extractor = net.create_extractor()
    # Without the copy ncnn crashes: it takes numpy's memory for its own.
    extractor.input("in0", ncnn.Mat(image).clone())
    code, answer = extractor.extract("out0")
    # An operator that it does not know is an error code, and quick.
    assert code == 0, "ncnn cannot run it"
    return answer
"""


def output(command, **more):
    return subprocess.run(command, check=True, capture_output=True, text=True, **more).stdout


def start_to_answer(command):
    """Milliseconds from exec to exit, and MiB of peak resident memory."""
    start = time.perf_counter()
    child = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(child.pid, 0)
    took = 1e3 * (time.perf_counter() - start)
    child.returncode = os.waitstatus_to_exitcode(status)
    assert child.returncode == 0, command
    return took, usage.ru_maxrss / 1024


def sets(model=""):
    """The processor's name, and the instruction sets on it that the runner has kernels for, the quickest first. Those with
    products of bytes are for models in int8."""
    with open("/proc/cpuinfo") as file:
        text = file.read()
    name = re.search(r"^model name\s*: (.*)$", text, flags=re.M)
    flags = set(re.search(r"^(?:flags|Features)\s*: (.*)$", text, flags=re.M).group(1).split())
    needed = {"avx512": {"avx512f"}, "avx2": {"avx2", "fma"}, "neon": {"asimd"}}
    if "int8" in os.path.basename(model):
        bytes_too = {"avx512vnni": {"avx512f", "avx512_vnni"}, "avx2vnni": {"avx2", "fma", "avx_vnni"}, "neondot": {"asimd", "asimddp"}}
        needed = {**bytes_too, **needed}
    return name.group(1) if name else "?", [word for word, flag in needed.items() if flag <= flags]


def runner(program, model, engine, kernels="off"):
    command = [program, "measure", model, "--engine", engine, "--preset", "quick", "--json", "-q"]
    measured = json.loads(output(command, env={**os.environ, "MFACTOR_KERNELS": kernels}))
    latency, memory = measured[0]["latency"], measured[0]["memory"]
    return [measured[0]["load_ms"], measured[0]["first_inference_ms"], latency["p50_ms"], memory["peak_rss_bytes"] / 2**20]


def bare(program, model):
    load, first, median = output([program, model, "500"]).split()
    return [float(load), float(first), float(median), float("nan")]


def python(load):
    return json.loads(output([sys.executable, "-c", LOOP.format(load=load, seconds=SECONDS)]).splitlines()[-1])


def to_ncnn(model, folder):
    """ncnn has no integer input: its cast is left out, and the image is given as floats."""
    tool = glob.glob(os.path.join(sys.prefix, "lib/python3*/site-packages/pnnx/pnnx"))[0]
    copy = os.path.join(folder, "model.onnx")
    with open(model, "rb") as source, open(copy, "wb") as target:
        target.write(source.read())
    output([tool, copy, "inputshape=[1,3,32,32]u8"], cwd=folder)
    param = os.path.join(folder, "model.ncnn.param")
    with open(param) as file:
        text = re.sub(r"^Tensor\.to +(\S+) +1 1 (\S+) (\S+).*$", r"Noop \1 1 1 \2 \3", file.read(), flags=re.M)
    with open(param, "w") as file:
        file.write(text)
    return NCNN.format(param=param, weights=os.path.join(folder, "model.ncnn.bin"))


def bench(folder, model, scratch):
    program, bare_tract = os.path.join(folder, "edge-runner"), os.path.join(folder, "examples/bare_tract")
    _, found_sets = sets(model)
    ways = {
        **{f"edge-runner, {word}": lambda word=word: runner(program, model, "tract", word) for word in found_sets},
        "edge-runner, tract's kernels": lambda: runner(program, model, "tract"),
        "edge-runner, ONNX Runtime": lambda: runner(program, model, "ort"),
        "bare tract": lambda: bare(bare_tract, model),
        "onnxruntime (Python)": lambda: python(ONNX_RUNTIME.format(model=model)),
        "OpenVINO (Python)": lambda: python(OPENVINO.format(model=model)),
    }
    try:
        converted = to_ncnn(model, scratch)
        ways["ncnn (Python)"] = lambda: python(converted)
    except (subprocess.CalledProcessError, IndexError) as error:
        print(f"ncnn cannot take {model}: {error}", file=sys.stderr)
    found = {name: [] for name in ways}
    names = list(ways)
    for number in range(ROUNDS):
        for place in range(len(names)):
            name = names[(place + number) % len(names)]
            try:
                found[name].append(ways[name]())
            except subprocess.CalledProcessError as error:
                print(f"{name} cannot run {model}: {error.stderr.splitlines()[-1:]}", file=sys.stderr)
    print(f"\n{os.path.basename(model)}, {os.path.getsize(model):,} bytes; medians of {ROUNDS} rounds\n")
    columns = [f"of {word}" for word in found_sets]
    print(f"{'':<30}{'load ms':>10}{'first ms':>10}{'p50 ms':>10}{'peak MiB':>10}" + "".join(f"{c:>12}" for c in columns))
    # Each round's own ratio: what else the machine does changes from round to round.
    ours = [[row[2] for row in found[f"edge-runner, {word}"]] for word in found_sets]
    for name, rows in found.items():
        if rows:
            load, first, median, peak = (statistics.median(column) for column in zip(*rows))
            ratios = [statistics.median(row[2] / own for row, own in zip(rows, of)) for of in ours]
            print(f"{name:<30}{load:>10.2f}{first:>10.2f}{median:>10.3f}{peak:>10.1f}" + "".join(f"{r:>12.2f}" for r in ratios))
    image = os.path.join(scratch, "records.bin")
    with open(image, "wb") as file:
        file.write(bytes(3073))
    starts = [start_to_answer([program, "classify", model, image, "--record", "0"]) for _ in range(STARTS)]
    times, peaks = zip(*starts)
    print(f"\nstart to first answer (edge-runner classify): median {statistics.median(times):.1f} ms, least {min(times):.1f} ms; "
          f"peak {max(peaks):.1f} MiB")
    overheads = [a[2] / b[2] - 1 for a, b in zip(found["edge-runner, tract's kernels"], found["bare tract"])]
    print(f"over bare tract: {100 * statistics.median(overheads):+.2f} % of p50, median of {ROUNDS} rounds side by side")


def main():
    folder, *models = sys.argv[1:]
    size = os.path.getsize(os.path.join(folder, "edge-runner"))
    name, found_sets = sets()
    print(f"processor: {name}; kernels for {', '.join(found_sets) or 'none of its instruction sets'}")
    print(f"edge-runner: {size / 1e6:.1f} MB ({size:,} bytes), of which nothing but the system's C library is outside")
    for model in models:
        with tempfile.TemporaryDirectory() as scratch:
            bench(folder, os.path.abspath(model), scratch)


main()
