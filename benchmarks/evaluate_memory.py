"""Peak memory of `taut evaluate` on a fit of the digits, with 100 and with 10,000 particles.

Each evaluation is a process of its own; its peak is what the operating system counted for it.

    python benchmarks/evaluate_memory.py
"""

import os
import subprocess
import sys
import tempfile
from pathlib import Path

from record import save_result

PARTICLES = (100, 10_000)
TAUT = (sys.executable, "-m", "taut")


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        run = str(Path(folder) / "run")
        fit = [*TAUT, "fit", "digits", "--out", run, "--epochs", "5"]
        subprocess.run(fit, check=True, stdout=subprocess.DEVNULL)
        peaks = {count: peak_mib(run, count) for count in PARTICLES}
    growth = peaks[PARTICLES[1]] / peaks[PARTICLES[0]] - 1
    for count, peak in peaks.items():
        print(f"{count:6d} particles: {peak:.0f} MiB at most")
    print(f"growth: {growth:.1%}")
    print(save_result("evaluate_memory", {"peak_mib": peaks, "growth": growth}))


def peak_mib(run: str, particles: int) -> float:
    """Peak resident memory of one evaluation, MiB."""
    command = [
        *TAUT,
        "evaluate",
        run,
        "--method",
        "importance",
        "--num-particles",
        str(particles),
        "--json",
    ]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode != 0:
        raise SystemExit(f"{' '.join(command)} failed")
    return usage.ru_maxrss / 1024


if __name__ == "__main__":
    main()
