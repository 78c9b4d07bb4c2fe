"""The picture of ARCHITECTURE.md: who imports whom, parsed from the sources."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
ROOT_OF_COMPOSITION = "picq/catalogue.py"  # looks devices and technologies up by name
HEAVY = {"jax", "gdsfactory", "kfactory", "matplotlib", "scipy", "optax"}


def imports(path: Path, *, top_level_only: bool = False) -> set[str]:
    """Absolute names that a file imports; relative ones resolved below picq."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    package = ["picq", *path.relative_to(ROOT).parts[:-1]] if path.is_relative_to(ROOT / "components") else []
    found = set()
    for node in tree.body if top_level_only else ast.walk(tree):
        if isinstance(node, ast.Import):
            found |= {a.name for a in node.names}
        elif isinstance(node, ast.ImportFrom):
            base = ".".join(package[: len(package) - node.level + 1]) if node.level else ""
            module = ".".join(p for p in (base, node.module) if p)
            found |= {module} | {f"{module}.{a.name}" for a in node.names}
    return found


def sources(folder: str) -> list[Path]:
    return sorted((ROOT / folder).rglob("*.py"))


def below(names: set[str], package: str) -> set[str]:
    return {n for n in names if n == package or n.startswith(package + ".")}


@pytest.mark.parametrize("path", sources("picq"), ids=lambda p: str(p.relative_to(ROOT)))
def test_engine_imports_neither_components_nor_technologies(path):
    if str(path.relative_to(ROOT)) != ROOT_OF_COMPOSITION:
        names = imports(path)
        assert not below(names, "picq.components") | below(names, "picq.pdk") | below(names, "sax")


@pytest.mark.parametrize("path", sources("components"), ids=lambda p: p.name)
def test_components_do_not_name_technologies(path):
    assert not below(imports(path), "picq.pdk") | below(imports(path), "sax")


@pytest.mark.parametrize("path", sources("pdk"), ids=lambda p: str(p.relative_to(ROOT)))
def test_technologies_do_not_name_devices(path):
    assert not below(imports(path), "picq.components")


def test_technologies_are_data_only():
    allowed = {".yaml", ".md"}  # and, in baked/, JSON
    for folder in (p for p in (ROOT / "pdk").iterdir() if p.is_dir() and p.name != "__pycache__"):
        assert {p.suffix for p in folder.iterdir() if p.is_file()} <= allowed


@pytest.mark.parametrize(
    "name",
    [
        "errors",
        "plan",
        "signoff/report",
        "signoff/rules",
        "signoff/drc",
        "signoff/extract",
        "cli",
        "cli_shared",
        "cli_listing",
        "cli_masks",
    ],
)
def test_what_the_command_line_needs_first_is_light(name):
    names = imports(ROOT / "picq" / f"{name}.py", top_level_only=True)
    assert not {n.split(".")[0] for n in names} & HEAVY


def test_only_the_layout_side_touches_gdsfactory():
    """Its state stays in layout, drawing and assembly; the rest of the engine may only name its types."""
    for path in sources("picq"):
        if path.name in ("layout.py", "drawing.py", "assembly.py", "netlist.py"):
            continue
        assert not below(imports(path, top_level_only=True), "gdsfactory"), path
