"""What a number was made on: device and versions, in words, and all that its last bits depend on."""

import os
import platform
from functools import cache
from importlib.metadata import version
from pathlib import Path

import jax

from taut.core.devices import num_devices

__all__ = ["conditions", "device", "versions"]

# Instructions that decide how sums are cut and products are rounded.
_INSTRUCTIONS = ("avx", "avx2", "fma", "avx512f", "avx512_bf16", "amx_tile", "asimd", "sve", "sve2")


def device() -> str:
    """The devices that rows are shared out over, or the default one, in words."""
    first, count = jax.devices()[0], num_devices()
    if first.platform == "cpu":
        return f"CPU, {count} device{'s' * (count > 1)} of {platform.machine()}"
    return f"{f'{count} of ' * (count > 1)}{first.device_kind} ({first.platform})"


@cache
def versions() -> str:
    """Of what a number depends on, in words."""
    python = platform.python_version()
    return f"taut {version('taut')}, jax {jax.__version__}, Python {python}"


def conditions() -> dict[str, str]:
    """What the bytes of a result depend on beside data, options and key, by name."""
    info = Path("/proc/cpuinfo")
    facts = dict(
        [part.strip() for part in line.partition(":")[::2]]
        for line in (info.read_text().splitlines() if info.is_file() else ())
    )
    has = set(facts.get("flags", facts.get("Features", "")).split())
    threads = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    packages = ("taut", "jax", "jaxlib", "numpy", "equinox", "optax")
    return {
        "processor": facts.get("model name") or platform.processor() or platform.machine(),
        "instructions": " ".join(name for name in _INSTRUCTIONS if name in has),
        "threads": str(threads),
        "device": device(),
        "XLA_FLAGS": os.environ.get("XLA_FLAGS", ""),
        **{name: version(name) for name in packages},
        "Python": platform.python_version(),
    }
