"""The documentation: ``sphinx-build -W docs docs/_build``, without the network."""

import os
import re
import sys
from importlib import metadata
from importlib.util import find_spec
from pathlib import Path

from pybtex.plugin import register_plugin
from pybtex.style.formatting.unsrt import Style
from pybtex.style.labels import BaseLabelStyle

HERE = Path(__file__).parent
# Before anything imports jax: pages are read on a laptop, without its device.
os.environ.setdefault("JAX_PLATFORMS", "cpu")
sys.path.insert(0, str(HERE / "_ext"))

project = "dpodl"
author = "The dpodl authors"
project_copyright = author
version = release = metadata.version("dpodl")

extensions = [
    "myst_nb",  # and all that myst_parser does
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx.ext.napoleon",
    "sphinx_click",
    "sphinxcontrib.bibtex",
    "config_page",
    "docstrings",
]
exclude_patterns = ["_build", "_ext", "_templates"]
templates_path = ["_templates"]
myst_enable_extensions = ["deflist", "fieldlist"]
myst_heading_anchors = 3
# Notebooks run at every build, beside no file of ours, and whatever goes wrong in them,
# a warning too, is the build's failure.
nb_execution_mode = "force"
nb_execution_in_temp = True
nb_execution_timeout = 120
nb_execution_raise_on_error = True
nb_output_stderr = "warn"
nb_merge_streams = True
nb_ipywidgets_js = {}  # would come from elsewhere
# Single backticks in docstrings are names.
default_role = "code"

# Also what a chapter names and its modules make.
autosummary_imported_members = True
autodoc_member_order = "bysource"
autodoc_preserve_defaults = True
# The explorer's app, whose extra the documentation does not need.
autodoc_mock_imports = ["marimo"]
autodoc_typehints = "signature"
napoleon_numpy_docstring = False
# As ``:ivar:``: a NamedTuple's fields are documented once, in its docstring.
napoleon_use_ivar = True
napoleon_use_rtype = False
# Types are in the signature; shapes like "*replicas" would be taken for markup here.
napoleon_attr_annotations = False

# autosummary writes pages and takes none away: a module that has moved leaves one.
for page in (HERE / "generated").glob("dpodl.*.rst"):
    try:
        kept = find_spec(page.stem)
    except ModuleNotFoundError:
        kept = None
    if not kept:
        page.unlink()


class _KeyLabels(BaseLabelStyle):
    """A source is called in the pages what it is called in the code."""

    def format_labels(self, sorted_entries):
        return [entry.key for entry in sorted_entries]


class _KeyStyle(Style):
    default_label_style = _KeyLabels
    default_sorting_style = "author_year_title"


register_plugin("pybtex.style.formatting", "keys", _KeyStyle)
bibtex_bibfiles = ["references.bib"]
bibtex_default_style = "keys"

html_theme = "furo"
html_title = f"dpodl {release}"
html_copy_source = False
html_show_sphinx = False
# Typographic quotes would change what a reader copies from equations.
smartquotes = False


def _plain_paths(app, context, lines: list[str]) -> None:
    # A default is shown as it is typed: not PosixPath('runs').
    lines[:] = [re.sub(r"\w*Path\('(.*?)'\)", r"'\1'", line) for line in lines]


def setup(app) -> None:
    """Called by Sphinx."""
    app.connect("sphinx-click-process-options", _plain_paths)
