"""URLs as texts: what is one, and what of it may be told."""

from __future__ import annotations

import re

__all__ = ["BUCKETS", "WEB", "is_url", "local_name", "protocol_of", "shown"]

_URL = re.compile(r"([A-Za-z][A-Za-z0-9+.-]+)://")  # two letters at least: C:\ is a drive
_USER = re.compile(r"(?:[^/@:]*:(?!\d+/)[^@]*|[^/@]*)@")  # a password may hold slashes; a port is digits
_QUERY = re.compile(r"[?#][^/?#&=]+=.*", re.DOTALL)
BUCKETS = frozenset({"s3", "s3a", "gs", "gcs"})  # no folders, so none are made; no user in the URL
_CONTAINERS = frozenset({"abfs", "abfss", "az", "wasb", "wasbs"})  # container@account is no user
WEB = frozenset({"http", "https"})


def is_url(path: object) -> bool:
    """Tell whether this is a text such as s3://bucket/export.csv, and not the path of a file here."""
    return isinstance(path, str) and _URL.match(path) is not None


def shown(url: str) -> str:
    """Return a URL as it may be told to anyone: without user and password, and without its query."""
    protocol = protocol_of(url)
    rest = url[len(protocol) + 3 :]
    if protocol not in _CONTAINERS:
        rest = _USER.sub("", rest, count=1) if _USER.match(rest) else rest
    return f"{protocol}://{_QUERY.sub('', rest)}"


def protocol_of(url: str) -> str:
    found = _URL.match(url)
    return found[1].lower() if found else ""


def local_name(url: str) -> str:
    """Return a name that ends as that of the URL, which tells the format."""
    name = shown(url).rstrip("/").rpartition("/")[2]
    return f"export{''.join(re.findall(r'[.][A-Za-z0-9]{1,10}', name)[-2:])}"
