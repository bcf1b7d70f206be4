"""Everything about whole workflows, over a unix socket and over TCP."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable

import pytest

from gateway.client import Client
from gateway.client.workflow_calls import TimedOutError, _news
from gateway.errors import ConflictError, NotFoundError, SpecError, UsageError
from gateway.vocabulary.states import WorkflowStatus
from tests.client.conftest import SPEC, Served


def test_a_file_is_run_to_its_end(client: Client, served: Served) -> None:
    run = client.run(served.specification(), "fit", parameters={"greeting": "hi"})
    assert (run.full_name, run.status) == ("fit.1", WorkflowStatus.QUEUED)
    served.drive()
    looks: list[WorkflowStatus] = []
    ended = client.wait(run.id, progress=lambda found: looks.append(found.status))
    assert (ended.status, looks) == (WorkflowStatus.FINISHED, [WorkflowStatus.FINISHED])
    assert ended.progress.finished == ended.progress.total == 1
    assert ended.started is not None
    assert ended.started.tzinfo is not None
    job = ended.jobs[0]
    assert (job.step, job.exit_code, job.attempts[0].number) == ("greet", 0, 1)
    assert [log.text for log in client.logs("fit")] == ["hi\n"]
    assert [log.text for log in client.logs("fit", steps=["greet"])] == ["hi\n"]
    assert client.logs("fit", steps=["other"]) == ()
    assert list(client.follow("fit")) == [("greet", "hi")]
    assert {each.name for each in client.ls("fit")} == {
        "data/in.txt", "reana.yaml", "results/out.txt",
    }  # fmt: skip


def test_logs_come_in_pages_of_jobs(client: Client, served: Served) -> None:
    steps = [
        {"name": name, "environment": "img:1", "commands": [f"echo {name}"]}
        for name in ("a", "b", "c")
    ]
    spec = {"workflow": {"type": "serial", "specification": {"steps": steps}}}
    client.run(spec, "fit")
    served.drive()
    pages = [client.logs("fit", page=page, size=2) for page in (1, 2, 3)]
    assert [[log.text for log in page] for page in pages] == [["a\n", "b\n"], ["c\n"], []]
    assert [log.step for log in client.logs("fit", steps=["a", "c"], page=2, size=1)] == ["c"]


def test_the_same_key_is_the_same_workflow(client: Client, served: Served) -> None:
    file = served.specification()
    first = client.run(file, "fit", key="a")
    assert client.run(file, "fit", key="a").id == first.id
    assert client.create(SPEC, "fit", key="a").id == first.id
    assert client.create(SPEC, "fit").full_name == "fit.2"


def test_a_key_is_refused_for_another_order(client: Client, served: Served) -> None:
    client.run(served.specification(), "fit", key="a", parameters={"greeting": "hey"})
    assert client.run(served.specification(), key="a", parameters={"greeting": "hey"})
    for parameters in ({}, {"greeting": "ho"}):
        with pytest.raises(ConflictError, match=r"belongs to fit\.1.*other parameters"):
            client.run(served.specification(), "fit", key="a", parameters=parameters)
    with pytest.raises(ConflictError, match="another specification"):
        client.create({**SPEC, "outputs": {}}, "fit", key="a")
    with pytest.raises(ConflictError, match="another name"):
        client.create(SPEC, "other", key="a")
    assert [each.full_name for each in client.list()] == ["fit.1"]


def test_restart_stop_and_delete(client: Client, served: Served) -> None:
    run = client.run(served.specification(), "fit")
    client.stop(run.id)
    served.drive()
    assert client.status(run.id).status is WorkflowStatus.STOPPED
    again = client.restart(run.id, parameters={"greeting": "again"})
    assert again.full_name == "fit.1.1"
    served.drive()
    assert client.status("fit.1.1").status is WorkflowStatus.FINISHED
    client.delete("fit", all_runs=True)
    assert client.list() == []
    assert {each.full_name for each in client.list(statuses=WorkflowStatus)} == {
        "fit.1", "fit.1.1",
    }  # fmt: skip


def test_lists_are_filtered(client: Client) -> None:
    for name in ("a", "b", "b"):
        client.create(SPEC, name)
    assert [each.full_name for each in client.list()] == ["b.2", "b.1", "a.1"]
    assert [each.full_name for each in client.list(name="b", size=1)] == ["b.2"]
    assert [each.full_name for each in client.list(name="b", size=1, page=2)] == ["b.1"]
    assert client.list(statuses=[WorkflowStatus.RUNNING]) == []


def test_waiting_ends_in_time_and_the_workflow_goes_on(client: Client) -> None:
    created = client.create(SPEC, "fit")
    with pytest.raises(TimedOutError, match=r"fit\.1 is still created"):
        client.wait(created.id, timeout=0)


def test_following_tells_each_line_once() -> None:
    known: Counter[str] = Counter()
    assert _news("a\n", known) == ["a"]
    assert _news("a\nb\nerror\n", known) == ["b", "error"]
    assert _news("a\nb\na\nerror\n", known) == ["a"]


def test_explain_and_validate(client: Client) -> None:
    created = client.create(SPEC, "fit")
    found = client.explain(created.id)
    assert "not started" in found.sentence
    assert ("workflow id", created.id) in found.facts
    assert found.events[0].kind == "request"
    assert all("image" in word or "tag" in word for word in client.validate(SPEC))
    with pytest.raises(SpecError) as refused:
        client.validate({"workflow": {"type": "serial"}})
    assert refused.value.problems
    with pytest.raises(UsageError, match="there is no cluster 'moon'"):
        client.validate(SPEC, cluster="moon")


@pytest.mark.parametrize(
    ("ask", "kind", "words"),
    [
        (lambda c: c.status("nope"), NotFoundError, "there is no workflow 'nope'"),
        (lambda c: c.start("nope"), NotFoundError, "there is no workflow 'nope'"),
        (lambda c: c.specification("nope"), NotFoundError, "there is no workflow 'nope'"),
        (lambda c: c.ls("nope"), NotFoundError, "there is no workflow 'nope'"),
        (lambda c: c.stop("w"), ConflictError, "nothing to stop"),
        (lambda c: c.restart("w"), ConflictError, "created"),
        (lambda c: c.create({"workflow": 1}), SpecError, "not valid"),
        (lambda c: c.create(SPEC, "a.b"), UsageError, "a.b"),
        (lambda c: c.status(""), UsageError, "no workflow was named"),
    ],
)
def test_refusals_are_errors_with_the_servers_words(
    client: Client, ask: Callable[[Client], object], kind: type[Exception], words: str
) -> None:
    client.create(SPEC, "w")
    with pytest.raises(kind, match=words):
        ask(client)


def test_hints_come_too(client: Client) -> None:
    with pytest.raises(NotFoundError) as refused:
        client.status("nope")
    assert "gateway list" in refused.value.hint


def test_info_user_and_secrets(client: Client, served: Served) -> None:
    assert "batch gateway" in client.ping().server_version
    facts = client.info()
    assert facts["default_cluster"].value == "local"
    assert isinstance(facts["compute_backends"].value, tuple)
    client.add_secrets({"PASSWORD": "x"}, [served.write("key.pem", "secret")])
    assert {(each.name, each.kind) for each in client.secrets()} == {
        ("PASSWORD", "env"), ("key.pem", "file"),
    }  # fmt: skip
    with pytest.raises(ConflictError):
        client.add_secrets({"PASSWORD": "y"})
    client.add_secrets({"PASSWORD": "y"}, overwrite=True)
    with pytest.raises(NotFoundError, match="other"):
        client.delete_secrets(["PASSWORD", "other"])
    assert client.delete_secrets(["PASSWORD"]) == ("PASSWORD",)
