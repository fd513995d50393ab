"""Text files that appear under their name only when they are whole or worth keeping."""

from __future__ import annotations

import contextlib
import errno
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Self, TextIO

from stdet.errors import DataError, IncompleteInputError, StdetError


class PartFile:
    """A text file written beside its name as ``<path>.part`` and renamed at the end of the block.

    If the block ends by an exception that ``keeps_output``, what was written is renamed as well.
    A run that failed leaves an earlier file of the name as it was; where writing itself failed, or
    by an ``OSError``, the ``.part`` file stays, since its last line may be torn.

    Args:
        path: Final name; replaced where it exists.

    Raises:
        DataError: On entering, writing or leaving, if the file cannot be written or the disk is
            full.
    """

    def __init__(self, path: Path) -> None:
        """Remember the path; nothing is opened yet."""
        self.path = path
        self.part = path.with_name(f"{path.name}.part")
        self._file: TextIO | None = None
        self._has_failed = False

    def __enter__(self) -> Self:
        """Open the file."""
        with explain_os_errors(self.part):
            self._file = self.part.open("w", encoding="ascii", newline="\n")
        return self

    def write(self, text: str) -> None:
        """Append and flush, so that a full disk shows at once.

        Raises:
            ValueError: Outside the block.
        """
        if self._file is None:
            raise ValueError(f"{self.path} is not open; write inside the `with` block.")
        self._has_failed = True
        with explain_os_errors(self.part):
            self._file.write(text)
            self._file.flush()
        self._has_failed = False

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Close, and give the file its name unless its last line may be torn."""
        assert self._file is not None
        file, self._file = self._file, None
        if self._has_failed or isinstance(error, OSError):
            # Closing flushes again and would hide the first error behind the second.
            with contextlib.suppress(OSError):
                file.close()
            return
        with explain_os_errors(self.part):
            file.close()
            if keeps_output(error):
                self.part.replace(self.path)
            else:
                self.part.unlink()


def write_whole(path: Path, data: bytes) -> None:
    """Write a file beside its name and rename it, so that no reader ever sees half of it.

    Raises:
        DataError: If the file cannot be written or the disk is full; an earlier file stays.
    """
    part = path.with_name(f"{path.name}.part")
    try:
        with explain_os_errors(path):
            part.write_bytes(data)
            part.replace(path)
    except DataError:
        part.unlink(missing_ok=True)
        raise


def keeps_output(error: BaseException | None) -> bool:
    """Say whether what was written until ``error`` is worth its final name.

    A stream that broke off or was interrupted has still produced results; a run that failed must
    not replace those of an earlier one.
    """
    return isinstance(error, IncompleteInputError) or not isinstance(error, OSError | StdetError)


@contextlib.contextmanager
def explain_os_errors(path: Path) -> Iterator[None]:
    """Turn an ``OSError`` of writing ``path`` into a ``DataError`` that says what to do."""
    try:
        yield
    except OSError as error:
        if error.errno == errno.ENOSPC:
            raise DataError(f"{path}: disk full; free some space and run again.") from error
        raise DataError(
            f"{path}: cannot be written ({error.strerror}); check the folder and its permissions."
        ) from error
