"""The command line: exit codes, streams, errors without tracebacks, light start."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from klayout import db

from picq.cli import run_command

LAYOUTS = Path(__file__).parent.parent / "layouts"

MZI = {
    "name": "one_stage",
    "technology": "soi220",
    "seed": 3,
    "circuit": {
        "instances": {
            "s": {
                "device": "lattice_filter",
                "parameters": {"delays": [178.6], "coupler_lengths": [16.0, 16.0], "powers_mw": [0.0]},
            }
        },
        "ports": {"in": "s,o1", "bar": "s,o4", "cross": "s,o3"},
    },
    "wavelengths": {"center_thz": 193.4, "span_ghz": 800, "step_ghz": 10},
    "channels": {"center_thz": 193.4, "spacing_ghz": 200, "input": "in", "outputs": ["bar", "cross"]},
    "variables": [
        {"parameter": "s.coupler_lengths", "lower": 5, "upper": 30},
        {"parameter": "s.delays", "lower": 178.0, "upper": 179.2},
    ],
    "targets": [{"figure": "insertion_loss_db", "max": 1.0}],
    "optimise": {"starts": 8, "steps": 60, "rounds": 0},
    "tolerance": {"samples": 40, "trim": ["s.powers_mw"]},
}


@pytest.fixture
def spec(tmp_path):
    """Write a specification, changed at the given places, and return its path."""

    def write(**changes):
        data = json.loads(json.dumps(MZI))
        for path, value in changes.items():
            *parents, last = path.split("__")
            place = data
            for key in parents:
                place = place[int(key)] if key.isdigit() else place[key]
            place[last] = value
        path = tmp_path / "spec.yaml"
        path.write_text(yaml.safe_dump(data), encoding="utf-8")
        return path

    return write


@pytest.fixture
def mask(tmp_path):
    """A mask with one rectangle on the waveguide layer, of the given width in um."""

    def write(width, name="Cell0_x", layer=(3, 0)):
        layout = db.Layout()
        layout.dbu = 0.001
        top = layout.create_cell(name)
        top.shapes(layout.layer(99, 0)).insert(db.DBox(0, 0, 5500, 4900))
        top.shapes(layout.layer(*layer)).insert(db.DBox(100, 100, 200, 100 + width))
        path = tmp_path / "mask.gds"
        layout.write(str(path))
        return path

    return write


def test_help_and_drc_do_not_import_jax_or_gdsfactory(mask):
    code = (
        "import sys; from picq.cli import run_command; "
        f"a = run_command(['--help']); b = run_command(['drc', {str(mask(0.5))!r}, '-t', 'soi220']); "
        "bad = {'jax', 'gdsfactory', 'kfactory', 'matplotlib', 'scipy'} & set(sys.modules); "
        "print(a, b, sorted(bad))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "0 0 []"


def test_drc_says_what_it_found_and_where(mask, tmp_path, capsys):
    assert run_command(["drc", str(mask(0.5)), "-t", "soi220"]) == 0
    capsys.readouterr()
    markers = tmp_path / "out.lyrdb"
    assert run_command(["drc", str(mask(0.3)), "-t", "soi220", "--lyrdb", str(markers), "--json"]) == 1
    out, err = capsys.readouterr()
    found = json.loads(out)
    assert not found["passed"]
    assert found["counts"]["waveguide.width"] == 1
    assert "waveguide.width" in err
    assert "waveguide.width" in markers.read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["drc", "absent.gds", "-t", "soi220"], ["no such mask file", "absent.gds"]),
        (["drc", "absent.gds", "-t", "soi22"], ["unknown technology", "did you mean 'soi220'"]),
        (["list", "device"], ["cannot list", "did you mean 'devices'"]),
        (["run", "absent.yaml", "-o", "x"], ["absent.yaml"]),
        (["drc"], ["Missing argument"]),
        (["simulat"], ["No such command"]),
    ],
)
def test_wrong_requests_are_2_and_say_the_remedy(arguments, said, capsys):
    assert run_command(arguments) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert "Traceback" not in err
    for words in said:
        assert words in err


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        (
            {"circuit__instances__s__device": "latice_filter"},
            ["circuit.instances.s.device", "did you mean 'lattice_filter'"],
        ),
        ({"technology": "soi20"}, ["technology", "did you mean 'soi220'"]),
        ({"circuit__instances__s__parameters__gab": 0.2}, ["gab", "did you mean 'gap'"]),
        ({"circuit__instances__s__parameters__gap": 0.1}, ["gap", "0.1 um", "0.2 … 0.3 um"]),
        ({"targets__0__figure": "insertion_los_db"}, ["targets[0].figure", "insertion_loss_db"]),
        ({"targets__0__max": "1 dB"}, ["targets[0].max"]),
        ({"targets__0__max": -1.0}, ["targets[0].max", "infeasible"]),
        ({"variables__0__upper": 3000}, ["variables[0].upper", "60 um"]),
        ({"wavelengths__step_ghz": 400}, ["wavelengths", "aliases"]),
        ({"seed": "one"}, ["seed"]),
        ({"colour": "red"}, ["colour"]),
    ],
)
def test_errors_of_a_specification_name_the_place(spec, changes, said, capsys):
    assert run_command(["simulate", str(spec(**changes))]) == 2
    _, err = capsys.readouterr()
    assert "Traceback" not in err
    for words in ["spec.yaml", *said]:
        assert words in err


def test_debug_shows_the_traceback(capsys):
    assert run_command(["drc", "absent.gds", "-t", "soi220", "--debug"]) == 2
    assert "Traceback" in capsys.readouterr().err


def test_not_a_mask(tmp_path, capsys):
    for content in (b"", b"GDS? no"):
        path = tmp_path / "bad.gds"
        path.write_bytes(content)
        assert run_command(["drc", str(path), "-t", "soi220", "--lyrdb", str(tmp_path / "m.lyrdb")]) == 2
        assert "Traceback" not in capsys.readouterr().err
        assert not (tmp_path / "m.lyrdb").exists()


def test_lists(capsys):
    assert run_command(["list", "devices", "--json"]) == 0
    assert "lattice_filter" in json.loads(capsys.readouterr().out)
    assert run_command(["list", "technologies"]) == 0
    assert "soi220" in capsys.readouterr().err
    assert run_command(["list", "figures"]) == 0
    assert "insertion_loss_db" in capsys.readouterr().err


def test_diff(mask, tmp_path, capsys):
    first = mask(0.5).rename(tmp_path / "first.gds")
    assert run_command(["diff", str(first), str(mask(0.5))]) == 0
    assert run_command(["diff", str(first), str(mask(0.501))]) == 1
    assert "3/0" in capsys.readouterr().err


@pytest.fixture(scope="module")
def designed(tmp_path_factory):
    """A specification and the design that ``picq optimise`` found for it."""
    folder = tmp_path_factory.mktemp("designed")
    path = folder / "spec.yaml"
    path.write_text(yaml.safe_dump(MZI), encoding="utf-8")
    assert run_command(["optimise", str(path), "-o", str(folder / "d" / "design.json")]) == 0
    return path, folder / "d" / "design.json"


def test_simulate_from_a_saved_design(designed, tmp_path, capsys):
    path, design = map(str, designed)
    assert run_command(["simulate", path, "-d", design, "-o", str(tmp_path / "s.csv"), "--json"]) == 0
    out, err = capsys.readouterr()
    assert json.loads(out)["insertion_loss_db"]["met"]
    assert "insertion_loss_db" in err
    assert (tmp_path / "s.csv").read_text(encoding="utf-8").splitlines()[0] == "frequency_thz,bar_db,cross_db"


@pytest.mark.slow
@pytest.mark.exhaustive
def test_tolerance_from_a_saved_design(designed, tmp_path, capsys):
    path, design = map(str, designed)
    assert run_command(["tolerance", path, "-d", design, "-o", str(tmp_path / "t.json"), "--json"]) == 0
    out, err = capsys.readouterr()
    assert json.loads(out)["samples"] == 40
    assert "as fabricated" in err
    assert (tmp_path / "t.npz").exists()


def test_a_missed_target_is_1(spec):
    assert run_command(["simulate", str(spec(targets__0__max=0.02))]) == 1


def test_a_design_or_checkpoint_of_another_specification_is_refused(designed, spec, capsys):
    changed, design = str(spec(seed=4)), str(designed[1])
    assert run_command(["simulate", changed, "-d", design]) == 2
    assert "seed: 3 -> 4" in capsys.readouterr().err
    before = designed[1].read_bytes()
    assert run_command(["optimise", changed, "-o", design, "--resume"]) == 2
    assert "seed: 3 -> 4" in capsys.readouterr().err
    assert designed[1].read_bytes() == before


@pytest.mark.parametrize(
    ("script", "said"),
    [
        ("def circuit(tech:", ["line 1", "SyntaxError"]),
        ("def circuit(tech):\n    return 1 / 0\n", ["line 2", "ZeroDivisionError"]),
        ("def circuit(tech):\n    return 3\n", ["returns no Circuit"]),
        ("chip = 3\n", ["does not define circuit(tech)"]),
    ],
)
def test_errors_of_a_layout_script_name_its_line(tmp_path, script, said, capsys):
    (tmp_path / "chip.py").write_text(script, encoding="utf-8")
    data = {**MZI, "layout": "chip.py"}
    del data["circuit"]
    (tmp_path / "spec.yaml").write_text(yaml.safe_dump(data), encoding="utf-8")
    assert run_command(["simulate", str(tmp_path / "spec.yaml")]) == 2
    _, err = capsys.readouterr()
    assert "Traceback" not in err
    for words in ["layout", "chip.py", *said]:
        assert words in err


@pytest.mark.slow
def test_an_inline_circuit_goes_to_a_bundle(tmp_path, capsys):
    """A netlist written in the specification, placed there, signed off without a layout script."""
    data = json.loads(json.dumps(MZI))
    data["circuit"]["instances"]["s"]["place"] = {"x": 1000, "y": 1000}
    data["circuit"]["floorplan"] = [0, 0, 5500, 4900]
    data["tolerance"]["samples"] = 10
    path = tmp_path / "inline.yaml"
    path.write_text(yaml.safe_dump(data), encoding="utf-8")
    assert run_command(["run", str(path), "-o", str(tmp_path / "out"), "--json"]) == 0
    out, err = capsys.readouterr()
    assert json.loads(out)["verdict"] == "passed"
    assert "lvs: passed" in err
    assert "Cell0_one_stage" in (tmp_path / "out" / "manifest.json").read_text(encoding="utf-8")


@pytest.mark.slow
def test_the_main_job(tmp_path, capsys):
    """The demo, with fewer samples: every report passes and the bundle is complete."""
    spec = (LAYOUTS / "wdm_demux.yaml").read_text(encoding="utf-8").replace("samples: 2000", "samples: 100")
    (tmp_path / "wdm_demux.yaml").write_text(spec, encoding="utf-8")
    (tmp_path / "wdm_demux.py").write_text((LAYOUTS / "wdm_demux.py").read_text(encoding="utf-8"), encoding="utf-8")
    out = tmp_path / "bundle"
    assert run_command(["run", str(tmp_path / "wdm_demux.yaml"), "-o", str(out)]) == 0
    err = capsys.readouterr().err
    assert "drc: passed" in err
    assert "lvs: passed" in err
    assert {"chip.gds", "chip.oas", "manifest.json", "drc.lyrdb", "lvs.lyrdb", "report.html"} <= {
        p.name for p in out.iterdir()
    }
    assert run_command(["drc", str(out / "chip.gds"), "-t", "soi220"]) == 0
    design = str(out / "design.json")
    assert run_command(["lvs", str(out / "chip.gds"), str(tmp_path / "wdm_demux.yaml"), "-d", design]) == 0
    again = tmp_path / "again"
    assert (
        run_command(["export", str(tmp_path / "wdm_demux.yaml"), "-d", design, "-o", str(again), "--samples", "50"])
        == 0
    )
    assert (again / "chip.gds").read_bytes() == (out / "chip.gds").read_bytes()
