"""`import axenic`: every name is there, nothing heavy comes with it."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import axenic

pytestmark = pytest.mark.unit


@pytest.mark.parametrize("name", axenic.__all__)
def test_every_name_can_be_had(name: str) -> None:
    assert getattr(axenic, name) is not None


def test_the_checker_sees_the_same_names() -> None:
    tree = ast.parse(Path(axenic.__file__).read_text("utf-8"))
    block = next(node for node in tree.body if isinstance(node, ast.If))
    seen = {
        alias.name: node.module
        for node in block.body
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    }
    assert seen == {name: f"axenic.{home}" for name, home in axenic._HOME.items()}


def test_unknown_names() -> None:
    with pytest.raises(AttributeError, match="nonsense"):
        _ = axenic.nonsense


def test_importing_is_light() -> None:
    code = "import sys, axenic; sys.exit('torch' in sys.modules or 'pydantic' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
