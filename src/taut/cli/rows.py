"""Which rows a command is about: the run's own data again, or others that must fit its schema."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

from taut.cli.options import DATA_OPTIONS, FitOptions, merged, whole_numbers
from taut.errors import InputError

if TYPE_CHECKING:
    from taut.api import Fit
    from taut.data import Data, Dataset

__all__ = ["load_source", "one_row", "open_run", "rows_of"]


def load_source(source: str, given: FitOptions) -> "Data":
    """Data as the options of `taut fit` say."""
    from taut.data import load_data

    options: dict[str, Any] = {
        "split": _numbers(given.split),
        "seed": given.split_seed,
        "label": given.label,
        "drop": given.drop.split(",") if given.drop else None,
        "missing": given.missing,
        "binarize": given.binarize,
        "support": given.support,
        "standardize": given.standardize,
        "image_shape": whole_numbers(given.image_shape, "image-shape"),
        "dtype": "float64" if given.precision == "float64" else None,
        "stream": given.stream,
    }
    return load_data(source, **{k: v for k, v in options.items() if v is not None})


def open_run(path: Path) -> "Fit":
    """A finished run."""
    from taut.api import load

    return load(path)


def rows_of(fitted: "Fit", *, data: str | None, split: str | None) -> "Dataset":
    """Rows to work on: a split of the run's own data, or all rows of another source.

    Raises:
        InputError: the run's data cannot be loaded again, or the source does not fit its schema.
    """
    from taut.data import Dataset

    if data is not None and data != fitted.settings.get("data"):
        from taut.data import load_rows

        if split is not None:
            raise InputError(
                "--split with the run's own data",
                f"--data {data}",
                "leaving out --split",
                where="split",
            )
        return load_rows(data, fitted.schema)
    source = fitted.settings.get("data")
    if source is None:
        raise InputError(
            "a run whose data have a name", "one fitted to an array in Python", "--data FILE",
            where="data",
        )  # fmt: skip
    settings = {k.replace("-", "_"): v for k, v in fitted.settings.items()}
    own = {name: settings.get(name) for name in DATA_OPTIONS}
    # Held-out rows are other ones where data are streamed, whatever memory this machine has.
    own["stream"] = "yes" if own["stream"] == "yes" else "no"
    loaded = load_source(source, merged(None, own))
    parts = {"train": loaded.train, "validation": loaded.validation, "test": loaded.test}
    if (split or "test") not in parts:
        raise InputError(f"one of {', '.join(parts)}", repr(split), "test", where="split")
    chosen = parts[split or "test"]
    if not isinstance(chosen, Dataset):
        raise InputError(
            "rows in memory", f"{len(chosen)} training rows that stay on disk",
            "--split validation or --split test", where="split",
        )  # fmt: skip
    return chosen


def one_row(rows: "Dataset", number: int, where: str) -> Any:
    """The row with that number in its data set, or at that place among the rows."""
    if not 0 <= number < len(rows):
        raise InputError(
            f"a row from 0 to {len(rows) - 1}", f"{number}", "another row, or --split train",
            where=where,
        )  # fmt: skip
    return rows.x[number]


def _numbers(text: str | None) -> tuple[float, ...] | None:
    if text is None:
        return None
    try:
        return tuple(float(part) for part in text.split(","))
    except ValueError:
        raise InputError(
            "three shares with commas between them", repr(text), "0.8,0.1,0.1", where="split"
        ) from None
