"""Throw-away environments: another Python, other versions, nothing of the checkout's own environment."""

import os
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.architecture.imports import ROOT

INSTALL_SECONDS = 200
RUN_SECONDS = 60


@dataclass(frozen=True)
class Environment:
    """A virtual environment.

    Attributes:
        folder: Where it is.
    """

    folder: Path

    @property
    def python(self) -> Path:
        """Its interpreter."""
        return self.folder / "bin" / "python"

    def install(self, *what: str) -> None:
        """Install requirements; paths and options go as they stand."""
        uv("pip", "install", "--quiet", "--python", str(self.python), *what)

    def version_of(self, distribution: str) -> str:
        """What is installed."""
        code = f"from importlib.metadata import version; print(version({distribution!r}))"
        return self.run(self.python, "-c", code).stdout.strip()

    def run(
        self,
        *command: str | Path,
        cwd: Path | None = None,
        environment: Mapping[str, str] | None = None,
        check: bool = True,
    ) -> subprocess.CompletedProcess[str]:
        """Run a command, with nothing of this process's own settings but what is given."""
        inherited = {name: os.environ[name] for name in ("HOME", "PATH", "LANG") if name in os.environ}
        done = subprocess.run(
            [str(word) for word in command],
            cwd=cwd or self.folder,
            env={**inherited, **(environment or {})},
            capture_output=True,
            text=True,
            timeout=RUN_SECONDS,
            check=False,
        )
        if check:
            assert done.returncode == 0, (
                f"{command} ended with {done.returncode}:\n{done.stdout}{done.stderr}"
            )
        return done


def make(folder: Path, python: str | Path = sys.executable) -> Environment:
    """An empty environment for this interpreter."""
    uv("venv", "--quiet", "--python", str(python), str(folder))
    return Environment(folder)


def uv(*words: str) -> None:
    """Run the `uv` of the checkout's environment."""
    program = Path(sys.executable).with_name("uv")
    done = subprocess.run(
        [program, *words], cwd=ROOT, capture_output=True, text=True, timeout=INSTALL_SECONDS, check=False
    )
    assert done.returncode == 0, f"uv {' '.join(words)} ended with {done.returncode}:\n{done.stderr}"


def pythons() -> Sequence[tuple[tuple[int, int], Path]]:
    """Every Python from 3.11 on that this machine has, newest first."""
    places = [Path(folder) for folder in os.environ.get("PATH", "").split(os.pathsep) if folder]
    kept = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv")) / "versions"
    places += [folder / "bin" for folder in sorted(kept.glob("3.*"))]
    found: dict[tuple[int, int], Path] = {}
    for minor in range(11, 20):
        for place in places:
            program = shutil.which(f"python3.{minor}", path=str(place))
            if (3, minor) not in found and program is not None and _works(program, minor):
                found[3, minor] = Path(program)
    return sorted(found.items(), reverse=True)


def _works(program: str, minor: int) -> bool:
    """Whether it is that Python, and not a shim that knows of none."""
    code = f"import sys; sys.exit(sys.version_info[:2] != (3, {minor}))"
    return subprocess.run([program, "-c", code], capture_output=True, timeout=30, check=False).returncode == 0
