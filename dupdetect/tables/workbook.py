"""An Excel workbook (.xlsx) to rows of one width: where its parts are, and which of its sheets is read.

Read with what Python brings, because the libraries at hand lose things: python-calamine reads #N/A as an empty cell and
ends the process over two cells that are far apart; openpyxl leaves out rows that are out of order, and does not tell a
formula that was never computed from an empty cell. Formulas are not run: what was computed last is in the file, too.
"""

from __future__ import annotations

import posixpath
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from dupdetect.errors import BadRowsError, EmptyInputError, InputError
from dupdetect.tables.cells import Cells, counted
from dupdetect.tables.limits import check_filling
from dupdetect.tables.number_formats import BUILT_IN, GENERAL
from dupdetect.tables.office_xml import EnoughError, OfficeArchive, without_prefix
from dupdetect.tables.rows import Row
from dupdetect.tables.sheet import Look, SheetRows, unescaped
from dupdetect.text import holds_halves

WORKBOOK_SUFFIXES = (".xlsx", ".xlsm")
_MOST_NAMES = 30


@dataclass(frozen=True, slots=True)
class _Sheet:
    name: str
    part: str
    hidden: bool


def read_workbook(
    content: bytes, name: str, sheet: str | None, on_bad_rows: str
) -> tuple[Row, Sequence[Row], list[str]]:
    """Return header, rows and notes of the sheet that is named, or else of the only one that holds anything."""
    archive = OfficeArchive(content, name)
    sheets, related, from_1904 = _contents(archive)
    look = Look(_texts(archive, related), _formats(archive, related), from_1904)
    chosen, notes = _chosen(archive, look, sheets, sheet)
    found = SheetRows(archive, look)
    archive.parse(chosen.part, found.start, found.end, found.text)
    if not found.rows:
        raise EmptyInputError(f"The sheet {chosen.name!r} of {name} is empty. Hand in one with a header and rows.")
    columns, rows, more = _levelled(found.rows, name, on_bad_rows)
    if any(holds_halves("".join(row)) for row in (columns, *rows)):
        repaired = Cells()
        repaired.add([*zip(*rows, strict=True)], len(rows))
        columns, rows, halves = repaired.finished(columns)
        more += halves
    if found.uncomputed:
        formulas = counted(found.uncomputed, "formula was", "formulas were")
        more.append(
            f"{formulas} never computed, and read as empty cells. Open the file in a spreadsheet and save it to have "
            "them computed."
        )
    return columns, rows, [*notes, *more]


def _contents(archive: OfficeArchive) -> tuple[list[_Sheet], Mapping[str, str], bool]:
    """Return the sheets with cells, in order; the part of each kind of relation; and whether days count from 1904."""
    root = dict(_relations(archive, "").values()).get("officeDocument", "")
    if root not in archive.parts:
        raise archive.damaged("it is a zip archive, and no workbook in it")
    relations = _relations(archive, root)
    sheets: list[_Sheet] = []
    properties: dict[str, str] = {}

    def start(tag: str, attributes: Mapping[str, str]) -> None:
        if tag == "sheet":
            # Of the namespace of relations, whatever its prefix: the sheet's own id has another name.
            id_of_part = next((value for key, value in attributes.items() if without_prefix(key) == "id"), "")
            kind, part = relations.get(id_of_part, ("", ""))
            if kind == "worksheet":  # others are charts and dialogs
                sheets.append(_Sheet(attributes.get("name", ""), part, attributes.get("state", "visible") != "visible"))
        elif tag == "workbookPr":
            properties.update(attributes)

    archive.parse(root, start)
    return sheets, dict(relations.values()), properties.get("date1904") in {"1", "true"}


def _relations(archive: OfficeArchive, part: str) -> dict[str, tuple[str, str]]:
    """Return the kind and the part of each relation of a part, by its id; "" for those of the whole file."""
    folder, name = posixpath.split(part)
    found: dict[str, tuple[str, str]] = {}

    def start(tag: str, attributes: Mapping[str, str]) -> None:
        if tag == "Relationship" and attributes.get("TargetMode") != "External":
            target = posixpath.normpath(posixpath.join("/", folder, attributes.get("Target", ""))).lstrip("/")
            found[attributes.get("Id", "")] = (attributes.get("Type", "").rpartition("/")[2], target)

    path = posixpath.join(folder, "_rels", f"{name}.rels")
    if path in archive.parts:
        archive.parse(path, start)
    return found


def _texts(archive: OfficeArchive, related: Mapping[str, str]) -> list[str]:
    """Return the texts that cells refer to by their number."""
    texts: list[str] = []
    pieces: list[str] = []
    state = {"t": 0, "rPh": 0}

    def start(tag: str, _: Mapping[str, str]) -> None:
        if tag == "si":
            pieces.clear()
        elif tag in state:
            state[tag] += 1

    def end(tag: str) -> None:
        if tag == "si":
            texts.append(unescaped("".join(pieces)))
        elif tag in state:
            state[tag] -= 1

    def text(characters: str) -> None:
        if state["t"] and not state["rPh"]:  # how a text is pronounced is no part of it
            pieces.append(characters)

    if related.get("sharedStrings") in archive.parts:
        archive.parse(related["sharedStrings"], start, end, text)
    return texts


def _formats(archive: OfficeArchive, related: Mapping[str, str]) -> list[str]:
    """Return the codes of the number formats that cells refer to by their style."""
    codes = {str(number): code for number, code in BUILT_IN.items()}
    styles: list[str] = []
    inside: list[str] = []

    def start(tag: str, attributes: Mapping[str, str]) -> None:
        if tag == "cellXfs":
            inside.append(tag)
        elif tag == "numFmt":
            codes[attributes.get("numFmtId", "")] = attributes.get("formatCode", GENERAL)
        elif tag == "xf" and inside:
            styles.append(attributes.get("numFmtId", "0"))

    def end(tag: str) -> None:
        if tag == "cellXfs":
            inside.pop()

    if related.get("styles") in archive.parts:
        archive.parse(related["styles"], start, end)
    return [codes.get(style, GENERAL) for style in styles]


def _chosen(
    archive: OfficeArchive, look: Look, sheets: Sequence[_Sheet], wanted: str | None
) -> tuple[_Sheet, list[str]]:
    """Return the sheet to be read, and a note where there was a choice."""
    if wanted is not None:
        for sheet in sheets:
            if sheet.name == wanted:
                return sheet, []
        raise InputError(f"{archive.name} has no sheet {wanted!r}. Name one of {_listed(sheets)} (sheet=...).")
    visible = [sheet for sheet in sheets if not sheet.hidden]
    filled = [sheet for sheet in visible if len(visible) == 1 or _holds_anything(archive, look, sheet)]
    if not filled:
        hidden = f" Hidden are {_listed(sheets)}: name one (sheet=...)." if sheets and not visible else ""
        raise EmptyInputError(f"{archive.name} has no sheet that holds anything.{hidden} Export it again.")
    if len(filled) > 1:
        raise InputError(
            f"{archive.name} has {len(filled)} sheets that hold something: {_listed(filled)}. Name the one to read "
            "(sheet=...), or save it as a file of its own."
        )
    (only,) = filled
    hidden = counted(len(sheets) - len(visible), "hidden one is", "hidden ones are")
    notes = [f"Read is the sheet {only.name!r}, the only one that holds anything."] if len(visible) > 1 else []
    if len(visible) < len(sheets):
        notes = [f"Read is the sheet {only.name!r}; {hidden} left out."]
    return only, notes


def _listed(sheets: Sequence[_Sheet]) -> str:
    more = f" and {len(sheets) - _MOST_NAMES:,} more" if len(sheets) > _MOST_NAMES else ""
    return ", ".join(repr(sheet.name) for sheet in sheets[:_MOST_NAMES]) + more


def _holds_anything(archive: OfficeArchive, look: Look, sheet: _Sheet) -> bool:
    found = SheetRows(archive, look)

    def end(tag: str) -> None:
        found.end(tag)
        if found.rows:
            raise EnoughError

    archive.parse(sheet.part, found.start, end, found.text)
    return bool(found.rows)


def _levelled(found: Mapping[int, list[str]], name: str, on_bad_rows: str) -> tuple[Row, Sequence[Row], list[str]]:
    """Return header and rows of one width, and notes. A row that ends early has nothing in its last cells."""
    (first, header), *body = sorted(found.items())
    long = [(number, cells) for number, cells in body if len(cells) > len(header)]
    if long and on_bad_rows == "error":
        number, cells = long[0]
        raise BadRowsError(name, line=number, cells=len(cells), expected=len(header), count=len(long))
    width = max(map(len, found.values()))
    check_filling(name, rows=len(body), columns=width, given=sum(len(cells) for _, cells in body))
    notes = []
    if long:
        added = counted(width - len(header), "column", "columns")
        notes.append(f"{counted(len(long), 'row', 'rows')} had too many cells; the header got {added} without a name.")
    last = body[-1][0] if body else first
    blank = last - first - len(body)
    if blank and width == 1:  # as in CSV: a blank line of one column is a cell
        notes.append(f"{counted(blank, 'blank row was', 'blank rows were')} read as empty cells.")
        rows = [tuple(found.get(number, [""])) for number in range(first + 1, last + 1)]
    else:
        if blank:
            notes.append(f"{counted(blank, 'blank row was', 'blank rows were')} skipped.")
        rows = [(*cells, *[""] * (width - len(cells))) for _, cells in body]
    return (*header, *[""] * (width - len(header))), tuple(rows), notes
