"""Record what HTCondor says: submissions, queue, history, event logs, and a schedd that is down."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from pathlib import Path

from recorder import HOME, Recorder, service, until

LIMITS = Path("/etc/condor/config.d/90-limits.conf")
ATTRIBUTES = (
    "ClusterId,ProcId,JobStatus,GatewayKey,HoldReasonCode,HoldReasonSubCode,HoldReason,"
    "ExitCode,ExitSignal,ExitBySignal,NumJobStarts,EnteredCurrentStatus,RemoteHost,RemoveReason"
)
BASH = "/bin/bash"


class HTCondor:
    def __init__(self, directory: Path) -> None:
        self.recorder = Recorder(directory, HOME / "recordings")
        self.record = self.recorder.record

    def description(self, name: str, script: str, *lines: str, queue: str = "queue") -> Path:
        """A submit description in the working directory."""
        path = self.recorder.workdir / f"{name}.sub"
        text = [
            f"executable = {BASH}",
            f"arguments = \"-c '{script}'\"",
            "should_transfer_files = NO",
            "request_memory = 50",
            f"log = {name}.log",
            f'My.GatewayKey = "{name}"',
            f"submit_event_notes = key={name}",
            *lines,
            queue,
        ]
        path.write_text("\n".join(text) + "\n")
        path.chmod(0o644)
        return path

    def submit(self, name: str, script: str, *lines: str, queue: str = "queue") -> str:
        path = self.description(name, script, *lines, queue=queue)
        done = self.recorder.run(["condor_submit", "-terse", path.name])
        job = done.stdout.decode().split(" ")[0]
        if not job:
            print(f"refused: {name}: {done.stderr.decode().strip()}", flush=True)
        return job

    def status(self, job: str) -> int | None:
        done = self.recorder.run(["condor_q", job, "-json", "-attributes", "JobStatus"])
        try:
            return int(json.loads(done.stdout)[0]["JobStatus"])
        except (ValueError, IndexError, KeyError):
            return None

    def wait(self, job: str, status: int | None, limit: float = 90) -> None:
        until(f"{job} {status}", lambda: self.status(job) == status, limit)

    def command(self, *argv: str) -> None:
        self.recorder.run(argv)

    def configure(self, *lines: str) -> None:
        LIMITS.write_text("".join(line + "\n" for line in lines))
        subprocess.run(["condor_reconfig"], check=True, stdout=subprocess.DEVNULL)
        time.sleep(3)

    # -- scenes ----------------------------------------------------------------------------

    def submissions(self) -> None:
        good = self.description("submitted", "true").name
        many = self.description("many", "true", queue="queue item in (a b c)").name
        self.record("condor_submit-terse-ok", "condor_submit", "-terse", good)
        self.record("condor_submit-ok", "condor_submit", good)
        self.record("condor_submit-items-terse-ok", "condor_submit", "-terse", many)
        self.record("condor_submit-items-ok", "condor_submit", many)
        self.record("condor_submit-spool-ok", "condor_submit", "-spool", good)
        wrong = {
            "no-queue": self.description("no-queue", "true", queue=""),
            "bad-expression": self.description("bad-expression", "true", "requirements = (1 +"),
            "bad-memory": self.description("bad-memory", "true", "request_memory = much"),
            "bad-universe": self.description("bad-universe", "true", "universe = parallel-world"),
            "missing-executable": self.description(
                "missing-executable", "true", "executable = /nowhere/program"
            ),
            "missing-input": self.description(
                "missing-input", "true", "should_transfer_files = YES",
                "transfer_input_files = /nowhere/data",
            ),
            "log-not-writable": self.description("log-not-writable", "true", "log = /etc/job.log"),
            "missing-initial-directory": self.description(
                "missing-initial-directory", "true", "initialdir = /nowhere"
            ),
            "unused-key": self.description("unused-key", "true", "no_such_key = 1"),
        }  # fmt: skip
        for case, path in wrong.items():
            self.record(f"condor_submit-{case}", "condor_submit", "-terse", path.name)
        self.record("condor_submit-no-such-file", "condor_submit", "-terse", "nowhere.sub")
        self.configure("MAX_JOBS_PER_SUBMISSION = 2")
        self.record("condor_submit-above-max-per-submission", "condor_submit", "-terse", many)
        self.command("condor_rm", "-all")
        time.sleep(5)
        self.configure("MAX_JOBS_PER_OWNER = 1")
        self.submit("filler", "sleep 30")
        self.record("condor_submit-above-max-per-owner", "condor_submit", "-terse", good)
        self.record(
            "condor_config_val-max-per-owner-set", "condor_config_val", "MAX_JOBS_PER_OWNER"
        )
        self.configure()
        self.command("condor_rm", "-all")

    def queue(self) -> None:
        stays = "leave_in_queue = true"
        self.submit("running", "sleep 900")
        self.submit("unicode", "sleep 901", 'batch_name = na\u00efve "x", y')
        self.submit("idle", "true", "requirements = Memory > 1000000")
        done = self.submit("done", "true", stays)
        failed = self.submit("failed", "exit 3", stays)
        signalled = self.submit("signalled", "kill -SEGV $$", stays)
        removed = self.submit("removed", "sleep 900", stays)
        aborted = self.submit("aborted", "sleep 900")
        held = self.submit("held-by-user", "sleep 900")
        on_exit = self.submit(
            "held-on-exit", "exit 4", "on_exit_hold = ExitCode != 0",
            'on_exit_hold_reason = "exit code not zero"', "on_exit_hold_subcode = 42",
        )  # fmt: skip
        bad_input = self.submit(
            "held-missing-input", "true", "should_transfer_files = YES",
            "transfer_input_files = gone.dat", "skip_filechecks = true",
        )  # fmt: skip
        bad_output = self.submit("held-output-directory", "true", "output = /nowhere/out")
        late = self.submit("held-too-long", "sleep 900", "allowed_execute_duration = 5")
        eater = 'python3 -c ""x=bytearray(400000000);import time;time.sleep(90)""'
        memory = self.submit("held-memory", eater)
        vacated = self.submit("vacated", "sleep 900")
        cycle = self.submit("held-released", "sleep 900")
        items = self.submit("items", "exit $(n)", stays, queue="queue n in (0 1 0 2)")
        for job in (removed, aborted, held, vacated, cycle):
            self.wait(job, 2)
        for job in (done, failed, signalled, items):
            self.wait(job, 4)
        self.record("condor_rm-ok", "condor_rm", removed)
        self.record("condor_rm-reason", "condor_rm", "-reason", "stopped by its owner", aborted)
        self.record("condor_hold-ok", "condor_hold", held)
        self.record("condor_hold-reason", "condor_hold", "-reason", "let it rest", cycle)
        self.record("condor_vacate_job-ok", "condor_vacate_job", "-fast", vacated)
        for job in (on_exit, bad_input, bad_output, late, memory, cycle):
            self.wait(job, 5)
        self.record("condor_release-ok", "condor_release", cycle)
        self.wait(cycle, 2)
        self.wait(vacated, 2)
        self.command("condor_rm", cycle)
        self.wait(cycle, None)
        self.record("condor_q-json", "condor_q", "-json")
        self.record("condor_q-json-attributes", "condor_q", "-json", "-attributes", ATTRIBUTES)
        self.record("condor_q-attributes-json", "condor_q", "-attributes", ATTRIBUTES, "-json")
        self.record("condor_q-nobatch", "condor_q", "-nobatch")
        self.record("condor_q-json-one-cluster", "condor_q", items, "-json", "-attributes",
                    ATTRIBUTES)  # fmt: skip
        self.record("condor_q-json-unknown", "condor_q", "999999", "-json")
        self.record("condor_q-json-constraint", "condor_q", "-json", "-attributes", ATTRIBUTES,
                    "-constraint", 'GatewayKey == "failed"')  # fmt: skip
        self.record("condor_q-json-nothing-matches", "condor_q", "-json", "-constraint",
                    'GatewayKey == "nobody"')  # fmt: skip
        self.record("condor_q-bad-constraint", "condor_q", "-json", "-constraint", "GatewayKey ==")
        self.record("condor_q-bad-attributes", "condor_q", "-json", "-attributes", "NoSuchThing")
        self.record("condor_rm-unknown", "condor_rm", "999999")
        self.record("condor_rm-several-one-unknown", "condor_rm", "999999", items)
        self.record("condor_rm-again", "condor_rm", aborted)
        self.record("condor_rm-constraint-nothing", "condor_rm", "-constraint",
                    'GatewayKey == "nobody"')  # fmt: skip
        self.record("condor_release-not-held", "condor_release", vacated)
        self.record("condor_hold-unknown", "condor_hold", "999999")

    def history(self) -> None:
        time.sleep(3)
        self.record("condor_history-json", "condor_history", "-json", "-limit", "20")
        self.record("condor_history-json-attributes", "condor_history", "-json", "-attributes",
                    ATTRIBUTES + ",CompletionDate")  # fmt: skip
        self.record("condor_history-json-unknown", "condor_history", "999999", "-json")
        self.record("condor_history-json-nothing-matches", "condor_history", "-json",
                    "-constraint", 'GatewayKey == "nobody"')  # fmt: skip
        for path in sorted(self.recorder.workdir.glob("*.log")):
            self.recorder.keep(f"events-{path.name}", path)

    def pool(self) -> None:
        self.record("condor_version", "condor_version")
        self.record(
            "condor_status-json",
            "condor_status",
            "-json",
            "-attributes",
            "Name,State,Activity,Cpus,Memory,TotalSlotCpus,TotalSlotMemory,SlotType",
        )
        for name in ("MAX_JOBS_PER_OWNER", "MAX_JOBS_PER_SUBMISSION", "NO_SUCH_THING"):
            self.record(f"condor_config_val-{name}", "condor_config_val", name)
        self.record("condor_config_val-schedd", "condor_config_val", "-schedd",
                    "MAX_JOBS_PER_OWNER")  # fmt: skip
        self.record("condor_q-json-empty", "condor_q", "-json")
        self.record("condor_ping", "condor_ping", "-type", "SCHEDD", "WRITE")

    def schedd(self, condition: str) -> None:
        """The same commands while the schedd is down or frozen."""
        good = self.description(f"submitted-{condition}", "true").name
        self.record(f"condor_q-json-schedd-{condition}", "condor_q", "-json")
        self.record(f"condor_submit-schedd-{condition}", "condor_submit", "-terse", good)
        self.record(f"condor_rm-schedd-{condition}", "condor_rm", "1")
        self.record(f"condor_history-json-schedd-{condition}", "condor_history", "-json",
                    "-limit", "1", "-attributes", ATTRIBUTES)  # fmt: skip

    def outage(self) -> None:
        service("schedd", "pause")
        self.schedd("frozen")
        service("schedd", "resume")
        time.sleep(3)
        service("schedd", "stop")
        self.schedd("down")
        service("schedd", "start")


def main() -> None:
    pool = HTCondor(Path(sys.argv[1]))
    scenes = {
        "pool": pool.pool,
        "submissions": pool.submissions,
        "queue": pool.queue,
        "history": pool.history,
        "outage": pool.outage,
    }
    for name in sys.argv[2:] or scenes:
        scenes[name]()


if __name__ == "__main__":
    main()
