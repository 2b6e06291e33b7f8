"""Tests mirror the packages: a module has the test file of its name, or stands here with the reason why not."""

from __future__ import annotations

import ast
from functools import cache
from pathlib import Path

from tests.paths import ROOT

PACKAGES = ("pretext_tasks", "pretrain", "downstream", "demo", "scripts", "anomaly_pretext", "benchmarks")
COMMAND = "a command: tested through its script"

ELSEWHERE: dict[str, dict[str, str]] = {
    "tests/anomaly_pretext/test_training.py": {"at the end of the road": "anomaly_pretext/evaluation"},
    "tests/anomaly_pretext/test_command.py": {
        "what it can say, and how it finds the work": "anomaly_pretext/version anomaly_pretext/lazy"
    },
    "tests/anomaly_pretext/test_plugins.py": {"both sides of it": "pretrain/plugins"},
    "tests/pretext_tasks/test_sampling.py": {
        "what every task is": "pretext_tasks/base",
        "trained through the tasks that have them": "pretext_tasks/heads pretext_tasks/networks",
    },
    "tests/test_startup.py": {"parsed there, as every command": "pretrain/command"},
    "tests/pretrain/test_train.py": {
        "parts of the loop, seen in whole runs": "pretrain/checkpoint pretrain/config pretrain/meter pretrain/model "
        "pretrain/run_folder pretrain/seeding pretrain/validate pretrain/cpu pretrain/errors",
        "what the loop reads": "pretrain/data/windows pretrain/data/transforms pretrain/data/motion "
        "pretrain/data/settings",
    },
    "tests/pretrain/test_two_processes.py": {"needs several processes": "pretrain/accelerator"},
    "tests/pretrain/test_launch.py": {"needs a launcher": "pretrain/parent"},
    "tests/pretrain/test_trackers.py": {"what they are told": "pretrain/tracking_config"},
    "tests/pretrain/data/test_loading.py": {
        "needs processes that fail": "pretrain/process_failure pretrain/stalls",
    },
    "tests/test_mutated_files.py": {
        "shapes of files, seen on damaged ones": "downstream/features/record_shapes downstream/detector/card_shape"
    },
    "tests/pretrain/backbones/test_build.py": {
        "parts of every network, seen in networks": "pretrain/backbones/base pretrain/backbones/config "
        "pretrain/backbones/assembly pretrain/backbones/small",
    },
    "tests/pretrain/data/catalogues/test_catalogues.py": {
        "shared by all datasets, seen in each": "pretrain/data/catalogues/disk pretrain/data/catalogues/lists "
        "pretrain/data/catalogues/spans pretrain/data/catalogues/problems",
    },
    "tests/pretrain/data/catalogues/test_trees.py": {
        "lists that lie there too": "pretrain/data/catalogues/fetched_lists"
    },
    "tests/pretrain/data/remote/test_copies.py": {
        "what they are of, and their room": "pretrain/data/remote/errors pretrain/data/remote/room "
        "pretrain/data/remote/settings pretrain/data/remote/state",
    },
    "tests/pretrain/data/shards/test_pack.py": {
        "its parts": "pretrain/data/shards/entries pretrain/data/shards/output pretrain/data/shards/tar_writer",
    },
    "tests/scripts/test_pack_shards.py": {COMMAND: "pretrain/data/shards/pack_command"},
    "tests/pretrain/data/catalogues/test_ucf_crime_boxes.py": {
        "boxes of two datasets": "pretrain/data/catalogues/boxes",
    },
    "tests/pretrain/data/test_proxy.py": {
        "one cache, made and read": "pretrain/data/proxy/build pretrain/data/proxy/cache pretrain/data/proxy/manifest "
        "pretrain/data/proxy/render pretrain/data/proxy/settings",
    },
    "tests/pretrain/data/video/test_exact_frames.py": {
        "inside the reader: exact frames of every kind of file": "pretrain/data/video/container "
        "pretrain/data/video/decode pretrain/data/video/pyav_reader pretrain/data/video/info",
    },
    "tests/pretrain/data/video/test_packet_index.py": {
        "the index, built and kept": "pretrain/data/video/build_index pretrain/data/video/index_cache",
    },
    "tests/pretrain/data/video/test_stream.py": {"read like any file": "pretrain/data/video/jpeg_pack"},
    "tests/scripts/test_pretext_controls.py": {COMMAND: "pretrain/controls_command pretrain/controls_config"},
    "tests/scripts/test_export_backbone.py": {COMMAND: "pretrain/export_command pretrain/export_config"},
    "tests/scripts/test_check_videos.py": {COMMAND: "pretrain/data/check_command"},
    "tests/scripts/test_build_cache.py": {COMMAND: "pretrain/data/proxy/build_command pretrain/data/proxy/savings"},
    "tests/scripts/test_import_features.py": {
        COMMAND: "downstream/features/import_command downstream/features/import_config",
        "what it prints": "downstream/features/describe",
    },
    "tests/scripts/test_doctor.py": {COMMAND: "downstream/doctor/command downstream/doctor/config"},
    "tests/scripts/test_evaluate.py": {
        COMMAND: "downstream/analysis/evaluate_runs downstream/analysis/evaluate_config",
        "what stands beside the runs": "downstream/analysis/run_references",
    },
    "tests/scripts/test_reference_scores.py": {COMMAND: "downstream/references/command downstream/references/config"},
    "tests/scripts/test_localise.py": {
        COMMAND: "downstream/analysis/localise downstream/analysis/localise_config",
        "what it prints and draws": "downstream/evaluation/spatial_report downstream/visualisation/gallery",
    },
    "tests/scripts/test_fit_normal.py": {COMMAND: "downstream/normality/command downstream/normality/config"},
    "tests/scripts/test_report.py": {COMMAND: "downstream/report/command downstream/report/config"},
    "tests/scripts/test_calibrate.py": {
        COMMAND: "downstream/detection/calibrate downstream/detection/calibrate_config"
    },
    "tests/scripts/test_score.py": {
        COMMAND: "downstream/detection/score_command downstream/detection/score_config",
        "what it is given": "downstream/detection/given_features",
    },
    "tests/scripts/test_import_ground_truth.py": {
        COMMAND: "downstream/features/truth_command downstream/features/truth_config",
        "what it reads": "downstream/features/peer_lists downstream/features/flat_truth",
    },
    "tests/downstream/features/test_array_files.py": {
        "two kinds of file among all": "downstream/features/hdf5_files downstream/features/mat_files",
    },
    "tests/downstream/features/test_video_features.py": {
        "what the user says, and what the files do": "downstream/features/import_sources",
    },
    "tests/scripts/test_package.py": {COMMAND: "downstream/detection/package downstream/detection/package_config"},
    "tests/scripts/test_detect.py": {
        COMMAND: "downstream/detection/detect",
        "how it works through many videos": "downstream/detection/scoring downstream/detection/report",
    },
    "tests/downstream/features/test_extract.py": {
        "the road from pixels to a set, as extraction takes it": "downstream/features/pipeline "
        "downstream/features/encoding downstream/features/snippets downstream/features/progress "
        "downstream/features/config",
    },
    "tests/downstream/features/test_encoders.py": {"one of them": "downstream/features/image_tower"},
    "tests/downstream/runs/test_run_folder.py": {
        "its parts": "downstream/runs/seed_folder downstream/runs/localisation_folder"
    },
    "tests/downstream/features/test_store.py": {
        "what its manifest says": "downstream/features/feature_spec",
        "how a set is made, a video at a time": "downstream/features/set_parts downstream/features/set_writer",
    },
    "tests/downstream/features/test_fusion.py": {"before fusing": "downstream/features/normalising"},
    "tests/downstream/features/test_importing.py": {
        "import and export are tested as a round trip": "downstream/features/exporting downstream/features/find_files "
        "downstream/features/timing downstream/features/checking",
    },
    "tests/downstream/detector/test_terms.py": {"what every loss can be told": "downstream/detector/loss_config"},
    "tests/downstream/detector/test_normal_detector.py": {"its settings": "downstream/detector/normal_config"},
    "tests/downstream/scores/test_cell_geometry.py": {"a grid in a picture": "downstream/scores/score_map"},
    "tests/downstream/detector/test_model.py": {
        "its parts": "downstream/detector/temporal downstream/detector/spatial downstream/detector/config",
        "what it is an instance of": "downstream/detector/snippet_detector",
    },
    "tests/downstream/events/test_calibration.py": {
        "its parts, against a slow reference of the whole": "downstream/events/false_alarms "
        "downstream/events/rate_bound downstream/events/calibration_file",
    },
    "tests/downstream/report/test_run_report.py": {
        "what it stands on": "downstream/report/run_contents downstream/report/where downstream/events/default_rule",
    },
    "tests/downstream/report/test_page.py": {"the numbers in it": "downstream/report/embedding"},
    "tests/downstream/detection/test_model.py": {
        "how one is opened": "downstream/detection/open_model",
        "what it scores": "downstream/features/in_memory_set",
    },
    "tests/downstream/detection/test_onnx_export.py": {"what is exported": "downstream/detection/graphs"},
    "tests/downstream/detection/writers/test_writers.py": {"what each is": "downstream/detection/writers/writer"},
    "tests/downstream/detection/live/test_rolling.py": {
        "the same window": "downstream/detection/live/rolling_scores",
    },
    "tests/downstream/detection/live/test_scorer.py": {
        "seen through it": "downstream/detection/live/live_features downstream/detection/live/stream_scores",
    },
    "tests/downstream/detection/test_zones_drawn.py": {
        "what it draws, and what it is of": "downstream/visualisation/zone_picture downstream/scores/cell_mask",
    },
    "tests/downstream/detection/live/cameras/test_camera_file.py": {
        "what it reads": "downstream/detection/live/cameras/settings",
    },
    "tests/scripts/test_watch.py": {
        COMMAND: "downstream/detection/live/cameras/command downstream/detection/live/cameras/config",
        "what it does": "downstream/detection/live/cameras/camera downstream/detection/live/cameras/check "
        "downstream/detection/live/cameras/models downstream/detection/live/cameras/names_console",
    },
    "tests/downstream/detection/live/test_metrics.py": {"what they are of": "downstream/detection/live/figures"},
    "tests/downstream/detection/live/test_console.py": {"how it says times": "downstream/detection/live/wall_clock"},
    "tests/downstream/detection/live/test_watch.py": {"what it opens": "downstream/detection/live/open_outlets"},
    "tests/downstream/detection/live/test_webhook.py": {
        "a protocol, seen in what keeps it": "downstream/detection/live/outlet"
    },
    "tests/downstream/detection/live/test_source.py": {
        "needs a camera, as it does": "downstream/detection/live/connection",
    },
    "tests/downstream/training/test_feature_source.py": {
        "what it refuses": "downstream/training/split downstream/evaluation/choose_videos",
    },
    "tests/downstream/training/test_loop.py": {
        "whole runs": "downstream/training/finetune downstream/training/run_summary downstream/training/config "
        "downstream/training/source downstream/detector/storage",
    },
    "tests/downstream/training/end_to_end/test_video_source.py": {
        "whole runs, end to end": "downstream/training/end_to_end/backbone "
        "downstream/training/end_to_end/score_videos downstream/training/end_to_end/video_bags "
        "downstream/training/end_to_end/video_model downstream/training/end_to_end/video_training",
    },
    "tests/downstream/ablation/test_ablation.py": {
        "whole ablations": "downstream/ablation/config downstream/ablation/grid downstream/ablation/results "
        "downstream/ablation/run downstream/ablation/tables downstream/ablation/train downstream/ablation/workers",
    },
    "tests/downstream/comparison/test_compare.py": {
        "whole comparisons": "downstream/comparison/config downstream/comparison/cost "
        "downstream/comparison/results "
        "downstream/comparison/tables",
    },
    "tests/downstream/doctor/test_check_alignment.py": {
        "all that it finds": "downstream/doctor/contents downstream/doctor/finding",
    },
    "tests/demo/world/test_simulation.py": {
        "one simulation moves all of them": "demo/world/actors demo/world/behaviour demo/world/traffic "
        "demo/world/traces demo/world/world",
    },
    "tests/demo/world/test_render.py": {
        "what is seen in frames": "demo/world/backgrounds demo/world/cameras demo/world/drawing demo/world/painter "
        "demo/world/people demo/world/sprites demo/world/vehicles",
    },
    "tests/demo/world/test_plan.py": {
        "every class is planned and played": "demo/world/events demo/world/lookalikes demo/world/people_events "
        "demo/world/road_events",
    },
    "tests/benchmarks/test_cameras.py": {"what it watches": "benchmarks/camera_server"},
    "tests/benchmarks/test_faults.py": {
        "its parts": "benchmarks/faults_config benchmarks/faults_odd benchmarks/faults_reader "
        "benchmarks/faults_readers benchmarks/faults_rounds benchmarks/faults_world",
        "what is read": "benchmarks/faults_read_features benchmarks/faults_read_lists benchmarks/faults_read_models "
        "benchmarks/faults_read_cameras benchmarks/faults_read_encoders benchmarks/faults_read_foreign "
        "benchmarks/faults_read_runs benchmarks/faults_read_videos",
    },
    "tests/benchmarks/test_faults_compare.py": {"what is put back": "benchmarks/faults_folders"},
    "tests/benchmarks/test_faults_mutators.py": {
        "ways of damage": "benchmarks/faults_damage_arrays benchmarks/faults_damage_containers "
        "benchmarks/faults_damage_json benchmarks/faults_damage_text",
    },
    "tests/benchmarks/test_input_pipeline.py": {
        "its parts": "benchmarks/footage benchmarks/input_ways benchmarks/input_memory",
    },
    "tests/benchmarks/test_mil_training.py": {"its parts": "benchmarks/mil_memory benchmarks/mil_ways"},
    "tests/benchmarks/test_pretraining_value.py": {
        "its data": "benchmarks/real_footage",
        "its tables": "benchmarks/pretraining_value_tables",
        "its arms and intervals, its probe": "benchmarks/network_comparison benchmarks/linear_probe",
    },
    "tests/benchmarks/test_real_cctv.py": {
        "its parts": "benchmarks/real_cctv_runs benchmarks/real_cctv_sets benchmarks/real_cctv_tables",
    },
}
"""Test file -> why, and which modules are tested there."""
UNTESTED = {
    "downstream/ablation/worker": "runs in processes that tests/downstream/ablation/test_ablation.py starts",
    "scripts/finetune": "started as a process by tests/downstream/training/test_loop.py, which imports no script",
    "demo/world/command": "tests/scripts/test_make_demo_videos.py starts its script as a process",
    "benchmarks/evaluation_speed": "measures against tests/downstream/evaluation/reference.py",
    "benchmarks/training_step": "measures a step of pretraining, nothing else",
}
"""Module -> why no test file reaches it."""


@cache
def imports_of(path: Path) -> frozenset[Path]:
    """The files of ours that a file imports, wherever in it."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
    candidates = [ROOT / name.replace(".", "/") for name in names]
    files = {path.with_suffix(".py") for path in candidates} | {path / "__init__.py" for path in candidates}
    return frozenset(file for file in files if file.is_file())


def reached_from(path: Path) -> set[Path]:
    """All files of ours that running a file loads."""
    reached, waiting = set[Path](), [path]
    while waiting:
        file = waiting.pop()
        if file not in reached:
            reached.add(file)
            waiting += [*imports_of(file), *(file.parent / name for name in ("conftest.py",) if "tests" in file.parts)]
            waiting = [other for other in waiting if other.is_file()]
    return reached


def test_every_module_has_its_test_file_or_a_reason() -> None:
    modules = {
        path.relative_to(ROOT).with_suffix("").as_posix()
        for package in PACKAGES
        for path in (ROOT / package).rglob("*.py")
        if not path.name.startswith("__")
    }
    own = {module for module in modules if (ROOT / "tests" / module).with_name(f"test_{Path(module).name}.py").exists()}
    told = [module for reasons in ELSEWHERE.values() for listed in reasons.values() for module in listed.split()]
    assert sorted(modules - own - set(told) - set(UNTESTED)) == [], "no test file of that name, and no reason"
    assert sorted(set(told) & own) == [], "there is a test file of that name: no reason needed"
    assert sorted((set(told) | set(UNTESTED)) - modules) == [], "no such module"
    assert len(set(told)) == len(told)


def test_what_is_tested_elsewhere_is_loaded_there() -> None:
    missing = []
    for file, reasons in ELSEWHERE.items():
        reached = reached_from(ROOT / file)
        modules = [module for listed in reasons.values() for module in listed.split()]
        missing += [f"{file}: {module}" for module in modules if (ROOT / module).with_suffix(".py") not in reached]
    assert missing == []
