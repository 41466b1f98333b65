"""Files that people name."""

import contextlib
from collections.abc import Iterator
from pathlib import Path

from qurable.errors import RequestRejected


@contextlib.contextmanager
def readable(file: Path) -> Iterator[None]:
    """While a file is read: whatever is wrong with it is said by its name.

    Raises:
        RequestRejected: There is none, it is none, or it may not be read; also where somebody gave a text in the place of a
            name, which no name can be as long as.
    """
    try:
        if not file.is_file():
            raise RequestRejected(f"there is no file {str(file)!r}")
        yield
    except OSError as failure:
        raise RequestRejected(f"{str(file)!r:.300} cannot be read: {failure.strerror}") from None
