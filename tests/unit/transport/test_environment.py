from gateway.transport.environment import clean_environment


def test_only_what_finds_the_scheduler_is_passed_on() -> None:
    ours = {"PATH": "/opt/slurm/bin:/bin", "HOME": "/home/u", "SLURM_CONF": "/etc/s.conf"}
    condor = {"CONDOR_CONFIG": "/etc/c", "_CONDOR_TOOL_DEBUG": "D_FULL", "KRB5CCNAME": "FILE:/t"}
    foreign = {
        "REANA_ACCESS_TOKEN": "secret",
        "LD_LIBRARY_PATH": "/cvmfs/lib",
        "PYTHONPATH": "/x",
        "SQUEUE_FORMAT": "%i",
        "XDG_RUNTIME_DIR": "/run/user/1",
        "LC_MESSAGES": "de_DE",
    }
    kept = clean_environment(ours | condor | foreign)
    assert kept == ours | condor | {"LANG": "C.UTF-8", "LC_ALL": "C"}


def test_messages_are_english_whatever_the_user_speaks() -> None:
    assert clean_environment({"LC_ALL": "fr_FR.UTF-8"})["LC_ALL"] == "C"


def test_there_is_always_a_path() -> None:
    assert "/usr/bin" in clean_environment({})["PATH"].split(":")
