from __future__ import annotations

import pytest

from fdrnn.datasets import CacheError, cache_directory
from fdrnn.datasets.cache import write_cached


def test_the_environment_names_the_cache_directory(cache):
    assert cache_directory() == cache
    assert not cache.exists()


def test_a_cache_directory_that_cannot_be_made_is_told_with_the_way_out(tmp_path):
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(CacheError, match="FDRNN_CACHE_DIR") as caught:
        write_cached(tmp_path / "file" / "below" / "x", lambda file: file.write(b""))
    assert isinstance(caught.value, OSError)
    assert "\n" not in str(caught.value)
