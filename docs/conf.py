"""Settings of the site, which `make docs` builds from the repository's Markdown, notebooks and docstrings.

The source folder is the repository itself, so that a link between two pages works on the site as it does in a checkout.
"""

from __future__ import annotations

import sys
import tomllib
from pathlib import Path

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

about = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
project = about["name"]
author = "multimodal_attn contributors"
version = release = about["version"]

extensions = [
    "myst_nb",  # Markdown and notebooks
    "sphinx.ext.autodoc",
    "sphinx.ext.napoleon",
]
root_doc = "docs/index"
include_patterns = [
    "docs/**.md",
    "benchmarks/*.md",
    "notebooks/*.ipynb",
    "CONTRIBUTING.md",
    "CHANGELOG.md",
]
exclude_patterns = ["docs/_build", ".*", "outputs", "conf", "multimodal_attn", "tests"]

myst_heading_anchors = 3  # links such as measures.md#texts
nb_execution_mode = "off"  # `make test-notebooks` runs them; the site shows what is stored

autodoc_typehints = "signature"
autodoc_member_order = "bysource"
python_use_unqualified_type_names = True
python_maximum_signature_line_length = 100
napoleon_google_docstring = True
napoleon_numpy_docstring = False
napoleon_use_ivar = True  # attributes stand in the docstring of their class
napoleon_custom_sections = ["Shapes"]

html_theme = "furo"
html_title = project
html_extra_path = ["_root"]  # index.html, which leads from the site's address to its first page
html_static_path = ["_static"]
html_css_files = ["site.css"]
html_copy_source = False
html_show_copyright = False
html_show_sphinx = False
