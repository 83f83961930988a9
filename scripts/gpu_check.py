"""The check of scripts/gpu-check: throughput and memory by number of workers, and agreement with the CPU."""

import argparse
import json
import pathlib
import subprocess
import sys
import tempfile
import threading
import time

MFACTOR = "target/release/mfactor"
# Two trainings of one architecture with one seed differ by rounding alone, which over an epoch grows to about the
# spread between seeds: 0.62 to 0.64 for 333-333-333 on a CPU.
TOLERANCE = 0.05


def main():
    parser = argparse.ArgumentParser(prog="scripts/gpu-check", description=__doc__)
    parser.add_argument("--data", default="cifar10", help="data set, a name or a folder")
    parser.add_argument("--trials", type=int, default=8, help="random trials for each number of workers")
    parser.add_argument("--workers", type=int, nargs="+", default=[1, 2, 4, 8])
    parser.add_argument("--cpu-trials", type=int, default=2, help="trials that are trained on the CPU as well")
    options = parser.parse_args()
    print(f"{'workers':>7} {'images/s':>9} {'ratio':>6} {'GPU memory':>11}")
    with tempfile.TemporaryDirectory() as folder:
        alone = None
        for workers in options.workers:
            out = pathlib.Path(folder, f"gpu-{workers}")
            memory = PeakMemory()
            begin = time.monotonic()
            trials = search(out, options.data, "cuda:0", options.trials, workers)
            seconds = time.monotonic() - begin
            speed = sum(trial["images"] for trial in trials) / seconds
            alone = alone or speed
            print(f"{workers:>7} {speed:>9.0f} {speed / alone:>6.2f} {memory.stop():>7} MiB", flush=True)
        gpu = search(pathlib.Path(folder, "gpu"), options.data, "cuda:0", options.cpu_trials, 1)
        cpu = search(pathlib.Path(folder, "cpu"), options.data, "cpu", options.cpu_trials, 1)
    sys.exit(compare(gpu, cpu))


def search(out, data, device, trials, workers):
    """One epoch of random architectures; the trials, in the order in which they were proposed."""
    command = [MFACTOR, "search", "--quiet", "--strategy", "random", "--epochs", "1", "--cache", "none"]
    command += ["--data", data, "--device", device, "--trials", str(trials), "--workers", str(workers)]
    subprocess.run([*command, "--out", str(out)], check=True, stdout=subprocess.DEVNULL)
    listed = subprocess.run([MFACTOR, "trials", str(out), "--json"], check=True, capture_output=True, text=True)
    trials = json.loads(listed.stdout)
    failed = [trial["failure"] for trial in trials if trial["accuracy"] is None]
    if failed:
        sys.exit(f"{len(failed)} of {len(trials)} trials failed on {device}: {failed[0]}")
    return sorted(trials, key=lambda trial: (trial["strategy"], trial["number"]))


def compare(gpu, cpu):
    print(f"\n{'architecture':<14} {'GPU':>6} {'CPU':>6}  validation accuracy after one epoch")
    worst = 0.0
    for one, other in zip(gpu, cpu):
        assert one["architecture"] == other["architecture"], "the proposals depend on the seed alone"
        worst = max(worst, abs(one["accuracy"] - other["accuracy"]))
        print(f"{one['architecture']:<14} {one['accuracy']:>6.3f} {other['accuracy']:>6.3f}")
    agrees = worst <= TOLERANCE
    print(f"largest difference {worst:.3f}: {'they agree' if agrees else f'more than {TOLERANCE}'}")
    return 0 if agrees else 1


class PeakMemory:
    """The most memory of the first GPU that was in use, in MiB, asked for ten times a second."""

    def __init__(self):
        self.peak, self.ended = 0, threading.Event()
        self.thread = threading.Thread(target=self.watch)
        self.thread.start()

    def watch(self):
        query = ["nvidia-smi", "--id=0", "--query-gpu=memory.used", "--format=csv,noheader,nounits"]
        while not self.ended.wait(0.1):
            self.peak = max(self.peak, int(subprocess.run(query, capture_output=True, text=True).stdout or 0))

    def stop(self):
        self.ended.set()
        self.thread.join()
        return self.peak


if __name__ == "__main__":
    main()
