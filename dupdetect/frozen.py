"""Results that stay what they are: after copying and pickling too."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

__all__ = ["Frozen"]


class Frozen:
    """Base of frozen dataclasses with arrays: none of their arrays, and no mapping, can be written to.

    A copy is made by the constructor, because NumPy's and the dataclasses' own ways give arrays that can be written to.
    """

    __slots__ = ()

    def __post_init__(self: DataclassInstance) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            if isinstance(value, np.ndarray):
                value.setflags(write=False)
            elif isinstance(value, Mapping):
                object.__setattr__(self, field.name, MappingProxyType(dict(value)))

    def __reduce__(self: DataclassInstance) -> tuple[type, tuple[Any, ...]]:
        values = (getattr(self, field.name) for field in fields(self))
        # A read-only view of a mapping cannot be pickled.
        return type(self), tuple(dict(value) if isinstance(value, MappingProxyType) else value for value in values)
