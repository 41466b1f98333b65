"""`qurable batch`, as a shell runs it."""

import json
from pathlib import Path

from tests.cli.shell import qurable
from tests.conftest import Service
from tests.workflows.test_batch import item, written


async def test_a_batch_with_a_broken_line_goes_on_where_it_is_told_to(
    service: Service, tmp_path: Path
) -> None:
    """Items are lines of JSON on standard output, the sum is on standard error, and 4 says that not all was answered."""
    file = str(written(tmp_path / "jobs.jsonl", item(0.0), "not JSON", item(0.1)))

    refused = await qurable(service, "batch", file, "--json")
    followed = await qurable(service, "batch", file, "--on-error", "go-on", "--follow", "--key", "cli")
    attached = followed.err.split("batch    ")[1].split()[0]
    summed = await qurable(service, "batch", "--attach", attached, "--json")

    assert (refused.code, refused.document["error"]["details"]["lines"]) == (2, [2])
    assert followed.code == 4
    ends = [json.loads(line) for line in followed.out.splitlines()]
    assert sorted(end["line"] for end in ends) == [1, 3]
    assert all(sum(end["results"][0]["registers"][0]["counts"].values()) == 200 for end in ends)
    assert "line 2: broken" in followed.err
    assert (summed.code, summed.document["counts"]) == (4, {"completed": 2})
