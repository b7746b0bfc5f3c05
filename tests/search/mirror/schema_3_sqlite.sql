CREATE TABLE fdrnn_schema (
    version INTEGER NOT NULL,
    PRIMARY KEY (version)
);

CREATE TABLE fdrnn_studies (
    study_id INTEGER NOT NULL,
    name VARCHAR(100) NOT NULL,
    definition JSON NOT NULL,
    data JSON NOT NULL,
    created_at DOUBLE NOT NULL,
    code_version VARCHAR(100) NOT NULL,
    PRIMARY KEY (study_id),
    UNIQUE (name)
);

CREATE TABLE fdrnn_trials (
    trial_id INTEGER NOT NULL,
    study_id INTEGER NOT NULL,
    config_index INTEGER NOT NULL,
    seed BIGINT NOT NULL,
    hyperparameters JSON NOT NULL,
    state VARCHAR(10) NOT NULL,
    attempt INTEGER NOT NULL,
    stalls INTEGER DEFAULT '0' NOT NULL,
    trouble TEXT,
    worker VARCHAR(255),
    host VARCHAR(255),
    pid INTEGER,
    lease_renewed DOUBLE,
    lease_expires DOUBLE,
    started_at DOUBLE,
    finished_at DOUBLE,
    diverged BOOLEAN,
    n_epochs INTEGER,
    best_epoch INTEGER,
    valid_nll DOUBLE,
    valid_nll_counted DOUBLE,
    valid_nll_masked DOUBLE,
    machine TEXT,
    error TEXT,
    rung INTEGER DEFAULT '0' NOT NULL,
    cohort INTEGER DEFAULT '0' NOT NULL,
    repeat_of INTEGER,
    PRIMARY KEY (trial_id),
    UNIQUE (study_id, config_index),
    FOREIGN KEY(study_id) REFERENCES fdrnn_studies (study_id) ON DELETE CASCADE
);

CREATE TABLE fdrnn_checkpoints (
    trial_id INTEGER NOT NULL,
    epoch INTEGER NOT NULL,
    written_at DOUBLE NOT NULL,
    state BLOB NOT NULL,
    PRIMARY KEY (trial_id),
    FOREIGN KEY(trial_id) REFERENCES fdrnn_trials (trial_id) ON DELETE CASCADE
);

CREATE TABLE fdrnn_epochs (
    trial_id INTEGER NOT NULL,
    epoch INTEGER NOT NULL,
    train_nll DOUBLE,
    valid_nll_counted DOUBLE,
    valid_nll_masked DOUBLE,
    spectral_radius DOUBLE,
    spectral_radius_squared DOUBLE,
    gradient_norm DOUBLE,
    seconds DOUBLE,
    PRIMARY KEY (trial_id, epoch),
    FOREIGN KEY(trial_id) REFERENCES fdrnn_trials (trial_id) ON DELETE CASCADE
);

CREATE TABLE fdrnn_measurements (
    trial_id INTEGER NOT NULL,
    epoch INTEGER NOT NULL,
    name VARCHAR(100) NOT NULL,
    value DOUBLE,
    PRIMARY KEY (trial_id, epoch, name),
    FOREIGN KEY(trial_id) REFERENCES fdrnn_trials (trial_id) ON DELETE CASCADE
);

CREATE TABLE fdrnn_parameters (
    trial_id INTEGER NOT NULL,
    name VARCHAR(100) NOT NULL,
    dtype VARCHAR(20) NOT NULL,
    shape JSON NOT NULL,
    data BLOB NOT NULL,
    PRIMARY KEY (trial_id, name),
    FOREIGN KEY(trial_id) REFERENCES fdrnn_trials (trial_id) ON DELETE CASCADE
);

CREATE TABLE fdrnn_samples (
    trial_id INTEGER NOT NULL,
    name VARCHAR(100) NOT NULL,
    dtype VARCHAR(20) NOT NULL,
    shape JSON NOT NULL,
    data BLOB NOT NULL,
    about JSON,
    PRIMARY KEY (trial_id, name),
    FOREIGN KEY(trial_id) REFERENCES fdrnn_trials (trial_id) ON DELETE CASCADE
);

CREATE TABLE fdrnn_test_sequences (
    trial_id INTEGER NOT NULL,
    sequence_index INTEGER NOT NULL,
    nll_sum DOUBLE,
    n_steps INTEGER NOT NULL,
    PRIMARY KEY (trial_id, sequence_index),
    FOREIGN KEY(trial_id) REFERENCES fdrnn_trials (trial_id) ON DELETE CASCADE
);
