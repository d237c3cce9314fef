"""Shared set-up: float64 for laws and theorems on request, and one cache of compiled programs."""

import gc
import math
import os
import signal
import time
from collections import Counter
from collections.abc import Iterator
from itertools import count
from pathlib import Path

import jax
import jaxtyping
import pytest
from lowering_contexts import share_contexts
from threadpoolctl import threadpool_limits
from type_checks import checked
from undrawn_figures import without_figures
from xla_flags import QUICK, known_flags

_CACHE = {
    "jax_persistent_cache_min_compile_time_secs": 0.005,
    "jax_persistent_cache_min_entry_size_bytes": -1,
}

_BEGAN = time.monotonic()
_FIRST = ("laws", "theorems")
_LATE = 8  # tests beyond --within of which one runs
_late = count()
_FORGOTTEN = 8  # files after which programs are dropped
_files = count(1)

if "XLA_FLAGS" not in os.environ:
    os.environ["XLA_FLAGS"] = " ".join(known_flags(QUICK))

# Workers share the cores: threads of their own for each cost a tenth of the time of all.
if "PYTEST_XDIST_WORKER" in os.environ:
    os.environ.setdefault("NPROC", "1")

# Threads of OpenBLAS and OpenMP spin while they wait for a core that another process has: on two shared
# cores a triangular solve takes 36 times as long with two, scikit-learn's trees and k-means 20 times.
for _name in ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS"):  # of commands and of later imports
    os.environ.setdefault(_name, "1")
threadpool_limits(int(os.environ["OPENBLAS_NUM_THREADS"]), user_api="blas")

# What the import hook, installed by now, puts on each function of taut as it is imported.
jaxtyping.jaxtyped = checked

share_contexts()

# Tracing makes millions of objects that stay: searching them for cyclic garbage as often as Python does
# by default takes a tenth of the time of a file of laws.
gc.set_threshold(200_000)

# A shell that runs the suite in its background, and nohup, leave signals ignored that tests send.
for _number, _usual in (
    (signal.SIGINT, signal.default_int_handler), (signal.SIGHUP, signal.SIG_DFL),
):  # fmt: skip
    if signal.getsignal(_number) is signal.SIG_IGN:
        signal.signal(_number, _usual)

# Commands that tests start keep their modules as byte code, as they do by default.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)


def pytest_configure(config: pytest.Config) -> None:
    """Compile each program once for all workers and for the commands that tests start.

    Half of the suite's time is compilation, much of it of the same small programs. Processes that are
    started later read the variables; this one has imported JAX and is told.
    """
    cache = getattr(config, "cache", None)
    if "JAX_COMPILATION_CACHE_DIR" not in os.environ and cache is not None:
        os.environ["JAX_COMPILATION_CACHE_DIR"] = str(cache.mkdir("jax"))
        os.environ |= {name.upper(): str(value) for name, value in _CACHE.items()}
    folder = os.environ.get("JAX_COMPILATION_CACHE_DIR")
    for name, value in ({"jax_compilation_cache_dir": folder} | _CACHE).items():
        jax.config.update(name, value)


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--every", type=int, default=1, metavar="N", help="run every Nth test of each folder"
    )
    parser.addoption(
        "--within", type=float, default=math.inf, metavar="SECONDS",
        help="run of the tests that would begin later every eighth",
    )  # fmt: skip


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Keep the first, the N+1st, ... test of each folder, so that each layer has some. Laws go first."""
    items.sort(key=lambda item: item.path.relative_to(config.rootpath).parts[1] not in _FIRST)
    counts: Counter[Path] = Counter()
    kept, left = [], []
    for item in items:
        (left if counts[item.path.parent] % config.option.every else kept).append(item)
        counts[item.path.parent] += 1
    if left:
        config.hook.pytest_deselected(items=left)
        items[:] = kept


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    """Keep to the time of a slow machine; what is left out is counted as skipped."""
    within = item.config.option.within
    if time.monotonic() - _BEGAN > within and next(_late) % _LATE:
        pytest.skip(f"{within:g} seconds are over, after which every eighth test runs")


def pytest_runtest_teardown(item: pytest.Item, nextitem: pytest.Item | None) -> None:
    """A worker does not keep the programs of every file, which would take 10 GB; the disk has them."""
    if nextitem is not None and nextitem.path != item.path and not next(_files) % _FORGOTTEN:
        from taut.core.compiling import forget  # after what changes how taut is imported

        forget()


@pytest.fixture
def float64() -> Iterator[None]:
    """Run a test in float64 without touching the global switch."""
    with jax.enable_x64(True):
        yield


@pytest.fixture
def undrawn() -> Iterator[None]:
    """Commands leave out their figures, the dearest part of a short run, where a test looks at none."""
    with without_figures():
        yield
