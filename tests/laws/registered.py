"""What a registry should hold: every concrete subclass that the library defines."""

import importlib
import inspect
import pkgutil
from types import ModuleType


def concrete_subclasses(abstract: type, package: ModuleType) -> set[type]:
    """All subclasses of `abstract` in `package` whose names do not begin with Abstract."""
    for module in pkgutil.walk_packages(package.__path__, package.__name__ + "."):
        importlib.import_module(module.name)
    found, waiting = set(), [abstract]
    while waiting:
        subclasses = waiting.pop().__subclasses__()
        found.update(subclasses)
        waiting.extend(subclasses)
    return {
        cls
        for cls in found
        if cls.__module__.startswith(package.__name__)
        and not cls.__name__.lstrip("_").startswith("Abstract")
        and not inspect.isabstract(cls)
    }
