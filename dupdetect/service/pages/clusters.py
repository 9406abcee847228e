"""The clusters of an index: what is held together, where to split and to merge it, and what stays of it."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from http import HTTPStatus
from typing import Any, TypeVar
from urllib.parse import urlencode

from fastapi import APIRouter, Request
from fastapi.responses import Response

from dupdetect.errors import DecidedOtherwiseError, DupdetectError
from dupdetect.index import ClusterMember, KnownCluster, KnownQuestion, QuestionIndex
from dupdetect.service.pages.forms import Form, PageRoute, read_form
from dupdetect.service.pages.html import Places, page, redirect
from dupdetect.service.problems import Problem
from dupdetect.service.running import Service

__all__ = ["clusters_router"]

_CLUSTERS, _MEMBERS = 25, 50  # on a page
_DECIDED = {"apart": 2, "merged": 2, "chosen": 1}  # and of how many questions

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Part:
    """A page of a long list. number: of it, from 1.  of: pages in all.  first: number of its first item, from 1."""

    number: int
    of: int
    first: int


class Clusters:
    """The clusters of an index, which are worked out once for each version of it."""

    def __init__(self, service: Service) -> None:
        self._service = service
        self._working = asyncio.Lock()
        self._version: int | None = None
        self._found: tuple[KnownCluster, ...] = ()

    async def all(self) -> tuple[KnownCluster, ...]:
        async with self._working:
            version = await self._service.read(lambda index: index.version)
            if version != self._version:
                # A change between the two is in the clusters, and has them worked out once more.
                self._found = await self._service.read(QuestionIndex.clusters)
                self._version = version
            return self._found


def clusters_router(service: Service, places: Places) -> APIRouter:
    """Return the router of the clusters."""
    router = APIRouter(route_class=PageRoute, prefix="/clusters")
    clusters = Clusters(service)

    async def context(request: Request) -> dict[str, Any]:
        """Return what every page here needs: where it is, and what was decided just now, of which questions."""
        for decided, count in _DECIDED.items():
            names = request.query_params.getlist(decided)[:count]
            told = await service.read(partial(_known, names))
            if len(told) == count:
                return {"places": places, "here": "/clusters", "decided": decided, "told": told}
        return {"places": places, "here": "/clusters", "decided": None, "told": []}

    async def two(form: Form) -> tuple[str, str]:
        """Return the ids of two questions that the form names."""
        given = form.one("first"), form.one("second")
        if not all(name.strip() for name in given):
            raise Problem(HTTPStatus.UNPROCESSABLE_ENTITY, "Two questions are needed: give the id of each.")
        first, second = await service.read(partial(_ids, given))
        return first, second

    @router.get("")
    async def browse(request: Request) -> Response:
        found = await clusters.all()
        shown, part = _part(found, _CLUSTERS, request)
        counts = await service.read(lambda index: index.counts)
        rows = sum(len(cluster.members) for cluster in found)
        values: dict[str, Any] = {"clusters": shown, "part": part, "total": len(found), "rows": rows, "counts": counts}
        return page("clusters.html.jinja", **values, **await context(request))

    @router.get("/{key}")
    async def one(key: str, request: Request) -> Response:
        cluster = next((cluster for cluster in await clusters.all() if cluster.key == key), None)
        if cluster is None:
            raise Problem(
                HTTPStatus.NOT_FOUND, "There is no such cluster any more: it was split, or its questions were removed."
            )
        text_of = {member.id: member.text for member in cluster.members}
        shown, part = _part(_survivors_first(cluster), _MEMBERS, request)
        values: dict[str, Any] = {"cluster": cluster, "members": shown, "text_of": text_of, "part": part}
        return page("cluster.html.jinja", **values, **await context(request))

    async def decide(change: Callable[[QuestionIndex], None]) -> None:
        try:
            await service.write(change)
        except DecidedOtherwiseError as error:
            raise DecidedOtherwiseError(error.what, "Undo either.") from None

    @router.post("/split")
    async def split(request: Request) -> Response:
        form = await read_form(request)
        (first, second), cluster = await two(form), form.one("cluster")
        await decide(lambda index: index.unmerge(first, second))
        return redirect(await where(cluster, apart=(first, second)))

    @router.post("/merge")
    async def merge(request: Request) -> Response:
        form = await read_form(request)
        (first, second), cluster = await two(form), form.one("cluster")
        await decide(lambda index: index.merge(first, second))
        return redirect(await where(cluster, merged=(first, second)))

    @router.post("/undo")
    async def undo(request: Request) -> Response:
        form = await read_form(request)
        (first, second), cluster = await two(form), form.one("cluster")
        if not await service.write(lambda index: index.forget(first, second) or index.forget_merge(first, second)):
            raise Problem(
                HTTPStatus.CONFLICT,
                f"{first} and {second} have been neither told apart nor merged, so there is nothing to undo.",
            )
        return redirect(await where(cluster))

    @router.post("/survivor")
    async def survivor(request: Request) -> Response:
        form = await read_form(request)
        name, cluster = form.one("id"), form.one("cluster")
        await service.write(lambda index: index.set_survivor(name))
        return redirect(await where(cluster, chosen=(name,)))

    @router.post("/survivor/undo")
    async def undo_survivor(request: Request) -> Response:
        form = await read_form(request)
        name, cluster = form.one("id"), form.one("cluster")
        if not await service.write(lambda index: index.forget_survivor(name)):
            raise Problem(HTTPStatus.CONFLICT, f"{name} has not been chosen to stay, so there is nothing to undo.")
        return redirect(await where(cluster))

    async def where(cluster: str, **decided: Sequence[str]) -> str:
        """Return the address of the cluster with this key or, if it is no more, that of the questions that were merged,
        or that of all, as also where something is wrong with the index: what was decided is kept by then.

        decided: the ids that were decided about, by the name of the decision.
        """
        found: tuple[KnownCluster, ...] = ()
        with suppress(DupdetectError):  # the page says what is wrong
            found = await clusters.all()
        keys = [cluster]
        together = set(decided.get("merged", ()))
        keys += [one.key for one in found if together and together <= {member.id for member in one.members}]
        key = next((key for key in keys if any(one.key == key for one in found)), None)
        query = urlencode([(name, one) for name, ids in decided.items() for one in ids])
        return f"/clusters{f'/{key}' if key else ''}{f'?{query}' if query else ''}"

    return router


def _known(ids: Sequence[str], index: QuestionIndex) -> list[KnownQuestion]:
    return [index[name] for name in ids if name in index]


def _ids(given: Sequence[str], index: QuestionIndex) -> list[str]:
    """Return the ids that are meant: around what is typed there may be white space, and some ids have it themselves."""
    return [name if name in index else name.strip() for name in given]


def _survivors_first(cluster: KnownCluster) -> list[ClusterMember]:
    """Return the members: each that stays, followed by those that are duplicates of it."""
    removed = [member for member in cluster.members if member.duplicate_of is not None]
    of = itertools.groupby(sorted(removed, key=lambda member: str(member.duplicate_of)), lambda one: one.duplicate_of)
    groups = {survivor: list(members) for survivor, members in of}
    stays = [member for member in cluster.members if member.duplicate_of is None]
    return [one for member in stays for one in (member, *groups.get(member.id, ()))]


def _part(items: Sequence[T], size: int, request: Request) -> tuple[Sequence[T], Part]:
    """Return the items of the page that is asked for, and which it is."""
    asked, last = request.query_params.get("page", "1"), max(1, -(-len(items) // size))
    if not (asked.isascii() and asked.isdigit() and len(asked) < 10 and 1 <= int(asked) <= last):
        raise Problem(HTTPStatus.NOT_FOUND, f"There is no such page. There are {last:,}.")
    start = (int(asked) - 1) * size
    return items[start : start + size], Part(int(asked), last, start + 1)
