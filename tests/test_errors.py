"""Errors say what was found, what was wanted and what to do; the tree is as drawn."""

import pytest

from dupdetect import errors


def test_every_error_is_exported_and_descends_from_the_base():
    classes = {name for name, value in vars(errors).items() if isinstance(value, type) and issubclass(value, Exception)}
    assert classes == set(errors.__all__)
    assert all(issubclass(getattr(errors, name), errors.DupdetectError) for name in classes)


def test_kinds_that_callers_may_catch_as_builtins():
    assert issubclass(errors.InputError, ValueError)
    assert issubclass(errors.MissingExtraError, ImportError)


@pytest.mark.parametrize(("wanted", "nearest"), [("Subjct", "subject"), ("BODY ", "Body"), ("zzz", None)])
def test_a_missing_column_names_the_nearest(wanted, nearest):
    error = errors.ColumnNotFoundError(wanted, ["subject", "Body", "id"])
    assert error.nearest == nearest
    assert "'subject'" in str(error)
    assert ("Did you mean" in str(error)) == (nearest is not None)


def test_a_missing_extra_names_the_pip_line():
    assert 'pip install "dupdetect[train]"' in str(errors.MissingExtraError("train", "X", "torch"))
