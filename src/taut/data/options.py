"""`DataOptions`: everything that decides which rows a data set holds and what they look like.

The same options give the same rows, in the same three parts, whoever asks. What was asked is kept in
`Data.options`, so that `data.options.load()` gives `data` again.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from functools import cache
from types import NoneType
from typing import TYPE_CHECKING, Any, Literal, get_args, get_origin, get_type_hints

from taut.data.missing import Missing, check_missing
from taut.data.schema import Binarize
from taut.data.split import DEFAULT_SPLIT, check_fractions
from taut.data.streams import check_seed
from taut.errors import InputError, nearest, option

if TYPE_CHECKING:
    from taut.data.dataset import Data

__all__ = [
    "ColumnReading",
    "DataOptions",
    "Decimal",
    "Precise",
    "Streaming",
    "SupportWish",
    "TargetRole",
]

Precise = Literal["float32", "float64"]
Streaming = Literal["auto", "yes", "no"]
Decimal = Literal["auto", ".", ","]
ColumnReading = Literal["alike", "auto"]
TargetRole = Literal["label", "column"]
SupportWish = Literal["binary", "grey", "unit", "count", "real"]


@dataclass(frozen=True)
class DataOptions:
    """What a data set is loaded with.

    Attributes:
        source: the data: digits, mnist:FOLDER, a file, a folder of images, or three files with commas
            between them; None for data that came in memory.
        split: shares of training, validation and test rows. By default a split that the source
            brings along is kept; other shares divide what its test rows leave in the ratio of the
            first two, and are refused with three files.
        split_seed: random seed of the split and of a static binarization.
        label: name of the column that holds labels, or of the array of a .npz or .mat file; labels
            are never trained on.
        target: name of the column that is to be predicted, or of an array as with `label`. Rows
            without a value of it are learned from, too, unless it is one `column` and rows with
            missing cells are dropped or refused.
        target_as: what the target is to the model: a `label` beside the columns, which is predicted
            from the latent features, or one `column` of them, which is predicted by what the model
            says of it given the others.
        drop: names of columns to leave out, with commas between them.
        missing: what to do about NaN and empty cells: `model` the observed ones alone, which is exact
            where what is missing does not depend on its value; `refuse` the data; or `drop-rows` that
            have some. Infinite cells are refused, or dropped likewise.
        missing_codes: numbers that stand for a missing cell, such as -999, also in columns of text.
        decimal: decimal mark of numbers in text files, `.` or `,`; `auto` for what they show.
        binarize: turn grey values into 0 and 1: `static`, drawn once; `dynamic`, drawn again for
            each batch of training; or `threshold`, at one half.
        standardize: train on real values with mean 0 and standard deviation 1, learned on the
            training rows; results are in the data's own units.
        support: what the values are: binary, grey, unit (between 0 and 1), count or real; None for
            what they look like.
        columns: `alike` reads all columns of numbers as of one kind, `auto` each by its own values; a
            table with columns of text is read by the column anyway. Or a file such as columns.toml that
            says of columns what their values do not show.
        kind: kinds of columns that their values do not show, such as age=count with commas between
            them: real, positive, count, binary, categorical or ordinal. Columns are then read one by
            one.
        image_shape: height and width, and channels if there are any, of images that the file holds
            as flat rows, such as 28,28.
        name: name of the data set; from the source by default.
        dtype: precision that values are held in.
        stream: `yes` leaves the training rows of a .npy or Parquet file on disk, `no` reads every
            source into memory, `auto` streams files whose rows would take more than 2 GiB or a
            quarter of the memory.

    Raises:
        InputError: a value that no data could be loaded with.
    """

    source: str | None = None
    split: tuple[float, float, float] = DEFAULT_SPLIT
    split_seed: int = 0
    label: str | None = None
    target: str | None = None
    target_as: TargetRole = "label"
    drop: tuple[str, ...] = ()
    missing: Missing = "model"
    missing_codes: tuple[float, ...] = ()
    decimal: Decimal = "auto"
    binarize: Binarize = "none"
    standardize: bool = True
    support: SupportWish | None = None
    columns: str = "alike"
    kind: tuple[str, ...] = ()
    image_shape: tuple[int, ...] | None = None
    name: str | None = None
    dtype: Precise = "float32"
    stream: Streaming = "auto"

    def __post_init__(self):
        _check(vars(self))

    def load(self) -> "Data":
        """The data.

        Raises:
            InputError: options of data that came in memory; a source that cannot be used, with file,
                line and column.
        """
        from taut.data.load import loaded  # which asks for these options itself

        if self.source is None:
            raise InputError(
                "data whose source has a name",
                "data that came in memory",
                "np.save of the rows, and the file's name as the source",
                where="data",
            )
        return loaded(self.source, self)

    def to_dict(self) -> dict[str, Any]:
        """What JSON and TOML hold of it: lists for tuples, nothing for None."""
        return {
            name: list(value) if isinstance(value, tuple) else value
            for name, value in asdict(self).items()
            if value is not None
        }

    @classmethod
    def from_dict(cls, content: Mapping[str, Any]) -> "DataOptions":
        """The inverse of `to_dict`; what is left out keeps its default.

        Raises:
            InputError: an option that is unknown, or a value of another type.
        """
        hints, defaults = _hints(cls), vars(cls())
        restored: dict[str, Any] = {}
        for name, value in content.items():
            if name not in defaults:
                raise InputError(
                    "the name of a data option", f"'{name}'", nearest(name, defaults), where="data"
                )
            restored[name] = tuple(value) if isinstance(value, list) else value
            if not _is_a(restored[name], hints[name]):
                raise InputError(
                    _in_words(hints[name]),
                    repr(value),
                    f"leaving out {name}, or another value",
                    where=f"data, {name}",
                )
        _check({**defaults, **restored})
        return cls(**restored)


@cache
def _hints(kind: type) -> dict[str, Any]:
    return get_type_hints(kind)


def _check(values: Mapping[str, Any]) -> None:
    """Refuse words that name no choice, a seed and shares that are none."""
    _one_of(values["binarize"], get_args(Binarize), "binarize")
    if values["dtype"] not in get_args(Precise):
        raise InputError(
            "float32 or float64",
            str(values["dtype"]),
            option("precision", "float32"),
            where="dtype",
        )
    check_missing(values["missing"])
    _one_of(values["decimal"], get_args(Decimal), "decimal")
    check_seed(values["split_seed"])
    check_fractions(values["split"], parts=3)
    if values["support"] is not None:
        _one_of(values["support"], get_args(SupportWish), "support", "a support among")
    if not values["columns"].endswith(".toml"):
        _one_of(values["columns"], get_args(ColumnReading), "columns", "a file .toml, or one of")
    _one_of(values["target_as"], get_args(TargetRole), "target_as")
    if values["label"] is not None and values["target"] is not None:
        raise InputError(
            f"one of {option('label')} and {option('target')}", "both",
            f"leaving out {option('label')}", where=option("label"),
        )  # fmt: skip
    _one_of(values["stream"], get_args(Streaming), "stream")


_WORDS = {str: "text", bool: "true or false", int: "a whole number", float: "a number"}


def _is_a(value: Any, hint: Any) -> bool:
    """Whether a value is of the type that a field of `DataOptions` has."""
    if get_origin(hint) is tuple:
        item = get_args(hint)[0]
        return isinstance(value, tuple) and all(_is_a(one, item) for one in value)
    if get_origin(hint) is Literal:
        return isinstance(value, str)  # which word it is, is checked where the words are explained
    if get_args(hint):
        return any(_is_a(value, one) for one in get_args(hint))
    if hint in (int, float):
        numbers = int if hint is int else int | float
        return isinstance(value, numbers) and not isinstance(value, bool)
    return isinstance(value, hint)


def _in_words(hint: Any) -> str:
    if get_origin(hint) is tuple:
        return f"a list, each {_in_words(get_args(hint)[0])}"
    if get_origin(hint) is Literal:
        return f"one of {', '.join(get_args(hint))}"
    if get_args(hint):
        return _in_words(next(one for one in get_args(hint) if one is not NoneType))
    return _WORDS[hint]


def _one_of(value: str, known: tuple[str, ...], name: str, expected: str = "one of") -> None:
    if value not in known:
        raise InputError(
            f"{expected} {', '.join(known)}", f"'{value}'", nearest(value, known), where=name
        )
