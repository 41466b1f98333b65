"""JSON that people write, in files and on the command line: whatever is wrong with it is said, and where."""

import json
from pathlib import Path
from typing import Any

from qurable.errors import RequestRejected
from qurable.input_files import readable

MAX_FILE = 256 * 2**20
"""Bytes; more than any request may have."""


def json_file(file: Path, *, most: int = MAX_FILE) -> Any:
    """What a JSON file holds.

    Args:
        file: Its path.
        most: Bytes that it may have.

    Raises:
        RequestRejected: There is none, it is larger, or it is no JSON.
    """
    with readable(file):
        if file.stat().st_size > most:
            raise RequestRejected(f"{str(file)!r} is larger than {most:,} bytes")
        text = file.read_bytes()
    return _parsed(text, repr(str(file)))


def json_option(flag: str, text: str) -> Any:
    """What an option's JSON says.

    Raises:
        RequestRejected: It is no JSON.
    """
    return _parsed(text, flag)


def json_or_text(text: str) -> Any:
    """What a word says as JSON, where it is such, and the word itself where it is not."""
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return text


def _parsed(text: str | bytes, name: str) -> Any:
    try:
        return json.loads(text)
    except json.JSONDecodeError as failure:
        raise RequestRejected(
            f"{name} is no JSON: line {failure.lineno}, column {failure.colno}: {failure.msg}"
        ) from None
    except UnicodeDecodeError:
        raise RequestRejected(f"{name} is not UTF-8, as JSON has to be") from None
    except RecursionError:
        raise RequestRejected(f"{name} is not acceptable: its brackets nest too deeply") from None
    except ValueError as failure:  # a number of thousands of digits
        raise RequestRejected(f"{name} is not acceptable: {failure}") from None
