"""The command `doctor`: its settings, the findings in words and as JSON."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from itertools import groupby

from downstream.doctor.check_alignment import examine
from downstream.doctor.config import DoctorConfig
from downstream.doctor.finding import Finding
from downstream.evaluation.choose_videos import open_listed
from downstream.features.store import FeatureSet
from pretrain.files import write_json
from pretrain.names import shown


def diagnose(config: DoctorConfig) -> int:
    """Examine, print, write; 1 where something is wrong."""
    catalogue = open_listed(config.catalogue)
    sets = [FeatureSet.open(folder) for folder in config.features]
    findings = examine(sets, catalogue, config.split, config.top_k)
    num_videos = sum(config.split in ("all", video.split) for video in catalogue)
    wrong = sum(finding.severity == "wrong" for finding in findings)
    print(as_text(findings, num_videos))
    if config.json is not None:
        content = {
            "features": [str(folder) for folder in config.features],
            "catalogue": catalogue.source,
            "split": config.split,
            "videos": num_videos,
            "wrong": wrong,
            "notes": len(findings) - wrong,
            "findings": [asdict(finding) for finding in findings],
        }
        write_json(config.json, content)
    return 1 if wrong else 0


def as_text(findings: Sequence[Finding], num_videos: int) -> str:
    """Findings by kind, each group under its count; the counts again at the end, where a terminal shows them."""
    lines: list[str] = []
    summary: list[str] = []
    for (severity, kind), group in groupby(findings, key=lambda finding: (finding.severity, finding.kind)):
        texts = [finding.text for finding in group]
        lines += [f"{severity}: {kind} ({len(texts)})", *(f"  {shown(text)}" for text in texts), ""]
        summary.append(f"  {severity:<5}  {kind:<24} {len(texts):>6}")
    wrong = sum(finding.severity == "wrong" for finding in findings)
    verdict = f"{wrong} wrong" if wrong else "nothing wrong"
    return "\n".join([*lines, f"{num_videos} videos: {verdict}, {len(findings) - wrong} note(s)", *summary])
