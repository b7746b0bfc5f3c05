from fdrnn.search.machine import describe_machine


def test_the_flags_of_the_user_are_recorded(monkeypatch):
    monkeypatch.delenv("THEANO_FLAGS", raising=False)
    plain = describe_machine()
    monkeypatch.setenv("THEANO_FLAGS", "mode=FAST_COMPILE")
    assert describe_machine() == f"{plain}; THEANO_FLAGS=mode=FAST_COMPILE"
