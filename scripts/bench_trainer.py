"""Measures training speed for scripts/bench-trainer: our trainer and PyTorch, in turns, on random images.

PyTorch trains from a tensor in memory without shifting or mirroring, which is less work than the trainer does.
Every mode runs in a process of its own; the mode with workers in one for each core, at once, as `mfactor search
--workers` starts them, and its figure is the sum. The figure of a mode is the median over its rounds. The share says how
much of the machine's float32 matrix throughput (a product of two 2048×2048 matrices in PyTorch, the best of ten) a
mode turns into the network's multiply-accumulates, of which training needs three times those of an answer.
"""

import argparse
import concurrent.futures
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
import tomllib

STEPS = 24  # an epoch of the bench
CLASSES, PIXELS = 10, 3 * 32 * 32
REFERENCES = {
    "PyTorch eager float32": ("float32", False, False),
    "PyTorch eager float32 channels-last": ("float32", True, False),
    "PyTorch eager bfloat16 channels-last": ("bfloat16", True, False),
    "PyTorch compiled bfloat16 channels-last": ("bfloat16", True, True),
}
# Of this project, ATen, oneDNN and MKL, which know processors by names of their own.
INSTRUCTIONS = {
    "avx2": {
        "MFACTOR_KERNELS": "avx2",
        "ATEN_CPU_CAPABILITY": "avx2",
        "ONEDNN_MAX_CPU_ISA": "AVX2",
        "MKL_ENABLE_INSTRUCTIONS": "AVX2",
    },
}


def main():
    parser = argparse.ArgumentParser(prog="scripts/bench-trainer", description=__doc__.splitlines()[0])
    parser.add_argument("--trainer", help=argparse.SUPPRESS)
    parser.add_argument("--reference", choices=[*REFERENCES, "matrix"], help=argparse.SUPPRESS)
    defaults = ["333-333-333", "555-555-555", "777-777-777"]
    ids = "of the paper's space, or of edge32 such as s16-w16.i3e6.i3e6-w32.b5-w64.i5e4"
    parser.add_argument("--architectures", nargs="+", default=defaults, metavar="ID", help=ids)
    parser.add_argument("--batch-size", type=int, default=128)
    parser.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument(
        "--bfloat16",
        action=argparse.BooleanOptionalAction,
        default=has_bfloat16(),
        help="PyTorch's two bfloat16 modes as well [default: where the processor computes with it]",
    )
    parser.add_argument("--instructions", choices=INSTRUCTIONS, help="what both sides are held to; then in float32")
    options = parser.parse_args()
    if options.instructions:
        os.environ.update(INSTRUCTIONS[options.instructions])
        options.bfloat16 = False
    if options.reference == "matrix":
        print(json.dumps(matrix_speed(options.architectures, options.threads)))
        return
    if options.reference:
        print(reference_speed(options.reference, options.architectures[0], options.batch_size, options.threads))
        return
    names = [name for name, mode in REFERENCES.items() if mode[0] == "float32" or options.bfloat16]
    with tempfile.TemporaryDirectory() as folder:
        write_images(folder, options.batch_size)
        matrix = json.loads(reference("matrix", options.architectures, options))
        print(f"float32 matrix products: {matrix['multiply_accumulates'] / 1e9:.0f} billion multiply-accumulates a second")
        for architecture in options.architectures:
            needed = 3 * matrix["of_answers"][architecture]
            bench(architecture, names, folder, options, needed / matrix["multiply_accumulates"])


OURS, WORKERS = "mfactor-trainer", "mfactor-trainer, a worker on each core"


def has_bfloat16():
    with open("/proc/cpuinfo") as file:
        return bool({"avx512_bf16", "amx_bf16", "bf16"} & set(file.read().split()))


def reference(name, architectures, options):
    """What this program says in a process of its own, in which PyTorch is loaded."""
    own = [sys.executable, __file__, "--reference", name, "--architectures", *architectures]
    own += ["--batch-size", str(options.batch_size), "--threads", str(options.threads)]
    run = subprocess.run(own, capture_output=True, text=True)
    if run.returncode != 0:
        print(f"{name} does not work here: {run.stderr.strip().splitlines()[-1]}", file=sys.stderr)
        return "nan"
    return run.stdout


def bench(architecture, names, folder, options, seconds_at_best):
    speeds = {name: [] for name in [WORKERS, OURS, *names]}
    for _ in range(options.rounds):
        speeds[OURS].append(trainer_speed(architecture, folder, options))
        speeds[WORKERS].append(workers_speed(architecture, folder, options))
        for name in names:
            speeds[name].append(float(reference(name, [architecture], options)))
    ours = statistics.median(speeds[WORKERS])
    print(f"\n{architecture}, batch {options.batch_size}, {options.threads} threads, {options.rounds} rounds")
    for name, rounds in speeds.items():
        median = statistics.median(rounds)
        ratio = "" if name == WORKERS else f"   workers / this: {ours / median:.2f}"
        share = f"{100 * median * seconds_at_best:3.0f} %"
        spread = f"({min(rounds):.0f} to {max(rounds):.0f})"
        print(f"  {name:40} {median:7.0f} images/s {spread:14} share {share}{ratio}", flush=True)


def write_images(folder, batch_size):
    """A data set of random images whose training split is STEPS batches."""
    train = STEPS * batch_size
    files = {"train": train + 2, "test": 2}
    for name, records in files.items():
        record = lambda number: bytes([number % CLASSES]) + os.urandom(PIXELS)
        with open(f"{folder}/{name}.bin", "wb") as file:
            file.writelines(record(number) for number in range(records))
    with open(f"{folder}/dataset.toml", "w") as file:
        names = json.dumps([str(number) for number in range(CLASSES)])
        file.write(f'schema = 1\nname = "bench"\nclasses = {names}\nvalidation = 2\n')
        file.write("image = { channels = 3, height = 32, width = 32 }\n")
        for name, records in files.items():
            file.write(f'[[{name}]]\nfile = "{name}.bin"\nrecords = {records}\n')


def workers_speed(architecture, folder, options):
    cores = sorted(os.sched_getaffinity(0))[: options.threads]
    with concurrent.futures.ThreadPoolExecutor(len(cores)) as pool:
        return sum(pool.map(lambda core: trainer_speed(architecture, folder, options, core), cores))


def trainer_speed(architecture, folder, options, core=None):
    with open(f"spaces/{'edge32' if is_of_edge32(architecture) else 'paper'}.toml", "rb") as file:
        space = tomllib.load(file)
    recipe = {"epochs": 3, "batch_size": options.batch_size, "learning_rate": 0.01}
    job = {"trial": 0, "architecture": architecture, "space": space, "recipe": recipe, "seed": 0}
    job |= {"data": folder, "output": f"{folder}/output{core}"}
    command = [options.trainer, "--device", "cpu", "--threads", str(options.threads if core is None else 1)]
    command += ["--precision", "float32"] if options.instructions else []
    # As `mfactor search` starts it.
    environment = {"GOMP_SPINCOUNT": "0", **os.environ}
    if core is not None:
        environment["MFACTOR_TRAINER_CORES"] = str(core)
    run = subprocess.run(
        command, input=json.dumps(job), check=True, capture_output=True, text=True, env=environment
    )
    events = [json.loads(line) for line in run.stdout.splitlines()]
    if events[-1]["event"] != "done":
        sys.exit(f"the trainer failed: {events[-1]}")
    # The first epoch warms up.
    return max(event["images_per_second"] for event in events[1:-1] if event["epoch"] > 1)


def reference_speed(name, architecture, batch_size, threads):
    import torch

    precision, channels_last, compiled = REFERENCES[name]
    torch.set_num_threads(threads)
    network = reference_network(architecture)
    images = torch.randn(4 * batch_size, 3, 32, 32)
    labels = torch.randint(CLASSES, (4 * batch_size,))
    if channels_last:
        network = network.to(memory_format=torch.channels_last)
        images = images.contiguous(memory_format=torch.channels_last)
    forward = torch.compile(network) if compiled else network
    optimizer = torch.optim.SGD(network.parameters(), lr=0.01, momentum=0.9, nesterov=True, weight_decay=5e-4)
    loss = torch.nn.CrossEntropyLoss()

    def step(number):
        part = slice(number % 4 * batch_size, (number % 4 + 1) * batch_size)
        optimizer.zero_grad()
        with torch.autocast("cpu", torch.bfloat16, enabled=precision == "bfloat16"):
            logits = forward(images[part])
        value = loss(logits.float(), labels[part])
        value.backward()
        optimizer.step()
        return value.item()

    speeds = []
    for epoch in range(3):
        begin = time.perf_counter()
        for number in range(STEPS):
            step(number)
        speeds.append(STEPS * batch_size / (time.perf_counter() - begin))
    return max(speeds[1:])


def matrix_speed(architectures, threads):
    """Multiply-accumulates a second of a large matrix product, and those of one answer of each network."""
    import torch

    torch.set_num_threads(threads)
    size = 2048
    left, right = torch.randn(size, size), torch.randn(size, size)
    seconds = []
    for _ in range(10):
        begin = time.perf_counter()
        left @ right
        seconds.append(time.perf_counter() - begin)
    return {
        "multiply_accumulates": size**3 / min(seconds),
        "of_answers": {name: answer_cost(reference_network(name)) for name in architectures},
    }


def answer_cost(network):
    import torch

    cost = 0

    def count(module, _, output):
        nonlocal cost
        if isinstance(module, (torch.nn.Conv2d, torch.nn.Linear)):
            positions = output[0].numel() // output.shape[1]
            cost += module.weight.numel() * positions

    for module in network.modules():
        module.register_forward_hook(count)
    network(torch.randn(1, 3, 32, 32))
    return cost


def is_of_edge32(architecture):
    return architecture.startswith("s")


def reference_network(architecture):
    """The networks of the paper's space, and of spaces/edge32.toml, as one writes them in PyTorch."""
    import torch
    from torch import nn

    def convolution(inputs, outputs, kernel, stride=1, groups=1):
        conv = nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, groups=groups, bias=False)
        return nn.Sequential(conv, nn.BatchNorm2d(outputs))

    class Basic(nn.Module):
        def __init__(self, inputs, outputs, kernel, stride):
            super().__init__()
            self.first = convolution(inputs, outputs, kernel, stride)
            self.second = convolution(outputs, outputs, 3)
            same = stride == 1 and inputs == outputs
            self.shortcut = nn.Identity() if same else convolution(inputs, outputs, 1, stride)

        def forward(self, images):
            inner = self.second(torch.relu(self.first(images)))
            return torch.relu(inner + self.shortcut(images))

    class Inverted(nn.Module):
        def __init__(self, inputs, outputs, kernel, stride, expand):
            super().__init__()
            inside = inputs * expand
            self.expand = convolution(inputs, inside, 1)
            self.apart = convolution(inside, inside, kernel, stride, inside)
            self.project = convolution(inside, outputs, 1)
            self.is_added = stride == 1 and inputs == outputs

        def forward(self, images):
            inner = self.project(torch.relu(self.apart(torch.relu(self.expand(images)))))
            return inner + images if self.is_added else inner

    def block(word, inputs, outputs, stride):
        if word[0] == "i":
            kernel, expand = word[1:].split("e")
            return Inverted(inputs, outputs, int(kernel), stride, int(expand))
        return Basic(inputs, outputs, int(word[1:]), stride)

    if is_of_edge32(architecture):
        stem, *stages = architecture.split("-")
        stem, stages = int(stem[1:]), [stage.split(".") for stage in stages]
        stages = [(int(width[1:]), words) for width, *words in stages]
    else:
        stem, stages = 16, [[f"b{kernel}" for kernel in kernels] for kernels in architecture.split("-")]
        stages = list(zip((16, 32, 64), stages))
    layers, inputs = [convolution(3, stem, 3), nn.ReLU()], stem
    for (width, words), stride in zip(stages, (1, 2, 2)):
        for position, word in enumerate(words):
            layers.append(block(word, inputs, width, stride if position == 0 else 1))
            inputs = width
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(inputs, CLASSES))


if __name__ == "__main__":
    main()
