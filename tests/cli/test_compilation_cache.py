"""Compiled programs on disk: damaged ones are written anew without a word, and old ones are removed."""

import os
import subprocess
import sys
import time
import warnings
import zlib

import pytest

from taut.cli import compilation_cache as module
from taut.cli.compilation_cache import compilation_cache

# One small program, within what a command does around its work.
COMPILE = """
from taut.cli.compilation_cache import compilation_cache
with compilation_cache():
    import jax
    print(float(jax.jit(lambda x: 3 * x)(2.0)))
"""


@pytest.fixture
def own_folder(tmp_path, monkeypatch):
    monkeypatch.delenv("JAX_COMPILATION_CACHE_DIR", raising=False)
    monkeypatch.setenv("JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS", "0")
    monkeypatch.setenv("JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES", "-1")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    yield tmp_path / "taut" / "jax"
    os.environ.pop("JAX_COMPILATION_CACHE_DIR", None)


def compiled() -> tuple[str, str]:
    done = subprocess.run(
        [sys.executable, "-c", COMPILE], capture_output=True, text=True, check=True, timeout=120
    )
    return done.stdout, done.stderr


def test_a_file_that_was_cut_short_is_written_anew(own_folder):
    assert compiled() == ("6.0\n", "")
    files = sorted(own_folder.glob("*-cache"))
    assert files
    for path in files:
        path.write_bytes(path.read_bytes()[:100])
    assert compiled() == ("6.0\n", "")
    assert sorted(own_folder.glob("*-cache")) == files
    assert all(len(path.read_bytes()) > 100 for path in files)


def test_other_warnings_are_shown(own_folder):
    with pytest.warns(UserWarning, match="of another kind"), compilation_cache():
        warnings.warn("of another kind", stacklevel=1)


def test_only_the_damaged_files_of_a_program_are_removed(tmp_path):
    whole, cut, other = (tmp_path / f"jit_{name}-cache" for name in ("f-1", "f-2", "g-3"))
    for path in (whole, cut, other):
        path.write_bytes(zlib.compress(bytes(1000)))
    for path in (cut, other):
        path.write_bytes(path.read_bytes()[:9])
    module._remove_damaged(tmp_path, "jit_f")
    assert [path.exists() for path in (whole, cut, other)] == [True, False, True]
    module._remove_damaged(tmp_path, "jit_f")
    assert not whole.exists()  # JAX cannot read it, for whatever reason


def test_what_was_not_used_for_longest_goes_first(own_folder, monkeypatch):
    monkeypatch.setattr(module, "_MOST", 250)
    own_folder.mkdir(parents=True)
    now = time.time()
    for age, name in enumerate("abcd"):
        path = own_folder / f"jit_{name}-cache"
        path.write_bytes(bytes(100))
        os.utime(path, (now - 100 * age, now - 100 * age))
    with compilation_cache():
        assert sorted(p.name for p in own_folder.glob("*-cache")) == ["jit_a-cache", "jit_b-cache"]
        (own_folder / "jit_e-cache").write_bytes(bytes(100))
    with compilation_cache():  # on the same day
        assert len(list(own_folder.glob("*-cache"))) == 3


def test_a_folder_that_the_user_chose_keeps_its_files(own_folder, tmp_path, monkeypatch):
    monkeypatch.setattr(module, "_MOST", 0)
    monkeypatch.setenv("JAX_COMPILATION_CACHE_DIR", str(tmp_path / "theirs"))
    (tmp_path / "theirs").mkdir()
    (tmp_path / "theirs" / "jit_a-cache").write_bytes(b"a")
    with compilation_cache():
        assert (tmp_path / "theirs" / "jit_a-cache").exists()
