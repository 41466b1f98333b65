"""Where this user's data lies: the embedded server's database, the store, large payloads."""

import errno
import os
from pathlib import Path

from qurable.errors import RequestRejected


def data_home() -> Path:
    """`QURABLE_HOME`, or `qurable` in the user's data folder."""
    if configured := os.environ.get("QURABLE_HOME"):
        return Path(configured).expanduser()
    return Path(os.environ.get("XDG_DATA_HOME") or Path.home() / ".local" / "share") / "qurable"


def made(folder: Path) -> Path:
    """A folder for data, made if it is not there.

    Raises:
        RequestRejected: It cannot be made, or not written to.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if not os.access(folder, os.W_OK | os.X_OK):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
    except OSError as failure:
        raise RequestRejected(
            f"data cannot be kept in {folder} ({failure.strerror}): set QURABLE_HOME to a folder that can be written"
        ) from None
    return folder
