"""Nothing of the client is left out: every command, option and function names its test.

A name in a table is not enough: the test must use the command and the option, itself or in what it
calls.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from tests.conformance.place import Reana, Server

HERE = Path(__file__).parent
BY_OPTIONS = "test_inventory.test_every_command_takes_its_token_and_its_workflow_as_options"
ELSEWHERE = "-t", "-w"
"""Options of nearly every command, which one test gives to all of them."""

COMMANDS: dict[str, dict[str, str]] = {
    "": {"--loglevel": "test_server.test_version_and_log_level"},
    "close": {"": "test_secrets.test_sessions_are_not_there_and_say_so"},
    "create": {
        "": "test_workflows.test_a_bad_name_is_refused",
        "-f": "test_workflows.test_create_from_another_file_and_without_the_clients_checks",
        "-n": "test_workflows.test_create_from_another_file_and_without_the_clients_checks",
        "--skip-validation": "test_workflows.test_what_the_client_does_not_check_we_do",
    },
    "delete": {
        "": "test_workflows.test_deleted_runs_are_listed_when_asked_for",
        "--include-all-runs": "test_workflows.test_all_runs_are_deleted_together",
        "--include-workspace": "test_workflows.test_all_runs_are_deleted_together",
    },
    "diff": {
        "workflow_a": "test_life.test_diff_of_two_runs",
        "workflow_b": "test_life.test_diff_of_two_runs",
        "-q": "test_life.test_diff_of_two_runs",
        "-u": "test_life.test_diff_of_two_runs",
    },
    "download": {
        "": "test_files.test_download_without_names_takes_the_declared_outputs",
        "filenames": "test_files.test_download_of_directories_and_globs_and_to_stdout",
        "-o": "test_files.test_download_of_directories_and_globs_and_to_stdout",
    },
    "du": {
        "": "test_files.test_disk_usage_in_every_form",
        "-s": "test_files.test_disk_usage_in_every_form",
        "--filter": "test_files.test_disk_usage_in_every_form",
        "-h": "test_files.test_disk_usage_in_every_form",
    },
    "info": {
        "": "test_server.test_info_as_text_and_as_json",
        "--json": "test_server.test_info_as_text_and_as_json",
    },
    "list": {
        "": "test_workflows.test_list_with_every_option",
        "--sessions": "test_workflows.test_list_with_every_option",
        "--format": "test_workflows.test_list_with_every_option",
        "--json": "test_workflows.test_list_with_every_option",
        "--all": "test_workflows.test_deleted_runs_are_listed_when_asked_for",
        "-v": "test_workflows.test_list_with_every_option",
        "-h": "test_workflows.test_list_with_every_option",
        "--sort": "test_workflows.test_list_with_every_option",
        "--filter": "test_workflows.test_list_with_every_option",
        "--include-duration": "test_workflows.test_list_with_every_option",
        "--include-progress": "test_workflows.test_list_with_progress_or_size_alone",
        "--include-workspace-size": "test_workflows.test_list_with_progress_or_size_alone",
        "--show-deleted-runs": "test_workflows.test_deleted_runs_are_listed_when_asked_for",
        "--page": "test_workflows.test_list_with_every_option",
        "--size": "test_workflows.test_list_with_every_option",
    },
    "logs": {
        "": "test_life.test_logs_of_a_job_that_runs_are_there_while_it_runs",
        "--json": "test_life.test_logs_with_every_filter",
        "--filter": "test_life.test_logs_with_every_filter",
        "--page": "test_life.test_logs_with_every_filter",
        "--size": "test_life.test_logs_with_every_filter",
    },
    "ls": {
        "": "test_files.test_list_with_globs_directories_filters_and_pages",
        "--format": "test_files.test_list_filters_and_shows_columns",
        "--json": "test_files.test_list_filters_and_shows_columns",
        "--url": "test_files.test_list_shows_urls",
        "--filter": "test_files.test_list_filters_and_shows_columns",
        "filename": "test_files.test_list_with_globs_directories_filters_and_pages",
        "-h": "test_files.test_list_with_globs_directories_filters_and_pages",
        "--page": "test_files.test_list_with_globs_directories_filters_and_pages",
        "--size": "test_files.test_list_with_globs_directories_filters_and_pages",
    },
    "mv": {
        "source": "test_files.test_move_into_a_directory_and_what_cannot_be_moved",
        "target": "test_files.test_move_into_a_directory_and_what_cannot_be_moved",
    },
    "open": {
        "interactive-session-type": "test_secrets.test_sessions_are_not_there_and_say_so",
        "-i": "test_secrets.test_sessions_are_not_there_and_say_so",
    },
    "ping": {"": "test_server.test_ping_says_connected_and_who_one_is"},
    "prune": {
        "": "test_files.test_prune_keeps_inputs_and_outputs_unless_told_otherwise",
        "--include-inputs": "test_files.test_prune_keeps_inputs_and_outputs_unless_told_otherwise",
        "--include-outputs": "test_files.test_prune_keeps_inputs_and_outputs_unless_told_otherwise",
    },
    "quota-show": {
        "--resource": "test_server.test_quota_of_a_resource",
        "--resources": "test_server.test_resources_with_a_quota",
        "--report": "test_server.test_quota_of_a_resource",
        "-h": "test_server.test_quota_of_a_resource",
    },
    "restart": {
        "": "test_workflows.test_restarted_runs_are_named_with_their_minor_number",
        "-p": "test_life.test_restart_with_parameters_options_and_another_specification",
        "-o": "test_life.test_restart_with_parameters_options_and_another_specification",
        "-f": "test_life.test_restart_with_parameters_options_and_another_specification",
    },
    "retention-rules-list": {
        "": "test_secrets.test_retention_rules_are_listed_with_and_without_a_date",
        "--format": "test_secrets.test_retention_rules_are_listed_with_and_without_a_date",
        "--json": "test_secrets.test_retention_rules_are_listed_with_and_without_a_date",
    },
    "rm": {"filenames": "test_files.test_remove_globs_and_what_is_not_there"},
    "run": {
        "": "test_life.test_run_follow_brings_a_workflow_to_its_end_and_names_its_results",
        "-f": "test_life.test_run_with_every_option",
        "-n": "test_life.test_run_with_every_option",
        "--skip-validation": "test_life.test_run_with_every_option",
        "-p": "test_life.test_run_with_every_option",
        "-o": "test_life.test_run_with_every_option",
        "--follow": "test_life.test_run_with_every_option",
    },
    "secrets-add": {
        "--env": "test_secrets.test_secrets_are_added_listed_overwritten_and_deleted",
        "--file": "test_secrets.test_secrets_are_added_listed_overwritten_and_deleted",
        "--overwrite": "test_secrets.test_secrets_are_added_listed_overwritten_and_deleted",
    },
    "secrets-delete": {
        "secrets": "test_secrets.test_secrets_are_added_listed_overwritten_and_deleted"
    },
    "secrets-list": {"": "test_secrets.test_secrets_are_added_listed_overwritten_and_deleted"},
    "start": {
        "": "test_life.test_a_workflow_is_started_once",
        "-p": "test_life.test_start_with_parameters_and_with_one_that_does_not_exist",
        "-o": "test_life.test_options_choose_steps",
        "--follow": "test_life.test_a_run_without_its_inputs_fails_with_the_commands_own_words",
    },
    "status": {
        "": "test_life.test_status_in_every_form",
        "--format": "test_life.test_status_in_every_form",
        "--json": "test_life.test_status_in_every_form",
        "--include-duration": "test_life.test_status_in_every_form",
        "-v": "test_life.test_status_in_every_form",
    },
    "stop": {
        "": "test_life.test_a_running_workflow_cannot_be_deleted_and_can_be_stopped",
        "--force": "test_life.test_a_running_workflow_cannot_be_deleted_and_can_be_stopped",
    },
    "upload": {
        "": "test_files.test_an_empty_file_and_nested_directories",
        "filenames": "test_files.test_a_second_upload_replaces_the_file",
    },
    "validate": {
        "-f": "test_server.test_validate_of_another_file_asks_nobody",
        "--environments": "test_server.test_validate_of_another_file_asks_nobody",
        "--pull": "test_server.test_validate_of_another_file_asks_nobody",
        "--server-capabilities": "test_server.test_validate_asks_the_server_for_what_it_can_do",
    },
    "version": {"": "test_server.test_version_and_log_level"},
}

FUNCTIONS: dict[str, dict[str, str]] = {
    "add_secrets": {"": "test_secrets.test_the_python_api_has_the_same_secrets"},
    "close_interactive_session": {
        "": "test_secrets.test_sessions_are_not_there_by_the_python_api"
    },
    "create_workflow": {
        "": "test_workflows.test_a_backend_that_is_not_here_is_refused_before_anything_is_created"
    },
    "create_workflow_from_json": {
        "workflow_json": "test_life.test_the_python_api_walks_through",
        "workflow_file": "test_languages.test_the_python_api_creates_it_from_its_file_too",
        "parameters": "test_life.test_the_python_api_walks_through",
        "workflow_engine": "test_life.test_the_python_api_walks_through",
        "outputs": "test_life.test_the_python_api_walks_through",
        "workspace_path": "test_languages.test_the_python_api_creates_it_from_its_file_too",
    },
    "delete_file": {"": "test_files.test_the_python_api_has_the_same_files"},
    "delete_secrets": {"": "test_secrets.test_the_python_api_has_the_same_secrets"},
    "delete_workflow": {"": "test_life.test_the_python_api_walks_through"},
    "diff_workflows": {"": "test_life.test_the_python_api_stops_and_compares"},
    "download_file": {"": "test_life.test_the_python_api_walks_through"},
    "get_user_quota": {"": "test_server.test_the_python_api_says_the_same"},
    "get_workflow_disk_usage": {"": "test_files.test_the_python_api_has_the_same_files"},
    "get_workflow_logs": dict.fromkeys(
        ("steps", "page", "size"), "test_life.test_the_python_api_reads_logs_by_step_and_page"
    ),
    "get_workflow_parameters": {"": "test_workflows.test_the_same_specification_comes_back"},
    "get_workflow_retention_rules": {
        "": "test_secrets.test_retention_rules_are_listed_with_and_without_a_date"
    },
    "get_workflow_specification": {"": "test_workflows.test_the_same_specification_comes_back"},
    "get_workflow_status": {"": "test_life.test_the_python_api_walks_through"},
    "get_workflows": dict.fromkeys(
        ("verbose", "page", "size", "status", "search", "include_progress",
         "include_workspace_size", "workflow"),
        "test_workflows.test_the_python_api_lists_by_everything",
    ),
    "info": {"": "test_server.test_the_python_api_says_the_same"},
    "list_files": dict.fromkeys(
        ("file_name", "page", "size", "search"), "test_files.test_the_python_api_has_the_same_files"
    ),
    "list_secrets": {"": "test_secrets.test_the_python_api_has_the_same_secrets"},
    "mv_files": {"": "test_files.test_the_python_api_has_the_same_files"},
    "open_interactive_session": {
        "": "test_secrets.test_sessions_are_not_there_by_the_python_api"
    },
    "ping": {"": "test_server.test_the_python_api_says_the_same"},
    "prune_workspace": {"": "test_files.test_the_python_api_has_the_same_files"},
    "start_workflow": {"": "test_life.test_the_python_api_walks_through"},
    "stop_workflow": {"": "test_life.test_the_python_api_stops_and_compares"},
    "upload_file": {
        "": "test_files.test_the_python_api_cannot_write_outside_the_workspace"
    },
    "upload_to_server": {"": "test_life.test_the_python_api_walks_through"},
}  # fmt: skip

WALK: list[tuple[str, int]] = [
    ("ping", 0),
    ("info", 0),
    ("quota-show --resources", 0),
    ("validate --server-capabilities", 0),
    ("secrets-add --env A=b", 0),
    ("secrets-list", 0),
    ("secrets-delete A", 0),
    ("create -w W", 0),
    ("list -w W", 0),
    ("upload -w W in.txt", 0),
    ("ls -w W", 0),
    ("du -w W", 0),
    ("mv -w W in.txt moved.txt", 0),
    ("download -w W moved.txt", 0),
    ("rm -w W moved.txt", 0),
    ("start -w W --follow", 0),
    ("status -w W", 0),
    ("logs -w W", 0),
    ("retention-rules-list -w W", 0),
    ("prune -w W", 0),
    ("restart -w W", 0),
    ("stop -w W.1 --force", 1),
    ("run -w W --follow", 0),
    ("diff W.1 W.2", 0),
    ("open -w W jupyter", 1),
    ("close -w W", 1),
    ("delete -w W.2", 0),
]
"""What one test does with each command that takes a token, and how it ends."""


@pytest.fixture(scope="module")
def inventory(server: Server) -> dict[str, Any]:
    found: dict[str, Any] = server.agent.inventory()
    return found


def expected(spellings: list[str]) -> bool:
    return not any(each in ELSEWHERE for each in spellings) or "-n" in spellings


def test_every_command_and_option_names_its_test(inventory: dict[str, Any]) -> None:
    assert set(inventory["commands"]) == set(COMMANDS)
    for command, parameters in inventory["commands"].items():
        wanted = [spellings for spellings in parameters if expected(spellings)]
        named = set(COMMANDS[command]) - {""}
        left_out = [spellings for spellings in wanted if not named & set(spellings)]
        assert left_out == [], command
        assert named <= {each for spellings in wanted for each in spellings}, command


def test_every_function_and_what_is_optional_names_its_test(inventory: dict[str, Any]) -> None:
    assert set(inventory["functions"]) == set(FUNCTIONS)
    for function, optional in inventory["functions"].items():
        assert set(FUNCTIONS[function]) - {""} == set(optional), function


def test_the_walk_has_every_command_that_takes_a_token(inventory: dict[str, Any]) -> None:
    walked = {line.split()[0]: line for line, _ in WALK}
    for command, parameters in inventory["commands"].items():
        spellings = {each for several in parameters for each in several}
        assert ("-t" in spellings) == (command in walked), command
        if "-w" in spellings:
            assert " -w W" in walked[command]


def test_every_command_takes_its_token_and_its_workflow_as_options(reana: Reana) -> None:
    reana.spec("true")
    reana.write("in.txt", "x")
    for line, code in WALK:
        words = line.replace("W", "fit").split()
        done = reana(*words, "-t", reana.token, REANA_ACCESS_TOKEN="", REANA_WORKON="another")
        assert done.code == code, done.seen
        if words[0] in ("start", "restart"):
            reana.wait("fit")
        exchanged = reana.exchanged()
        assert exchanged, line
        assert all(each.query["access_token"] == [reana.token] for each in exchanged)
        assert not any("another" in each.target for each in exchanged)


@cache
def module(name: str) -> dict[str, ast.AST]:
    """Return the functions, methods and constants of a module by their names."""
    found: dict[str, ast.AST] = {}
    for node in ast.walk(ast.parse((HERE / f"{name}.py").read_text())):
        if isinstance(node, ast.FunctionDef):
            found[node.name] = node
        elif isinstance(node, ast.Assign):
            found |= {each.id: node for each in node.targets if isinstance(each, ast.Name)}
        elif isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
            found[node.target.id] = node
    return found


def words_of(node: ast.AST, known: Mapping[str, ast.AST], seen: set[str]) -> Iterator[str]:
    """Yield the words in the texts and the keywords of some code, and of what it uses."""
    for each in ast.walk(node):
        if isinstance(each, ast.Constant) and isinstance(each.value, str):
            yield from each.value.split()
        elif isinstance(each, ast.keyword) and each.arg:
            yield each.arg
        elif isinstance(each, ast.Name | ast.Attribute):
            name = each.id if isinstance(each, ast.Name) else each.attr
            if name in known and name not in seen:
                seen.add(name)
                yield from words_of(known[name], known, seen)


@cache
def used_by(test: str) -> frozenset[str]:
    file, _, name = test.partition(".")
    known = module("place") | module(file)
    return frozenset(words_of(known[name], known, {name}))


PROOFS = sorted(
    {
        (name, part if part.startswith(dashes) else "", test)
        for table, dashes in ((COMMANDS, "-"), (FUNCTIONS, ""))
        for name, parts in table.items()
        for part, test in parts.items()
    }
)


@pytest.mark.parametrize(("name", "part", "test"), PROOFS)
def test_a_test_that_is_named_uses_it(name: str, part: str, test: str) -> None:
    used = used_by(test)
    assert name in used or not name
    assert part in used or not part
