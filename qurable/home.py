"""Where this user's data lies: the embedded server's database, the store, large payloads."""

import os
from pathlib import Path


def data_home() -> Path:
    """`QURABLE_HOME`, or `qurable` in the user's data folder."""
    if configured := os.environ.get("QURABLE_HOME"):
        return Path(configured).expanduser()
    return Path(os.environ.get("XDG_DATA_HOME") or Path.home() / ".local" / "share") / "qurable"
