"""The road of every family, for the tests of this folder."""

from tests.support.roads import road

__all__ = ["road"]
