"""The site: `make docs` builds it into `docs/_build/html`, running every block of code on its pages.

A warning, a block that raises, a link to nowhere or a public name without a docstring ends the build.
"""

import os
import sys
from importlib.metadata import version as version_of
from pathlib import Path

DOCS = Path(__file__).resolve().parent
sys.path[:0] = [str(DOCS), str(DOCS.parent / "benchmarks"), str(DOCS.parent / "tests")]

import docstrings  # noqa: E402
import made_pages  # noqa: E402
from xla_flags import QUICK, known_flags  # noqa: E402

# Commands on the pages run beside this Python, print tables of one width, and draw no progress bar.
os.environ["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
os.environ |= {"COLUMNS": "100", "TERM": "dumb", "PYTHONSTARTUP": str(DOCS / "kernel.py")}
# Pages are built side by side, each on one core: threads of others would spin while they wait. Most of
# what runs on them compiles for longer than it runs.
os.environ |= dict.fromkeys(("NPROC", "OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"), "1")
os.environ["XLA_FLAGS"] = " ".join(known_flags(("--xla_backend_optimization_level=1", *QUICK[1:])))
os.environ["PYTHONWARNINGS"] = "ignore:IProgress not found"  # of tqdm, in a kernel without widgets

project = "taut"
author = "The taut authors"
project_copyright = author
version = release = version_of("taut")

extensions = ["myst_nb", "sphinx.ext.autodoc", "sphinx.ext.mathjax", "sphinx.ext.napoleon"]
exclude_patterns = ["_build"]
default_role = "code"
nitpicky = True
nitpick_ignore_regex = [("py:.*", ".*")]  # types of other libraries
suppress_warnings = ["config.cache"]

myst_enable_extensions = ["dollarmath", "deflist"]
myst_heading_anchors = 3
nb_execution_mode = "force"
nb_execution_timeout = 300
nb_execution_raise_on_error = True
nb_execution_in_temp = True
nb_merge_streams = True

autodoc_typehints = "none"
autodoc_member_order = "bysource"
napoleon_numpy_docstring = False
napoleon_use_ivar = True

html_theme = "furo"
html_title = "taut"


def setup(app) -> None:
    app.connect("builder-inited", lambda app: made_pages.write(DOCS))
    app.connect("autodoc-process-docstring", docstrings.as_rst, priority=400)  # before napoleon
    # Which adds types.
    app.connect("autodoc-process-docstring", docstrings.types_as_rst, priority=600)
