"""What is installed is what is on disk."""

import tomllib
from importlib.metadata import files
from pathlib import Path

ROOT = Path(__file__).parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
DIRS = PROJECT["tool"]["setuptools"]["package-dir"]


def folder_of(package: str) -> Path:
    best = max((p for p in DIRS if package == p or package.startswith(p + ".")), key=len)
    rest = package[len(best) :].strip(".")
    return ROOT / DIRS[best] / rest.replace(".", "/")


def test_every_listed_package_exists():
    for package in PROJECT["tool"]["setuptools"]["packages"]:
        assert folder_of(package).is_dir(), package


def test_every_folder_with_content_is_listed():
    listed = {folder_of(p) for p in PROJECT["tool"]["setuptools"]["packages"]}
    for top in ("picq", "components", "pdk"):
        for path in (ROOT / top).rglob("*"):
            if path.is_file() and path.suffix in (".py", ".yaml", ".html"):
                assert path.parent in listed, path


def test_every_data_suffix_is_packaged():
    data = PROJECT["tool"]["setuptools"]["package-data"]
    for package in PROJECT["tool"]["setuptools"]["packages"]:
        for path in folder_of(package).iterdir():
            if path.suffix in (".yaml", ".html"):
                assert f"*{path.suffix}" in data.get(package, []), path


def test_command_is_installed():
    assert any(str(f).endswith("entry_points.txt") for f in files("picq") or [])
