"""Tests that share what is dear to make do run in one process."""

import os

import pytest


def test_groups_reach_those_who_hand_tests_out(request: pytest.FixtureRequest) -> None:
    shared_out = "PYTEST_XDIST_WORKER" in os.environ
    assert request.node.nodeid.endswith("@tests/gates/test_groups.py") == shared_out, "pytest-xdist reads groups there"
