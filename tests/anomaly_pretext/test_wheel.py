"""The wheel, installed without the checkout, in an empty folder: nothing of ours beside `anomaly_pretext`."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from setup import installed_form
from tests.paths import ROOT

ROAD = """
import sys
import anomaly_pretext as ap

videos = {"catalogue": {"kind": "csv", "root": sys.argv[1], "annotations": sys.argv[1] + "/list.csv"}}
run = ap.pretrain(videos, {"backbone.height": 32, "backbone.width": 48, "device": "cpu", "data.workers": 0,
                           "optim.steps": 1, "optim.batch-size": 2, "output": "runs/pretrain"})
features = ap.extract_features(videos, {"backbone": run.path, "out": "features", "device": "cpu"})
detector = ap.finetune("features.yaml", videos, {"features.sets": "features", "device": "cpu", "plots": False,
                       "output": "runs/detector", "optim.steps": 2, "validation-fraction": 0.5, "seeds": 0})
print("SCORES", len(detector.score(sys.argv[1] + "/v9.mp4").scores))
print("OURS", *sorted(name for name in sys.modules if name.split(".")[0] in (
    "pretext_tasks", "pretrain", "downstream", "demo", "scripts")))
"""


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Built from what is tracked, so that the checkout stays as it is."""
    root = tmp_path_factory.mktemp("built")
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        check=True,
    )
    for name in filter(None, os.fsdecode(listed.stdout).split("\0")):
        if (ROOT / name).is_file() and not name.startswith(("tests/", "docs/")):
            target = root / "source" / name
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, target)
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--quiet"]
    build = ["wheel", "--no-deps", "--no-build-isolation", "--wheel-dir", str(root), str(root / "source")]
    subprocess.run([*pip, *build], check=True)
    (file,) = root.glob("*.whl")
    return file


@pytest.fixture(scope="module")
def installed(wheel: Path) -> dict[str, str]:
    """The environment of a process that has the wheel, and no checkout."""
    site = wheel.parent / "site"
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--quiet"]
    subprocess.run([*pip, "install", "--no-deps", "--target", str(site), str(wheel)], check=True)
    return os.environ | {"PYTHONPATH": str(site), "OMP_NUM_THREADS": "1"}


def test_it_holds_one_package_with_all_its_data(wheel: Path) -> None:
    names = zipfile.ZipFile(wheel).namelist()
    assert {name.split("/")[0] for name in names if ".dist-info/" not in name} == {"anomaly_pretext"}
    core = "anomaly_pretext/core"
    wanted = ["py.typed", "core/configs/features.yaml", "core/downstream/report/page.html", "core/scripts/detect.py"]
    wanted += ["core/pretrain/backbones/shipped_small3d/backbone.safetensors"]
    wanted += ["core/downstream/detection/unfitted/detectors/0/detector.safetensors"]
    assert not [name for name in wanted if f"anomaly_pretext/{name}" not in names]
    assert len([name for name in names if name.startswith(f"{core}/configs/")]) == len([*ROOT.glob("configs/*.yaml")])
    texts = [zipfile.ZipFile(wheel).read(name).decode() for name in names if name.endswith((".py", ".yaml"))]
    bare = "|".join(path.stem for path in ROOT.glob("scripts/[a-z]*.py"))
    elsewhere = rf"scripts/[a-z_]+\.py|python anomaly-pretext|torchrun [^`\n]*anomaly-pretext|[ (](?:{bare})\.py"
    assert not [found for text in texts for found in re.findall(elsewhere, text)]


def test_the_whole_road_from_python_in_an_empty_folder(
    installed: dict[str, str], listed_videos: Path, tmp_path: Path
) -> None:
    line = [sys.executable, "-W", "error::UserWarning", "-c", ROAD, str(listed_videos)]
    done = subprocess.run(line, cwd=tmp_path, env=installed, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "SCORES 7\nOURS\n" in done.stdout
    assert "next: anomaly-pretext export-backbone runs/pretrain" in done.stdout


def test_commands_name_themselves_as_they_are_installed(
    installed: dict[str, str], listed_videos: Path, tmp_path: Path
) -> None:
    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        line = [sys.executable, "-m", "anomaly_pretext", *arguments]
        return subprocess.run(line, cwd=tmp_path, env=installed, capture_output=True, text=True, check=False)

    found = run("detect", str(listed_videos / "v9.mp4"), "--films", "0", "--device", "cpu")
    assert found.returncode == 0, found.stderr
    assert "anomaly-pretext fit-normal" in found.stdout
    assert (tmp_path / "runs/detect/report.html").is_file()
    wrong = run("evaluate")
    assert wrong.returncode == 2
    assert "anomaly-pretext evaluate" in wrong.stderr
    nothing = run("calibrate", "--detector", "nothing", "--normal", "nothing")
    assert (nothing.returncode, "scripts/" in nothing.stderr) == (2, False)


def test_imports_get_the_prefix_and_texts_the_command() -> None:
    source = (
        '"""Run `python scripts/fit_normal.py X`, or accelerate launch --multi_gpu scripts/detect.py Y."""\n'
        "import numpy as np\nfrom pretrain.cli import parse\nimport downstream.features.store as store\n"
        "from pretraining import x\n\ndef f():\n    from scripts.detect import main\n"
        "    return 'pretrain.py', \"ls pretrain.py\", '\\npython scripts/detect.py', 'torchrun -n 2 pretrain.py'\n"
    )
    assert installed_form(source) == (
        '"""Run `anomaly-pretext fit-normal X`, or accelerate launch --multi_gpu -m anomaly_pretext detect Y."""\n'
        "import numpy as np\nfrom anomaly_pretext.core.pretrain.cli import parse\n"
        "import anomaly_pretext.core.downstream.features.store as store\n"
        "from pretraining import x\n\ndef f():\n    from anomaly_pretext.core.scripts.detect import main\n"
        "    return 'anomaly-pretext pretrain', \"ls anomaly-pretext pretrain\", '\\nanomaly-pretext detect', "
        "'torchrun -n 2 -m anomaly_pretext pretrain'\n"
    )
    with pytest.raises(SystemExit, match=r"import pretrain\.files"):
        installed_form("import pretrain.files\n")
