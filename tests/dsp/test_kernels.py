"""The cache of compiled kernels: it saves time, and nothing that happens to it does any harm."""

import errno
import importlib.util

import numpy as np
import pytest
from numba.core import caching

from dsp import kernels

SOURCE = """
def doubled(values):
    for i in range(values.shape[0]):
        values[i] *= 2
"""


@pytest.fixture
def kernel(tmp_path, monkeypatch):
    """Makes the same kernel anew at every call, as every process does."""
    monkeypatch.setattr("numba.config.CACHE_DIR", "")
    file = tmp_path / "some_kernels.py"
    file.write_text(SOURCE)
    spec = importlib.util.spec_from_file_location("some_kernels", file)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return lambda: kernels.jit(module.doubled)


def hits(compiled) -> int:
    """Run it, see that it does what it does, and count what came from the cache."""
    values = np.arange(3.0)
    compiled(values)
    assert values.tolist() == [0.0, 2.0, 4.0]
    return sum(compiled.stats.cache_hits.values())


def test_the_second_process_compiles_nothing(kernel, tmp_path):
    assert hits(kernel()) == 0
    assert {file.suffix for file in (tmp_path / "__pycache__").iterdir()} >= {".nbi", ".nbc"}
    assert hits(kernel()) == 1


@pytest.mark.parametrize("suffix", [".nbi", ".nbc"])
@pytest.mark.parametrize("left", [b"", b"\x80\x05half", b"\0" * 500])
def test_half_a_cache_is_no_cache(kernel, tmp_path, suffix, left):
    assert hits(kernel()) == 0
    (file,) = (tmp_path / "__pycache__").glob(f"*{suffix}")
    file.write_bytes(left)
    assert hits(kernel()) == 0
    assert hits(kernel()) == 1  # mended


def test_a_full_disk_is_done_without(kernel, monkeypatch):
    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(caching.IndexDataCacheFile, "_open_for_write", full)
    assert hits(kernel()) == 0
    assert hits(kernel()) == 0


def test_where_nothing_can_be_written_nothing_is(kernel, tmp_path, monkeypatch):
    def read_only(_):
        raise OSError(errno.EROFS, "Read-only file system")

    monkeypatch.setattr(caching._CacheLocator, "ensure_cache_path", read_only)
    before = sorted(tmp_path.rglob("*"))
    assert hits(kernel()) == 0
    assert sorted(tmp_path.rglob("*")) == before


def test_a_change_in_any_kernel_is_a_change_in_all(kernel, monkeypatch):
    # A kernel's compiled code holds the kernels that it calls, and numba looks at its own file only.
    assert hits(kernel()) == 0
    assert hits(kernel()) == 1
    monkeypatch.setattr(kernels, "SOURCES", "another version")
    assert hits(kernel()) == 0
    assert hits(kernel()) == 1
