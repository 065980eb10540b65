"""The one error of the lane."""


class Failed(Exception):
    """A claim that does not hold, or a machine that is not what the lane needs; says which, and what to do."""
