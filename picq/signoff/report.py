"""What every check returns: a verdict, findings with geometry, figures. Standard library only: checks start fast."""

import json
from dataclasses import dataclass, field
from typing import Any, Literal

Severity = Literal["error", "warning", "info"]
Box = tuple[float, float, float, float]


@dataclass(frozen=True)
class Finding:
    """One thing a check found.

    Attributes:
        check: the id of the rule or question, e.g. ``waveguide.width``.
        severity: ``error`` fails the report, ``warning`` and ``info`` do not.
        message: a sentence for a person, with units.
        box: (left, bottom, right, top) on the mask in um, when the finding has a place.
        polygon: closed outline(s) on the mask in um, when known.
        measured: what was measured, in ``unit``.
        limit: what was allowed, in ``unit``.
        unit: unit of ``measured`` and ``limit``.
        source: where the limit comes from.
        waiver: why it is accepted, when it is.
    """

    check: str
    severity: Severity
    message: str
    box: Box | None = None
    polygon: tuple[tuple[float, float], ...] = ()
    measured: float | None = None
    limit: float | None = None
    unit: str = ""
    source: str = ""
    waiver: str = ""


@dataclass(frozen=True)
class Report:
    """The outcome of one check.

    Attributes:
        name: which check, e.g. ``drc``.
        findings: what was found; the report passes when none is an error.
        figures: measured numbers by name, units in the name.
        ran: ids of the questions that were asked, so that silence can be told from absence.
        waived: findings that a waiver took out, with the waiver's reason.
    """

    name: str
    findings: tuple[Finding, ...] = ()
    figures: dict[str, Any] = field(default_factory=dict)
    ran: tuple[str, ...] = ()
    waived: tuple[Finding, ...] = ()

    @property
    def passed(self) -> bool:
        """True when no finding is an error."""
        return not self.errors

    @property
    def errors(self) -> tuple[Finding, ...]:
        """The findings that fail the report."""
        return tuple(f for f in self.findings if f.severity == "error")

    def counts(self) -> dict[str, int]:
        """Number of findings by check id, most frequent first."""
        counts: dict[str, int] = {}
        for finding in self.findings:
            counts[finding.check] = counts.get(finding.check, 0) + 1
        return dict(sorted(counts.items(), key=lambda item: (-item[1], item[0])))

    def waivers(self) -> list[dict[str, Any]]:
        """What was waived, by rule and reason: severity, how many, and the box around all of it in um."""
        groups: dict[tuple[str, str, Severity], list[Finding]] = {}
        for finding in self.waived:
            groups.setdefault((finding.check, finding.waiver, finding.severity), []).append(finding)
        found: list[dict[str, Any]] = []
        for (check, reason, severity), findings in groups.items():
            entry = {
                "report": self.name,
                "check": check,
                "severity": severity,
                "reason": reason,
                "count": len(findings),
            }
            if boxes := [f.box for f in findings if f.box is not None]:
                left, bottom, right, top = zip(*boxes, strict=True)
                entry["box_um"] = [min(left), min(bottom), max(right), max(top)]
            found.append(entry)
        return found

    def summary(self) -> dict[str, Any]:
        """The verdict without the findings themselves and without long figures."""
        plain = {k: v for k, v in self.figures.items() if isinstance(v, (int, float, str))}
        return {"passed": self.passed, "counts": self.counts(), "figures": plain, "questions": len(self.ran)}

    def as_dict(self) -> dict[str, Any]:
        """Plain data for JSON; empty fields are left out."""
        return {
            "name": self.name,
            "passed": self.passed,
            "counts": self.counts(),
            "figures": self.figures,
            "ran": list(self.ran),
            "findings": [_plain(f) for f in self.findings],
            "waived": [_plain(f) for f in self.waived],
        }

    def json(self) -> str:
        """The report as indented JSON."""
        return json.dumps(self.as_dict(), indent=2, sort_keys=True)

    def text(self, most: int = 20) -> str:
        """The report for a person; at most ``most`` findings are spelled out."""
        verdict = "passed" if self.passed else "FAILED"
        errors = len(self.errors)
        counts = f"{len(self.ran)} checks, {errors} errors, {len(self.findings) - errors} other"
        lines = [f"{self.name}: {verdict} ({counts})"]
        for finding in self.findings[:most]:
            place = (
                ""
                if finding.box is None
                else f" at ({(finding.box[0] + finding.box[2]) / 2:.3f}, {(finding.box[1] + finding.box[3]) / 2:.3f})"
            )
            lines.append(f"  {finding.severity}: {finding.check}{place}: {finding.message}")
        if len(self.findings) > most:
            lines.append(f"  … and {len(self.findings) - most} more")
        return "\n".join(lines)


def _plain(finding: Finding) -> dict[str, Any]:
    return {k: v for k, v in vars(finding).items() if v not in (None, "", ())}
