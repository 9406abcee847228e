"""The verbs of `dupdetect index` that remember what people decide: unmerge, merge, survivor; and that undo it."""

from __future__ import annotations

import click

from dupdetect.cli.index.opening import index_argument, opened
from dupdetect.cli.terminal import printable

__all__ = ["merge", "survivor", "unmerge"]


@click.command(short_help="Remember that two questions are no duplicates.")
@index_argument
@click.argument("first", metavar="ID")
@click.argument("second", metavar="ID")
@click.option("--undo", is_flag=True, help="Forget it again.")
def unmerge(folder: str, first: str, second: str, undo: bool) -> None:
    """Remember that two questions of INDEX are no duplicates, whatever their similarity.

    It holds for their texts, also after they were removed and added again. Both can still be duplicates of a third.

    \b
    dupdetect index unmerge faq 1017 2044
    dupdetect index unmerge faq 1017 2044 --undo
    """
    with opened(folder) as known:
        if not undo:
            known.unmerge(first, second)
            click.echo(printable(f"{first} and {second} are told apart"))
        elif known.forget(first, second):
            click.echo(printable(f"{first} and {second} are not told apart any more"))
        else:
            click.echo("Note: These two had not been told apart.", err=True)


@click.command(short_help="Remember that two questions ask the same.")
@index_argument
@click.argument("first", metavar="ID")
@click.argument("second", metavar="ID")
@click.option("--undo", is_flag=True, help="Forget it again.")
def merge(folder: str, first: str, second: str, undo: bool) -> None:
    """Remember that two questions of INDEX ask the same, whatever their similarity and the guards.

    It holds for their texts, also after they were removed and added again, in `index duplicates` and on the page of
    the clusters. What was told apart cannot be merged, before that is undone.

    \b
    dupdetect index merge faq 1017 3071
    dupdetect index merge faq 1017 3071 --undo
    """
    with opened(folder) as known:
        if not undo:
            known.merge(first, second)
            click.echo(printable(f"{first} and {second} are merged"))
        elif known.forget_merge(first, second):
            click.echo(printable(f"{first} and {second} are not merged any more"))
        else:
            click.echo("Note: These two had not been merged.", err=True)


@click.command(short_help="Remember which question of a cluster stays.")
@index_argument
@click.argument("name", metavar="ID")
@click.option("--undo", is_flag=True, help="Forget it again.")
def survivor(folder: str, name: str, undo: bool) -> None:
    """Remember that a question of INDEX stays, and those go that are duplicates of it.

    Without that, the question that was added first stays. Of two that are duplicates of each other, the one that was
    named last stays. It holds for the text, also after it was removed and added again.

    \b
    dupdetect index survivor faq 3071
    dupdetect index survivor faq 3071 --undo
    """
    with opened(folder) as known:
        if not undo:
            known.set_survivor(name)
            click.echo(printable(f"{name} stays wherever it is a duplicate"))
        elif known.forget_survivor(name):
            click.echo(printable(f"{name} is not chosen any more"))
        else:
            click.echo("Note: This question had not been chosen.", err=True)
