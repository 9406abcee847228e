"""Every error that dupdetect raises on purpose.

    DupdetectError
    ├── InputError (ValueError)         the data that was handed in
    │   ├── ColumnNotFoundError         a named column is not there
    │   ├── InvalidLabelError           a label is none of the accepted ones
    │   ├── EmptyInputError             nothing to work on
    │   ├── EncodingError               bytes that are not the encoding that was said or found
    │   ├── BadRowsError                rows with too many or too few cells
    │   └── DecidedOtherwiseError       a person has decided the contrary about two questions of an index
    ├── LeakageError                    a question stands in two splits
    ├── CalibrationError                the threshold
    │   ├── NotCalibratedError          the model carries none
    │   ├── EncoderMismatchError        it was fitted with another encoder
    │   └── UnreachableCriterionError   no threshold meets what was asked
    ├── ArtifactError                   a detector folder, or a file that should be one
    ├── OutputExistsError               something stands where the output should go
    ├── IndexLockedError                another process writes to the index
    └── MissingExtraError (ImportError) an optional package is not installed

The message always says what was found, what was wanted, and what to do next. It names an argument as Python writes it,
`overwrite=True` or `text=...`; the command line shows its options instead.
"""

from __future__ import annotations

import difflib
import math
from collections.abc import Sequence

__all__ = [
    "ArtifactError",
    "BadRowsError",
    "CalibrationError",
    "ColumnNotFoundError",
    "DecidedOtherwiseError",
    "DupdetectError",
    "EmptyInputError",
    "EncoderMismatchError",
    "EncodingError",
    "IndexLockedError",
    "InputError",
    "InvalidLabelError",
    "LeakageError",
    "MissingExtraError",
    "NotCalibratedError",
    "OutputExistsError",
    "UnreachableCriterionError",
]


class DupdetectError(Exception):
    """Base of all errors raised on purpose."""


class InputError(DupdetectError, ValueError):
    """The data handed in cannot be used as it is."""


class ColumnNotFoundError(InputError):
    """A column was named that the data does not have.

    Attributes: `wanted` (str), `available` (tuple of str), `nearest` (str, or None when nothing is close).
    """

    def __init__(self, wanted: str, available: Sequence[str]) -> None:
        self.wanted = wanted
        self.available = tuple(available)
        folded = {name.casefold().strip(): name for name in reversed(self.available)}
        close = difflib.get_close_matches(wanted.casefold().strip(), list(folded), n=1, cutoff=0.6)
        self.nearest = folded[close[0]] if close else None
        hint = f" Did you mean {self.nearest!r}?" if self.nearest else ""
        names = ", ".join(repr(name) for name in self.available) or "none"
        super().__init__(f"There is no column {wanted!r}.{hint} Columns: {names}.")


class InvalidLabelError(InputError):
    """A label is none of the accepted spellings.

    Attributes: `row` (int, 1-based row of data), `value`, `accepted` (tuple of str).
    """

    def __init__(self, row: int, value: object, accepted: Sequence[str]) -> None:
        self.row = row
        self.value = value
        self.accepted = tuple(accepted)
        super().__init__(
            f"Row {row}: the label {value!r} is not one of {', '.join(self.accepted)}. Correct it, or remove the row."
        )


class EmptyInputError(InputError):
    """There is nothing to work on."""


class EncodingError(InputError):
    """The bytes are not in the character encoding that was named or detected.

    Attributes: `offset` (int, of the first bad byte), `encoding` (str, the one tried), `damaged` (bool, whether the
    rest is in this encoding, so that any other would garble it).
    """

    def __init__(self, source: str, encoding: str, offset: int, *, damaged: bool = False) -> None:
        self.offset = offset
        self.encoding = encoding
        self.damaged = damaged
        one, other = [name for name in ("cp1252", "cp850", "shift_jis") if name != encoding][:2]
        message = (
            f"{source} is not valid {encoding}: the first bad byte is at offset {offset}. If it is a table as text, "
            f"name its encoding, such as encoding={one!r} or encoding={other!r}."
        )
        if damaged:
            message = (
                f"{source} is {encoding.removesuffix('-sig').upper()}, and damaged or cut off: the first bad byte is "
                f"at offset {offset}. Export or copy it again; any other encoding would garble it."
            )
        super().__init__(message)


class BadRowsError(InputError):
    """Rows have more or fewer cells than the header.

    Attributes: `line` (int, 1-based line in the file where the first such row starts), `cells`, `expected`, `count`.
    `first`: a sentence for where the file itself may be all right.
    """

    def __init__(self, source: str, *, line: int, cells: int, expected: int, count: int, first: str = "") -> None:
        self.line = line
        self.cells = cells
        self.expected = expected
        self.count = count
        held = f"{cells:,} cell" if cells == 1 else f"{cells:,} cells"
        rows = "row has" if count == 1 else "rows have"
        super().__init__(
            f"{source}, line {line}: {held} where the header has {expected:,} ({count:,} such {rows} been found). "
            f"{first}Correct the file, or pass on_bad_rows='keep': then short rows are filled with empty cells, and "
            "for long ones the header gets columns without a name."
        )


class DecidedOtherwiseError(InputError):
    """About two questions of an index something has been decided that a new decision would contradict.

    Attributes: `what` (str, what was decided, and that it has to be taken back first), `undo` (str, how).
    """

    def __init__(self, what: str, undo: str) -> None:
        self.what = what
        self.undo = undo
        super().__init__(f"{what}: {undo}")


class LeakageError(DupdetectError):
    """The same question stands in two splits."""


class CalibrationError(DupdetectError):
    """The threshold cannot be fitted or used."""


class NotCalibratedError(CalibrationError):
    """The model carries no calibration, so there is no threshold to decide with."""


class EncoderMismatchError(CalibrationError):
    """The calibration was fitted with another encoder."""

    def __init__(self, fitted_with: str, got: str) -> None:
        self.fitted_with = fitted_with
        self.got = got
        super().__init__(
            f"This calibration was fitted with encoder {fitted_with}, but the encoder here is {got}. "
            "A threshold holds for one encoder only: calibrate again with `dupdetect calibrate`."
        )


def offered(best: float) -> float:
    """Return the best available value, in [0, 1], as a refusal names it: rounded down to four digits, and away from the
    limit of what numbers can tell, so that who asks for this next gets it."""
    return max(0.0, math.floor((best - 1e-6) * 10_000) / 10_000)


class UnreachableCriterionError(CalibrationError):
    """No threshold meets the criterion on the labels at hand.

    Attributes: `asked` (str), `best` (float, the best value of the metric that can be had, in [0, 1]),
    `labels_needed` (int, labelled pairs that would be needed, or None when more labels would not help).
    """

    def __init__(self, asked: str, best: float, labels_needed: int | None, detail: str) -> None:
        self.asked = asked
        self.best = best
        self.labels_needed = labels_needed
        available = offered(best)
        offer = f"the best available is {available:.4f}" if available > 0 else "nothing above 0 is available"
        super().__init__(f"Cannot reach {asked}: {offer}. {detail}")


class ArtifactError(DupdetectError):
    """A detector folder is missing something, is damaged, or was made by a newer version."""


class OutputExistsError(DupdetectError):
    """The output is there already, and overwriting was not asked for."""

    def __init__(self, path: object, made_from: str | None = None, *, replaceable: bool = True) -> None:
        made = f" (made from {made_from})" if made_from else ""
        how = "Pass overwrite=True to replace it, or name another." if replaceable else "Name another."
        super().__init__(f"{path} exists already{made}. {how}")


class IndexLockedError(DupdetectError):
    """Another process is writing to the index."""


class MissingExtraError(DupdetectError, ImportError):
    """An optional package is not installed."""

    def __init__(self, extra: str, needed_for: str, package: str) -> None:
        self.extra = extra
        super().__init__(
            f'{needed_for} needs the package {package}, which is not installed. Run: pip install "dupdetect[{extra}]"'
        )
