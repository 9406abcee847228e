"""The XML in an Office file, which is a zip archive: read piece by piece, never more of it than is allowed."""

from __future__ import annotations

import io
import zipfile
import zlib
from collections.abc import Callable, Mapping
from xml.parsers import expat  # no tree, no entities: see `_doctype`

from dupdetect.errors import InputError
from dupdetect.tables.limits import check_unpacked

Start = Callable[[str, Mapping[str, str]], object]

_PIECE = 1 << 20


class EnoughError(Exception):
    """Raised by a handler that needs no more of a part."""


def ignore(*_: object) -> None:
    """Handle what nobody waits for."""


class OfficeArchive:
    """The parts of an Office file, by their paths."""

    def __init__(self, content: bytes, name: str) -> None:
        self.name = name
        self._unpacked = 0
        try:
            self._archive = zipfile.ZipFile(io.BytesIO(content))
        except zipfile.BadZipFile as error:
            raise self.damaged(str(error)) from None
        self.parts = frozenset(self._archive.namelist())

    def parse(
        self, part: str, start: Start, end: Callable[[str], object] = ignore, text: Callable[[str], object] = ignore
    ) -> None:
        """Call `start(tag, attributes)`, `end(tag)` and `text(characters)` for all that is in a part, in order.

        Tags come without the prefix of their namespace, since there are two namespaces for the same.
        Raises `InputError` for a part that is missing, damaged or too large.
        """
        parser = expat.ParserCreate()
        parser.buffer_text = True
        parser.StartDoctypeDeclHandler = self._doctype
        parser.StartElementHandler = lambda tag, attributes: start(without_prefix(tag), attributes)
        parser.EndElementHandler = lambda tag: end(without_prefix(tag))
        parser.CharacterDataHandler = text
        try:
            with self._archive.open(part) as file:  # gives out no more than the archive says that it holds
                while piece := file.read(_PIECE):
                    self._unpacked += len(piece)
                    check_unpacked(self.name, self._unpacked)
                    parser.Parse(piece)
                parser.Parse(b"", True)
        except EnoughError:
            return
        except KeyError:
            raise self.damaged(f"it lacks {part}") from None
        except expat.ExpatError as error:
            raise self.damaged(f"{part}: {error}") from None
        except (zipfile.BadZipFile, zlib.error, OSError, EOFError, RuntimeError, NotImplementedError) as error:
            raise self.damaged(str(error)) from None

    def damaged(self, reason: str) -> InputError:
        """Return the error for a file that is not what it should be."""
        return InputError(
            f"{self.name} is no readable Excel workbook ({reason}). Save it again, or save the sheet as 'CSV UTF-8'."
        )

    def _doctype(self, *_: object) -> None:
        # No Office program writes one, and only there can entities be declared that grow without end.
        raise self.damaged("its XML has a document type")


def without_prefix(name: str) -> str:
    return name.rpartition(":")[2] if ":" in name else name
