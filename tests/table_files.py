"""Tables written to a file and read again, for the tests of `dupdetect.tables`."""

import io
import tempfile
import zipfile
from pathlib import Path
from xml.sax.saxutils import escape, quoteattr

from dupdetect.tables import read_table

ROWS = [("1", "Wie lösche ich mein Konto?"), ("2", "Où est le reçu — 5 €?")]


def read(content, name="export.csv", **options):
    """Write bytes or text to a file and read it as a table."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, name)
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        return read_table(path, **options)


def as_csv(rows=ROWS, delimiter=",", line_end="\n"):
    return "".join(delimiter.join(row) + line_end for row in [("id", "text"), *rows])


_MAIN = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
_OFFICE = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
_PACKAGE = "http://schemas.openxmlformats.org/package/2006/relationships"


def sheet_xml(rows):
    """Return the XML of a sheet: of texts, written in place, and of cells that are XML already (they begin with <c)."""
    lines = []
    for row in rows:
        cells = (
            text if text.startswith("<c") else f'<c t="inlineStr"><is><t>{escape(text)}</t></is></c>' for text in row
        )
        lines.append(f"<row>{''.join(cells)}</row>")
    return f'<worksheet xmlns="{_MAIN}"><sheetData>{"".join(lines)}</sheetData></worksheet>'


def workbook(sheets, *, hidden=(), texts=(), formats=(), properties="", parts=()):
    """Return the bytes of an .xlsx file.

    sheets: rows of each sheet as for `sheet_xml`, or its XML.  texts: XML of shared texts.  formats: codes of number
    formats, for the styles 1, 2, ...  parts: files by their paths, in place of or besides those made here.
    """
    numbered = list(enumerate(sheets.items(), 1))
    state = {name: "hidden" if name in hidden else "visible" for name in sheets}
    tags = "".join(
        f'<sheet name={quoteattr(name)} sheetId="{number}" state="{state[name]}" r:id="r{number}"/>'
        for number, (name, _) in numbered
    )
    targets = [(f"r{number}", "worksheet", f"worksheets/sheet{number}.xml") for number, _ in numbered]
    targets += [("rt", "sharedStrings", "sharedStrings.xml"), ("rs", "styles", "/xl/styles.xml")]
    codes = "".join(
        f'<numFmt numFmtId="{number}" formatCode={quoteattr(code)}/>' for number, code in enumerate(formats, 164)
    )
    styles = "".join(f'<xf numFmtId="{number}"/>' for number in [0, *range(164, 164 + len(formats))])
    files = {
        "_rels/.rels": _relations([("a", "officeDocument", "xl/workbook.xml")]),
        "xl/workbook.xml": f'<workbook xmlns="{_MAIN}" xmlns:r="{_OFFICE}">'
        f"{properties}<sheets>{tags}</sheets></workbook>",
        "xl/_rels/workbook.xml.rels": _relations(targets),
        "xl/sharedStrings.xml": f'<sst xmlns="{_MAIN}">{"".join(f"<si>{text}</si>" for text in texts)}</sst>',
        "xl/styles.xml": f'<styleSheet xmlns="{_MAIN}"><numFmts>{codes}</numFmts>'
        f'<cellStyleXfs><xf numFmtId="14"/></cellStyleXfs><cellXfs>{styles}</cellXfs></styleSheet>',
        **{
            f"xl/worksheets/sheet{number}.xml": rows if isinstance(rows, str | bytes) else sheet_xml(rows)
            for number, (_, rows) in numbered
        },
        **dict(parts),
    }
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w", zipfile.ZIP_DEFLATED) as archive:
        for path, part in files.items():
            if part is not None:
                archive.writestr(path, part)
    return content.getvalue()


def _relations(targets):
    tags = "".join(f'<Relationship Id="{key}" Type="{_OFFICE}/{kind}" Target="{to}"/>' for key, kind, to in targets)
    return f'<Relationships xmlns="{_PACKAGE}">{tags}</Relationships>'
