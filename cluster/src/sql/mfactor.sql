-- What Optuna lacks: which of its studies are the tracks of one study of ours, and who is at which trial.
CREATE TABLE mfactor_schema (
    version integer NOT NULL,
    database uuid NOT NULL DEFAULT gen_random_uuid(),
    is_only boolean PRIMARY KEY DEFAULT true CHECK (is_only)
);
CREATE TABLE mfactor_studies (
    study text PRIMARY KEY,
    tool text NOT NULL,
    config text NOT NULL,
    state text NOT NULL DEFAULT 'running' CHECK (state IN ('running', 'stopping')),
    lease_ms double precision NOT NULL CHECK (lease_ms > 0),
    most_attempts integer NOT NULL CHECK (most_attempts > 0),
    keeps_files boolean NOT NULL,
    made timestamptz NOT NULL DEFAULT clock_timestamp()
);
CREATE TABLE mfactor_tracks (
    study_id integer PRIMARY KEY REFERENCES studies ON DELETE CASCADE,
    study text NOT NULL REFERENCES mfactor_studies ON DELETE CASCADE,
    strategy text NOT NULL,
    position integer NOT NULL,
    UNIQUE (study, position)
);
CREATE TABLE mfactor_leases (
    trial_id integer PRIMARY KEY REFERENCES trials ON DELETE CASCADE,
    token uuid NOT NULL UNIQUE,
    worker text NOT NULL,
    attempt integer NOT NULL DEFAULT 1,
    expires timestamptz NOT NULL,
    done boolean NOT NULL DEFAULT false
);
CREATE INDEX mfactor_open_leases ON mfactor_leases (expires) WHERE NOT done;
CREATE TABLE mfactor_deaths (
    trial_id integer NOT NULL REFERENCES trials ON DELETE CASCADE,
    attempt integer NOT NULL,
    worker text NOT NULL,
    noticed timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (trial_id, attempt)
);
CREATE INDEX mfactor_trials_by_number ON trials (study_id, number);
