"""What converters print is held back, unless they fail."""

import os

import pytest

from convert.quiet import quiet
from edge.errors import CheckFailed


def test_output_is_held_back_and_shown_where_it_explains(capfd: pytest.CaptureFixture[str]) -> None:
    with quiet("the export"):
        os.write(1, b"noise\n")

    def fails() -> None:
        os.write(2, b"the reason\n")
        raise ValueError("no")

    with pytest.raises(CheckFailed, match=r"the export failed: no\n  the reason"), quiet("the export"):
        fails()
    assert capfd.readouterr() == ("", "")


def test_an_interrupt_that_a_converter_took_for_its_own_error_is_an_interrupt() -> None:
    def converter() -> None:
        try:
            raise KeyboardInterrupt
        except KeyboardInterrupt as error:
            raise RuntimeError("please report this") from error

    with pytest.raises(KeyboardInterrupt), quiet("the export"):
        converter()
