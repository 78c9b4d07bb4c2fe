"""Export: refused unless every check passed, written whole or not at all, the same bytes for the same inputs."""

import errno
import hashlib
import json
import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from small_chip import WARNING, drc_report, tapeout

from picq.errors import LayoutError, NumericsError, SignoffError
from picq.signoff import atomic
from picq.signoff import export as module
from picq.signoff.drc import read_layout
from picq.signoff.export import Nominal, export
from picq.signoff.mask import compare_masks
from picq.signoff.report import Report

FILES = {
    "chip.gds",
    "chip.oas",
    "design.json",
    "drc.json",
    "drc.lyrdb",
    "lvs.json",
    "lvs.lyrdb",
    "manifest.json",
    "report.html",
    "sparameters.ts",
    "tolerance.json",
}
ERROR = replace(WARNING, severity="error", message="too narrow")


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


@pytest.fixture(scope="module")
def bundle(tmp_path_factory):
    return export(tapeout(), tmp_path_factory.mktemp("export") / "bundle")


@pytest.fixture
def quick(monkeypatch, bundle):
    """Simulation, S-parameters and page as in ``bundle``, without computing them again."""
    nominal = Nominal(np.zeros((2, 61)), dict.fromkeys(tapeout().design.figures, 0.0))
    monkeypatch.setattr(module, "_simulate", lambda _: nominal)
    for name, file in (("_sparameters", "sparameters.ts"), ("page", "report.html")):
        content = (bundle.folder / file).read_text()
        monkeypatch.setattr(module, name, lambda *_, content=content: content)


def test_a_bundle_is_complete_and_its_manifest_true(bundle):
    found = contents(bundle.folder)
    assert set(found) == FILES
    manifest = json.loads(found["manifest.json"])
    assert manifest == json.loads(json.dumps(bundle.manifest))
    assert set(manifest["files"]) == FILES - {"manifest.json"}
    for name, entry in manifest["files"].items():
        assert entry == {"sha256": hashlib.sha256(found[name]).hexdigest(), "bytes": len(found[name])}
    assert manifest["mask"]["gds_sha256"] == manifest["files"]["chip.gds"]["sha256"]
    assert manifest["design"]["sha256"] == manifest["files"]["design.json"]["sha256"]
    assert manifest["seed"] == 3
    assert manifest["specification"]["targets"][0]["max"] == 37.5
    assert manifest["verdict"] == "passed"
    assert manifest["waivers"] == []
    assert {"picq", "gdsfactory", "kfactory", "klayout", "jax", "numpy", "python"} <= set(manifest["versions"])


def test_nothing_of_the_machine_and_no_time_is_in_a_bundle(bundle, tmp_path):
    again = export(tapeout(), tmp_path / "another" / "place")
    assert contents(again.folder) == contents(bundle.folder)
    for content in contents(again.folder).values():
        assert str(tmp_path).encode() not in content
        assert str(Path.home()).encode() + b"/" not in content


def test_masks_of_a_bundle_agree(bundle):
    oasis = read_layout(bundle.folder / "chip.oas")
    assert compare_masks(bundle.folder / "chip.gds", oasis) == ()
    assert [cell.name for cell in oasis.top_cells()] == ["Cell0_interleaver"]


def test_s_parameters_are_those_of_the_model(bundle):
    lines = (bundle.folder / "sparameters.ts").read_text().splitlines()
    ports = [line.split(" = ")[1] for line in lines if line.startswith("! Port[")]
    assert ports == ["in", "through", "cross"]
    rows = [line.split() for line in lines[lines.index("[Network Data]") + 1 : lines.index("[End]")]]
    hz, (_, first), (_, second) = float(rows[0][0]), (0, rows[0][1:]), (0, rows[1])
    problem = tapeout().problem
    assert hz == pytest.approx(1e9 * problem.comb.ghz[0])
    power = np.asarray(problem.power(problem.measured, problem.tech, problem.comb.ghz))
    # row i of Touchstone holds the waves out of port i: S_21 stands first in the second row
    assert float(second[0]) ** 2 + float(second[1]) ** 2 == pytest.approx(power[0, 0], abs=1e-9)
    assert [float(v) for v in first[:2]] == [0.0, 0.0]


@pytest.mark.parametrize(
    ("reports", "told"),
    [
        ((drc_report(ERROR), Report("lvs")), "drc failed"),
        ((drc_report(), Report("lvs", (ERROR,))), "lvs failed"),
        ((drc_report(ERROR), Report("lvs", (ERROR,))), "drc, lvs failed"),
        ((drc_report(),), "lvs was not run"),
        ((), "drc, lvs was not run"),
    ],
)
def test_refused_unless_every_check_passed(tmp_path, reports, told):
    with pytest.raises(SignoffError, match=told) as caught:
        export(replace(tapeout(), reports=reports), tmp_path / "bundle")
    assert caught.value.exit_code == 1
    assert list(tmp_path.iterdir()) == []


@pytest.mark.usefixtures("quick")
def test_a_report_that_passes_by_waiver_is_named(tmp_path):
    one = replace(ERROR, box=(0.0, 1.0, 2.0, 3.0), waiver="the foundry's own cell")
    reports = (drc_report(waived=(one, replace(one, box=(-1.0, 2.0, 1.0, 5.0)))), Report("lvs"))
    manifest = export(replace(tapeout(), reports=reports), tmp_path / "bundle").manifest
    assert manifest["verdict"] == "passed by waivers"
    (named,) = manifest["waivers"]
    assert named["reason"] == "the foundry's own cell"
    assert (named["count"], named["box_um"]) == (2, [-1.0, 1.0, 2.0, 5.0])
    assert len(json.loads((tmp_path / "bundle" / "drc.json").read_text())["waived"]) == 2
    assert b"waived" in (tmp_path / "bundle" / "drc.lyrdb").read_bytes()


@pytest.mark.usefixtures("quick")
def test_reports_of_another_mask_are_refused(tmp_path):
    with pytest.raises(SignoffError, match="another mask"):
        export(replace(tapeout(), gds_sha256="0" * 64), tmp_path / "bundle")
    assert list(tmp_path.iterdir()) == []


def test_a_design_whose_figures_do_not_come_out_again_is_refused(tmp_path):
    design = tapeout().design
    figures = json.loads(json.dumps(design.figures))
    figures["insertion_loss_db"]["channels"]["cross"] += 0.01
    with pytest.raises(NumericsError, match="insertion_loss_db of the saved design"):
        export(replace(tapeout(), design=replace(design, figures=figures)), tmp_path / "bundle")


@pytest.fixture
def old(tmp_path, bundle, quick):
    """An earlier bundle in ``tmp_path / "bundle"``, told apart by its report."""
    folder = tmp_path / "bundle"
    folder.mkdir()
    for name, content in contents(bundle.folder).items():
        (folder / name).write_bytes(content)
    (folder / "report.html").write_text("old")
    return folder


def test_a_new_bundle_replaces_the_old_one(old, bundle):
    (old / "lvs.lyrdb").unlink()
    export(tapeout(), old)
    assert contents(old) == contents(bundle.folder)
    assert [path.name for path in old.parent.iterdir()] == ["bundle"]


@pytest.mark.parametrize("target", ["chip.oas", "sparameters.ts", "manifest.json"])
def test_a_full_disk_leaves_the_old_bundle_alone(old, monkeypatch, target):
    before, real = contents(old), os.fsync

    def fsync(handle):
        if os.readlink(f"/proc/self/fd/{handle}").endswith(target):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        real(handle)

    monkeypatch.setattr(atomic.os, "fsync", fsync)
    with pytest.raises(LayoutError, match=f"cannot write {target}") as caught:
        export(tapeout(), old)
    assert "free some space" in caught.value.remedy
    assert contents(old) == before
    assert [path.name for path in old.parent.iterdir()] == ["bundle"]


@pytest.mark.usefixtures("quick")
@pytest.mark.parametrize("place", ["write_lyrdb", "page", "_manifest"])
def test_an_interrupt_leaves_nothing_half_written(tmp_path, monkeypatch, place):
    def interrupt(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr(module, place, interrupt)
    with pytest.raises(KeyboardInterrupt):
        export(tapeout(), tmp_path / "bundle")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("error", [KeyboardInterrupt(), OSError(errno.EACCES, "Permission denied")])
def test_a_failed_swap_puts_the_old_bundle_back(old, monkeypatch, error):
    before, real = contents(old), Path.rename

    def rename(self, target):
        if self.name == "new":
            raise error
        return real(self, target)

    monkeypatch.setattr(Path, "rename", rename)
    with pytest.raises(KeyboardInterrupt if isinstance(error, KeyboardInterrupt) else LayoutError):
        export(tapeout(), old)
    assert contents(old) == before
    assert [path.name for path in old.parent.iterdir()] == ["bundle"]


def test_files_that_no_export_wrote_are_not_lost(tmp_path, old):
    (old / "thesis.tex").write_text("years of work")
    with pytest.raises(LayoutError, match="would be lost") as caught:
        export(tapeout(), old)
    assert "thesis.tex" in str(caught.value)
    assert (old / "thesis.tex").read_text() == "years of work"
    (old / "thesis.tex").unlink()
    (old / "manifest.json").write_text("{")
    with pytest.raises(LayoutError, match="would be lost"):
        export(tapeout(), old)
    (tmp_path / "file").write_text("")
    with pytest.raises(LayoutError, match="replace a file"):
        export(tapeout(), tmp_path / "file")
