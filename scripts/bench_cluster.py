"""Whole trials a second in PostgreSQL: `mfactor worker` with an evaluator that answers at once, and Optuna's RDB storage."""

import multiprocessing
import os
import subprocess
import sys
import time

import optuna

URL = os.environ["MFACTOR_DATABASE"]
BLOCKS = 9


def mfactor(program, workers):
    """Seconds for the trials of random search by so many workers, from their start to the end of the last."""
    trials, name = max(50, 10 * workers), f"with{workers}"
    dry = ["search", "--evaluator", "constant:0.75", "--strategy", "random", "--trials", str(trials)]
    subprocess.run([program, *dry, "--workers", str(workers), "--name", name, "--detach", "--quiet"], check=True, stdout=subprocess.DEVNULL)
    began = time.monotonic()
    crew = [subprocess.Popen([program, "worker", name, "--quiet"], stdout=subprocess.DEVNULL) for _ in range(workers)]
    assert all(worker.wait() == 0 for worker in crew)
    return trials + 1, time.monotonic() - began


def optimize(name, share):
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    study = optuna.load_study(study_name=name, storage=URL.replace("postgresql://", "postgresql+psycopg://"), sampler=optuna.samplers.RandomSampler())
    for _ in range(share):
        trial = study.ask()
        for block in range(BLOCKS):
            trial.suggest_categorical(f"block{block}", [3, 5, 7])
        trial.set_user_attr("architecture", "333-333-333")
        trial.set_user_attr("seed", 1)
        study.tell(trial, 0.5)


def beside(workers):
    """The same by Optuna: ask, nine parameters, two attributes, tell."""
    name, share = f"optuna{workers}", max(50, 10 * workers) // workers
    optuna.create_study(study_name=name, storage=URL.replace("postgresql://", "postgresql+psycopg://"), direction="maximize")
    began = time.monotonic()
    crew = [multiprocessing.Process(target=optimize, args=(name, share)) for _ in range(workers)]
    for worker in crew:
        worker.start()
    for worker in crew:
        worker.join()
        assert worker.exitcode == 0
    return share * workers, time.monotonic() - began


def main():
    program, *numbers = sys.argv[1:]
    subprocess.run([program, "cluster", "init", "--quiet"], check=True, stdout=subprocess.DEVNULL)
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    print("workers  mfactor trials/s  Optuna RDB trials/s")
    for workers in map(int, numbers or ["1", "8", "32"]):
        rates = [trials / seconds for trials, seconds in (mfactor(program, workers), beside(workers))]
        print(f"{workers:>7}  {rates[0]:>16.1f}  {rates[1]:>19.1f}", flush=True)


if __name__ == "__main__":
    main()
