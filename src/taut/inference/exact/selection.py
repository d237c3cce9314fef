"""How many components: one candidate is fitted for each number, and one of them is kept.

evidence    the highest mean log-evidence of the validation rows
bic         the lowest -2 log p(x) + parameters log N of the training rows (Schwarz 1978)

A candidate whose density has no bound, for the floor decides its spread, or that ends below independent
columns on the validation rows, is chosen only where there is no other: such a number compares with none.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from typing import NamedTuple, get_args

from taut.architectures import FA, GMM, PPCA, AbstractClosedForm
from taut.core import InputError, counted, is_whole, option
from taut.data import Data
from taut.inference.exact.abstract import AbstractExact, Select
from taut.inference.exact.candidate import Candidate
from taut.inference.exact.starts import check_components
from taut.inference.stages import UNKEPT, AbstractStages
from taut.models import AbstractExactModel
from taut.models.exact import AbstractMixture

__all__ = [
    "Select",
    "Selected",
    "check_numbers",
    "check_selection",
    "component_numbers",
    "select_components",
]


class Selected(NamedTuple):
    """What was fitted.

    Attributes:
        best: the candidate that is kept.
        candidates: all of them, in the order of the numbers.
        passed_over: the numbers of components of those that were out of the choice.
    """

    best: Candidate
    candidates: tuple[Candidate, ...]
    passed_over: tuple[int, ...] = ()


def component_numbers(components: int | Sequence[int] | None, default: int) -> tuple[int, ...]:
    """The numbers of components to fit.

    Raises:
        InputError: none, one twice, or what is not a whole number.
    """
    if components is None:
        return (default,)
    numbers = tuple(components) if isinstance(components, Iterable) else (components,)
    if not all(map(is_whole, numbers)):
        raise InputError("whole numbers", f"{components!r}", "range(1, 11)", where="components")
    if not numbers or len(set(numbers)) != len(numbers):
        raise InputError(
            "one or more different numbers", f"{list(numbers)}", "1-10", where="components"
        )
    return numbers


def check_selection(
    numbers: Sequence[int], select: Select, start: AbstractExactModel | None
) -> None:
    """Refuse an unknown criterion, and a start that cannot be that of every candidate.

    Raises:
        InputError: names what would do.
    """
    if select not in get_args(Select):
        raise InputError("evidence or bic", repr(select), "evidence", where="select")
    if start is not None and len(numbers) > 1:
        raise InputError(
            "one number of components with a start", f"{len(numbers)} of them", "one of them",
            where="start",
        )  # fmt: skip
    if isinstance(start, AbstractMixture) and start.num_components != numbers[0]:
        raise InputError(
            f"a start with {numbers[0]} components", f"{start.num_components}",
            option("components", start.num_components), where="start",
        )  # fmt: skip


def check_numbers(
    numbers: Sequence[int],
    architecture: AbstractClosedForm,
    given: Data,
    *,
    regularized: bool = False,
    num_rows: int | None = None,
) -> None:
    """Refuse numbers of components, and covariances, that the rows or the columns cannot carry.

    Arguments:
        numbers: of components or factors.
        architecture: the model.
        given: rows of the three parts.
        regularized: whether a floor was asked for that decides what the rows leave open.
        num_rows: training rows to count on; all of them when None.

    Raises:
        InputError: more components than rows, as many factors as columns, or covariances between
            columns that the training rows are too few for.
    """
    varying = given.schema.size - len(given.schema.constants())
    rows = len(given.train) if num_rows is None else num_rows
    kind = architecture.covariance if isinstance(architecture, GMM) else None
    if kind in ("full", "tied") and rows <= varying and not regularized:
        # The scatter about any mean has a direction without variance, where the density has no bound.
        raise InputError(
            f"more training rows than the {varying} columns that vary, which a covariance between "
            f"them needs (the mixture's is {kind})",
            counted(rows, "row"),
            f"{option('model', 'fa')}, the covariance diag, or {option('floor', 0.1)}",
            where=given.schema.name,
        )  # fmt: skip
    for number in numbers:
        factors = varying if isinstance(architecture, PPCA | FA) else None
        check_components(number, rows, factors)


def select_components(
    inference: AbstractExact,
    architecture: AbstractClosedForm,
    numbers: Sequence[int],
    given: Data,
    *,
    seed: int,
    select: Select = "evidence",
    start: AbstractExactModel | None = None,
    report: Callable[[int, int, int, float], None] | None = None,
    stages: AbstractStages = UNKEPT,
) -> Selected:
    """Fit one candidate for each number of components and choose.

    Arguments:
        inference: how each is fitted.
        architecture: whose number of components is replaced.
        numbers: of components or factors.
        given: rows of the three parts; those of the test part are not looked at.
        seed: of everything random, the same for every candidate.
        select: what decides.
        start: where to start instead of at random.
        report: called with the number of components, restart, iteration and mean log-evidence.
        stages: in which the candidates follow one another.

    Raises:
        InputError: as `AbstractExact.fit`.
        RunError: as `AbstractExact.fit`.
    """
    candidates = []
    for number in numbers:
        one = replace(architecture, components=number)

        def told(restart: int, iteration: int, value: float, number: int = number) -> None:
            if report:
                report(number, restart, iteration, value)

        candidates.append(
            inference.fit(one, given, seed=seed, start=start, report=told, stages=stages)
        )
    bounded = [c for c in candidates if not c.course.held and not c.below_columns]
    choice = bounded or [c for c in candidates if not c.below_columns] or candidates
    if select == "bic":
        best = min(choice, key=lambda c: c.bic)
    else:
        best = max(choice, key=lambda c: c.validation.value)
    passed_over = tuple(
        c.architecture.components for c in candidates if all(c is not one for one in choice)
    )
    return Selected(best, tuple(candidates), passed_over)
