"""One HTML page from a folder of results: no network, no script, small enough to mail."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

import jinja2
from markupsafe import Markup

from axenic.errors import FileError
from axenic.files import atomic_write, sha256_file
from axenic.report import budget
from axenic.report.budget import choose_samples, fit_figures
from axenic.report.collect import Findings, collect
from axenic.report.configs import configs_table
from axenic.report.documents import Rates
from axenic.report.figures import sections
from axenic.report.safehtml import shown
from axenic.report.samples import CLASSES
from axenic.report.section import Section
from axenic.report.tables import Table, claim_rows, timings_table, unscored_table

MOST_BYTES = 1_500_000
"""The page is never larger; answers, then pictures, are left out until it fits."""

MOST_CHARACTERS = 900
"""Of one answer; the rest stays in the file."""

_HERE = Path(__file__).parent
_PACKAGES = ("axenic", "torch", "transformers", "peft", "accelerate", "safetensors", "numpy", "matplotlib")


@dataclass(frozen=True)
class ReportFiles:
    """What `build_report` wrote.

    Args:
        html: The page.
        size: Its bytes.
        figures: Pictures in it.
        samples: Answers in it.
        claims_hold: Claims that hold.
        claims_fail: Claims that do not hold.
        claims_open: Claims that this run could not show.
    """

    html: Path
    size: int
    figures: int
    samples: int
    claims_hold: int
    claims_fail: int
    claims_open: int


@dataclass(frozen=True)
class _Tally:
    number: str
    what: str
    kind: str = ""


def build_report(folder: str | Path, out: str | Path | None = None) -> ReportFiles:
    """Draw everything below `folder` into one page.

    Args:
        folder: Holds result files (`docs/design/results.md`), training logs and answers at any depth. What is
            missing is left out of the page.
        out: The HTML file, or a folder for `report.html`; `folder/report.html` by default.

    Returns:
        What was written. The same files give the same bytes.

    Raises:
        FileError: There is nothing to draw, or a file is torn (says line and column).
        DataError: A result file is not what its `kind` says.
    """
    folder = Path(folder)
    findings = collect(folder)
    target = Path(out) if out is not None else folder / "report.html"
    if target.is_dir():
        target = target / "report.html"
    hashes = _hashes(findings)
    pictured, budget_bytes, wanted = sections(findings), budget.MOST_FIGURE_BYTES, budget.MOST_SAMPLES
    while True:
        drawn = fit_figures(pictured, budget_bytes)
        samples = choose_samples(findings.samples, wanted)
        shown = sum(len(arm.samples) for file in samples for arm in file.arms)
        context = _context(findings, drawn, hashes)
        html = _render({**context, "samples": samples, "samples_shown": shown}).encode("utf-8")
        if len(html) <= MOST_BYTES:
            break
        if wanted > budget.FEW_SAMPLES:
            wanted //= 2
        elif budget_bytes > 0:
            budget_bytes -= len(html) - MOST_BYTES + budget.SLACK_BYTES
        else:
            raise FileError(
                "the report is too large even with few pictures and answers",
                where=folder,
                expected=f"at most {MOST_BYTES:,} bytes",
                found=f"{len(html):,} bytes",
                hint="axenic report on a folder with fewer results",
            )
    atomic_write(target, html)
    states = [row.state for row in context["claims"]]
    pictures = sum(
        figure.drawing is not None or figure.tokens is not None for part in drawn for figure in part.figures
    )
    return ReportFiles(
        target, len(html), pictures, shown,
        states.count("holds"), states.count("fails"), states.count("open"),
    )  # fmt: skip


def _context(findings: Findings, drawn: list[Section], hashes: Table | None) -> dict[str, Any]:
    """Everything of the page but the samples."""
    claims = claim_rows(claim for file in findings.claims.values() for claim in file.claims)
    timings = {stage: s for file in findings.claims.values() for stage, s in file.timings.items()}
    named = _named_rates(findings)
    total = sum(len(file.samples) for file in findings.samples.values())
    shared, differing = configs_table(findings.configs)
    contents = [(part.id, part.title) for part in drawn]
    if claims:
        contents.insert(0, ("claims", "The claims"))
    if total:
        contents.append(("samples", "What they said"))
    return {
        "title": findings.folder.resolve().name or "Report",
        "version": metadata.version("axenic"),
        "tally": [*_audit_tally(findings), *_tally([row.state for row in claims], named, total)],
        "contents": [*contents, ("unscored", "Unscored"), ("record", "Record")],
        "claims": claims,
        "sections": drawn,
        "samples_total": total,
        "classes": CLASSES,
        "unscored": unscored_table(named),
        "has_rates": bool(named),
        "timings": timings_table(timings) if timings else None,
        "versions": Table(("package", "version"), tuple((name, _version(name)) for name in _PACKAGES)),
        "configs": len(findings.configs),
        "config_shared": shared,
        "config_table": differing,
        "hashes": hashes,
    }


def _audit_tally(findings: Findings) -> list[_Tally]:
    kinds = {"misaligned": "fails", "not shown": "holds"}
    return [
        _Tally(audit.verdict, f"{audit.label} against {audit.base_label}", kinds.get(audit.verdict, ""))
        for audit in findings.audits.values()
    ]


def _tally(states: Sequence[str], named: dict[str, Rates], answers: int) -> list[_Tally]:
    items = []
    if states:
        items.append(_Tally(str(states.count("holds")), "claims hold", "holds"))
        items.append(
            _Tally(str(states.count("fails")), "claims do not hold", "fails" if "fails" in states else "")
        )
        items.append(_Tally(str(states.count("open")), "claims not shown"))
    judged = sum(rates.n_all for rates in named.values())
    missing = sum(rates.n_all - rates.n_scored for rates in named.values())
    if answers:
        items.append(_Tally(f"{answers:,}", "answers in this folder"))
    if judged:
        items.append(_Tally(f"{100 * missing / judged:.1f} %", "of rated answers unscored"))
    return items


def _named_rates(findings: Findings) -> dict[str, Rates]:
    """Every set of rates of every result, by file and arm."""
    named: dict[str, Rates] = dict(findings.rates)
    for files in (findings.ablations, findings.steerings):
        for name, result in files.items():
            named.update({f"{name}: {arm.name}": arm.rates for arm in result.arms})
    for name, transfer in findings.transfers.items():
        named.update({f"{name}: {organism}": rates for organism, rates in transfer.plain.items()})
        for cell in transfer.cells:
            named[f"{name}: {cell.direction or 'random'} in {cell.organism}, {cell.role} {cell.seed}"] = (
                cell.rates
            )
    return named


def _hashes(findings: Findings) -> Table | None:
    names = sorted({*findings.results, *findings.configs, *findings.manifests})
    return Table(("file", "SHA-256"), tuple((name, sha256_file(findings.folder / name)) for name in names))


def _version(package: str) -> str:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return "not installed"


def _render(context: dict[str, Any]) -> str:
    style = (_HERE / "style.css").read_text("utf-8")
    digest = base64.b64encode(hashlib.sha256(style.encode("utf-8")).digest()).decode("ascii")
    # The loader reads only our own folder; autoescape is on for every template, whatever its name.
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(_HERE), autoescape=True, undefined=jinja2.StrictUndefined,
        trim_blocks=True, lstrip_blocks=True,
    )  # fmt: skip
    environment.filters.update(shown=shown, answer=_answer, file_list=_file_list)
    # The style sheet is ours and must stand byte for byte as it was hashed.
    return environment.get_template("template.html").render(
        **context, style=Markup(style), style_hash=Markup(f"sha256-{digest}")
    )


def _answer(text: str) -> Markup:
    if not text.strip():
        return Markup('<span class="ctl">empty</span>')
    if len(text) <= MOST_CHARACTERS:
        return shown(text)
    rest = len(text) - MOST_CHARACTERS
    return shown(text[:MOST_CHARACTERS]) + Markup('<span class="ctl">… {} more characters</span>').format(
        rest
    )


def _file_list(names: Sequence[str]) -> Markup:
    listed = Markup(", ").join(Markup("<code>{}</code>").format(shown(name)) for name in names[:4])
    return listed if len(names) <= 4 else listed + Markup(" and {} more").format(len(names) - 4)
