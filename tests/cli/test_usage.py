"""What people see who look for help, or mistype."""

import re
from pathlib import Path

import pytest
import typer.main
from typer.testing import CliRunner

from qurable.cli.app import app
from tests.circuits_at_hand import BELL
from tests.cli.shell import qurable
from tests.conftest import Service

COMMANDS = [
    command.name or command.callback.__name__ for command in app.registered_commands if command.callback
]


def help_of(*arguments: str) -> str:
    """What `--help` prints."""
    ended = CliRunner().invoke(app, [*arguments, "--help"])
    assert ended.exit_code == 0
    return ended.output


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_shows_an_example_that_it_would_take(command: str) -> None:
    """An example that is out of date is worse than none."""
    shown = " ".join(help_of(command).split())
    example = re.search(r"example: qurable (.*)$", shown)

    assert example is not None
    words = example.group(1).split()
    assert words[0] == command
    group = typer.main.get_command(app)
    known = group.commands[command]  # type: ignore[attr-defined]
    context = known.make_context(command, words[1:], resilient_parsing=False)
    assert context.params


def test_every_command_is_in_the_overview() -> None:
    """With a sentence each."""
    overview = help_of()

    assert "example: qurable run" in overview
    for command in COMMANDS:
        assert re.search(rf"^\s+{command}\s+\S+", overview, re.MULTILINE), command


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (["run"], "Missing argument 'FILE'"),
        (["run", "bell.qasm", "--shot", "5"], "No such option"),
        (["run", "bell.qasm", "--shots", "many"], "'--shots': Input should be a valid integer"),
        (["run", "bell.qasm", "--level", "9"], "'--level': Input should be less than or equal to 3"),
        (["list", "--limit", "0"], "'--limit': Input should be greater than or equal to 1"),
        (["runn", "bell.qasm"], "No such command 'runn'"),
        (["status"], "Missing argument"),
    ],
)
def test_a_mistyped_command_line_is_refused_by_its_word(arguments: list[str], named: str) -> None:
    """With the code for bad usage, and before anything is started."""
    ended = CliRunner().invoke(app, arguments)

    assert ended.exit_code == 2
    assert named.lower() in " ".join(ended.output.split()).lower()


FILES = {
    "missing.qasm": "there is no file",
    "folder": "there is no file",
    "binary.qasm": "circuit 'binary'",
    "empty.qasm": "circuit 'empty'",
    "broken.json": "line 1, column 2",
    "list.json": "a job is a JSON object",
    "missing.json": "there is no file",
    "strange.json": "kind",
}


@pytest.mark.parametrize("name", FILES)
async def test_a_file_that_holds_no_job_is_refused_by_name(
    service: Service, tmp_path: Path, name: str
) -> None:
    """One sentence, on standard error, and no traceback."""
    (tmp_path / "folder").mkdir()
    (tmp_path / "binary.qasm").write_bytes(bytes(range(256)))
    (tmp_path / "empty.qasm").touch()
    (tmp_path / "broken.json").write_text("{broken", encoding="utf-8")
    (tmp_path / "list.json").write_text("[]", encoding="utf-8")
    (tmp_path / "strange.json").write_text('{"kind": "divine"}', encoding="utf-8")

    ended = await qurable(service, "run", str(tmp_path / name), "--shots", "5")

    assert ended.code == 2
    assert ended.out == ""
    assert FILES[name] in ended.err
    assert "Traceback" not in ended.err


@pytest.mark.parametrize(
    ("options", "named"),
    [
        (["--shots", "0"], "greater than or equal to 1"),
        (["--shots", "1000000000"], "less than or equal to 1000000"),
        (["--parameter", "theta"], "--parameter 'theta' is not name=number"),
        (["--parameter", "theta=nan"], "values must be finite"),
        (["--precision", "0.1"], "--precision belongs to estimates"),
        (["--observable", "ZZZ"], "write one letter per qubit"),
        (["--observable", "QQ"], "letters are"),
        (["--method", "oracle"], "method"),
        (["--project", "My Project"], "project"),
        (["--deadline", "-1"], "limits.total"),
        (["--seed", "-1"], "seed"),
        (["--backend", "fake_torinno"], "did you mean 'fake_torino'"),
    ],
)
async def test_an_option_with_a_bad_value_is_refused_by_name(
    service: Service, options: list[str], named: str
) -> None:
    """Whoever finds out, client or worker: the same code, one sentence, and with --json a document."""
    ended = await qurable(service, "run", "-", *options, "--json", text=BELL)

    assert ended.code == 2
    assert named in ended.err
    assert "Traceback" not in ended.err
    assert named in ended.document["error"]["message"]
