"""The verb index: known questions in a folder that grows and shrinks."""

from __future__ import annotations

import click

from dupdetect.cli.index import asking, deciding, keeping

__all__ = ["index"]


@click.group(short_help="Keep known questions in a folder, and ask it.")
def index() -> None:
    """Keep known questions in a folder INDEX that grows and shrinks, and ask it.

    Each text is encoded and compared once, when it is added; the answers are those of an index made anew from what is
    in it. Reading goes on while a process adds or removes; only one at a time may.

    \b
    dupdetect index add faq monday.csv --text question --id number
    dupdetect index add faq tuesday.csv --text question --id number
    dupdetect index search faq "How do I get my money back?"
    dupdetect index duplicates faq -o faq.dupdetect
    dupdetect index remove faq 1017 1018
    """


for verb in (
    keeping.add,
    keeping.remove,
    asking.search,
    asking.classify,
    asking.duplicates,
    deciding.unmerge,
    deciding.merge,
    deciding.survivor,
    keeping.rebuild,
    keeping.info,
):
    index.add_command(verb)
