"""Every role that an arm can have has its colour, name and marker."""

from __future__ import annotations

from typing import get_args

import pytest

from axenic.interpret import Mode, Role
from axenic.report.plots.canvas import ROLE_COLOURS, ROLE_NAMES
from axenic.report.plots.scatter import _MARKERS

pytestmark = pytest.mark.unit


def test_every_role_is_drawn_in_its_own_way() -> None:
    assert set(get_args(Mode)) < set(get_args(Role))
    for table in (ROLE_COLOURS, ROLE_NAMES, _MARKERS):
        assert {*get_args(Role), "base"} == set(table)
        assert len(set(table.values())) == len(table)
