"""The command `edge`: a table of verbs, each imported only when it is called, and errors as one clear line."""

from __future__ import annotations

import importlib
import os
import signal
import sys
from types import FrameType

import click

from edge import __version__
from edge.errors import DataError, EdgeError, ProjectError
from edge.extras import missing
from edge.registry import suggest
from edge.shadow import shadowed

VERBS: dict[str, tuple[str, str, str]] = {
    "init": ("Workstation", "edge.verbs.init:init", "write a first project file by looking at histories"),
    "train": ("Workstation", "edge.verbs.train:train", "fit a model to histories and compare it with honest baselines"),
    "rank": ("Workstation", "edge.verbs.rank:rank", "rank model families of one size by error, time and bytes"),
    "prune": ("Workstation", "edge.verbs.prune:prune", "cut units out of a fitted model, which becomes a smaller one"),
    "convert": ("Workstation", "edge.verbs.convert:convert", "export a fitted model to one certified bundle"),
    "verify": ("Workstation", "edge.verbs.verify:verify", "replay a bundle's golden vectors and drift on this machine"),
    "score": ("Workstation", "edge.verbs.score:score", "predict a history offline, as the daemon would"),
    "explain": ("Workstation", "edge.verbs.explain:explain", "say which sensors and when moved a prediction"),
    "run": ("Device", "edge.verbs.run:run", "serve a bundle: readings in, predictions out, by MQTT"),
    "replay": ("Device", "edge.verbs.replay:replay", "publish a history as live readings"),
    "install": ("Device", "edge.verbs.install:install", "serve a bundle as a systemd service, now and at every boot"),
    "uninstall": ("Device", "edge.verbs.uninstall:uninstall", "stop the service and remove what install wrote"),
    "status": ("Device", "edge.verbs.status:status", "ask the running daemons of this device how they are"),
    "profile": ("Device", "edge.verbs.profile:profile", "measure microseconds a step, float against int8"),
    "demo": ("Help", "edge.verbs.demo:demo", "the whole road on a simulated fleet, in about two minutes"),
    "doctor": ("Help", "edge.verbs.doctor:doctor", "say what is installed, missing or shadowed here"),
    "info": ("Help", "edge.verbs.info:info", "say what a bundle is"),
    "bench": ("Help", "edge.verbs.bench:bench", "put a family beside the figures of papers"),
}
"""Verb -> (section of the help, "module:command", one line of help). A new verb is one new file and one line here."""


class Verbs(click.Group):
    """A group whose commands are imported when they are called, so that `edge --help` imports none of them."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """All verbs, in the order of the table."""
        return list(VERBS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The command behind a verb, or None where there is no such verb."""
        if cmd_name not in VERBS:
            return None
        module, _, attribute = VERBS[cmd_name][1].partition(":")
        command: click.Command = getattr(importlib.import_module(module), attribute)
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """As click does, with a suggestion for a verb nobody knows."""
        if args and args[0] not in VERBS and not args[0].startswith("-"):
            raise click.UsageError(f"unknown verb `{args[0]}`{suggest(args[0], list(VERBS))}", ctx)
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """The verbs under their sections, from the table alone."""
        for section in dict.fromkeys(row[0] for row in VERBS.values()):
            with formatter.section(section):
                formatter.write_dl([(verb, row[2]) for verb, row in VERBS.items() if row[0] == section])


@click.group(cls=Verbs, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@click.version_option(__version__, prog_name="edge")
def group() -> None:
    """From a machine's sensor history to a model on a Raspberry Pi that warns before the machine fails.

    Begin with `edge demo`. Results go to stdout, talk to stderr. Exit status: 0 fine, 1 a check failed, 2 usage,
    3 bundle or data unusable, 4 broker.
    """


def main() -> None:
    """Entry of the console script `edge`; never returns."""
    signal.signal(signal.SIGTERM, _terminated)
    if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:  # the terminal is gone; `nohup` ignores that
        signal.signal(signal.SIGHUP, _terminated)
    try:
        # `doctor` shows all shadows, with everything else.
        for shadow in shadowed() if sys.argv[1:2] != ["doctor"] else []:
            fail(str(shadow), ProjectError.exit_code)
        status = group.main(standalone_mode=False)
        sys.exit(status if isinstance(status, int) else 0)
    except EdgeError as error:
        fail(str(error), error.exit_code)
    except ModuleNotFoundError as error:
        verb = sys.argv[1] if len(sys.argv) > 1 else "this"
        clear = missing(error, f"`edge {verb}`")
        if clear is None:
            raise
        fail(str(clear), clear.exit_code)
    except click.ClickException as error:
        error.show()
        sys.exit(2)
    except (click.Abort, KeyboardInterrupt):
        fail("interrupted", 130)
    except BrokenPipeError:
        sys.stderr.close()
        sys.exit(1)
    except OSError as error:
        if error.filename is not None:
            raise
        sys.stdout = open(os.devnull, "w")  # noqa: PTH123, SIM115 - what is left in its buffer has nowhere to go
        fail(f"the output cannot be written: {error.strerror}", DataError.exit_code)


def _terminated(number: int, _frame: FrameType | None) -> None:
    """As Ctrl-C does: what was being written aside is cleared away."""
    sys.exit(128 + number)


def fail(message: str, status: int) -> None:
    """One line on stderr, and out."""
    click.echo(f"edge: {message}", err=True)
    sys.exit(status)
