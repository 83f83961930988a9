-- Trainings that all workers of the database share, by a digest of all that decides them. Without an entry somebody is at it.
CREATE TABLE mfactor_trainings (
    key text PRIMARY KEY,
    study text NOT NULL REFERENCES mfactor_studies ON DELETE CASCADE,
    worker text NOT NULL,
    token uuid NOT NULL,
    expires timestamptz NOT NULL,
    entry text
);
