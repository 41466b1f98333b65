"""Why a job ended as it did, over HTTP."""

from tests.circuits_at_hand import BELL
from tests.gateway.conftest import Http


async def test_why_is_what_the_report_was_judged_by(http: Http) -> None:
    """And of a job that nobody knows there is none."""
    body = {"kind": "sample", "pubs": [{"circuit": BELL, "shots": 50}], "backend": "aer"}
    ended = (await http.post("/jobs", body, headers={"Prefer": "wait=30"})).json()
    found = await http.get(f"/jobs/{ended['id']}/why")
    unknown = await http.get("/jobs/default-000000000000000000000000/why")

    assert found.status_code == 200
    assert found.json()["verdict"] == ended["verdict"]
    assert found.json()["explanation"]["shots"] == "50 for each binding, 50 in all."
    assert unknown.status_code == 404
