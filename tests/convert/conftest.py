"""The road of every family, for the tests of this folder."""

from tests.support.roads import one_road, road, roads

__all__ = ["one_road", "road", "roads"]
