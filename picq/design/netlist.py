"""The circuit that a specification names: from a layout script, or written inline."""

import importlib.util
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from picq import catalogue
from picq.circuit import Circuit
from picq.errors import PicqError, SpecError, nearest
from picq.plan import Placement, Plan

if TYPE_CHECKING:
    from picq.design.spec import InlineCircuit, Spec
    from picq.technology import Technology


def circuit_of(spec: "Spec", tech: "Technology") -> Circuit:
    """The circuit of a specification, with its start values.

    Raises:
        SpecError: the script or a device, parameter or port is missing or unknown; names the place in the file.
    """
    if spec.circuit is not None:
        return _inline(spec, spec.circuit, tech)
    path = spec.layout_path
    assert path is not None
    make = getattr(_module(spec, path), "circuit", None)
    if not callable(make):
        raise spec.error(
            ("layout",),
            f"{path.name} does not define circuit(tech)",
            allowed="a function circuit(tech) that returns a picq.circuit.Circuit",
        )
    with _users_code(spec, path):
        made = make(tech)
    if not isinstance(made, Circuit):
        raise spec.error(
            ("layout",), f"circuit(tech) of {path.name} returns no Circuit", got=type(made).__name__, allowed="Circuit"
        )
    return made


def _module(spec: "Spec", path: Path) -> Any:
    if not path.is_file():
        beside = sorted(p.name for p in path.parent.glob("*.py"))
        raise spec.error(
            ("layout",),
            f"there is no file '{path.name}' beside the specification",
            got=str(path),
            allowed=", ".join(beside) or "a Python file in the specification's folder",
            remedy=nearest(path.name, beside),
        )
    found = importlib.util.spec_from_file_location(f"picq_layout_{path.stem}", path)
    assert found is not None
    assert found.loader is not None
    module = importlib.util.module_from_spec(found)
    with _users_code(spec, path):
        found.loader.exec_module(module)
    return module


@contextmanager
def _users_code(spec: "Spec", path: Path) -> Iterator[None]:
    """Errors of the layout script as errors of the specification; the traceback is kept for --debug."""
    try:
        yield
    except PicqError:
        raise
    except Exception as error:
        lines = [f.lineno for f in traceback.extract_tb(error.__traceback__) if Path(f.filename).name == path.name]
        line = getattr(error, "lineno", None) if isinstance(error, SyntaxError) else lines[-1] if lines else None
        raise spec.error(
            ("layout",),
            f"{path.name}" + (f", line {line}" if line else "") + " fails",
            got=f"{type(error).__name__}: {error}",
            remedy="correct the script; --debug shows the traceback",
        ) from error


def _inline(spec: "Spec", written: "InlineCircuit", tech: "Technology") -> Circuit:
    instances = {}
    for name, entry in written.instances.items():
        path = ("circuit", "instances", name)
        values = {k: tuple(v) if isinstance(v, list) else v for k, v in entry.parameters.items()}
        try:
            kind = catalogue.device(entry.device)
        except SpecError as error:
            raise located(spec, (*path, "device"), error) from None
        try:
            instances[name] = kind.on(tech, **values)
        except SpecError as error:
            raise located(spec, (*path, "parameters"), error) from None
    plan = Plan(
        placements=tuple(
            (name, Placement(**entry.place.model_dump())) for name, entry in written.instances.items() if entry.place
        ),
        floorplan=written.floorplan,
        top_cell=f"Cell0_{spec.name}",
    )
    try:
        return Circuit(instances, written.connections, tuple(written.ports.items()), plan)
    except SpecError as error:
        raise located(spec, ("circuit",), error) from None


def located(spec: "Spec", path: tuple[str | int, ...], error: SpecError) -> SpecError:
    """The same error, naming its place in the specification."""
    return spec.error(path, error.what, got=error.got, allowed=error.allowed, remedy=error.remedy)
