"""Commands on a run that take minutes: what they have done is kept until they end."""

import contextlib
import hashlib
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from taut.signals import Interrupted

__all__ = ["going_on"]

# What the numbers of a run follow from.
_FILES = ("config.toml", "model.json", "model.safetensors", "draws.safetensors")


@contextlib.contextmanager
def going_on(run: Path, command: str, asked: Mapping[str, Any], arrays: Any) -> Iterator[None]:
    """Keep the numbers of rows in the run folder while the block runs, and go on from those that are.

    An interrupt says that the same command goes on; what it left is used if the run, the rows, what is
    asked and the machine are the same, and removed otherwise. Of several hosts, which have to agree on
    all but the machine, host 0 keeps them.

    Arguments:
        run: run folder.
        command: its name.
        asked: options that the numbers depend on.
        arrays: rows, a pytree; None where the run and what is asked tell all.

    Raises:
        InputError: hosts that differ.
    """
    import jax

    from taut.core.hosts import agree_on, num_hosts, writes
    from taut.core.kept_rows import keeping
    from taut.core.provenance import conditions
    from taut.data.checksum import checksum_of_arrays
    from taut.runs import KeptByFirst, KeptRows

    flat, _ = jax.tree_util.tree_flatten_with_path(arrays)
    sums = {
        name: hashlib.sha256((run / name).read_bytes()).hexdigest()
        for name in _FILES
        if (run / name).is_file()
    }
    rows = checksum_of_arrays({jax.tree_util.keystr(p): a for p, a in flat}, exact=True)
    agree_on(
        {"rows (checksum)": rows, **{f"{name} (checksum)": found for name, found in sums.items()}}
        | {name.replace("_", " "): str(value) for name, value in asked.items()}
    )
    follows = {"asked": asked, "run": sums, "rows": rows, "conditions": conditions()}
    mark = hashlib.sha256(json.dumps(follows, sort_keys=True, default=str).encode()).hexdigest()
    own = KeptRows(run / "checkpoints", of=command, fingerprint=mark) if writes() else None
    kept = own if own is not None and num_hosts() == 1 else KeptByFirst(own)
    try:
        with keeping(kept):
            yield
    except KeyboardInterrupt as interrupt:
        found = Interrupted.of(interrupt)
        found.kept = kept.save()
        raise found from None
    kept.drop()
