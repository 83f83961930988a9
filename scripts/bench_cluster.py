"""Whole trials a second in PostgreSQL: `mfactor worker` with an evaluator that answers at once, and Optuna's own storages.

A trial is the same for all: it begins with nine parameters and two attributes, and ends with a value. Each way has its own
study in one server, one after the other, and in each round again. Workers of mfactor are started within the time that is
measured; Optuna's are up before it begins, for Python alone takes seconds to load it.
"""

import argparse
import contextlib
import multiprocessing
import os
import socket
import statistics
import subprocess
import time
import warnings

import optuna

warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)  # of the proxy

URL = os.environ["MFACTOR_DATABASE"]
RDB = URL.replace("postgresql://", "postgresql+psycopg://")
BLOCKS = 9
HISTORY = 10_000
LONGEST_CLAIM_MS = 50
LEAST_RATIO = 3


def quietly(*command):
    subprocess.run([*command, "--quiet"], check=True, stdout=subprocess.DEVNULL)


def mfactor(program, workers, trials):
    """Seconds for the trials of random search by so many workers, from their start to the end of the last."""
    name = f"with{workers}"
    dry = ["search", "--evaluator", "constant:0.75", "--strategy", "random", "--trials", str(trials)]
    if name in subprocess.check_output([program, "cluster", "status"], text=True).split():
        quietly(program, "cluster", "remove", name)
    quietly(program, *dry, "--workers", str(workers), "--name", name, "--detach")
    began = time.monotonic()
    crew = [subprocess.Popen([program, "worker", name, "--quiet"], stdout=subprocess.DEVNULL) for _ in range(workers)]
    assert all(worker.wait() == 0 for worker in crew)
    return time.monotonic() - began


def optimize(name, share, port, barrier):
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    storage = optuna.storages.GrpcStorageProxy(host="127.0.0.1", port=port) if port else RDB
    study = optuna.load_study(study_name=name, storage=storage, sampler=optuna.samplers.RandomSampler())
    barrier.wait()
    for _ in range(share):
        trial = study.ask()
        for block in range(BLOCKS):
            trial.suggest_categorical(f"block{block}", [3, 5, 7])
        trial.set_user_attr("architecture", "333-333-333")
        trial.set_user_attr("seed", 1)
        study.tell(trial, 0.5)


def serve(port):
    optuna.storages.run_grpc_proxy_server(optuna.storages.get_storage(RDB), host="127.0.0.1", port=port)


def beside(workers, trials, port=None):
    """The same by Optuna, over the proxy at a port or with a connection for each worker."""
    name = f"optuna-{workers}-{port}"
    with contextlib.suppress(KeyError):
        optuna.delete_study(study_name=name, storage=RDB)
    optuna.create_study(study_name=name, storage=RDB, direction="maximize")
    spawn = multiprocessing.get_context("spawn")  # gRPC does not survive a fork
    barrier = spawn.Barrier(workers + 1)
    crew = [spawn.Process(target=optimize, args=(name, trials // workers, port, barrier)) for _ in range(workers)]
    for worker in crew:
        worker.start()
    barrier.wait()
    began = time.monotonic()
    for worker in crew:
        worker.join()
        assert worker.exitcode == 0
    return time.monotonic() - began


# A copy of the last trial of a study, so many times, numbered on; ended and never to be looked at again but as history.
COPY = """
WITH source AS (SELECT t.* FROM trials t JOIN studies s USING (study_id) WHERE s.study_name = %(study)s ORDER BY number DESC LIMIT 1),
 made AS (INSERT INTO trials (number, study_id, state, datetime_start, datetime_complete)
    SELECT number + i, study_id, state, datetime_start, datetime_complete FROM source, generate_series(1, %(copies)s) AS i RETURNING trial_id),
 p AS (INSERT INTO trial_params (trial_id, param_name, param_value, distribution_json)
    SELECT m.trial_id, p.param_name, p.param_value, p.distribution_json FROM made m, trial_params p WHERE p.trial_id = (SELECT trial_id FROM source)),
 a AS (INSERT INTO trial_user_attributes (trial_id, key, value_json)
    SELECT m.trial_id, a.key, a.value_json FROM made m, trial_user_attributes a WHERE a.trial_id = (SELECT trial_id FROM source)),
 v AS (INSERT INTO trial_values (trial_id, objective, value, value_type)
    SELECT m.trial_id, v.objective, v.value, v.value_type FROM made m, trial_values v WHERE v.trial_id = (SELECT trial_id FROM source))
INSERT INTO mfactor_leases (trial_id, token, worker, expires, done) SELECT trial_id, gen_random_uuid(), 'copied', 'infinity', true FROM made
"""
GAPS = """
SELECT extract(epoch FROM datetime_start - lag(datetime_complete) OVER (ORDER BY number))::float8 * 1000
FROM trials JOIN studies USING (study_id) WHERE study_name = %(study)s AND number > %(first)s
"""


def claim(program, strategy):
    """Milliseconds from the end of a trial to the beginning of the next, behind 10,000 that have ended: median and longest."""
    import psycopg

    name = f"long-{strategy}"
    dry = ["search", "--evaluator", "constant:0.75", "--strategy", strategy, "--workers", "1", "--name", name]
    quietly(program, *dry, "--trials", "2", "--detach")
    quietly(program, "worker", name)
    study = {"study": f"{name}-{strategy}"}
    with psycopg.connect(URL) as connection:
        connection.execute(COPY, {**study, "copies": HISTORY})
        connection.execute("ANALYZE")
    quietly(program, "cluster", "extend", name, "--trials", str(HISTORY + 52))
    quietly(program, "worker", name)
    with psycopg.connect(URL) as connection:
        rows = connection.execute(GAPS, {**study, "first": HISTORY + 5})
        gaps = [gap for (gap,) in rows if gap is not None]
    return statistics.median(gaps), max(gaps)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("program")
    parser.add_argument("workers", nargs="*", type=int, default=[1, 8, 32])
    parser.add_argument("--trials", type=int, default=20, help="of each worker, and 100 at the least")
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--strategies", default="random,evolution,tpe", help="whose claims are measured")
    options = parser.parse_args()
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    quietly(options.program, "cluster", "init")
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        port = held.getsockname()[1]
    proxy = multiprocessing.get_context("spawn").Process(target=serve, args=(port,), daemon=True)
    proxy.start()
    print(f"load {os.getloadavg()[0]:.1f}\nworkers  mfactor  Optuna RDB  Optuna gRPC  (trials/s)  ratio to the better")
    for workers in options.workers * options.rounds:
        trials = max(100, options.trials * workers) // workers * workers
        ways = [mfactor(options.program, workers, trials), beside(workers, trials), beside(workers, trials, port)]
        own, *others = [trials / seconds for seconds in ways]
        ratio = own / max(others)
        short = f"  (below {LEAST_RATIO})" if workers > 1 and ratio < LEAST_RATIO else ""
        print(f"{workers:>7}  {own:>7.1f}  {others[0]:>10.1f}  {others[1]:>11.1f}  {ratio:>31.1f}{short}", flush=True)
    proxy.terminate()
    for strategy in options.strategies.split(","):
        middle, longest = claim(options.program, strategy)
        short = "" if middle <= LONGEST_CLAIM_MS else f"  (above {LONGEST_CLAIM_MS})"
        print(f"claim behind {HISTORY} trials, {strategy}: median {middle:.1f} ms, longest {longest:.1f} ms{short}", flush=True)
    print(f"load {os.getloadavg()[0]:.1f}")


if __name__ == "__main__":
    main()
