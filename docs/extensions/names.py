"""Names of Python objects in docstrings: a link where the object is documented, else checked.

An object is documented under the face of its package (`fdrnn.search.Store`), while docstrings
name it by its module or, in its own module, by its last part. A dotted name that cannot be
imported is a warning, and so ends the build.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.util.nodes import make_refnode

FACES = ("fdrnn.datasets", "fdrnn.model", "fdrnn.search", "fdrnn.reports")


def _resolve(app: Sphinx, env: Any, node: nodes.Element, text: nodes.Element) -> Any:
    if node.get("refdomain") != "py":
        return None
    target = node["reftarget"]
    found = imported(target) if target.startswith("fdrnn.") else None
    if target.startswith("fdrnn.") and found is None:
        return None  # nitpicky: a warning
    last = target.rpartition(".")[2]
    documented = env.get_domain("py").objects
    for face in FACES:
        name = f"{face}.{last}"
        if name in documented and found in (None, imported(name)):
            entry = documented[name]
            return make_refnode(app.builder, node["refdoc"], entry.docname, entry.node_id, text)
    return text


def imported(name: str) -> Any:
    """Return the object of a dotted name; None if there is none."""
    parts = name.split(".")
    for end in range(len(parts), 0, -1):
        try:
            found: Any = import_module(".".join(parts[:end]))
        except ModuleNotFoundError:
            continue
        for part in parts[end:]:
            fields = getattr(found, "__dataclass_fields__", {})
            if not hasattr(found, part) and part not in fields:
                return None
            found = getattr(found, part, fields.get(part))
        return found
    return None


def setup(app: Sphinx) -> dict[str, bool]:
    """Resolve what Sphinx does not."""
    app.connect("missing-reference", _resolve)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
