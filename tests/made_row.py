"""A complete row of Table 1, from which tests make others."""

from __future__ import annotations

from fdrnn.reports.numbers.table1 import Estimate, Row

ROW = Row(
    data="jsb",
    title="JSB Chorales",
    fingerprint="0" * 64,
    study="jsb",
    variant="fast_dropout",
    space="table2",
    seed=2013,
    padding="counted",
    training="batch 27; patience 30; at most 300 epochs",
    plain_study="jsb-plain",
    code_version="0.1.0",
    trials_planned=32,
    trials_finished=32,
    trials_diverged=5,
    trials_failed=0,
    selected_trial=17,
    best_epoch=93,
    valid_nll=8.123456789,
    test_nll_pooled=Estimate(value=8.147, low=7.951, high=8.352),
    test_nll_sequence_mean=Estimate(value=8.104, low=7.912, high=8.301),
    paper_fd=8.01,
    cited_plain=8.58,
    cited_rnn_nade=5.19,
    cited_deep_rnn=7.92,
    note="",
)
