"""Settings of the documentation's site; built by

sphinx-build -W --keep-going docs build/docs
"""

import logging
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent / "extensions"))
logging.getLogger("alembic").setLevel(logging.WARNING)  # its import logs

project = "fdrnn"
author = "the fdrnn authors"
extensions = [
    "myst_parser",
    "sphinx.ext.autodoc",
    "numpydoc",
    "command_line",
    "mathml",
    "names",
    "source_code",
    "study_keys",
]
source_suffix = {".md": "markdown"}
exclude_patterns = ["extensions"]

# In docstrings a name in single backticks is a Python object.
default_role = "py:obj"
myst_enable_extensions = ["deflist", "dollarmath"]
myst_heading_anchors = 3

nitpicky = True

autodoc_member_order = "bysource"
autodoc_typehints = "none"  # signatures stay short; numpydoc's sections say what is expected
numpydoc_show_class_members = False
autosummary_generate = False  # numpydoc loads it, and no page uses it

html_theme = "furo"
html_title = "fdrnn"
html_static_path = ["static"]
html_css_files = ["fdrnn.css"]
html_math_renderer = "mathml"
html_show_copyright = False
