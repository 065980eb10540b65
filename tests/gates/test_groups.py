"""Tests that share what is dear to make do run in one process."""

import pytest


def test_groups_reach_those_who_hand_tests_out(request: pytest.FixtureRequest) -> None:
    asked = getattr(request.config.option, "loadgroup", False)
    assert request.node.nodeid.endswith("@tests/gates/test_groups.py") == asked, "pytest-xdist reads groups in names"
