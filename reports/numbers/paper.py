"""Table 1 of Bayer et al. 2013, *On Fast Dropout and its Applicability to Recurrent Networks*.

Test NLL in nats per predicted step. The column FD is the paper's own; the others the paper
cites: plain and RNN-NADE from Bengio, Boulanger-Lewandowski and Pascanu 2012 (*Advances in
optimizing recurrent networks*), Deep RNN from Pascanu, Gulcehre, Cho and Bengio 2013 (*How to
construct deep recurrent neural networks*).
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class PublishedNll:
    """A row of the paper's Table 1: test NLL in nats per predicted step.

    Attributes
    ----------
    fd
        Fast-dropout RNN, the paper's own result.
    plain, rnn_nade, deep_rnn
        Results that the paper cites; None where it gives none.
    """

    fd: float
    plain: float
    rnn_nade: float
    deep_rnn: float | None = None


TABLE_1 = {
    "piano": PublishedNll(fd=7.39, plain=7.58, rnn_nade=7.05),
    "nottingham": PublishedNll(fd=3.09, plain=3.43, rnn_nade=2.31, deep_rnn=2.95),
    "musedata": PublishedNll(fd=6.75, plain=6.99, rnn_nade=5.60, deep_rnn=6.59),
    "jsb": PublishedNll(fd=8.01, plain=8.58, rnn_nade=5.19, deep_rnn=7.92),
}
"""Rows of Table 1 by the data set's name, in the paper's order."""
