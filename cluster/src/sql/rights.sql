GRANT SELECT, UPDATE ON studies, mfactor_studies TO :role;
GRANT SELECT ON alembic_version, version_info, study_directions, mfactor_schema, mfactor_tracks TO :role;
GRANT SELECT, INSERT, UPDATE ON study_user_attributes TO :role;
GRANT SELECT, INSERT, UPDATE ON study_system_attributes TO :role;
GRANT SELECT, INSERT, UPDATE ON trials, trial_user_attributes, trial_system_attributes, trial_params, trial_values TO :role;
GRANT SELECT, INSERT, UPDATE, DELETE ON trial_intermediate_values TO :role;
GRANT SELECT, INSERT, UPDATE ON mfactor_leases, mfactor_deaths, mfactor_trainings TO :role;
GRANT USAGE ON SEQUENCE trials_trial_id_seq, trial_user_attributes_trial_user_attribute_id_seq,
    trial_system_attributes_trial_system_attribute_id_seq, trial_params_param_id_seq, trial_values_trial_value_id_seq,
    trial_intermediate_values_trial_intermediate_value_id_seq, study_user_attributes_study_user_attribute_id_seq,
    study_system_attributes_study_system_attribute_id_seq TO :role;
