"""Write the reference of the command line in `docs/cli.md` from the commands' own help.

    python -m docs.cli_page

A test fails while the page differs from what this writes.
"""

from pathlib import Path

from typer import Typer
from typer.testing import CliRunner

from docs.marks import between
from qurable.cli.app import app

PAGE = Path(__file__).parent / "cli.md"

BEGIN = "<!-- written by python -m docs.cli_page -->"
END = "<!-- end of the commands -->"

_WIDTH = 100


def reference() -> str:
    """The help of every command, in the order in which `qurable --help` lists them."""
    return "\n".join(f"### `qurable {name}`\n\n```text\n{_help(name)}\n```\n" for name in command_names())


def command_names() -> list[str]:
    """Every command as one types it, a group's own before its commands."""
    names = _names(app)
    for group in app.registered_groups:
        assert group.typer_instance is not None
        name = str(group.typer_instance.info.name)
        names += [name, *(f"{name} {command}" for command in _names(group.typer_instance))]
    return names


def _names(commands: Typer) -> list[str]:
    found = commands.registered_commands
    return [command.name or str(getattr(command.callback, "__name__", "")) for command in found]


def _help(name: str) -> str:
    shown = CliRunner().invoke(
        app,
        [*name.split(), "--help"],
        prog_name="qurable",
        env={"COLUMNS": str(_WIDTH)},
        catch_exceptions=False,
    )
    return shown.stdout.strip()


def rewritten(page: str) -> str:
    """The page with today's reference between its two marks."""
    return between(page, BEGIN, reference(), END)


def main() -> None:
    """Rewrite the page."""
    PAGE.write_text(rewritten(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
    print("docs/cli.md")


if __name__ == "__main__":
    main()
