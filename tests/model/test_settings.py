import dataclasses

import numpy as np
import pytest

from fdrnn.model import FastDropoutHyperparameters, TrainingSettings

VALID = {
    "n_hidden": 200,
    "step_rate": 0.001,
    "momentum": 0.9,
    "decay": 0.8,
    "sigma2_rec_out": 0.1,
    "sigma2_in": 0.1,
    "spectral_radius": 1.2,
    "dropout_input": 0.1,
    "dropout_hidden_to_hidden": 0.5,
    "fast_dropout_final_layer": True,
    "dropout_hidden_to_output": 0.2,
}


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("n_hidden", 0),
        ("n_hidden", 10**7),
        ("n_hidden", True),
        ("n_hidden", 2.0),
        ("step_rate", 0.0),
        ("step_rate", float("inf")),
        ("momentum", 1.0),
        ("decay", -0.1),
        ("sigma2_in", float("nan")),
        ("max_incoming", 0),
        ("max_incoming", 2.5),
        ("dropout_input", 1.0),
        ("dropout_hidden_to_hidden", -0.2),
        # What single precision, in which networks are trained, makes 1, infinite or 0.
        ("momentum", 1 - 1e-9),
        ("decay", 1 - 1e-9),
        ("dropout_hidden_to_hidden", 1 - 1e-9),
        ("step_rate", 1e39),
        ("step_rate", 1e-46),
        ("sigma2_rec_out", 5e-324),
        ("sigma2_rec_out", 1e38),
        ("sigma2_in", 1e38),
        ("spectral_radius", 1e300),
        ("dropout_hidden_to_output", None),
        ("dropout_hidden_to_output", 1.5),
        ("fast_dropout_final_layer", False),
    ],
)
def test_hyperparameters_out_of_range_name_key_and_value(key, value):
    named = "dropout_hidden_to_output" if key == "fast_dropout_final_layer" else key
    with pytest.raises(ValueError, match=f"^{named} must be .*, got ") as error:
        FastDropoutHyperparameters(**{**VALID, key: value})
    received = VALID["dropout_hidden_to_output"] if key == "fast_dropout_final_layer" else value
    assert str(error.value).endswith(f"got {received!r}")


def test_valid_hyperparameters():
    assert FastDropoutHyperparameters(**VALID).max_incoming is None
    assert FastDropoutHyperparameters(**VALID | {"n_hidden": np.int64(7)}).n_hidden == 7
    without = {**VALID, "fast_dropout_final_layer": False, "dropout_hidden_to_output": None}
    assert FastDropoutHyperparameters(**without).dropout_hidden_to_output is None


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("batch_size", 0),
        ("batch_size", True),
        ("patience", 0),
        ("max_epochs", 0),
        ("chunk_length", 1),
        ("padding", "ignored"),
        ("padding_side", "both"),
        ("init_scale", "deviation"),
        ("output_bias", 1e4),
        ("output_bias", float("nan")),
        ("max_incoming_in_out", -1),
        ("full_rate_epochs", -1),
        ("clip_norm", 0.0),
        ("clip_norm", 1e-46),
        ("clip_norm", float("inf")),
        ("step_rate_decay", 0.0),
        ("step_rate_decay", 1.1),
        ("parameter_average", 1.0),
        ("parameter_average", 1 - 1e-9),
    ],
)
def test_training_settings_out_of_range(key, value):
    with pytest.raises(ValueError, match=f"^{key} must be .*, got {value!r}"):
        dataclasses.replace(TrainingSettings(), **{key: value})
