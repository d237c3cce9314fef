"""Where the time of a training step goes, by the line of source that an instruction came from.

JAX's profiler gives the duration of every instruction of the compiled program; the program's text
names its source. An instruction's part is that of the first rule that fits: the operation for matrix
products, random draws and rows, the file for likelihood and optimizer. Durations are those of the
threads that ran them, added up, and are given as shares of the sum; the profiler itself costs time,
more for small instructions.

    python benchmarks/step_profile.py rows.npy STEPS
"""

import json
import re
import tempfile
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import jax

# Part, and what the instruction's name, its operation or the path of its source contains.
_RULES = (
    ("matrix products", ("dot_general", "dot.", "ynn_fusion")),
    ("random draws", ("threefry", "random_", "_uniform", "erf_inv", "shift_right", "/xor")),
    ("likelihood and its gradient", ("models/likelihoods",)),
    ("Adam", ("optax", "apply_updates")),
    ("rows of the batch", ("gather",)),
)
_REST = "activations, biases, guide, KL and bound"
_CONTAINERS = ("cond", "while", "call")  # whose time is that of the instructions inside


def shares(run: Callable[[], Any], program: str) -> dict[str, float]:
    """Shares of the instructions' time by part, largest first.

    Arguments:
        run: runs the compiled program, warm.
        program: its text.
    """
    part_of = dict(_parts(program))
    total: dict[str, float] = defaultdict(float)
    for name, nanoseconds in _durations(run):
        if name in part_of:
            total[part_of[name]] += nanoseconds
    whole = sum(total.values())
    largest = sorted(total, key=lambda part: -total[part])
    return {part: round(total[part] / whole, 4) for part in largest}


def _durations(run: Callable[[], Any]) -> Iterator[tuple[str, float]]:
    with tempfile.TemporaryDirectory() as folder:
        with jax.profiler.trace(folder):
            run()
        for path in Path(folder).rglob("*.xplane.pb"):
            for plane in jax.profiler.ProfileData.from_file(str(path)).planes:
                for line in plane.lines:
                    for event in line.events:
                        yield event.name, event.duration_ns


def _parts(program: str) -> Iterator[tuple[str, str]]:
    """The name of each instruction and its part."""
    frames = _frames(program)
    for match in re.finditer(r"%?([\w.-]+) = .*?metadata=\{(.*?)\}", program):
        name, metadata = match.groups()
        if name.split(".")[0] in _CONTAINERS:
            continue
        operation = re.search(r'op_name="([^"]*)"', metadata)
        frame = re.search(r"stack_frame_id=(\d+)", metadata)
        described = f"{name} {operation.group(1) if operation else ''}"
        described += " " + (frames.get(frame.group(1), "") if frame else "")
        part = next((p for p, marks in _RULES if any(m in described for m in marks)), _REST)
        yield name, part


def _frames(program: str) -> Mapping[str, str]:
    """The file that each stack frame is in."""
    files = dict(re.findall(r'^(\d+) "([^"]*\.py)"', program, re.M))
    locations = dict(re.findall(r"^(\d+) \{file_name_id=(\d+)", program, re.M))
    frames = dict(re.findall(r"^(\d+) \{file_location_id=(\d+)", program, re.M))
    return {frame: files.get(locations.get(where, ""), "") for frame, where in frames.items()}


if __name__ == "__main__":
    import sys

    sys.path.insert(0, str(Path(__file__).parent / "steps"))
    from vae_taut import training

    run = training()
    run()
    print(json.dumps(shares(run, run.program())))
