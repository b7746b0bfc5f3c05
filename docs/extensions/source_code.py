"""The directive ``source``: the code of a function without its docstring.

It is beside an equation what computes it; a function that is not there ends the build.
"""

from __future__ import annotations

import ast
import inspect
import textwrap
from typing import Any

from docutils import nodes
from names import imported
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective


class FunctionSource(SphinxDirective):
    """A code block; the argument is the function's dotted name."""

    required_arguments = 1

    def run(self) -> list[nodes.Node]:
        """Return the name and the block."""
        name = self.arguments[0]
        function = imported(name)
        if function is None:
            raise self.error(f"there is no {name}")
        self.env.note_dependency(inspect.getsourcefile(function) or "")
        code = _without_docstring(textwrap.dedent(inspect.getsource(function)))
        return self.parse_text_to_nodes(f"`{name}`:\n\n```python\n{code}\n```\n")


def _without_docstring(code: str) -> str:
    function: Any = ast.parse(code).body[0]
    if ast.get_docstring(function) is None:
        return code
    docstring = function.body[0]
    lines = code.splitlines()
    del lines[docstring.lineno - 1 : docstring.end_lineno]
    return "\n".join(lines)


def setup(app: Sphinx) -> dict[str, bool]:
    """Register the directive."""
    app.add_directive("source", FunctionSource)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
