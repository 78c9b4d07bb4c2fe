"""The report: all that was asked and found is on one page that needs nothing but itself."""

import base64
import re
from dataclasses import replace
from html.parser import HTMLParser
from xml.etree import ElementTree

import numpy as np
import pytest
import yaml
from klayout import lay
from small_chip import LENGTHS, drc_report, tapeout

from picq.design.figures import Crosstalk, InsertionLoss, Passband
from picq.signoff import html, plots
from picq.signoff.export import Nominal, export
from picq.signoff.report import Finding, Report

VOID = {"meta", "img", "br", "link"}


class Page(HTMLParser):
    """Tags with their attributes, text, and whether every tag is closed in order."""

    def __init__(self, text):
        super().__init__()
        self.tags, self.words, self.open = [], [], []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.words.append(data)

    @property
    def text(self):
        return " ".join(" ".join(self.words).split())


@pytest.fixture(scope="module")
def bundle(tmp_path_factory):
    return export(tapeout(), tmp_path_factory.mktemp("html") / "bundle")


@pytest.fixture(scope="module")
def text(bundle):
    return (bundle.folder / "report.html").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def page(text):
    return Page(text)


@pytest.fixture
def another(bundle):
    """The page of a chip that differs from the exported one."""
    nominal = Nominal(np.zeros((2, 61)), dict.fromkeys(tapeout().design.figures, 0.0))
    return lambda chip: html.page(chip, nominal, bundle.manifest, bundle.folder / "chip.gds")


def test_it_is_well_formed_and_self_contained(page, text):
    assert page.open == []
    for tag, attributes in page.tags:
        assert tag not in {"script", "link", "iframe", "object"}
        for name in ("src", "href", "srcset", "data"):
            assert attributes.get(name, "data:").startswith("data:"), (tag, name)
    assert "url(" not in text
    assert "@import" not in text
    assert len(text) < 4_000_000


def test_pictures_have_alternative_text_and_tables_have_heads(page):
    pictures = [attributes for tag, attributes in page.tags if tag == "img"]
    assert len(pictures) == 5
    assert all(len(attributes["alt"]) > 20 for attributes in pictures)
    names = [tag for tag, _ in page.tags]
    assert names.count("caption") == names.count("table") >= 7
    assert all(attributes.get("scope") in {"col", "row"} for tag, attributes in page.tags if tag == "th")
    ids = [attributes["id"] for _, attributes in page.tags if "id" in attributes]
    assert len(ids) == len(set(ids))


def test_it_holds_every_target_yield_heater_and_length(page):
    chip = tapeout()
    for bound in ("≤ 37.5 dB", "≤ −0.125 dB", "≥ 0.625 GHz"):
        assert bound in page.text
    for outcome in (chip.tolerance.as_fabricated, chip.tolerance.trimmed):
        for found in (outcome.total, *outcome.by_target.values()):
            assert str(found) in page.text
    assert "f.powers_mw[0]" in page.text
    assert f"{chip.tolerance.heaters[0].total_mean:.0f} mW on average" in page.text
    assert LENGTHS[0]["segment"] in page.text
    assert "99.9997" in page.text
    assert chip.gds_sha256 in page.text
    assert chip.problem.spec.digest() in page.text
    assert chip.tolerance.source in page.text


def test_width_moves_a_strip_by_what_the_literature_says(page):
    (drift,) = re.findall(r"moves the whole spectrum by (\d+) GHz", page.text)
    # dn/dw 1.58e-3 /nm over n_g 4.196 at 193.4 THz: 73 GHz/nm
    assert float(drift) == pytest.approx(73, abs=4)


def test_it_says_that_a_filter_lives_by_its_heaters(another):
    chip = tapeout()
    none = replace(chip.tolerance.as_fabricated.total, passed=0, fraction=0.0, low=0.0, high=0.1)
    most = replace(none, passed=19, fraction=0.95, low=0.8, high=0.99)
    sampled = replace(
        chip.tolerance,
        as_fabricated=replace(chip.tolerance.as_fabricated, total=none),
        trimmed=replace(chip.tolerance.trimmed, total=most),
    )
    text = Page(another(replace(chip, tolerance=sampled))).text
    assert "Without trimming this circuit hardly yields: 0.0 % of chips" in text
    sampled = replace(sampled, trimmed=None, heaters=())
    text = Page(another(replace(chip, tolerance=sampled))).text
    assert "only the yield as fabricated is known" in text
    assert "Yield after trimming" not in text


def test_it_says_which_numbers_are_assumed(page):
    tech = tapeout().problem.tech
    compact = yaml.safe_load((tech.platform.folder / "compact.yaml").read_text())
    assumed = [(f"{group}.{name}", entry["source"]) for group, entries in compact.items()
               for name, entry in entries.items() if entry["source"].startswith("assumed")]  # fmt: skip
    assert len(assumed) > 3
    for name, source in assumed:
        assert name in page.text
        assert source in page.text
    assert "grating_coupler.n_full" not in page.text
    assert "strip 2 dB/cm" in page.text
    assert "Heat that a heater gives to another device is not modelled" in page.text


def test_every_sigma_has_its_own_source(another):
    chip = tapeout()
    told = {"global": {"width_nm": "wafers <A>"}, "local": {"width_nm": "assumed: B"}}
    sigma = {"global": {"width_nm": 5.0, "temperature_k": 1.5}, "local": {"width_nm": 0.25}}
    text = another(replace(chip, tolerance=replace(chip.tolerance, sources=told, sigma=sigma)))
    rows = [" ".join(re.sub("<[^>]*>", " ", row).split()) for row in text.split("<tr>")]
    for told in ("width (nm) global 5 nm wafers &lt;A&gt;", "width (nm) local 0.25 nm assumed: B"):
        assert any(row.startswith(told) for row in rows)
    text = Page(text).text
    assert "set once, at the reference temperature" in text
    assert "drifts by its own sigma, 1.5 K" in text


def test_what_others_wrote_is_escaped(another):
    attack = Finding("x", "warning", "<script>alert('1')</script> & more", source='"><img src=x>')
    chip = replace(tapeout(), reports=(drc_report(attack), Report("lvs")))
    text = another(chip)
    assert "<script" not in text
    assert "&lt;script&gt;" in text
    assert '"><img src=x>' not in text
    assert Page(text).open == []


def test_waivers_are_named(another):
    waived = Finding("x", "error", "too narrow (waived: the foundry's own cell)")
    page = Page(another(replace(tapeout(), reports=(drc_report(waived=(waived,)), Report("lvs")))))
    assert "DRC and LVS passed , with 1 waived finding." in page.text
    assert "too narrow (waived: the foundry's own cell)" in page.text
    assert any(attributes.get("class") == "verdict mixed" for _, attributes in page.tags)


def test_vector_pictures_are_fixed_and_label_their_axes(text):
    drawn = [base64.b64decode(code) for code in re.findall(r"data:image/svg\+xml;base64,([^\"]+)", text)]
    assert len(drawn) == 3
    for picture in drawn:
        ElementTree.fromstring(picture)
        assert b"<dc:date>" not in picture
    assert "transmission (dB)" in drawn[1].decode()
    assert "after trimming, passband" in drawn[1].decode()


def test_pictures_of_the_mask_show_its_layers(text):
    first, second = (base64.b64decode(code) for code in re.findall(r"data:image/png;base64,([^\"]+)", text))
    assert first[:4] == second[:4] == b"\x89PNG"
    image = lay.PixelBuffer.from_png_data(second)
    colours = {image.pixel(x, y) & 0xFFFFFF for x in range(0, image.width(), 2) for y in range(0, image.height(), 2)}
    layers = tapeout().problem.tech.platform.layer_colours
    assert {0xFFFFFF, int(layers["waveguide"][1:], 16), int(layers["heater"][1:], 16)} <= colours


def test_forbidden_regions_are_the_targets():
    problem = tapeout().problem
    nominal = problem.spectra(problem.measured, problem.tech)
    regions = plots.forbidden(problem, nominal)
    kinds = [type(figure) for figure in problem.figures_asked]
    assert issubclass(kinds[1], Crosstalk)
    assert kinds[0] is InsertionLoss
    assert kinds[2] is Passband
    loss, _, leak, _, flat, _ = regions
    assert (loss.channel, loss.level, loss.above) == (0, -37.5, False)
    assert (leak.channel, leak.low, leak.high, leak.above) == (0, 193475.0, 193525.0, True)
    own = float((problem.comb.band(0, 25.0) @ nominal[0]).min())
    assert leak.level == pytest.approx(own - 0.125)
    assert flat.high - flat.low == pytest.approx(0.625)
