"""Measures training speed for scripts/bench-trainer: our trainer and PyTorch, in turns, on random images.

PyTorch trains from a tensor in memory without shifting or mirroring, which is less work than the trainer does.
Every mode runs in a process of its own; the mode with workers in one for each core, at once, as `mfactor search
--workers` starts them, and its figure is the sum. The figure of a mode is the median over its rounds.
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


def main():
    parser = argparse.ArgumentParser(prog="scripts/bench-trainer", description=__doc__.splitlines()[0])
    parser.add_argument("--trainer", help=argparse.SUPPRESS)
    parser.add_argument("--reference", choices=REFERENCES, help=argparse.SUPPRESS)
    parser.add_argument("--architectures", nargs="+", default=["333-333-333", "555-555-555", "777-777-777"])
    parser.add_argument("--batch-size", type=int, default=128)
    parser.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--bfloat16", action="store_true", help="PyTorch's two bfloat16 modes as well")
    options = parser.parse_args()
    if options.reference:
        print(reference_speed(options.reference, options.architectures[0], options.batch_size, options.threads))
        return
    names = [name for name, mode in REFERENCES.items() if mode[0] == "float32" or options.bfloat16]
    with tempfile.TemporaryDirectory() as folder:
        write_images(folder, options.batch_size)
        for architecture in options.architectures:
            bench(architecture, names, folder, options)


OURS, WORKERS = "mfactor-trainer", "mfactor-trainer, a worker on each core"


def bench(architecture, names, folder, options):
    speeds = {name: [] for name in [WORKERS, OURS, *names]}
    for _ in range(options.rounds):
        speeds[OURS].append(trainer_speed(architecture, folder, options))
        speeds[WORKERS].append(workers_speed(architecture, folder, options))
        for name in names:
            own = [sys.executable, __file__, "--reference", name, "--architectures", architecture]
            own += ["--batch-size", str(options.batch_size), "--threads", str(options.threads)]
            speeds[name].append(float(subprocess.run(own, check=True, capture_output=True, text=True).stdout))
    ours = statistics.median(speeds[WORKERS])
    print(f"\n{architecture}, batch {options.batch_size}, {options.threads} threads, {options.rounds} rounds")
    for name, rounds in speeds.items():
        median = statistics.median(rounds)
        ratio = "" if name == WORKERS else f"   workers / this: {ours / median:.2f}"
        print(f"  {name:40} {median:7.0f} images/s ({min(rounds):.0f} to {max(rounds):.0f}){ratio}", flush=True)


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
    with open("spaces/paper.toml", "rb") as file:
        space = tomllib.load(file)
    recipe = {"epochs": 3, "batch_size": options.batch_size, "learning_rate": 0.01}
    job = {"trial": 0, "architecture": architecture, "space": space, "recipe": recipe, "seed": 0}
    job |= {"data": folder, "output": f"{folder}/output{core}"}
    command = [options.trainer, "--device", "cpu", "--threads", str(options.threads if core is None else 1)]
    environment = {**os.environ, **({} if core is None else {"MFACTOR_TRAINER_CORES": str(core)})}
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


def reference_network(architecture):
    """The networks of the paper's space as one writes them in PyTorch."""
    import torch
    from torch import nn

    def convolution(inputs, outputs, kernel, stride=1):
        conv = nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, bias=False)
        return nn.Sequential(conv, nn.BatchNorm2d(outputs))

    class Block(nn.Module):
        def __init__(self, inputs, outputs, kernel, stride):
            super().__init__()
            self.first = convolution(inputs, outputs, kernel, stride)
            self.second = convolution(outputs, outputs, 3)
            same = stride == 1 and inputs == outputs
            self.shortcut = nn.Identity() if same else convolution(inputs, outputs, 1, stride)

        def forward(self, images):
            inner = self.second(torch.relu(self.first(images)))
            return torch.relu(inner + self.shortcut(images))

    layers, inputs = [convolution(3, 16, 3), nn.ReLU()], 16
    for kernels, width, stride in zip(architecture.split("-"), (16, 32, 64), (1, 2, 2)):
        for position, kernel in enumerate(kernels):
            layers.append(Block(inputs, width, int(kernel), stride if position == 0 else 1))
            inputs = width
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(inputs, CLASSES))


if __name__ == "__main__":
    main()
