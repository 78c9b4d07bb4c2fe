"""What cannot be designed is refused before the search, by the name of the entry."""

from importlib import metadata

import pytest
from free_form_spec import small

from picq.errors import SpecError
from picq.inverse.job import FreeFormJob
from picq.inverse.pardiso import library

TARGET = {"from": "o1", "to": "o2", "min_db": -0.5}
BACK = {"from": "o2", "to": "o1", "max_db": -20}
THREE = {
    "o1": {"side": "west", "width": 0.4},
    "o2": {"side": "east", "width": 0.4, "at": 0.48},
    "o3": {"side": "east", "width": 0.4, "at": -0.48},
}
ROOM = {"region": {"size": [1.6, 1.6]}, "surroundings": {"side": 0.44, "span": 1.48}, "ports": THREE}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"wl_um": [1.27]}, "wl_um: a device needs a range"),
        ({"cross_section": "stripp"}, "stripp"),
        ({"region__size": [0.8, 0.81]}, r"region\.size\[1\]: this is not a whole number of pixels"),
        ({"surroundings": {"side": 0.02}}, r"surroundings\.side: this is not a whole number of pixels"),
        ({"surroundings": {"step": 0.03}}, "not a whole number of pixels"),
        ({"region__size": [0.84, 0.8]}, r"region\.size: region and surroundings together .* twice the finest step"),
        ({"surroundings": {"guide": 0.04}}, r"surroundings\.guide: from the region's side to the absorbing layer"),
        ({"surroundings": {"guide": 2.4}}, r"\.guide: .*\n  got: 2\.4 um\n  allowed: 0\.12 um.* to 1\.4 um"),
        ({"surroundings": {"span": 2.0}}, r"surroundings\.span: the line of port o1 reaches into the absorbing"),
        ({"ports__o1__width": 0.405}, r"ports\.o1: this is off the mask's grid\n  got: a wall at -0\.2025 um"),
        ({"rules": {"width": 0.16, "space": 0.6}}, "rules: one filter cannot tell bars and gaps so different"),
        ({"region__symmetries": ["x"], "ports__o2__width": 0.48}, r"symmetries\[0\]: the ports have not the symmetry"),
        ({"region__symmetries": ["y"]}, r"targets\[1\]: the region's symmetry keeps even and odd modes apart"),
        ({"targets": [TARGET, BACK]}, r"at 1.27 um.*: targets\[0\], targets\[1\]\n.*the same both ways"),
        (
            {**ROOM, "targets": [{**TARGET, "from": name, "to": "o1"} for name in ("o2", "o3")]},
            r"contradict each other.*\n  got: 1\.783 of the power",
        ),
        (
            {**ROOM, "region": {"size": [1.6, 1.6], "symmetries": ["y"]}, "targets": [TARGET, {**BACK, "from": "o3"}]},
            "region.symmetries: of a symmetric device, targets contradict",
        ),
        ({**ROOM, "surroundings": {"side": 0.8, "span": 1.6}}, r"surroundings\.span: .* to the guide of port o3"),
    ],
)  # fmt: skip
def test_what_cannot_be_designed_is_named(changes, message):
    with pytest.raises(SpecError, match=message):
        FreeFormJob.of(small(**changes))


def test_what_can_be_designed_is_accepted():
    """The same room and targets with what was wrong put right."""
    job = FreeFormJob.of(small(**ROOM, targets=[{"from": "o2", "to": "o1", "min_db": -3.5}, {**TARGET, "min_db": -4}]))
    assert len(job.problem.windows.place) == 4


def test_backends_that_are_not_there_are_refused(monkeypatch):
    with pytest.raises(SpecError, match=r"unknown backend of the field solver\n  got: umfpack"):
        FreeFormJob.of(small(), "umfpack")

    def missing(_: str):
        raise metadata.PackageNotFoundError

    monkeypatch.setattr(metadata, "files", missing)
    library.cache_clear()
    with pytest.raises(SpecError, match=r"mkl is not installed\n  remedy: pip install 'picq\[mkl\]'"):
        FreeFormJob.of(small(), "pardiso")


@pytest.mark.parametrize(
    ("wl_um", "message"),
    [
        ({"start": None, "stop": 1.3, "points": 3}, r"wl_um\.start: this is not a number"),
        ({"start": 1.2, "stop": 1.3, "points": 2.7}, r"wl_um\.points: .*\n  got: 2\.7"),
        ({"start": 1.2, "stop": 1.3, "points": float("inf")}, r"wl_um\.points"),
        ({"start": 1.2, "stop": "1300 nm", "points": 3}, r"wl_um\.stop"),
    ],
)
def test_ranges_of_wavelengths_are_numbers(wl_um, message):
    with pytest.raises(SpecError, match=message):
        small(wl_um=wl_um)
