"""Prints what Optuna sees in a journal file, as JSON: every study by name, with its trials."""

import json
import sys

import optuna

backend = optuna.storages.journal.JournalFileBackend(sys.argv[1])
storage = optuna.storages.JournalStorage(backend)


def trial_view(trial):
    return {
        "number": trial.number,
        "state": trial.state.name,
        "value": trial.value,
        "params": {
            name: {"value": value, "choices": trial.distributions[name].choices}
            for name, value in trial.params.items()
        },
        "intermediate_values": trial.intermediate_values,
        "user_attrs": trial.user_attrs,
        "ended": trial.duration is not None,
    }


def study_view(name):
    study = optuna.load_study(study_name=name, storage=storage)
    complete = study.get_trials(states=[optuna.trial.TrialState.COMPLETE])
    return {
        "direction": study.direction.name,
        "metric_names": study.metric_names,
        "user_attrs": study.user_attrs,
        "best_value": study.best_value if complete else None,
        "trials": [trial_view(trial) for trial in study.trials],
    }


names = optuna.get_all_study_names(storage)
json.dump({name: study_view(name) for name in names}, sys.stdout)
