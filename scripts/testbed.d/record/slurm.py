"""Record what Slurm says: submissions, queue, accounting, a controller down or frozen."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

from recorder import HOME, WHO, Recorder, service, until

US = "\x1f"


def fields(text: str) -> str:
    return text.replace(" ", US)


QUEUE = fields("%i %F %K %T %r %N %j %k %V %S %e")
COLUMNS = [
    "JobID", "JobName", "State", "ExitCode", "DerivedExitCode", "Submit", "Start", "End",
    "NodeList", "Restarts", "Reason", "Comment",
]  # fmt: skip
LOCAL = Path("/etc/slurm/local.conf")


class Slurm:
    def __init__(self, directory: Path) -> None:
        self.recorder = Recorder(directory, HOME / "recordings")
        self.record = self.recorder.record

    def submit(self, *options: str, run: str = "sleep 900") -> str:
        """Submit a job of the scene and return its id."""
        done = self.recorder.run(
            ["sbatch", "--parsable", "--mem=50", "-o", "/dev/null", *options, "--wrap", run]
        )
        job = done.stdout.decode().strip()
        if not job:
            print(f"refused: {options}: {done.stderr.decode().strip()}", flush=True)
        return job

    def state(self, job: str) -> str:
        done = self.recorder.run(["squeue", "-h", "-t", "all", "-j", job, "-o", "%T"])
        return done.stdout.decode().partition("\n")[0].strip()

    def wait(self, job: str, *states: str, limit: float = 150) -> None:
        until(f"{job} {states}", lambda: self.state(job) in states, limit)

    def squeue(self, case: str) -> None:
        self.record(case, "squeue", "--me", "-r", "-h", "-t", "all", "-o", QUEUE)

    def known(self, columns: list[str]) -> list[str]:
        """Of these columns, the ones that this version knows."""
        listed = self.recorder.run(["sacct", "--helpformat"]).stdout.decode().split()
        return [column for column in columns if column in listed] or columns

    def sacct(self, case: str, *options: str, extra: tuple[str, ...] = ()) -> None:
        columns = ",".join(self.known([*COLUMNS, *extra]))
        self.record(
            case, "sacct", *options, "-n", "-P", f"--delimiter={US}", "-u", WHO,
            "-S", "now-1hour", "-o", columns,
        )  # fmt: skip

    def configure(self, *lines: str) -> None:
        LOCAL.write_text("".join(line + "\n" for line in ("# set by a recording", *lines)))
        service("slurmctld", "restart")
        until("slurmctld", lambda: self.recorder.run(["scontrol", "ping"]).returncode == 0)

    # -- scenes ----------------------------------------------------------------------------

    def submissions(self, prefix: str) -> None:
        def sbatch(case: str, *options: str, wrap: str = "true") -> str:
            return self.record(
                prefix + case, "sbatch", "--parsable", "-o", "/dev/null", *options, "--wrap", wrap
            )

        sbatch("sbatch-ok", "--job-name=gw-ok", "--comment=key=1")
        sbatch("sbatch-array-ok", "--array=0-3", "--job-name=gw-array")
        over = [
            sbatch("sbatch-time-above-partition-limit", "--partition=short", "--time=10"),
            sbatch("sbatch-memory-above-partition-limit", "--partition=tiny", "--mem=1000"),
            sbatch("sbatch-nodes-above-partition-limit", "--partition=tiny", "--nodes=2"),
        ]
        sbatch("sbatch-memory-above-any-node", "--mem=100000")
        sbatch("sbatch-cpus-above-any-node", "--cpus-per-task=100")
        time.sleep(2)
        for job in filter(str.isdigit, over):
            self.recorder.run(["scancel", job])

    def refusals(self) -> None:
        def sbatch(case: str, *options: str) -> None:
            self.record(case, "sbatch", "--parsable", "-o", "/dev/null", *options, "--wrap", "true")

        sbatch("sbatch-unknown-partition", "--partition=nowhere")
        sbatch("sbatch-unknown-account", "--account=nobody")
        sbatch("sbatch-unknown-qos", "--qos=nothing")
        sbatch("sbatch-unknown-constraint", "--constraint=quantum")
        sbatch("sbatch-unknown-gres", "--gres=gpu:1")
        sbatch("sbatch-array-too-large", "--array=0-5000")
        sbatch("sbatch-bad-dependency", "--dependency=afterok:999999")
        sbatch("sbatch-bad-time", "--time=soon")
        sbatch("sbatch-bad-option", "--no-such-option")
        self.record("sbatch-missing-script", "sbatch", "--parsable", "/nowhere/job.sh")
        (HOME / "recordings/not-a-script").write_text("echo no interpreter line\n")
        self.record("sbatch-not-a-script", "sbatch", "--parsable", "not-a-script")
        self.record("sbatch-plain-ok", "sbatch", "-o", "/dev/null", "--wrap", "true")

    def queue(self) -> None:
        submit = self.submit
        # What shall live stays on node1: node2 will be lost.
        stays = "--nodelist=node1"
        done = submit("--job-name=gw-done", "--comment=key-done", run="true")
        failed = submit("--job-name=gw-failed", run="exit 3")
        signalled = submit("--job-name=gw-signalled", run="kill -SEGV $$")
        eater = "python3 -c 'x = bytearray(400_000_000); import time; time.sleep(60)'"
        memory = submit("--job-name=gw-memory", run=eater)
        timeout = submit("--job-name=gw-timeout", "--time=1", "--nodelist=node2")
        running = submit("--job-name=gw-running", "--comment=attempt:6f1c/0", stays)
        submit(
            "--job-name=na\u00efve | name, 100%", "--comment=k=1;x y|z \u00b5", stays,
            run="sleep 901",
        )  # fmt: skip
        cancelled = submit("--job-name=gw-cancelled-running", stays)
        requeued = submit("--job-name=gw-requeued", stays)
        held_again = submit("--job-name=gw-requeue-held", stays)
        suspended = submit("--job-name=gw-suspended", stays)
        lost = submit("--job-name=gw-lost", "--no-requeue", "--nodelist=node2")
        mixed = submit(
            "--job-name=gw-array-mixed", "--array=1-4", run="exit $((SLURM_ARRAY_TASK_ID % 2))"
        )
        for job in (running, cancelled, requeued, held_again, suspended, lost):
            self.wait(job, "RUNNING")
        for job in (done, failed, signalled, memory, mixed):
            self.wait(job, "COMPLETED", "FAILED", "OUT_OF_MEMORY")
        submit("--job-name=gw-array-throttled", "--array=0-9%2", stays)
        submit("--job-name=gw-held", "--hold")
        submit("--job-name=gw-later", "--begin=now+1hour")
        never = submit("--job-name=gw-cancelled-pending", "--begin=now+1hour")
        submit("--job-name=gw-dependent", f"--dependency=afterok:{running}")
        submit("--job-name=gw-dependency-never", f"--dependency=afterok:{failed}")
        submit("--job-name=gw-too-long", "--partition=short", "--time=10")
        submit("--job-name=gw-too-big", "--partition=tiny", "--mem=1000")
        self.record("scancel-running", "scancel", cancelled)
        self.record("scancel-pending", "scancel", never)
        self.record("scontrol-requeue", "scontrol", "requeue", requeued)
        self.record("scontrol-requeuehold", "scontrol", "requeuehold", held_again)
        subprocess.run(["scontrol", "suspend", suspended], check=False)
        self.squeue("squeue-just-requeued")
        self.record("scontrol-show-job-requeued-pending", "scontrol", "show", "job", requeued)
        self.wait(timeout, "TIMEOUT")
        self.wait(requeued, "RUNNING", limit=200)
        wide = submit("--job-name=gw-wide", "--ntasks=16", "--nodes=2")
        submit("--job-name=gw-behind", "--ntasks=8", "--nodes=1")
        self.wait(wide, "PENDING")
        service("node2", "kill")
        subprocess.run(["pkill", "-KILL", "-f", rf"slurmstepd: \[{lost}\."], check=False)
        self.wait(lost, "NODE_FAIL")
        self.squeue("squeue-node-down")
        self.record("sinfo-node-down", "sinfo", "-h", "-N", "-o", fields("%N %T %E"))
        service("node2", "start")
        self.squeue("squeue-all-states")
        self.record("squeue-arrays-folded", "squeue", "--me", "-h", "-t", "all", "-o", QUEUE)
        self.details(
            requeued=requeued, failed=failed, timeout=timeout, memory=memory, lost=lost,
            array=mixed, running=running,
        )  # fmt: skip
        self.cancellations(done)

    def details(self, **jobs: str) -> None:
        for name, job in jobs.items():
            self.record(f"scontrol-show-job-{name}", "scontrol", "show", "job", job)
        self.record("scontrol-show-job-oneliner", "scontrol", "-o", "show", "job", jobs["requeued"])
        self.record("scontrol-show-job-unknown", "scontrol", "show", "job", "999999")
        self.record("squeue-job-unknown", "squeue", "-h", "-j", "999999", "-o", QUEUE)
        self.record("squeue-user-without-jobs", "squeue", "-h", "-u", "bob", "-o", QUEUE)

    def cancellations(self, done: str) -> None:
        self.record("scancel-finished", "scancel", done)
        self.record("scancel-finished-verbose", "scancel", "-v", done)
        self.record("scancel-unknown", "scancel", "999999")
        self.record("scancel-unknown-verbose", "scancel", "-v", "999999")
        self.record("scancel-several-one-unknown", "scancel", "999999", done)
        foreign = (
            self.recorder.run(
                ["sbatch", "--parsable", "-o", "/dev/null", "--hold", "--wrap", "true"], user="bob"
            )
            .stdout.decode()
            .strip()
        )
        self.record("scancel-not-mine", "scancel", foreign)
        self.record("scontrol-requeue-finished", "scontrol", "requeue", done)
        self.record("scontrol-requeue-unknown", "scontrol", "requeue", "999999")

    def accounting(self) -> None:
        subprocess.run(["testbed-slurmdbd", "on"], check=True)
        time.sleep(3)
        self.sacct("sacct-jobs", "-X")
        self.sacct("sacct-steps", extra=("MaxRSS",))
        self.sacct("sacct-duplicates", "-X", "--duplicates")
        self.record("sacct-unknown-job", "sacct", "-X", "-n", "-P", "-j", "999999")
        self.record("sacct-unknown-column", "sacct", "-X", "-n", "-P", "-o", "JobID,NoSuchColumn")
        service("slurmdbd", "stop")
        self.sacct("sacct-slurmdbd-down", "-X")
        self.record(
            "sbatch-slurmdbd-down", "sbatch", "--parsable", "-o", "/dev/null", "--wrap", "true"
        )
        self.squeue("squeue-slurmdbd-down")

    def cluster(self) -> None:
        self.record("sbatch-version", "sbatch", "--version")
        self.record("scontrol-show-config", "scontrol", "show", "config")
        self.record("scontrol-show-partition", "scontrol", "-o", "show", "partition")
        self.record("scontrol-show-node", "scontrol", "-o", "show", "node")
        self.record("scontrol-ping", "scontrol", "ping")
        self.record("sinfo", "sinfo", "-h", "-o", fields("%P %a %l %D %T %c %m %N"))

    def controller(self, condition: str) -> None:
        """The same commands while slurmctld is down or frozen."""
        self.record(f"sbatch-slurmctld-{condition}", "sbatch", "--parsable", "-o", "/dev/null",
                    f"--job-name=gw-{condition}", "--wrap", "true")  # fmt: skip
        self.squeue(f"squeue-slurmctld-{condition}")
        self.record(f"scancel-slurmctld-{condition}", "scancel", "1")
        self.record(f"scontrol-show-job-slurmctld-{condition}", "scontrol", "show", "job", "1")
        self.record(f"scontrol-ping-slurmctld-{condition}", "scontrol", "ping")

    def without_accounting(self) -> None:
        subprocess.run(["testbed-slurmdbd", "off"], check=True)
        until("nodes", lambda: b"idle" in self.recorder.run(["sinfo", "-h"]).stdout)
        self.squeue("squeue-empty")
        self.submissions("")
        self.sacct("sacct-without-accounting", "-X")
        self.configure("EnforcePartLimits=ALL")
        self.submissions("enforced-")
        self.configure()

    def with_accounting(self) -> None:
        subprocess.run(["testbed-slurmdbd", "on"], check=True)
        time.sleep(3)
        self.refusals()
        self.cluster()
        self.queue()

    def outage(self) -> None:
        service("slurmctld", "pause")
        self.controller("frozen")
        service("slurmctld", "resume")
        until("answer", lambda: self.recorder.run(["scontrol", "ping"]).returncode == 0)
        time.sleep(2)
        # What sbatch called a failure was accepted all the same:
        self.record("squeue-after-thaw", "squeue", "--me", "-r", "-h", "-t", "all",
                    "--name=gw-frozen", "-o", QUEUE)  # fmt: skip
        service("slurmctld", "stop")
        self.controller("down")
        service("slurmctld", "start")


def main() -> None:
    slurm = Slurm(Path(sys.argv[1]))
    scenes = {
        "without-accounting": slurm.without_accounting,
        "with-accounting": slurm.with_accounting,
        "accounting": slurm.accounting,
        "outage": slurm.outage,
    }
    for name in sys.argv[2:] or scenes:
        scenes[name]()


if __name__ == "__main__":
    main()
