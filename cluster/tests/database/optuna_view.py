"""Prints what Optuna finds in a database: its studies as JSON. With a second argument it deletes the study of that name."""

import datetime
import json
import sys
import warnings

import optuna

warnings.simplefilter("ignore")
optuna.logging.set_verbosity(optuna.logging.ERROR)
storage = optuna.storages.RDBStorage(sys.argv[1])
# Optuna hands out the times of the place where it runs.
now = datetime.datetime.now()
if len(sys.argv) > 2:
    optuna.delete_study(study_name=sys.argv[2], storage=storage)
studies = {}
for name in optuna.get_all_study_names(storage):
    study = optuna.load_study(study_name=name, storage=storage)
    studies[name] = {
        "direction": study.direction.name,
        "metric_names": study.metric_names,
        "seed": study.user_attrs["seed"],
        "best_value": study.best_value,
        "trials": [
            {
                "number": trial.number,
                "state": trial.state.name,
                "value": trial.value,
                "architecture": trial.user_attrs["architecture"],
                "kernel": trial.params["stage1.block1.kernel"],
                "epochs": [trial.intermediate_values[step] for step in sorted(trial.intermediate_values)],
                "seconds": trial.duration.total_seconds(),
                "age": (now - trial.datetime_start).total_seconds(),
            }
            for trial in study.trials
        ],
    }
print(json.dumps(studies))
