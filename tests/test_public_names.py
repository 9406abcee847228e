"""What the package exports, and that its map is true."""

from pathlib import Path

import pytest

import dupdetect


@pytest.mark.parametrize("name", dupdetect.__all__)
def test_every_public_name_is_there_and_documented(name):
    value = getattr(dupdetect, name)
    assert name == "__version__" or value.__doc__


def test_unknown_names_are_attribute_errors():
    with pytest.raises(AttributeError, match="no attribute 'nonsense'"):
        _ = dupdetect.nonsense


def test_dir_lists_the_public_names():
    assert set(dupdetect.__all__) <= set(dir(dupdetect))


def test_the_map_names_every_module():
    folder = Path(dupdetect.__file__).parent
    modules = {path.stem for path in folder.iterdir() if path.suffix == ".py" or (path / "__init__.py").exists()}
    missing = {name for name in modules if not name.startswith("_") and name not in dupdetect.__doc__}
    assert not missing
