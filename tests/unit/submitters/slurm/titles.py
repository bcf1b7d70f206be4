"""The lines of titles with which ``squeue`` and ``sacct`` begin, as Slurm 24.11 and 26.05 do."""

from gateway.submitters.slurm.commands import SEPARATOR

_QUEUE = ("JOBID", "STATE", "REASON", "NODELIST", "START_TIME", "END_TIME", "EXIT_CODE")
_ACCOUNTING = ("JobID", "State", "Reason", "NodeList", "Start", "End", "ExitCode", "MaxRSS")
QUEUE_TITLES = "".join(f"{title}{SEPARATOR}" for title in (*_QUEUE, "RESTART_COUNT", "NAME")) + "\n"
ACCOUNTING_TITLES = SEPARATOR.join((*_ACCOUNTING, "TotalCPU", "JobName")) + "\n"
