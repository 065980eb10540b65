"""The errors a user can meet. Every message says what is wrong, which thing it is, and what to do.

EdgeError
├── ProjectError   2  the project file, an option or a name is not one we know
│   └── MissingExtra  2  a library of an extra that is not installed is needed
├── DataError      3  a history or a reading cannot be used
│   └── NotWritten  3  a file cannot be written: no room, or no permission
├── BundleError    3  a bundle is damaged, altered, too new, or does not fit this machine
├── CheckFailed    1  a check ran and its answer is no
└── LinkError      4  the broker cannot be reached or refuses us

The number is the exit status of the command line.
"""


class EdgeError(Exception):
    """Base of all errors that are shown to the user as one clear line."""

    exit_code = 1


class ProjectError(EdgeError):
    """The project file, an option or a name is not one we know."""

    exit_code = 2


class MissingExtra(ProjectError):
    """A library is needed that belongs to an extra which is not installed."""


class DataError(EdgeError):
    """A history or a reading cannot be used."""

    exit_code = 3


class NotWritten(DataError):
    """A file cannot be written: its disk is full, or its folder is not ours."""


class BundleError(EdgeError):
    """A bundle is damaged, altered, newer than this program, or does not fit this machine."""

    exit_code = 3


class CheckFailed(EdgeError):
    """A check ran and its answer is no."""


class LinkError(EdgeError):
    """The broker cannot be reached, or refuses us."""

    exit_code = 4
