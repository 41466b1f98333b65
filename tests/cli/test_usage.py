"""What people see who look for help, or mistype."""

import json
import re
from pathlib import Path

import pytest
import typer.main
from typer.testing import CliRunner

from docs.cli_page import command_names
from qurable.cli.app import app
from tests.circuits_at_hand import BELL
from tests.cli.shell import qurable
from tests.conftest import Service

COMMANDS = command_names()


def help_of(*arguments: str) -> str:
    """What `--help` prints."""
    ended = CliRunner().invoke(app, [*arguments, "--help"])
    assert ended.exit_code == 0
    return ended.output


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_shows_an_example_that_it_would_take(command: str) -> None:
    """An example that is out of date is worse than none."""
    shown = " ".join(help_of(*command.split()).split())
    example = re.search(r"example: qurable (.*)$", shown)

    assert example is not None
    words = example.group(1).split()
    names = command.split()
    assert words[: len(names)] == names
    known = typer.main.get_command(app)
    for name in names:
        known = known.commands[name]  # type: ignore[attr-defined]
    context = known.make_context(command, words[len(names) :], resilient_parsing=False)
    assert context.params or hasattr(known, "commands")  # a group need not have options of its own


def test_every_command_is_in_the_overview() -> None:
    """With a sentence each."""
    overview = help_of()

    assert "example: qurable run" in overview
    for command in (command for command in COMMANDS if " " not in command):
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


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (["budget", "set", "-5s"], "'-5s' is not above zero: to take a limit away, use --off"),
        (["budget", "set", "5fortnights"], "the unit of '5fortnights' is not known"),
        (["budget", "set", "--projct=lab", "5s"], "there is no option '--projct=lab'"),
        (["budget", "guard", "--project", "lab", "--shots", "0"], "shots"),
        (["run", "-", "--budget", "0s"], "'0s' is not above zero: leave --budget out for no limit"),
        (["submit", "-", "--budget", "5EUR", "--budget", "7USD"], "'7USD' is a second limit of its kind"),
        (["route", "-", "--user", "Ada L"], "user"),
        (["run", "-", "--deadline", "nan"], "limits.total"),
        (["submit", "-", "--fallback", "cache_age=-5s"], "'-5s' is no age: give 0 to 36500 days as a number"),
        (["submit", "-", "--fallback", "cache_age=1e9d"], "such as 12h"),
        (
            ["run", "-", "--fallback", "floor.kind=standard_error", "--fallback", "floor.value=nan"],
            "'nan' is no bound: give a number of 0 or more, such as 0.01",
        ),
        (["run", "-", "--fallback", "floor=0.01"], "0.01 has no kind: give kind and value"),
    ],
)
@pytest.mark.parametrize("form", [[], ["--json"]], ids=["for people", "for programs"])
def test_what_cannot_be_meant_is_refused_before_a_service_is_looked_for(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, form: list[str], arguments: list[str], named: str
) -> None:
    """There is none here, and the code is that of bad input; programs are told in one document."""
    monkeypatch.setenv("TEMPORAL_ADDRESS", "127.0.0.1:1")
    monkeypatch.setenv("QURABLE_HOME", str(tmp_path))

    ended = CliRunner().invoke(app, [*arguments, *form], input=BELL)

    assert ended.exit_code == 2, ended.output
    assert named in ended.stderr
    assert not form or named in json.loads(ended.stdout)["error"]["message"]


FILES = {
    "missing.qasm": "there is no file",
    "folder": "there is no file",
    "broken.json": "line 1, column 2",
    "list.json": "a job is a JSON object",
    "missing.json": "there is no file",
    "strange.json": "kind",
    "stranger.json": "kind",
    "deep.json": "its brackets nest too deeply",
    "digits.json": "4300 digits",
    "latin.json": "not UTF-8",
}


def _hold_no_job(folder: Path) -> None:
    """Write the files of `FILES`, but for those that are not there."""
    (folder / "folder").mkdir()
    (folder / "binary.qasm").write_bytes(bytes(range(256)))
    (folder / "empty.qasm").touch()
    (folder / "broken.json").write_text("{broken", encoding="utf-8")
    (folder / "list.json").write_text("[]", encoding="utf-8")
    (folder / "strange.json").write_text('{"kind": "divine"}', encoding="utf-8")
    (folder / "stranger.json").write_text('{"kind": ["sample"]}', encoding="utf-8")
    (folder / "deep.json").write_text("[" * 100_000, encoding="utf-8")
    (folder / "digits.json").write_text("9" * 10_000, encoding="utf-8")
    (folder / "latin.json").write_text('{"key": "\xe9"}', encoding="latin-1")


@pytest.mark.parametrize("name", FILES)
def test_a_file_that_holds_no_job_is_refused_by_name(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, name: str
) -> None:
    """One sentence on standard error, before a service is looked for: there is none here."""
    monkeypatch.setenv("TEMPORAL_ADDRESS", "127.0.0.1:1")
    monkeypatch.setenv("QURABLE_HOME", str(tmp_path))
    _hold_no_job(tmp_path)

    ended = CliRunner().invoke(app, ["run", str(tmp_path / name), "--shots", "5"])

    assert ended.exit_code == 2
    assert ended.stdout == ""
    assert FILES[name] in ended.stderr


PROGRAMS = {"binary.qasm": "circuit 'binary'", "empty.qasm": "circuit 'empty'"}


@pytest.mark.parametrize("name", PROGRAMS)
async def test_a_file_that_holds_no_circuit_is_refused_by_name(
    service: Service, tmp_path: Path, name: str
) -> None:
    """One sentence, on standard error, and no traceback; it is a worker that reads it."""
    _hold_no_job(tmp_path)

    ended = await qurable(service, "run", str(tmp_path / name), "--shots", "5")

    assert ended.code == 2
    assert ended.out == ""
    assert PROGRAMS[name] in ended.err
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
