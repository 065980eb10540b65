"""What every test folder shares."""

import os
import signal
import sys

import pytest
from hypothesis import HealthCheck, settings

# At these sizes more threads only spin: ten thousand steps take minutes instead of seconds beside any other process.
os.environ.setdefault("OMP_NUM_THREADS", "1")

# A shell that starts the tests in the background has them ignore SIGINT, `nohup` SIGHUP, and every process they start
# inherits that.
signal.signal(signal.SIGINT, signal.default_int_handler)
signal.signal(signal.SIGHUP, signal.SIG_DFL)

# Machines that run tests are busy: how long an example takes says nothing about the code. The same examples each time,
# so that a failure on one machine is a failure on all.
settings.register_profile("edge", deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("edge")


@pytest.hookimpl(tryfirst=True)  # pytest-xdist reads the groups in the same hook
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Tests that share what is dear to make run in one process: those of a family's road, or else those of a file."""
    for item in items:
        assert isinstance(item, pytest.Function)
        family = item.callspec.params.get("road") if hasattr(item, "callspec") else None
        family = "gru" if "one_road" in item.fixturenames else family
        item.add_marker(pytest.mark.xdist_group(f"road of {family}" if family else item.nodeid.partition("::")[0]))


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup() -> None:
    """Untrained networks have the same weights whatever tests ran before, and in which process."""
    if "torch" in sys.modules:
        sys.modules["torch"].manual_seed(0)
