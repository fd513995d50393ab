"""The boundary between libraries and our errors."""

import errno

import pytest

from stdet.errors import CheckpointError, DataError, foreign_errors, printable, reason_of


@pytest.mark.parametrize("kind", [KeyError, ValueError, MemoryError, RecursionError, OSError])
def test_any_exception_of_a_library_becomes_ours_with_place_and_advice(kind: type[Exception]):
    wanted = r"^a\.bin: cannot be read \(.+\); copy it again\.$"
    boundary = foreign_errors("a.bin", advice="copy it again", kind=CheckpointError)
    with pytest.raises(CheckpointError, match=wanted), boundary:
        raise kind("reason")


def test_our_errors_and_interrupts_pass_through():
    with pytest.raises(DataError, match=r"^ours$"), foreign_errors("a", advice="x"):
        raise DataError("ours")
    with pytest.raises(KeyboardInterrupt), foreign_errors("a", advice="x"):
        raise KeyboardInterrupt


def test_reasons_are_one_line_and_cut():
    assert len(reason_of(ValueError("word " * 1000))) < 310
    assert reason_of(ValueError("two\nlines")) == "two lines"
    assert reason_of(OSError(errno.ENOENT, "No such file")) == "No such file"


def test_printable_escapes_what_a_terminal_would_obey():
    assert printable("a\x1b[2Jb\nc\u2028d") == r"a\x1b[2Jb\nc\u2028d"
    assert printable("caf\udce9") == r"caf\xe9"
    assert printable("Büro 3 °C") == "Büro 3 °C"
    printable("\ud800\udcff").encode("ascii")
