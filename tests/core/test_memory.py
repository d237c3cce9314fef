"""What asks for more memory than there is, told in one line before it is asked for; nothing is large."""

import jax
import jax.numpy as jnp
import pytest

from taut.core import memory
from taut.core.compiling import kept_jit
from taut.core.memory import TooMuchMemory, free_bytes, within_memory
from taut.errors import RunError

MIB = 2**20


@pytest.fixture
def two_mib(monkeypatch):
    monkeypatch.setattr(memory, "free_bytes", lambda: 2 * MIB)


def drawn(count):
    return jax.random.normal(jax.random.key(0), (count,), jnp.float32)


def test_a_program_of_more_than_there_is_does_not_run(two_mib):
    with pytest.raises(TooMuchMemory, match=r"than there is, 2 MiB, got .* MiB") as caught:
        kept_jit(drawn)(2**22)
    assert 0 < caught.value.share <= 2 * MIB / 2**24  # four bytes a draw, at least


def test_a_program_that_fits_runs(two_mib):
    assert kept_jit(drawn)(1001).shape == (1001,)


def test_the_message_says_how_much_of_the_option_would_fit(two_mib):
    with pytest.raises(TooMuchMemory) as caught, within_memory(num_samples=2**22, batch_size=8):
        kept_jit(drawn)(2**22)
    message = caught.value.worded("command line")
    assert message.startswith("memory: expected no more memory at once than there is, 2 MiB, got ")
    assert "with --num-samples 4194304. Try --num-samples " in message
    fits = int(message.rstrip(".").split()[-1])
    with within_memory(num_samples=fits):
        jax.jit(lambda: None)
    assert 1e4 < fits < 2**19
    assert f"num_samples={fits}" in str(caught.value)


def test_on_one_of_several_hosts_it_is_a_failure_that_no_other_method_follows(two_mib, monkeypatch):
    """The others have room, and would wait for what this one leaves out."""
    monkeypatch.setattr(memory, "num_hosts", lambda: 2)
    with pytest.raises(RunError, match="memory: expected no more memory"), within_memory(num=9):
        kept_jit(drawn)(2**22)


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (MemoryError("Unable to allocate 8.00 TiB for an array with shape (1,)"), "got 8 TiB with"),
        (
            RuntimeError("RESOURCE_EXHAUSTED: Out of memory allocating 4294967296 bytes."),
            "got 4 GiB",
        ),
        (MemoryError(), "got more with"),
    ],
)
def test_what_is_refused_when_it_is_asked_for_reads_alike(two_mib, error, words):
    with pytest.raises(TooMuchMemory, match=words), within_memory(num_draws=10**6):
        raise error


def test_other_failures_are_left_alone(two_mib):
    with pytest.raises(RuntimeError, match="another"), within_memory(num_draws=3):
        raise RuntimeError("another")


def test_a_container_has_less_than_its_machine(tmp_path, monkeypatch):
    files = {
        "memory.max": "1000",
        "memory.current": "900",
        "memory.stat": "anon 1\ninactive_file 50",
    }
    monkeypatch.setattr(memory, "_lines", lambda path: files.get(path.name, "").splitlines())
    assert memory._of_container(*memory._CONTAINERS[0]) == 150
    assert free_bytes() == 150
    files["memory.max"] = "max"
    assert free_bytes() is None
