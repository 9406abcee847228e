"""The command line: parse, call, print. Each verb imports its work when it runs, so that --help is instant.

Data goes to stdout, progress and notes to stderr. Exit status: 0 done, 1 an error that says what to do next,
2 wrong usage, 130 interrupted.
"""

from __future__ import annotations

import gc
import io
import os
import re
import signal
import sys
import threading
from collections.abc import Sequence
from typing import NoReturn

import click

from dupdetect._version import __version__
from dupdetect.cli import dedupe, index, match, models, pairs, plan, review, serve, train
from dupdetect.cli.terminal import printable, show
from dupdetect.errors import DupdetectError

__all__ = ["cli", "main", "show"]


def main(arguments: Sequence[str] | None = None) -> NoReturn:
    """Run the command line and exit with its status."""
    given = sys.argv[1:] if arguments is None else list(arguments)
    _prepare_streams()
    # Rows live as long as the command, and hold no cycles: to look for some at the usual pace takes a tenth of all time
    # that is spent in Python itself.
    gc.set_threshold(100_000, 50, 100)
    try:
        with cli.make_context("dupdetect", given) as context:
            cli.invoke(context)
        if sys.stdout is not None:
            sys.stdout.flush()
        status = 0
    except click.exceptions.Exit as done:  # --help, --version
        status = done.exit_code
    except click.ClickException as error:
        error.show()
        status = 2
    except (KeyboardInterrupt, click.Abort):
        click.echo("Interrupted. Nothing was written under the final name.", err=True)
        status = 130
    except BrokenPipeError:  # the reader of our output, `head` for one, has what it wanted
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        status = 0
    except DupdetectError as error:
        click.echo(f"Error: {printable(_with_options(' '.join(str(error).split())))}", err=True)
        status = 1
    except OSError as error:
        where = f" ({error.filename})" if error.filename else ""
        message = f"Error: {error.strerror or error}{where}. If an output was begun, it is not there."
        click.echo(printable(message), err=True)
        status = 1
    except MemoryError:
        click.echo(
            "Error: out of memory. The number of pairs found grows with the square of texts that are nearly the same: "
            "raise --threshold, take less of the file at a time, or use a machine with more memory.",
            err=True,
        )
        status = 1
    sys.exit(status)


def _with_options(message: str) -> str:
    """Return an error's message with the arguments that it names, such as `on_bad_rows='keep'`, as options."""
    flags = {flag for verb in cli.commands.values() for option in verb.params for flag in option.opts}

    def option(argument: re.Match[str]) -> str:
        flag = f"--{argument[1].replace('_', '-')}"
        return f"{flag} {argument[2] or ''}".rstrip() if flag in flags else argument[0]

    # Numbers in brackets only: a folder can be called id=5.
    message = re.sub(r"(?<=\()([a-z_]+)=(\d+(?:\.\d+)?)(?=\))", option, message)
    return re.sub(r"\b([a-z_]+)=(?:True|\.\.\.|'([^']*)')", option, message)


def _prepare_streams() -> None:
    """Write what a stream cannot encode as escapes, and treat a request to end like Ctrl-C: clean up, then go."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    if threading.current_thread() is threading.main_thread():
        for name in ("SIGTERM", "SIGHUP"):
            if hasattr(signal, name):  # Windows has no SIGHUP
                signal.signal(getattr(signal, name), signal.default_int_handler)


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@click.version_option(__version__, prog_name="dupdetect")
def cli() -> None:
    """Find the short texts that ask the same thing.

    \b
    dupdetect dedupe export.csv                  which rows are duplicates, and of what
    dupdetect match new.csv --against known.csv  which known question each new one asks
    dupdetect score "How do I pay?" "Payment?"   are these two the same?
    dupdetect index add FAQ faq.csv              known questions in a folder, to be asked and added to
    """


for verb in (
    dedupe.dedupe,
    match.match,
    plan.plan,
    review.review,
    index.index,
    serve.serve,
    pairs.score,
    pairs.split,
    train.train,
    models.calibrate,
    models.evaluate,
    models.info,
):
    cli.add_command(verb)
