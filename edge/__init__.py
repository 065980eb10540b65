"""Contracts every room shares, and the command line on top of everything."""

__version__ = "0.1.0"
