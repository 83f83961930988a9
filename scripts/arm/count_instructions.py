"""The table of scripts/count-instructions, from the consoles of the systems that measured: PROCESSOR.log files."""

import json
import os
import statistics
import sys


def counts(log):
    """Millions of instructions of one inference (median; a nanosecond is an instruction), by model and engine."""
    found = {}
    with open(log, encoding="utf-8", errors="replace") as file:
        for line in file:
            if not line.startswith("@@ "):
                continue
            _, model, engine, answer = line.split(" ", 3)
            try:
                found[model, engine] = statistics.median(json.loads(answer)["done"]["round"]["samples_ns"]) / 1e6
            except (ValueError, KeyError):
                print(f"{engine} cannot run {model}: {answer.strip()[:300]}", file=sys.stderr)
    return found


def main():
    print("Millions of instructions of one inference, counted under QEMU: not time.\n")
    print(f"{'model':<30}{'processor':<14}{'tract':>9}{'ort':>9}{'ort/tract':>11}")
    tables = {os.path.basename(log).removesuffix(".log"): counts(log) for log in sys.argv[1:]}
    for model in sorted({model for table in tables.values() for model, _ in table}):
        for processor, table in tables.items():
            row = [table.get((model, engine)) for engine in ("tract", "ort")]
            cells = ["-" if count is None else f"{count:.1f}" for count in row]
            ratio = f"{row[1] / row[0]:.2f}" if None not in row else "-"
            print(f"{model:<30}{processor:<14}{cells[0]:>9}{cells[1]:>9}{ratio:>11}")


main()
