"""Write the table of settings in `docs/settings.md` from the fields of `Settings`.

    python -m docs.settings_table

A test fails while the page differs from what this writes.
"""

import re
from datetime import timedelta
from pathlib import Path
from typing import Any

from pydantic.fields import FieldInfo

from docs.marks import between
from settings import Settings

PAGE = Path(__file__).parent / "settings.md"

BEGIN = "<!-- written by python -m docs.settings_table -->"
END = "<!-- end of the settings -->"

_WHERE_IT_DEPENDS = {
    "home": "`qurable` in the user's data folder",
    "database_url": "`store.db` in the data folder",
    "queues": "all but the GPU's",
    "cores": "all that the process may use",
    "memory_mib": "four fifths of the machine",
    "admission_folder": "one per user in the system's temporary folder",
}
"""Defaults that the machine, the user or another setting decides, in words."""


def table() -> str:
    """One row per setting: variable, default, meaning."""
    meaning = _meanings(Settings.__doc__ or "")
    prefix = Settings.model_config.get("env_prefix", "")
    rows = ["| variable | default | what it does |", "| --- | --- | --- |"]
    for name, field in Settings.model_fields.items():
        rows.append(f"| `{prefix}{name.upper()}` | {_default(name, field)} | {meaning[name]} |")
    return "\n".join(rows)


def _default(name: str, field: FieldInfo) -> str:
    """A setting's default as it would be written in the environment, or in words."""
    if name in _WHERE_IT_DEPENDS:
        return _WHERE_IT_DEPENDS[name]
    value: Any = field.get_default()
    if isinstance(value, timedelta):
        return f"`{iso(value)}`"
    return f"`{value}`" if value not in ("", ()) else "none"


def iso(span: timedelta) -> str:
    """A span of time in ISO 8601, as the environment takes it."""
    seconds = int(span.total_seconds())
    return f"PT{seconds // 60}M" if seconds >= 60 and seconds % 60 == 0 else f"PT{seconds}S"


def _meanings(docstring: str) -> dict[str, str]:
    """What the class says of each attribute, lines joined."""
    _, _, attributes = docstring.partition("Attributes:")
    found: dict[str, str] = {}
    name = ""
    for line in attributes.splitlines():
        if entry := re.match(r" {8}(\w+): (.*)", line):
            name = entry.group(1)
            found[name] = entry.group(2)
        elif line.strip():
            found[name] += f" {line.strip()}"
    return found


def rewritten(page: str) -> str:
    """The page with today's table between its two marks."""
    return between(page, BEGIN, table(), END)


def main() -> None:
    """Rewrite the page."""
    PAGE.write_text(rewritten(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
    print("docs/settings.md")


if __name__ == "__main__":
    main()
