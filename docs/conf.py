"""Configuration of the documentation: `sphinx-build -W docs docs/_build/html`."""

from typing import Any

project = "metaux"
author = "The metaux authors"
project_copyright = "The metaux authors"
extensions = [
    "myst_parser",
    "sphinx.ext.autodoc",
    "sphinx.ext.doctest",
    "sphinx.ext.napoleon",
    "sphinx.ext.viewcode",
]
exclude_patterns = ["_build", "notebooks"]
html_theme = "furo"
html_title = "metaux"
html_static_path = ["_static"]
html_show_sphinx = False
myst_heading_anchors = 3
myst_enable_extensions = ["colon_fence"]
autodoc_member_order = "bysource"
autodoc_typehints_format = "short"
autodoc_preserve_defaults = True
napoleon_google_docstring = True
napoleon_numpy_docstring = False
autodoc_typehints = "description"
autodoc_typehints_description_target = "documented"
doctest_test_doctest_blocks = ""  # the docstrings' examples are run by pytest


def setup(app: Any) -> None:
    """Let norms such as |v| in docstrings be text: reStructuredText would look for a substitution."""

    def escape(_app: Any, _what: str, _name: str, _thing: Any, _options: Any, lines: list[str]) -> None:
        lines[:] = [line if line.lstrip().startswith((">>>", "...")) else line.replace("|", "\\|") for line in lines]

    app.connect("autodoc-process-docstring", escape, priority=900)
