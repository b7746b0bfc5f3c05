"""A study definition made for a data set: commented TOML, to be edited and run by its path."""

from __future__ import annotations

import json
import shlex
from pathlib import Path

import numpy as np

from fdrnn.datasets import BINARY, CATEGORICAL, REAL, Dataset, is_path, user_path
from fdrnn.datasets.chunking import DEFAULT_CHUNK_LENGTH, count_chunks
from fdrnn.datasets.errors import one_line

_BATCH_SIZE = 27
_UPDATES = 5000
_LEAST_EPOCHS, _MOST_EPOCHS = 20, 1000
_COLUMN = 28

_FRAMES = {
    BINARY: "{} columns of 0 and 1",
    REAL: "{} columns of real values",
    CATEGORICAL: "one of {} symbols a frame",
}
_OUTPUTS = {
    BINARY: (
        '# Columns are independent; with "nade" they are not. It needs padding = "masked" and the\n'
        '# space = { extends = ["table2-wide", "nade"] }.\noutput = "bernoulli"'
    ),
    REAL: '# Of the project\'s outputs "gaussian" alone predicts real values.\noutput = "gaussian"',
    CATEGORICAL: '# Symbols also have "softmax_unscented".\noutput = "softmax_sampled"',
}

_TEMPLATE = """\
# {title}: {frames}.
# Training sequences: {n_sequences}, of {median:g} frames in the median and {longest} at most.
#
# What it draws and costs:  fdrnn study preview {file}
# Train and report it:      fdrnn run {file}
# The file's name is the study's name in the store.

# A known data set (`fdrnn data list`), or the path of a data file, relative to this file.
data = {data}

{output}

# "fast_dropout" is the cell of the paper's equations; "plain" has no dropout and needs
# space = "table2-plain". `fdrnn study list --variants` prints all.
variant = "fast_dropout"

# The paper's Table 2 with hidden-to-hidden dropout up to 0.9; "table2" is the table as printed.
# For a space of your own, replace this line by a table after all other keys, for example:
#     [space]
#     extends = "table2-wide"
#     n_hidden = {{ int = [32, 256], log = true, step = 8 }}
space = "table2-wide"

# Configurations to draw. Raising it later extends the study. With few draws, which one is
# selected is a matter of luck.
n_trials = 32

# The seed of every configuration, initial weight and minibatch order.
seed = 2013

# Further seeds with which the selected configuration is trained at the end:
# repeats = 3

# The same for every trial.
[training]
{training}
# Off or as in the paper unless set:
# chunk_length = 100         # frames of a training or validation chunk
# clip_norm = 225.0          # gradient norm above which the gradient is rescaled
# init_scale = "variance"    # or "std": read sigma^2 as a standard deviation
# step_rate_decay = 1.0      # factor on the step rate after each epoch
# full_rate_epochs = 0       # first epochs after which it does not decay yet
# record = []                # ["test_nll"]: also the test NLL of every epoch, for a figure

# Pause trials after some epochs and continue with the better half alone:
# [halving]
# first = {first_rung}
# keep = 0.5
"""


def study_template(dataset: Dataset, path: Path) -> str:
    """Return the text of a study definition that fits a data set.

    Prepended zeros are masked in a user's own data, and counted in known data, as by the authors.
    The number of epochs allows about 5,000 updates, as the paper's studies do.

    Parameters
    ----------
    dataset
        The data set; its `name` is a known one, or the path of a file.
    path
        The absolute path of the definition's file. The path of a data file in its folder, or
        below, is written relative to it.

    Returns
    -------
    str
        TOML that `fdrnn.studies.catalogue.find` reads at `path`.
    """
    own = is_path(dataset.name)
    data = dataset.name
    if own:
        file = user_path(dataset.name)
        data = str(file.relative_to(path.parent) if file.is_relative_to(path.parent) else file)
    lengths = [len(sequence) for sequence in dataset.train]
    n_chunks = count_chunks(dataset.train, DEFAULT_CHUNK_LENGTH)
    n_updates = -(-n_chunks // _BATCH_SIZE)
    max_epochs = min(max(round(_UPDATES / n_updates), _LEAST_EPOCHS), _MOST_EPOCHS)
    padding = (
        ("masked", "prepended zeros do not count")
        if own or dataset.kind == CATEGORICAL
        else ("counted", "prepended zeros count, as in the authors' code")
    )
    training = (
        ("batch_size", _BATCH_SIZE, f"chunks of a minibatch; the training data have {n_chunks}"),
        ("max_epochs", max_epochs, f"most epochs of a trial, of {n_updates} minibatches each"),
        ("patience", max_epochs // 10, "epochs without a better validation NLL that end a trial"),
        ("padding", f'"{padding[0]}"', padding[1]),
        ("parameter_average", 0.98, "decay of the average of parameters that are evaluated"),
    )
    return _TEMPLATE.format(
        title=one_line(dataset.title),
        file=one_line(shlex.quote(path.name)),
        frames=_FRAMES[dataset.kind].format(dataset.n_features),
        n_sequences=len(lengths),
        median=np.median(lengths),
        longest=max(lengths),
        # A text of JSON is one of TOML, unless it escapes characters beyond 16 bits.
        data=json.dumps(data, ensure_ascii=False),
        output=_OUTPUTS[dataset.kind],
        training="\n".join(
            f"{key} = {value}".ljust(_COLUMN) + f"# {note}" for key, value, note in training
        ),
        first_rung=max_epochs // 16,
    )
