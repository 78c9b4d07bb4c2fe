"""Pieces of HTML: escaped, accessible, alike on every page."""

from collections.abc import Sequence
from html import escape

from picq.design.source_figures import SourceFigure
from picq.design.spec import Target

_UNIT_WORDS = {"db", "ghz", "hz", "mhz", "mm2", "mw", "mw2"}  # that end the names of figures
_SPELLED = {"car": "CAR", "chsh": "CHSH S", "qber": "QBER", "g2": "g²(0)", "q": "Q"}


def title(target: Target) -> str:
    """A figure's name for people: ``adjacent crosstalk over ± 25 GHz``."""
    options = {"band_ghz": "over ± {:g} GHz", "drop_db": "at −{:g} dB"}
    told = [options[k].format(v) for k, v in vars(target.measure).items() if v]
    words = target.figure.split("_")
    while words[-1] in _UNIT_WORDS:
        words.pop()
    return " ".join([*(_SPELLED.get(word, word) for word in words), *told])


def value(number: float, target: Target) -> str:
    """A figure's value, without its unit: two decimals of dB and GHz, four digits of what spans decades."""
    return f"{number:.4g}" if isinstance(target.measure, SourceFigure) else f"{number:.2f}"


_UNITS = {"nm": "nm", "um": "um", "k": "K", "mw": "mW", "db": "dB", "ghz": "GHz"}


def named(name: str) -> str:
    """A name in code, ending in its unit, for people: ``width_nm`` as ``width (nm)``."""
    *words, last = name.split("_")
    if last == "ln":
        return f"ln({' '.join(words)})"
    return f"{' '.join(words)} ({_UNITS[last]})" if words and last in _UNITS else " ".join([*words, last])


def number(text: str) -> str:
    """A cell with a number, aligned right."""
    return f'<td class="n">{escape(text).replace("-", "−")}</td>'


def table(caption: str, heads: Sequence[str], rows: Sequence[Sequence[str]], numeric: Sequence[int]) -> str:
    """A table; ``caption`` and the cells of ``rows`` are HTML, ``heads`` are text, ``numeric`` columns align right."""
    top = "".join(f'<th scope="col"{" class=n" if i in numeric else ""}>{escape(h)}</th>' for i, h in enumerate(heads))
    head = f"<thead><tr>{top}</tr></thead>" if heads else ""
    body = "".join(f"<tr>{''.join(row)}</tr>" for row in rows)
    return f"<table><caption>{caption}</caption>{head}<tbody>{body}</tbody></table>"


def figure(address: str, alt: str, caption: str, *, framed: bool = False) -> str:
    """A picture with its caption, and ``alt`` for who cannot see it; the latter two are text."""
    kind = ' class="framed"' if framed else ""
    picture = f'<img src="{address}" alt="{escape(alt)}">'
    return f"<figure{kind}>{picture}<figcaption>{escape(caption)}</figcaption></figure>"
