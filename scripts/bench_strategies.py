"""Our strategies and Optuna's samplers seek the front of accuracy against MACs in one table, at equal trainings.

A study sees one training of each network, drawn by its seed; the front that it saw is judged by the mean of all trainings. A
network that Optuna asks for again counts once, so that its samplers lose nothing by repeating themselves.
"""

import argparse
import csv
import json
import math
import random
import statistics
import subprocess
from collections import defaultdict

import optuna


def read(path):
    """Accuracies of each network by training, and its MACs."""
    accuracies, macs = defaultdict(list), {}
    with open(path, newline="") as file:
        for row in csv.DictReader(file):
            accuracies[row["architecture"]].append(float(row["accuracy"]))
            macs[row["architecture"]] = math.log(int(row["macs"]))
    return accuracies, macs


def front(points):
    """Of (name, accuracy, cost) those that no other dominates, by rising cost."""
    best, kept = -1.0, []
    for name, accuracy, cost in sorted(points, key=lambda point: (point[2], -point[1])):
        if accuracy > best:
            best = accuracy
            kept.append((name, accuracy, cost))
    return kept


def hypervolume(points, least, most):
    kept = front(points)
    ends = [cost for _, _, cost in kept[1:]] + [most]
    return sum(max(0.0, accuracy - least) * (end - cost) for (_, accuracy, cost), end in zip(kept, ends))


def study(sampler, accuracies, macs, seed, counts, judge):
    """Hypervolumes after so many different networks."""
    generator = random.Random(seed)
    seen_of = {name: generator.choice(values) for name, values in sorted(accuracies.items())}
    tokens = [sorted(set(column)) for column in zip(*(parts(name) for name in accuracies))]
    names = {tuple(parts(name)): name for name in accuracies}
    search = optuna.create_study(directions=["maximize", "minimize"], sampler=sampler)
    seen, found = {}, []
    while len(seen) < counts[-1]:
        trial = search.ask()
        chosen = (trial.suggest_categorical(f"choice{place:02}", options) for place, options in enumerate(tokens))
        name = names[tuple(chosen)]
        search.tell(trial, (seen_of[name], macs[name]))
        if name not in seen:
            seen[name] = seen_of[name]
            if len(seen) in counts:
                found.append(judge([(name, accuracy, macs[name]) for name, accuracy in seen.items()]))
    return found


def parts(name):
    return [part for stage in name.split("-") for part in stage.split(".")]


def optunas(options, accuracies, macs, counts):
    means = {name: statistics.fmean(values) for name, values in accuracies.items()}
    most = max(macs.values())
    whole = hypervolume([(name, means[name], macs[name]) for name in means], options.least, most)

    def judge(points):
        kept = [(name, means[name], cost) for name, _, cost in front(points)]
        return hypervolume(kept, options.least, most) / whole

    samplers = {
        "Optuna random": lambda seed: optuna.samplers.RandomSampler(seed=seed),
        "Optuna NSGA-II": lambda seed: optuna.samplers.NSGAIISampler(seed=seed),
        "Optuna NSGA-II, 20": lambda seed: optuna.samplers.NSGAIISampler(seed=seed, population_size=20),
        "Optuna TPE": lambda seed: optuna.samplers.TPESampler(seed=seed, multivariate=True),
    }
    for name, sampler in samplers.items():
        seeds = range(options.seeds)
        found = [study(sampler(seed), accuracies, macs, seed, counts, judge) for seed in seeds]
        yield name, [statistics.fmean(column) for column in zip(*found)]


def ours(options, counts):
    command = [options.mfactor, "bench", "strategies", "--json", "--quiet", "--table", options.table]
    command += ["--space", options.space, "--front", "macs", "--from", str(options.least)]
    command += ["--seeds", str(options.seeds), "--trials", str(counts[-1])]
    answer = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
    for row in answer["rows"]:
        reached = {of["trials"]: of["hypervolume"]["mean"] for of in row["reached"]}
        yield row["strategy"], [reached[count] for count in counts]


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--mfactor", required=True, help="the program")
    parser.add_argument("--table", required=True, help="CSV file with architecture, seed, accuracy and macs")
    parser.add_argument("--space", default="nas-bench-macro", help="its space")
    parser.add_argument("--seeds", type=int, default=20, help="studies of each")
    parser.add_argument("--least", type=float, default=0.8, help="accuracy from which on the hypervolume counts")
    options = parser.parse_args()
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    counts = [50, 100]
    accuracies, macs = read(options.table)
    rows = list(ours(options, counts)) + list(optunas(options, accuracies, macs, counts))
    print(f"Hypervolume of accuracy against log MACs from {options.least:g}, % of the table's; mean of {options.seeds} studies;")
    print(f"Optuna {optuna.__version__}")
    first = rows[0][1]
    for name, values in rows:
        figures = "  ".join(f"{100 * value:6.2f} ({value / base:.2f} x)" for value, base in zip(values, first))
        print(f"{name:<20}  {figures}")


if __name__ == "__main__":
    main()
