"""Compiled programs on disk: damaged ones are written anew without a word, and old ones are removed."""

import contextlib
import os
import subprocess
import sys
import time
import warnings
import zlib
from typing import Any

import jax
import pytest
from jax.experimental.compilation_cache import compilation_cache as opened

import taut
from taut import program_cache as module
from taut.program_cache import compilation_cache

# One small program, within what commands and fits do around their work; JAX is imported then or before.
COMPILE = """
from taut.program_cache import compilation_cache
{before}
with compilation_cache():
    import jax
    print(float(jax.jit(lambda x: 3 * x)(2.0)))
"""
KEPT = {"jax_compilation_cache_dir": None, **module._SETTINGS}


@pytest.fixture
def own_folder(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "_off", False)
    for name in KEPT:
        monkeypatch.delenv(name.upper(), raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    before = {name: getattr(jax.config, name) for name in KEPT}
    jax.config.update("jax_compilation_cache_dir", None)
    yield tmp_path / "taut" / "jax" / module._processor()
    opened.reset_cache()  # this process goes on with the cache of the suite
    for name, value in before.items():
        jax.config.update(name, value)
        os.environ.pop(name.upper(), None)


def compiled(before: str = "") -> tuple[str, str]:
    code = COMPILE.format(before=before)
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=120
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


def test_what_a_script_compiles_is_kept_as_well(own_folder):
    """JAX has been imported, and has compiled, before the first fit."""
    before = "import jax; jax.jit(lambda x: x + 1)(1.0)"
    assert compiled(before) == ("6.0\n", "")
    (program,) = own_folder.glob("*-cache")
    written = program.stat().st_mtime_ns
    assert compiled(before) == ("6.0\n", "")
    assert [(path, path.stat().st_mtime_ns) for path in own_folder.glob("*-cache")] == [
        (program, written)
    ]


_FIT: Any = taut.Fit


@pytest.mark.parametrize(
    "door",
    [
        taut.fit,
        taut.em,
        taut.infer,
        taut.load,
        taut.refit_prior,
        _FIT.audit,
        _FIT.calibrate,
    ],
    ids=lambda door: door.__name__,
)
def test_every_door_keeps_what_it_compiles(door, monkeypatch):
    entered = []
    monkeypatch.setattr(module, "_told", lambda: entered.append(door))
    monkeypatch.setattr(module, "_own", lambda: None)
    with contextlib.suppress(Exception):
        door(None)
    assert entered == [door]


def _program(number: int) -> None:
    jax.jit(lambda x: number * x)(2.0)


def test_nothing_is_kept_where_the_caller_wants_none(own_folder):
    assert taut.cache(False) is None
    with compilation_cache():
        _program(11)
    assert not own_folder.exists()
    assert taut.cache() == own_folder
    with compilation_cache():
        _program(13)
    assert list(own_folder.glob("*-cache"))


def test_a_folder_by_name(own_folder, tmp_path):
    assert taut.cache(tmp_path / "named") == tmp_path / "named"
    with compilation_cache():
        _program(17)
    assert list((tmp_path / "named").glob("*-cache"))
    assert not own_folder.exists()


def test_a_folder_that_jax_was_told_of_goes_first(own_folder, tmp_path):
    jax.config.update("jax_compilation_cache_dir", str(tmp_path / "theirs"))
    with compilation_cache():
        assert jax.config.jax_compilation_cache_dir == str(tmp_path / "theirs")  # pyright: ignore[reportAttributeAccessIssue]
    assert not own_folder.exists()


def test_a_folder_that_others_may_write_to_is_not_used(own_folder):
    with compilation_cache():
        pass
    assert own_folder.stat().st_mode & 0o077 == 0
    own_folder.chmod(0o770)
    assert taut.cache() is None
    with compilation_cache():
        _program(19)
    assert not list(own_folder.glob("*-cache"))


def test_a_home_that_cannot_be_written_ends_nothing(own_folder, tmp_path):
    (tmp_path / "taut").write_text("a file where the folder would be")
    assert taut.cache() is None
    with compilation_cache():
        _program(23)


def test_processors_of_other_kinds_have_other_folders(own_folder, monkeypatch):
    monkeypatch.setattr(module.platform, "machine", lambda: "another")
    assert taut.cache() not in (None, own_folder)
