"""Run the Python of a page, one block after the other, as a reader would who types it in: `page.py README.md`.

A block after `<!--- skip: next -->` is left out.
"""

import sys
from pathlib import Path

from sybil import Sybil
from sybil.parsers.markdown import PythonCodeBlockParser, SkipParser


def main(page: Path) -> None:
    """Run it; say how many blocks there were."""
    document = Sybil([PythonCodeBlockParser(), SkipParser()]).parse(page)
    document.namespace["__name__"] = "page"
    examples = list(document.examples())
    for example in examples:
        example.evaluate()
    print(f"{len(examples)} blocks ran", file=sys.stderr)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
