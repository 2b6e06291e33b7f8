"""The command `doctor`: its settings, the findings in words and as JSON."""

from __future__ import annotations

from dataclasses import asdict

from downstream.doctor.check_alignment import examine
from downstream.doctor.config import DoctorConfig
from downstream.doctor.wording import as_text
from downstream.evaluation.choose_videos import open_listed
from downstream.features.store import FeatureSet
from pretrain.files import write_json


def diagnose(config: DoctorConfig) -> int:
    """Examine, print, write; 1 where something is wrong."""
    catalogue = open_listed(config.catalogue)
    sets = [FeatureSet.open(folder) for folder in config.features]
    findings = examine(sets, catalogue, config.split, config.top_k)
    num_videos = sum(config.split in ("all", video.split) for video in catalogue)
    wrong = sum(finding.severity == "wrong" for finding in findings)
    print(as_text(findings, num_videos, config.all))
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
