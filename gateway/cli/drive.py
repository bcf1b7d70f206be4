"""``gateway serve`` and ``gateway tick``."""

from __future__ import annotations

import json
import logging
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING

import click

from gateway.cli.main import app_of
from gateway.cli.options import json_option, seconds
from gateway.cli.output import print_json, talk
from gateway.errors import ExitCode, GatewayError

logger = logging.getLogger(__name__)

if TYPE_CHECKING:
    from gateway.api.server import Listener
    from gateway.composition.app import App
    from gateway.core.cycle import Pass


@click.command("tick")
@click.option(
    "--for",
    "span",
    metavar="SECONDS",
    callback=seconds,
    default="0",
    help="Go on for so many seconds, to do more in one cron minute.",
)
@json_option
@click.pass_context
def tick_command(context: click.Context, span: float, as_json: bool) -> int:
    """Bring all workflows forward once, and end. For cron, acron, scrontab.

    Harmless at any time, also beside `gateway serve`. Says nothing unless there is trouble. Without
    --for it ends when nothing is left to do at once, after a minute at the latest.

    \b
    Example (crontab): * * * * * gateway tick --for 50
    """
    app = app_of(context)
    changes = 0
    troubles: list[str] = []

    def note(done: Pass) -> None:
        nonlocal changes
        changes += done.changes
        troubles.extend(trouble for trouble in done.troubles if trouble not in troubles)

    if not span and not app.has_work():
        if as_json:
            print_json({"drove": False, "changes": 0, "troubles": []})
        return int(ExitCode.OK)
    drove = app.driver("tick").once(note, span_s=span)
    if as_json:
        print_json({"drove": drove, "changes": changes, "troubles": troubles})
    for trouble in troubles:
        talk(f"trouble, will try again at the next tick: {trouble}")
    return int(ExitCode.UNREACHABLE if troubles else ExitCode.OK)


JSON_LINES = '{"at": "%(asctime)s", "level": "%(levelname)s", "text": %(json)s}'


class JsonText(logging.Filter):
    """Makes the text of a log line available as JSON."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Add ``json`` to the record."""
        record.json = json.dumps(record.getMessage())
        return True


@click.command("serve")
@click.option("--host", default="127.0.0.1", show_default=True, help="Where to listen.")
@click.option(
    "--port", type=click.IntRange(0, 65535), help="Offer the REANA API there; 0: any free port."
)
@click.option(
    "--tls-certificate",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="Speak https with this certificate (PEM).",
)
@click.option(
    "--tls-key",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="The certificate's key, if it is in another file.",
)
@click.option("--json", "as_json", is_flag=True, help="Write the log as lines of JSON.")
@click.pass_context
def serve_command(
    context: click.Context,
    host: str,
    port: int | None,
    tls_certificate: Path | None,
    tls_key: Path | None,
    as_json: bool,
) -> None:
    """Drive all workflows and offer the REANA API, until told to end (Ctrl-C, SIGTERM).

    The API is always on a unix socket that only you can open, and with --port on TCP, for those
    who have a token (`gateway token show`).

    May be killed at any time: jobs go on, and the next driver takes up everything. A second one
    stands by and takes over when the first one ends.

    \b
    Example: nohup gateway serve --port 8444 >> ~/gateway.log 2>&1 &
             export REANA_SERVER_URL=http://127.0.0.1:8444
             export REANA_ACCESS_TOKEN=$(gateway token show)
    """
    if tls_key and not tls_certificate:
        raise click.UsageError("--tls-key needs --tls-certificate")
    if port is None and (tls_certificate or host != "127.0.0.1"):
        raise click.UsageError("--host and --tls-certificate need --port")
    lines = JSON_LINES if as_json else "%(asctime)s %(levelname)s %(message)s"
    logging.basicConfig(stream=sys.stderr, level=logging.INFO, format=lines)
    for handler in logging.getLogger().handlers:
        handler.addFilter(JsonText())
    for noisy in ("alembic", "uvicorn", "asyncio"):
        logging.getLogger(noisy).setLevel(logging.WARNING)
    app = app_of(context)
    driver = app.driver("serve")
    told: list[int] = []

    def end(number: int, _frame: FrameType | None) -> None:
        told.append(number)
        driver.wake.set()

    signal.signal(signal.SIGTERM, end)
    signal.signal(signal.SIGINT, end)
    origin = app.loaded_site.origin or "built-in site"
    logger.info("serving %s (%s)", ", ".join(app.site.clusters), origin)
    other = app.watch.health().driver
    if other:
        logger.info("stands by: %s drives; takes over when that ends", other)
    tcp = None if port is None else (host, port, tls_certificate, tls_key)
    with _listening(app, driver.wake.set, tcp) as listener:
        driver.run(lambda _: None, lambda: bool(told) or listener.failure is not None)
        if listener.failure is not None:
            raise BrokenServerError(
                f"the API has ended by a mistake: {listener.failure!r}",
                hint="jobs go on; start `gateway serve` again",
            )
    logger.info("ended; jobs go on")


class BrokenServerError(GatewayError):
    """The API of this process has ended, so that nobody can reach it any more."""

    exit_code = ExitCode.INTERNAL


@contextmanager
def _listening(
    app: App, wake: Callable[[], None], tcp: tuple[str, int, Path | None, Path | None] | None
) -> Iterator[Listener]:
    """Offer the API while the block runs."""
    from gateway.api.application import create_api
    from gateway.api.server import SOCKET_FILE, Listener, Tcp

    app.prepare_to_serve()
    secret = app.accounts.ensure_token()
    unix = app.site.state_dir / SOCKET_FILE
    address = Tcp(*tcp) if tcp else None
    with Listener(create_api(app, wake), address, unix, wake) as listener:
        logger.info("REANA API on %s", " and ".join(filter(None, (listener.url, str(unix)))))
        if secret is not None:
            _say_token(app.accounts.token_file, secret)
        yield listener


def _say_token(file: Path, secret: str) -> None:
    """Show a new token to the person who is there, and never to a log."""
    if sys.stderr.isatty():
        talk(f"access token, shown this once and kept in {file}: {secret}")
    else:
        talk(f"an access token was made and is kept in {file}; show it: gateway token show")
