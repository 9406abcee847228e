"""Pages for people: ask the index, look at its clusters, review pairs of an export.

    /          type a question: known ones that ask the same appear, and "yes, that is my question" is recorded
    /clusters  what the index holds together, what is split, merged, and stays
    /review    the blind review of an export, as `dupdetect review` has it, and what its labels are worth

Every page is rendered here and works without JavaScript; what scripts there are save a key or a click. Whatever changes
something is a form sent by POST, which `dupdetect.service.admission` takes from our own pages only.
"""

from __future__ import annotations

from fastapi import APIRouter

from dupdetect.service.pages.answers import AnswerStore, answers_beside
from dupdetect.service.pages.asking import asking_router
from dupdetect.service.pages.clusters import clusters_router
from dupdetect.service.pages.html import Places, assets_router
from dupdetect.service.pages.reviewing import Review, review_router
from dupdetect.service.running import Service

__all__ = ["pages_router"]


def pages_router(service: Service) -> APIRouter:
    """Return the router of all pages of a service."""
    places = Places(index=True, review=service.reviews is not None)
    router = APIRouter(include_in_schema=False)
    router.include_router(assets_router())
    router.include_router(asking_router(service, AnswerStore(answers_beside(service.index.folder)), places))
    router.include_router(clusters_router(service, places))
    review = None if service.reviews is None else Review(service.reviews, service.detector)
    router.include_router(review_router(review, places))
    return router
