"""`_repr_html_` of results: what notebooks show, made where it is first asked for."""

import importlib
from typing import Any

from taut.audit import Audit
from taut.core import Estimate
from taut.data import Data
from taut.evidence import Evidence
from taut.fitted import Fit, Posterior

__all__ = ["shown_in_notebooks"]

_SHOWN = {
    Audit: "audit", Data: "data", Estimate: "estimate", Evidence: "evidence", Fit: "fit",
    Posterior: "posterior",
}  # fmt: skip


def shown_in_notebooks() -> None:
    """Give each kind of result its `_repr_html_`."""
    for kind, name in _SHOWN.items():
        kind._repr_html_ = _html_of(name)  # pyright: ignore[reportAttributeAccessIssue]


def _html_of(name: str) -> Any:
    def _repr_html_(self: Any) -> str:
        return getattr(importlib.import_module("taut.report.html.reprs"), name)(self)

    return _repr_html_
