"""Commands about guides: their figures, one device's S-parameters, pictures of modes, baking what is up to date."""

import json
import shutil

import pytest

from picq.cli import run_command
from picq.pdk import folder
from picq.technology_files import load

# Si 500 x 220 nm in SiO2, dispersive: n_eff, n_g of two independent solvers (tests/test_modes.py). The tables promise
# 1e-5 and 3e-4 against the solver, which is within 2e-5 and 5e-4 of the reference.
N_EFF, N_GROUP = 2.44723, 4.1962


def simulated(arguments, capsys):
    """The JSON that ``picq simulate`` prints."""
    assert run_command(["simulate", *arguments, "--json"]) == 0
    out, err = capsys.readouterr()
    return json.loads(out), err


def test_figures_of_a_guide_come_from_its_tables(capsys):
    found, err = simulated(["strip", "-t", "soi220", "--figure", "n_eff,n_g"], capsys)
    assert list(found) == ["n_eff", "n_g"]
    assert found["n_eff"]["value"] == pytest.approx(N_EFF, abs=3e-5)
    assert found["n_g"]["value"] == pytest.approx(N_GROUP, abs=8e-4)
    for figure, bound in (("n_eff", 1e-5), ("n_g", 3e-4)):
        assert 0 < found[figure]["uncertainty"] < bound
        assert "table" in found[figure]["source"]
    assert "table" in err


@pytest.mark.slow
@pytest.mark.exhaustive
def test_figures_by_the_solver_are_those_of_the_tables(capsys):
    asked = ["strip", "-t", "soi220", "--figure", "n_eff,n_g", "-p", "width=0.6", "--wl", "1.53"]
    baked, _ = simulated(asked, capsys)
    solved, _ = simulated([*asked, "--solver"], capsys)
    assert solved["n_eff"]["value"] == pytest.approx(baked["n_eff"]["value"], abs=1e-5)
    assert solved["n_g"]["value"] == pytest.approx(baked["n_g"]["value"], abs=3e-4)
    assert "mode solver" in solved["n_eff"]["source"]


@pytest.mark.slow
@pytest.mark.exhaustive
def test_dispersion_and_nonlinearity_of_a_guide(capsys):
    """gamma 199.2 /(W m) of the reference has other materials' indices: 1 %. D as in tests/test_modes.py: 5 %."""
    found, _ = simulated(["strip", "-t", "soi220", "--figure", "D, gamma"], capsys)
    assert found["gamma"]["value"] == pytest.approx(199.2, rel=1e-2)
    assert found["D"]["value"] == pytest.approx(479, rel=0.05)


def test_a_device_has_the_parameters_that_were_given(capsys):
    """10 um at a gap of 0.2 um in a passive coupler: more crosses than in 5 um, both together at most everything."""
    power = {}
    for length in (5, 10):
        s, err = simulated(["coupler", "-t", "soi220", "-p", f"length={length}", "-p", "gap=0.2"], capsys)
        power[length] = {ports: value["re"] ** 2 + value["im"] ** 2 for ports, value in s.items()}
        assert "dB" in err
    cross = {length: p["o1,o3"] for length, p in power.items()}
    assert 0 < cross[5] < cross[10] < 1
    assert 0.9 < sum(value for ports, value in power[10].items() if ports.startswith("o1,")) <= 1


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["stripp", "-t", "soi220"], ["'stripp'", "did you mean 'strip'"]),
        (["strip", "-t", "soi22"], ["did you mean 'soi220'"]),
        (["coupler", "-t", "soi220", "-p", "lenght=3"], ["lenght", "did you mean 'length'"]),
        (["strip", "-t", "soi220", "--figure", "n_ef"], ["'n_ef'", "did you mean 'n_eff'"]),
        (["strip", "-t", "soi220", "-p", "thickness=0.2"], ["thickness", "width"]),
        (["strip", "-t", "soi220", "-p", "width"], ["'width'", "name=number"]),
        (["strip", "-t", "soi220", "-p", "width=wide"], ["width=wide", "name=number"]),
        (["strip", "-t", "soi220", "--mode", "hybrid"], ["unknown mode", "te0"]),
        (["coupler", "-t", "soi220", "-p", "gap=0.01"], ["gap", "0.2"]),
    ],
)
def test_wrong_requests_are_2_and_say_the_remedy(arguments, said, capsys):
    assert run_command(["simulate", *arguments]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert "Traceback" not in err
    for words in said:
        assert words in err


@pytest.mark.parametrize("asked", [["-p", "width=0.1"], ["--wl", "1.3"]])
def test_outside_the_solved_range_is_3(asked, capsys):
    """A table is not extrapolated, and says where it ends."""
    assert run_command(["simulate", "strip", "-t", "soi220", "--figure", "n_eff", *asked]) == 3
    out, err = capsys.readouterr()
    assert out == ""
    assert "outside the range that is known" in err
    assert "picq bake" in err


@pytest.mark.slow
def test_modes_draws_a_picture_and_prints_the_indices(tmp_path, capsys):
    picture = tmp_path / "x.png"
    assert run_command(["modes", "soi220", "strip", "-o", str(picture), "--mode", "te0", "--json"]) == 0
    assert picture.read_bytes().startswith(b"\x89PNG\r\n")
    found = json.loads(capsys.readouterr().out)
    assert list(found) == ["te0"]
    assert found["te0"]["n_eff"] == pytest.approx(N_EFF, abs=2e-5)
    assert found["te0"]["n_g"] == pytest.approx(N_GROUP, abs=5e-4)
    assert found["te0"]["a_eff_um2"] == pytest.approx(0.0916, rel=1e-2)
    assert 0.5 < found["te0"]["confinement"] < 1


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["soi220", "stirp"], "did you mean 'strip'"),
        (["soi220", "metal"], "guides no light"),
        (["soi220", "strip", "--mode", "te0even"], "te0"),
    ],
)
def test_modes_refuses_what_is_no_guide_or_mode(arguments, said, tmp_path, capsys):
    picture = tmp_path / "x.png"
    assert run_command(["modes", *arguments, "-o", str(picture)]) == 2
    assert said in capsys.readouterr().err
    assert not picture.exists()


def test_bake_leaves_up_to_date_tables_alone(tmp_path, monkeypatch, capsys):
    """On a copy, so that a defect cannot touch the real tables."""
    copy = tmp_path / "soi220"
    shutil.copytree(folder("soi220"), copy)
    monkeypatch.setattr("picq.pdk.folder", lambda name: copy)
    load(copy)  # refuses stale tables, which the command would solve again for minutes
    contents = lambda: {p: (p.stat().st_mtime_ns, p.read_bytes()) for p in copy.rglob("*") if p.is_file()}
    before = contents()
    assert run_command(["bake", "soi220", "--work", str(tmp_path / "work")]) == 0
    assert "0 files written" in capsys.readouterr().err
    assert contents() == before
    assert not (tmp_path / "work").exists()
