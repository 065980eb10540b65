"""The tiny bundle every test here runs."""

from tests.support.bundles import bundle, workshop

__all__ = ["bundle", "workshop"]
