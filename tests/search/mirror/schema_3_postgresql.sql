CREATE TABLE fdrnn_schema (
    version SERIAL NOT NULL,
    PRIMARY KEY (version)
);

CREATE TABLE fdrnn_studies (
    study_id SERIAL NOT NULL,
    name VARCHAR(100) NOT NULL,
    definition JSON NOT NULL,
    data JSON NOT NULL,
    created_at DOUBLE PRECISION NOT NULL,
    code_version VARCHAR(100) NOT NULL,
    PRIMARY KEY (study_id),
    UNIQUE (name)
);

CREATE TABLE fdrnn_trials (
    trial_id SERIAL NOT NULL,
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
    lease_renewed DOUBLE PRECISION,
    lease_expires DOUBLE PRECISION,
    started_at DOUBLE PRECISION,
    finished_at DOUBLE PRECISION,
    diverged BOOLEAN,
    n_epochs INTEGER,
    best_epoch INTEGER,
    valid_nll DOUBLE PRECISION,
    valid_nll_counted DOUBLE PRECISION,
    valid_nll_masked DOUBLE PRECISION,
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
    written_at DOUBLE PRECISION NOT NULL,
    state BYTEA NOT NULL,
    PRIMARY KEY (trial_id),
    FOREIGN KEY(trial_id) REFERENCES fdrnn_trials (trial_id) ON DELETE CASCADE
);

CREATE TABLE fdrnn_epochs (
    trial_id INTEGER NOT NULL,
    epoch INTEGER NOT NULL,
    train_nll DOUBLE PRECISION,
    valid_nll_counted DOUBLE PRECISION,
    valid_nll_masked DOUBLE PRECISION,
    spectral_radius DOUBLE PRECISION,
    spectral_radius_squared DOUBLE PRECISION,
    gradient_norm DOUBLE PRECISION,
    seconds DOUBLE PRECISION,
    PRIMARY KEY (trial_id, epoch),
    FOREIGN KEY(trial_id) REFERENCES fdrnn_trials (trial_id) ON DELETE CASCADE
);

CREATE TABLE fdrnn_measurements (
    trial_id INTEGER NOT NULL,
    epoch INTEGER NOT NULL,
    name VARCHAR(100) NOT NULL,
    value DOUBLE PRECISION,
    PRIMARY KEY (trial_id, epoch, name),
    FOREIGN KEY(trial_id) REFERENCES fdrnn_trials (trial_id) ON DELETE CASCADE
);

CREATE TABLE fdrnn_parameters (
    trial_id INTEGER NOT NULL,
    name VARCHAR(100) NOT NULL,
    dtype VARCHAR(20) NOT NULL,
    shape JSON NOT NULL,
    data BYTEA NOT NULL,
    PRIMARY KEY (trial_id, name),
    FOREIGN KEY(trial_id) REFERENCES fdrnn_trials (trial_id) ON DELETE CASCADE
);

CREATE TABLE fdrnn_samples (
    trial_id INTEGER NOT NULL,
    name VARCHAR(100) NOT NULL,
    dtype VARCHAR(20) NOT NULL,
    shape JSON NOT NULL,
    data BYTEA NOT NULL,
    about JSON,
    PRIMARY KEY (trial_id, name),
    FOREIGN KEY(trial_id) REFERENCES fdrnn_trials (trial_id) ON DELETE CASCADE
);

CREATE TABLE fdrnn_test_sequences (
    trial_id INTEGER NOT NULL,
    sequence_index INTEGER NOT NULL,
    nll_sum DOUBLE PRECISION,
    n_steps INTEGER NOT NULL,
    PRIMARY KEY (trial_id, sequence_index),
    FOREIGN KEY(trial_id) REFERENCES fdrnn_trials (trial_id) ON DELETE CASCADE
);
