"""URLs as texts: what is one, and what of it may be told."""

from __future__ import annotations

import re
from pathlib import Path, PurePath, PurePosixPath

__all__ = ["BUCKETS", "WEB", "is_url", "lies_in", "local_name", "protocol_of", "shown"]

_URL = re.compile(r"([A-Za-z][A-Za-z0-9+.-]+)://")  # two letters at least: C:\ is a drive
_USER = re.compile(r"(?:[^/@:]*:(?!\d+/)[^@]*|[^/@]*)@")  # a password may hold slashes; a port is digits
_WEB_QUERY = re.compile(r"[?#].*", re.DOTALL)
_QUERY = re.compile(r"[?#][^/=]*=.*", re.DOTALL)  # elsewhere ? is a wildcard too, and folders are called day=1
BUCKETS = frozenset({"s3", "s3a", "gs", "gcs"})  # no folders, so none are made; no user in the URL
_CONTAINERS = frozenset({"abfs", "abfss", "az", "wasb", "wasbs"})  # container@account is no user
WEB = frozenset({"http", "https"})
_HERE = frozenset({"file", "local"})
_SAME = {"s3a": "s3", "gcs": "gs"}


def is_url(path: object) -> bool:
    """Tell whether this is a text such as s3://bucket/export.csv, and not the path of a file here."""
    return isinstance(path, str) and _URL.match(path) is not None


def shown(url: str) -> str:
    """Return a URL as it may be told to anyone: without user and password, and without its query.

    Of a chain, such as zip://export.csv::https://host/export.zip, each link.
    """
    return "::".join(map(_shown_link, url.split("::")))


def _shown_link(link: str) -> str:
    protocol = protocol_of(link)
    head = link[: len(protocol) + 3] if protocol else ""
    rest = link[len(head) :]
    if protocol and protocol not in _CONTAINERS:
        rest = _USER.sub("", rest, count=1) if _USER.match(rest) else rest
        server, slash, path = rest.partition("/")
        rest = server.rpartition("@")[2] + slash + path  # a password may hold @, too
    return (f"{protocol}://" if protocol else "") + (_WEB_QUERY if protocol in WEB else _QUERY).sub("", rest)


def lies_in(file: str, place: str) -> bool:
    """Tell whether two names, each of a URL or a path here, mean one file, or `place` a folder around the file."""
    (there, inner), (other, outer) = _place(file), _place(place)
    return there == other and (inner == outer or outer in inner.parents)


def _place(name: str) -> tuple[str, PurePath]:
    protocol = protocol_of(name)
    if not protocol or protocol in _HERE:
        return "", Path(name[len(protocol) + 3 :] if protocol else name).resolve()
    return _SAME.get(protocol, protocol), PurePosixPath("/", shown(name)[len(protocol) + 3 :])


def protocol_of(url: str) -> str:
    found = _URL.match(url)
    return found[1].lower() if found else ""


def local_name(url: str) -> str:
    """Return a name that ends as that of the URL, which tells the format."""
    name = shown(url).partition("::")[0].rstrip("/").rpartition("/")[2]
    return f"export{''.join(re.findall(r'[.][A-Za-z0-9]{1,10}', name)[-2:])}"
