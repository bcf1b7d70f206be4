"""Health, figures and details, which REANA does not have."""

from __future__ import annotations

from prometheus_client.parser import text_string_to_metric_families

from tests.api.conftest import Place


def figures(place: Place) -> dict[tuple[str, tuple[tuple[str, str], ...]], float]:
    reply = place.call("GET", "/gateway/metrics")
    assert reply.status_code == 200
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(reply.text)
        for sample in family.samples
    }


def test_health_needs_no_token_and_ready_says_whether_something_drives(place: Place) -> None:
    assert place.client.get("/gateway/health").json()["status"] == "ok"
    reply = place.client.get("/gateway/ready")
    assert reply.status_code == 503
    assert "gateway serve" in reply.json()["message"]


def test_figures_need_a_token(place: Place) -> None:
    assert place.client.get("/gateway/metrics").status_code == 401


def test_figures_count_workflows_jobs_calls_and_requests(place: Place) -> None:
    name = place.create()
    place.upload(name, "data/in.txt", b"x")
    place.start(name)
    place.drive()
    place.status(name)
    with place.app.store.write() as transaction:
        transaction.clusters.count_call("slurm", "status", 100, ok=True, seconds=0.5)
        transaction.clusters.count_call("slurm", "status", 101, ok=False, seconds=1.0)
    found = figures(place)
    assert found["gateway_workflows", (("status", "finished"),)] == 1
    assert found["gateway_jobs", (("cluster", "local"), ("state", "finished"))] == 2
    ended = ("gateway_attempts_ended_total", (("cluster", "local"), ("outcome", "success")))
    assert found[ended] == 2
    labels = (("cluster", "slurm"), ("kind", "status"))
    assert found["gateway_scheduler_calls_total", labels] == 2
    assert found["gateway_scheduler_call_failures_total", labels] == 1
    assert found["gateway_scheduler_call_seconds_total", labels] == 1.5
    route = "/api/workflows/{workflow}/status"
    called = (("method", "GET"), ("route", route), ("status", "200"))
    assert found["gateway_api_request_seconds_count", called] >= 1


def test_labels_of_latencies_do_not_grow_with_what_clients_ask(place: Place) -> None:
    for number in range(20):
        place.call("GET", f"/nowhere/{number}")
        place.client.request(f"ODD{number}", "/api/ping")
    routes = {
        labels for name, labels in figures(place) if name == "gateway_api_request_seconds_count"
    }
    assert len(routes) <= 4


def test_details_of_jobs_have_what_they_used(place: Place) -> None:
    name = place.create()
    place.upload(name, "data/in.txt", b"x")
    place.start(name)
    place.drive()
    jobs = place.call("GET", f"/gateway/workflows/{name}/jobs").json()["items"]
    assert [job["state"] for job in jobs] == ["finished", "finished"]
    attempt = jobs[0]["attempts"][0]
    assert attempt["max_rss_mib"] is not None or attempt["cpu_s"] is not None
    explained = place.call("GET", f"/gateway/explain/{jobs[0]['id']}").json()
    assert explained["events"]
    other = place.user("bob@example.org")
    assert place.call("GET", f"/gateway/explain/{jobs[0]['id']}", other).status_code == 404


def test_the_description_is_complete_and_the_page_needs_no_other_host(place: Place) -> None:
    schema = place.client.get("/openapi.json").json()
    assert "/api/workflows/{workflow}/start" in schema["paths"]
    assert "HTTPValidationError" not in str(schema)
    for path, methods in schema["paths"].items():
        for method, operation in methods.items():
            assert operation.get("summary"), f"{method} {path} has no summary"
    page = place.client.get("/gateway/docs").text
    assert "/api/workflows/{workflow}/start" in page
    assert "http://" not in page
    assert "https://" not in page
    assert "<script" not in page


def test_an_unknown_path_is_answered_in_json(place: Place) -> None:
    assert place.client.get("/nowhere").json() == {"message": "Not Found"}
