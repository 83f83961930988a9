"""Does with Optuna what its users do beside a running search. Arguments: journal, name of a study of the search."""

import sys

import optuna

optuna.logging.set_verbosity(optuna.logging.ERROR)
path, name = sys.argv[1:]
for lock in (None, optuna.storages.journal.JournalFileOpenLock(path)):
    storage = optuna.storages.JournalStorage(optuna.storages.journal.JournalFileBackend(path, lock))
    searched = optuna.load_study(study_name=name, storage=storage)
    searched.set_user_attr("note", float("nan"))
    searched.enqueue_trial({"stage1.block1.kernel": 3})
    searched.ask()
    own = optuna.create_study(study_name=f"own of {name} {lock is None}", storage=storage)
    trial = own.ask()
    trial.suggest_float("x", -1, 1)
    trial.report(float("nan"), 1)
    trial.set_user_attr("infinite", float("-inf"))
    own.tell(trial, float("inf"))
    own.tell(own.ask(), state=optuna.trial.TrialState.PRUNED)
    own.ask()
    optuna.delete_study(study_name=own.study_name, storage=storage)
