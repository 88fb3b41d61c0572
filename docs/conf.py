"""The documentation: ``sphinx-build -W docs docs/_build``, without the network."""

import os
import sys
from importlib import metadata
from pathlib import Path

# Before anything imports jax: pages are read on a laptop, without its device.
os.environ.setdefault("JAX_PLATFORMS", "cpu")
sys.path.insert(0, str(Path(__file__).with_name("_ext")))

project = "dpodl"
author = "The dpodl authors"
project_copyright = author
version = release = metadata.version("dpodl")

extensions = [
    "myst_parser",
    "sphinx.ext.autodoc",
    "sphinx.ext.napoleon",
    "bibliography",
    "docstrings",
    "command_pages",
    "config_page",
    "module_pages",
]
exclude_patterns = ["_build", "_ext"]
myst_enable_extensions = ["deflist", "fieldlist"]
myst_heading_anchors = 3
# Single backticks in docstrings are names.
default_role = "code"

autodoc_member_order = "bysource"
autodoc_preserve_defaults = True
autodoc_typehints = "signature"
napoleon_numpy_docstring = False
# As ``:ivar:``: a NamedTuple's fields are documented once, in its docstring.
napoleon_use_ivar = True
napoleon_use_rtype = False
# Types are in the signature; shapes like "*replicas" would be taken for markup here.
napoleon_attr_annotations = False

html_theme = "furo"
html_title = f"dpodl {release}"
html_copy_source = False
html_show_sphinx = False
# Typographic quotes would change what a reader copies from equations.
smartquotes = False
