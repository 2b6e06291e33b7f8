"""From a `Report` to one HTML file that needs nothing else: no server, no network, no second file.

Summary and figures are plain HTML and readable without scripts. Videos are drawn by scripts from embedded numbers,
those near the screen only. Pictures stand behind the script, one element a video, and are read when they come near.

A strict content security policy is in the file: scripts and styles only with the hashes of ours, images only from the
file itself, videos only from where the page itself lies, and only once somebody plays one. So a video's name cannot run
even if an escape were missing.
"""

from __future__ import annotations

import base64
import hashlib
import math
from collections import Counter
from collections.abc import Sequence
from html import escape
from importlib.resources import files
from pathlib import Path
from string import Template

from downstream.report.content import Metric, Report
from downstream.report.curve import curve_section
from downstream.report.embedding import page_data, picture_data, script_json
from pretrain.errors import UserError, problem_list
from pretrain.files import replacing

SCRIPTS = ("scores", "format", "video", "page")
"""In this order: each part uses those before it."""
MAIN_FIGURES = 6
"""Metrics that are seen at once; the rest opens."""


def write_report(path: Path, report: Report) -> None:
    """Write the page atomically. UserError: no video, or a name that stands twice."""
    doubled = [f"'{name}'" for name, times in Counter(video.name for video in report.videos).items() if times > 1]
    if not report.videos or doubled:
        reason = f"names stand twice:\n{problem_list(doubled)}" if doubled else "there is no video to show"
        raise UserError(f"no report {path}: {reason}")
    style, script = _asset("page.css"), page_script()
    head = Template(_asset("page.html")).substitute(
        policy=content_policy(style, script),
        style=style,
        script=script,
        data=script_json(page_data(report)),
        title=_text(report.title),
        subtitle=_text(report.subtitle),
        facts="\n".join(f"<div><dt>{_text(name)}</dt><dd>{_text(fact)}</dd></div>" for name, fact in _facts(report)),
        notes=_notes(report.notes),
        lead=f'<p class="lead">{_text(report.lead)}</p>' if report.lead else "",
        curve=curve_section(report.curve),
        metrics=metrics_section(report.metrics),
    )
    with replacing(path) as temporary, open(temporary, "w", encoding="utf-8", newline="\n") as file:
        file.write(head)
        for number, video in enumerate(report.videos):
            if video.thumbnails:
                pictures = script_json(picture_data(video))
                file.write(f'<script type="application/json" id="pictures-{number}">{pictures}</script>\n')
        file.write("</body>\n</html>\n")


def page_script() -> str:
    """The parts as one script, in a block of its own: their names are nobody else's."""
    parts = "\n".join(_asset(f"{name}.js") for name in SCRIPTS)
    return f'"use strict";\n{{\n{parts}}}\n'


def content_policy(style: str, script: str) -> str:
    """Nothing may be loaded or run but this style and this script, and images that stand in the page."""
    hashes = [base64.b64encode(hashlib.sha256(text.encode()).digest()).decode() for text in (style, script)]
    return (
        f"default-src 'none'; style-src 'sha256-{hashes[0]}'; script-src 'sha256-{hashes[1]}'; img-src data:; "
        "media-src 'self' file:; base-uri 'none'; form-action 'none'"
    )


def metrics_section(metrics: Sequence[Metric]) -> str:
    """The figures, folded away: the first `MAIN_FIGURES`, the rest folded below; nothing where there are none."""
    if not metrics:
        return ""
    first, rest = metrics[:MAIN_FIGURES], metrics[MAIN_FIGURES:]
    more = f"<details><summary>{len(rest)} more</summary>{_table(rest)}</details>" if rest else ""
    return (
        f'<details class="figures"><summary>Figures of the evaluation ({len(metrics)})</summary>\n'
        f"{_table(first)}\n{more}</details>"
    )


def _table(metrics: Sequence[Metric]) -> str:
    rows = [
        f'<tr><th scope="row">{_text(one.name)}</th><td class="number">{_figure(one.value)}</td>'
        f'<td class="number">{_interval(one)}</td><td>{_text(one.meaning)}</td></tr>'
        for one in metrics
    ]
    head = "".join(f'<th scope="col">{name}</th>' for name in ("Metric", "Value", "Interval", "What it is"))
    body = "\n".join(rows)
    return f'<table class="metrics">\n<thead><tr>{head}</tr></thead>\n<tbody>\n{body}\n</tbody></table>'


def _asset(name: str) -> str:
    return files(__package__).joinpath(name).read_text(encoding="utf-8")


def _text(text: str) -> str:
    """As HTML text, also within quotes; what no file can hold (lone surrogates) as a question mark."""
    return escape(text.encode("utf-8", "replace").decode(), quote=True)


def _facts(report: Report) -> list[tuple[str, str]]:
    rule = report.rule
    parts = [f"threshold {rule.threshold:.6g}", f"goes on down to {rule.release:.6g}"]
    parts += [f"at least {rule.min_seconds:g} s long"] * bool(rule.min_seconds)
    parts += [f"merged when at most {rule.merge_seconds:g} s apart"] * bool(rule.merge_seconds)
    return [*report.facts.items(), ("Rule for events", ", ".join(parts))]


def _notes(notes: tuple[str, ...]) -> str:
    if not notes:
        return ""
    return "<ul class=notes>" + "".join(f"<li>{_text(note)}</li>" for note in notes) + "</ul>"


def _figure(value: float | None) -> str:
    if value is None or math.isnan(value):
        return "&ndash;"
    return f"{value:.3f}" if abs(value) < 10 else f"{value:.1f}"


def _interval(metric: Metric) -> str:
    if metric.low is None or metric.high is None or math.isnan(metric.low) or math.isnan(metric.high):
        return "&ndash;"
    return f"{_figure(metric.low)} to {_figure(metric.high)}"
