"""A signal that asks to end is answered when nothing is half done; a second wish at once."""

import gc
import signal
import subprocess
import sys
import threading
import time

import pytest

from taut.signals import ENDING, Interrupted, ending_signals, interrupt_now
from taut.training import interrupts
from taut.training.interrupts import deferred_interrupt


@pytest.mark.parametrize("number", ENDING)
def test_the_first_signals_only_ask(number):
    before = [signal.getsignal(n) for n in ENDING]

    def work() -> None:
        with deferred_interrupt() as request:
            assert not request.made
            for _ in range(5):
                signal.raise_signal(number)
            assert request.made
            raise KeyboardInterrupt("after 3 steps")

    with pytest.raises(Interrupted, match="after 3 steps") as raised:
        work()
    assert raised.value.exit_code == 128 + number
    assert [signal.getsignal(n) for n in ENDING] == before


def test_a_later_one_interrupts_at_once(monkeypatch):
    monkeypatch.setattr(interrupts, "_ONE_WISH", 0.01)

    def work() -> None:
        with deferred_interrupt() as request:
            signal.raise_signal(signal.SIGTERM)
            assert request.made
            time.sleep(0.02)
            signal.raise_signal(signal.SIGTERM)
            pytest.fail("the second wish was not heard")

    with pytest.raises(Interrupted):
        work()


def test_a_request_that_nobody_has_answered_is_raised_at_the_end():
    with pytest.raises(Interrupted) as raised, deferred_interrupt():
        signal.raise_signal(signal.SIGHUP)
    assert raised.value.number == signal.SIGHUP


def test_an_ignored_signal_stays_ignored_and_a_callers_own_stays_the_callers():
    heard = []
    before = {n: signal.getsignal(n) for n in (signal.SIGHUP, signal.SIGTERM)}
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, lambda *_: heard.append("mine"))
    try:
        with ending_signals(for_good=False), deferred_interrupt() as request:
            signal.raise_signal(signal.SIGHUP)
            signal.raise_signal(signal.SIGTERM)
            assert not request.made
        assert heard == ["mine"]
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def test_another_thread_gets_no_signals_and_sets_no_handlers():
    made = []

    def work() -> None:
        with deferred_interrupt() as request:
            made.append(request.made)

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert made == [False]


def test_an_interrupt_on_its_way_out_is_not_interrupted():
    cleaned = []

    def work() -> None:
        try:
            signal.raise_signal(signal.SIGTERM)
        finally:
            for number in ENDING:
                signal.raise_signal(number)
            cleaned.append(True)

    with pytest.raises(Interrupted) as raised, ending_signals(for_good=False):
        work()
    assert raised.value.number == signal.SIGTERM
    assert cleaned == [True]


def test_an_interrupt_that_python_can_only_print_is_made_again(capfd):
    """In a callback of the garbage collector, as JAX has one, an exception is printed and lost."""
    pressed = []

    def press(phase: str, _: object) -> None:
        if phase == "start" and not pressed:
            pressed.append(True)
            signal.raise_signal(signal.SIGINT)

    def work() -> None:
        gc.collect()
        time.sleep(5)
        pytest.fail("the interrupt was lost")

    gc.callbacks.append(press)
    try:
        with pytest.raises(Interrupted), ending_signals(for_good=False):
            work()
    finally:
        gc.callbacks.remove(press)
    assert pressed
    assert capfd.readouterr().err == ""


COMMAND = """
import sys, time
from taut.cli import main
def work(*_, **__):
    print("began", flush=True)
    try:
        time.sleep(60)
    finally:
        for _ in range(10): time.sleep(0.05)
main._run = work
sys.exit(main.main())
"""


# What a command finds when it begins, whatever the shell of the tests left.
AS_USUAL = "import signal; signal.signal(signal.SIGINT, signal.default_int_handler)"
NOHUP = "import signal; signal.signal(signal.SIGHUP, signal.SIG_IGN)"


@pytest.mark.parametrize("number", ENDING)
def test_five_signals_leave_one_line_and_the_code_of_the_signal(number):
    process = subprocess.Popen(
        [sys.executable, "-c", f"{AS_USUAL}\n{COMMAND}"],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    with process:
        assert process.stdout is not None
        assert process.stdout.readline() == "began\n"
        for _ in range(5):
            process.send_signal(number)
            time.sleep(0.03)
        _, complaints = process.communicate(timeout=30)
    # The last one may fall behind the end of the command: shells have 128 + number for both.
    assert process.returncode in (128 + number, -number)
    assert complaints == "taut: interrupted\n"


def test_nohup_is_respected():
    process = subprocess.Popen(
        [sys.executable, "-c", f"{NOHUP}\n{COMMAND.replace('60', '0.5')}"],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    with process:
        assert process.stdout is not None
        process.stdout.readline()
        process.send_signal(signal.SIGHUP)
        assert process.communicate(timeout=30)[1] == ""
    assert process.returncode == 0


def test_the_handler_of_a_command_raises_where_it_stands():
    with pytest.raises(Interrupted) as raised:
        interrupt_now(signal.SIGTERM)
    assert (str(raised.value), raised.value.exit_code) == ("interrupted", 143)
