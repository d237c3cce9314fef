"""What was asked, as a typed value: `Recipe`, its options under one flat name each, and TOML."""

from taut.recipe.build import component_range, flat, recipe_of
from taut.recipe.completed import Completed, choices_of_use, completed
from taut.recipe.config import read_config, recipe_from
from taut.recipe.option import Option, choice_docs, shown_default, typed
from taut.recipe.program import ProgramRecipe, batch_sizes
from taut.recipe.recipe import FORMAT, Recipe
from taut.recipe.tables import CHOICES, OPTIONS_OF, option_named, option_of, options, options_of

__all__ = [
    "CHOICES",
    "FORMAT",
    "OPTIONS_OF",
    "Completed",
    "Option",
    "ProgramRecipe",
    "Recipe",
    "batch_sizes",
    "choice_docs",
    "choices_of_use",
    "completed",
    "component_range",
    "flat",
    "option_named",
    "option_of",
    "options",
    "options_of",
    "read_config",
    "recipe_from",
    "recipe_of",
    "shown_default",
    "typed",
]
