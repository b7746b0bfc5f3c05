"""Tables 1 and 3 of the paper.

Bayer et al. 2013, *On Fast Dropout and its Applicability to Recurrent Networks*.

Table 1: test NLL in nats per predicted step. The column FD is the paper's own; the others the paper
cites: plain and RNN-NADE from Bengio, Boulanger-Lewandowski and Pascanu 2012 (*Advances in
optimizing recurrent networks*), Deep RNN from Pascanu, Gulcehre, Cho and Bengio 2013 (*How to
construct deep recurrent neural networks*).
"""

from __future__ import annotations

from dataclasses import dataclass

from fdrnn.model import FastDropoutHyperparameters


@dataclass(frozen=True, kw_only=True)
class PublishedNll:
    """A row of the paper's Table 1: test NLL in nats per predicted step.

    Attributes
    ----------
    title
        The data set as the paper prints it.
    fd
        Fast-dropout RNN, the paper's own result.
    plain, rnn_nade, deep_rnn
        Results that the paper cites; None where it gives none.
    """

    title: str
    fd: float
    plain: float
    rnn_nade: float
    deep_rnn: float | None


TABLE_1 = {
    "piano": PublishedNll(title="Piano-midi.de", fd=7.39, plain=7.58, rnn_nade=7.05, deep_rnn=None),
    "nottingham": PublishedNll(
        title="Nottingham", fd=3.09, plain=3.43, rnn_nade=2.31, deep_rnn=2.95
    ),
    "musedata": PublishedNll(title="MuseData", fd=6.75, plain=6.99, rnn_nade=5.60, deep_rnn=6.59),
    "jsb": PublishedNll(title="JSB Chorales", fd=8.01, plain=8.58, rnn_nade=5.19, deep_rnn=7.92),
}
"""Rows of Table 1 by the data set's name, in the paper's order."""

TABLE_3 = {
    "piano": FastDropoutHyperparameters(
        n_hidden=600,
        dropout_input=0.1,
        dropout_hidden_to_hidden=0.3,
        fast_dropout_final_layer=False,
        step_rate=0.005,
        momentum=0.995,
        decay=0.8,
        sigma2_rec_out=0.1,
        sigma2_in=0.0001,
        spectral_radius=1.2,
        max_incoming=25,
    ),
    "nottingham": FastDropoutHyperparameters(
        n_hidden=400,
        dropout_input=0.1,
        dropout_hidden_to_hidden=0.4,
        fast_dropout_final_layer=True,
        dropout_hidden_to_output=0.0,
        step_rate=0.001,
        momentum=0.99,
        decay=0.9,
        sigma2_rec_out=0.001,
        sigma2_in=0.1,
        spectral_radius=1.2,
    ),
    "musedata": FastDropoutHyperparameters(
        n_hidden=600,
        dropout_input=0.2,
        dropout_hidden_to_hidden=0.3,
        fast_dropout_final_layer=True,
        dropout_hidden_to_output=0.0,
        step_rate=0.0005,
        momentum=0.995,
        decay=0.9,
        sigma2_rec_out=0.1,
        sigma2_in=0.0001,
        spectral_radius=1.2,
    ),
    "jsb": FastDropoutHyperparameters(
        n_hidden=400,
        dropout_input=0.1,
        dropout_hidden_to_hidden=0.2,
        fast_dropout_final_layer=True,
        dropout_hidden_to_output=0.5,
        step_rate=0.001,
        momentum=0.99,
        decay=0.8,
        sigma2_rec_out=0.0001,
        sigma2_in=0.01,
        spectral_radius=1.2,
        max_incoming=15,
    ),
}
"""Columns of Table 3, the hyperparameters behind the column FD, by the data set's name."""
