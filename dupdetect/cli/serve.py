"""The verb serve: an index as an HTTP service."""

from __future__ import annotations

import os
from pathlib import Path

import click

from dupdetect.cli.terminal import printable
from dupdetect.errors import InputError

__all__ = ["serve"]

_VARIABLE = "DUPDETECT_API_KEY"


@click.command(short_help="Answer questions about an index over HTTP.")
@click.argument("folder", metavar="INDEX")
@click.option("--host", default="127.0.0.1", show_default=True, metavar="HOST", help="Address to listen on.")
@click.option(
    "--port", default=8080, show_default=True, type=click.IntRange(0, 65535), help="Port to listen on; 0 any free one."
)
@click.option("--api-key-file", metavar="FILE", help=f"The key that callers must show, instead of {_VARIABLE}.")
@click.option("--reviews", metavar="OUT_DIR", help="What `dupdetect dedupe` wrote, to review its pairs in the browser.")
def serve(folder: str, host: str, port: int, api_key_file: str | None, reviews: str | None) -> None:
    """Answer questions about INDEX over HTTP: what is similar, was this asked before, add, remove. /docs lists it all.
    In a browser, the same address has pages to ask, to look at clusters and to review.

    What visitors of the ask page answer is kept in the file INDEX.answers.sqlite beside INDEX: what they typed, and id
    and text of the question that they confirmed, also when that is removed from INDEX later. Delete the file to be rid
    of it.

    It listens on this machine only. Any other --host needs an API key: set the environment variable DUPDETECT_API_KEY,
    or name a file that holds the key with --api-key-file. Requests then carry it as `Authorization: Bearer KEY` or
    `X-API-Key: KEY`, and a browser asks for it as the password, with any user name. What is sent is not encrypted: put
    a proxy with TLS in front.

    Ctrl-C stops it when everything that was accepted is finished. Needs: pip install "dupdetect[serve]"

    \b
    dupdetect serve faq
    dupdetect serve faq --port 9000 --reviews export.dupdetect
    DUPDETECT_API_KEY=$(cat key) dupdetect serve faq --host 0.0.0.0
    curl http://127.0.0.1:8080/v1/check -H 'Content-Type: application/json' -d '{"text": "How do I pay?"}'
    """
    from dupdetect.service import require_packages

    require_packages()
    from dupdetect.index import QuestionIndex
    from dupdetect.review.candidates import CANDIDATES
    from dupdetect.service.app import create_app
    from dupdetect.service.listening import bind, only_here
    from dupdetect.service.listening import serve as serve_until_stopped
    from dupdetect.service.running import Service
    from dupdetect.service.settings import Settings

    settings = Settings(api_key=_key(api_key_file))
    if reviews is not None and not (Path(reviews) / CANDIDATES).is_file():
        raise InputError(f"{reviews} holds no {CANDIDATES}. Name a folder that `dupdetect dedupe` wrote.")
    with QuestionIndex.open(folder) as known, bind(host, port) as bound:
        known.search("how do i begin")  # what is wrong with the index is said before anybody asks
        if settings.api_key is None and not only_here(bound):
            raise InputError(
                f"Others can reach {host}, so it needs an API key: set {_VARIABLE} or name a file with "
                '--api-key-file. Make one: python -c "import secrets; print(secrets.token_urlsafe(32))"'
            )
        app = create_app(Service(known, settings, reviews=None if reviews is None else Path(reviews)))
        bound.listen()
        place = f"[{host}]" if ":" in host else host
        address = f"http://{place}:{bound.getsockname()[1]}"
        click.echo(printable(f"{folder}: {len(known):,} questions at {address} (Ctrl-C stops)"), err=True)
        if not serve_until_stopped(app, bound):
            raise InputError("The service could not start. What is logged above says why.")
    click.echo("Stopped. Everything that was accepted is finished.", err=True)


def _key(path: str | None) -> str | None:
    """Return the key from a file or, without one, from the environment; None where there is none."""
    if path is None:
        return os.environ.get(_VARIABLE) or None
    try:
        key = Path(path).read_text(encoding="utf-8").strip()
    except (OSError, UnicodeError) as error:
        raise InputError(f"The key cannot be read from {path}: {getattr(error, 'strerror', None) or error}.") from None
    if not key:
        raise InputError(f"{path} is empty. Write the API key into it, and nothing else.")
    return key
