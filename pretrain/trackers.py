"""Where a run is followed from elsewhere: TensorBoard, Weights & Biases, MLflow and others, by Accelerate's trackers.

`log.jsonl` in the run's folder is always written; these stand beside it, on the main process. Each package finds its
server, its key and its offline mode as it always does (WANDB_MODE=offline, MLFLOW_TRACKING_URI=file:runs/mlflow,
COMET_START_ONLINE=0, CLEARML_OFFLINE_MODE=1): none of that passes through here. A run that goes on with --resume goes
on in the same run there, whose number lies in `RUN/trackers.json`.
"""

from __future__ import annotations

import importlib.util
import logging
import os
import re
import uuid
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from pretrain.addresses import GIVEN
from pretrain.errors import UserError
from pretrain.files import write_json
from pretrain.json_shapes import mapping, text
from pretrain.run_folder import read_saved
from pretrain.tracking_config import TrackingConfig

if TYPE_CHECKING:
    from accelerate import Accelerator
    from accelerate.tracking import GeneralTracker

logger = logging.getLogger(__name__)

IDS_FILE = "trackers.json"
_SECRET = re.compile(r"KEY|TOKEN|SECRET|PASSW|CREDENTIAL|URI|URL|HOST")
"""Variables whose values are never repeated."""


class Followed(NamedTuple):
    """The run, as trackers are told of it."""

    project: str
    name: str
    tags: Sequence[str]
    folder: Path
    known: str | None
    """Its number there, where it goes on."""
    first_step: int


def check_trackers(config: TrackingConfig) -> None:
    """To be called before anything starts. UserError naming the packages that are missing."""
    missing = [name for name in config.log_with if importlib.util.find_spec(name) is None]
    if missing:
        raise UserError(
            f"tracking.log_with names {', '.join(missing)}, and no such package is installed here: pip install "
            f"{' '.join(missing)}, or leave it out; the run's log.jsonl is written anyway"
        )


def start_trackers(
    config: TrackingConfig, folder: Path, settings: Mapping[str, Any], first_step: int
) -> list[GeneralTracker]:
    """The trackers of a run, at work. To be called on the main process alone.

    `settings`: its flat configuration. `first_step`: what was logged after it is of a run that was stopped. UserError
    where a package or its server refuses.
    """
    ids = read_ids(folder) if first_step else {}
    trackers: list[GeneralTracker] = []
    for kind in config.log_with:
        name = config.name or folder.resolve().name
        followed = Followed(config.project, name, config.tags, folder, ids.get(kind), first_step)
        try:
            tracker, number = MAKERS[kind](followed)
            if followed.known is None and not (kind == "tensorboard" and first_step):
                _tell_settings(tracker, config, simple(settings))
        except Exception as error:  # whatever those packages raise: theirs is not our hierarchy
            raise UserError(
                f"the tracker {kind} did not start ({type(error).__name__}: {_without_secrets(error)}); see to its "
                "server or key, use its offline mode, or leave it out of tracking.log_with"
            ) from error
        trackers.append(_steady(tracker))
        ids |= {kind: number} if number else {}
    if ids:
        write_json(folder / IDS_FILE, ids)
    return trackers


def stop_trackers(accelerator: Accelerator) -> None:
    """They write down what they hold; nothing is logged any more."""
    for tracker in accelerator.trackers:
        tracker.finish()
    accelerator.trackers = []


def read_ids(folder: Path) -> dict[str, str]:
    """Numbers of the run with the trackers that gave it one."""
    file = folder / IDS_FILE
    return read_saved(file, "delete it; trackers then begin a new run", mapping(text)) if file.is_file() else {}


def simple(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Values as every tracker takes them, without addresses that the command was given."""
    plain = (bool, int, float, str)
    return {
        key: GIVEN.redacted(str(value)) if isinstance(value, str) or not isinstance(value, plain) else value
        for key, value in settings.items()
    }


def _tell_settings(tracker: GeneralTracker, config: TrackingConfig, settings: dict[str, Any]) -> None:
    if tracker.name != "tensorboard":
        tracker.store_init_configuration(settings)
        return
    # as a text: its own way of storing them is a folder more, with one line of hyper-parameters
    rows = [f"| {key} | {value} |" for key, value in {**settings, "tags": ", ".join(config.tags)}.items()]
    tracker.log({"settings": "\n".join(["| setting | value |", "|---|---|", *rows])}, step=0)


def _tensorboard(run: Followed) -> tuple[GeneralTracker, str | None]:
    from accelerate.tracking import TensorBoardTracker

    # what was logged past the step that the run goes on from is hidden
    tracker = TensorBoardTracker(run_name="tensorboard", logging_dir=str(run.folder), purge_step=run.first_step + 1)
    tracker.start()
    return tracker, None


def _wandb(run: Followed) -> tuple[GeneralTracker, str | None]:
    from accelerate.tracking import WandBTracker

    number = run.known or uuid.uuid4().hex
    tracker = WandBTracker(
        run.project, name=run.name, tags=list(run.tags), id=number, resume="allow", dir=str(run.folder)
    )
    tracker.start()
    return tracker, number


def _mlflow(run: Followed) -> tuple[GeneralTracker, str | None]:
    from accelerate.tracking import MLflowTracker

    tracker = MLflowTracker(
        run.project, run_id=run.known, run_name=run.name, tags={f"tag.{tag}": tag for tag in run.tags}
    )
    tracker.start()
    return tracker, tracker.tracker.info.run_id


def _comet_ml(run: Followed) -> tuple[GeneralTracker, str | None]:
    import comet_ml
    from accelerate.tracking import CometMLTracker

    number = run.known or uuid.uuid4().hex
    described = comet_ml.ExperimentConfig(name=run.name, tags=list(run.tags))
    tracker = CometMLTracker(run.project, experiment_key=number, mode="get_or_create", experiment_config=described)
    tracker.start()
    return tracker, number


def _aim(run: Followed) -> tuple[GeneralTracker, str | None]:
    from accelerate.tracking import AimTracker

    tracker = AimTracker(run.name, ".", experiment=run.project, run_hash=run.known)
    tracker.start()
    for tag in run.tags:
        tracker.tracker.add_tag(tag)
    return tracker, tracker.tracker.hash


def _clearml(run: Followed) -> tuple[GeneralTracker, str | None]:
    from accelerate.tracking import ClearMLTracker

    tracker = ClearMLTracker(
        run.name,
        project_name=run.project,
        task_name=run.name,
        tags=list(run.tags),
        continue_last_task=run.known or False,
        reuse_last_task_id=False,
        auto_connect_frameworks=False,
        auto_connect_arg_parser=False,  # it would take the command line, addresses in it too
    )
    tracker.start()
    return tracker, tracker.tracker.id


def _dvclive(run: Followed) -> tuple[GeneralTracker, str | None]:
    from accelerate.tracking import DVCLiveTracker

    tracker = DVCLiveTracker(
        dir=str(run.folder / "dvclive"), resume=run.first_step > 0, report=None, save_dvc_exp=False, dvcyaml=None
    )
    tracker.start()
    return tracker, None


MAKERS: dict[str, Callable[[Followed], tuple[Any, str | None]]] = {
    "tensorboard": _tensorboard, "wandb": _wandb, "mlflow": _mlflow, "comet_ml": _comet_ml, "aim": _aim,
    "clearml": _clearml, "dvclive": _dvclive,
}  # fmt: skip
"""Name -> what starts it: the tracker, and the run's number there, if it has one."""


def _steady(tracker: Any) -> Any:
    """The tracker, whose failures from now on are told once and end nothing: a server may be away for a while."""
    told: set[str] = set()

    def guarded(method: Callable[..., Any]) -> Callable[..., Any]:
        def call(*arguments: Any, **more: Any) -> None:
            try:
                method(*arguments, **more)
            except Exception as error:
                if (reason := type(error).__name__) not in told:
                    told.add(reason)
                    logger.warning(
                        "the tracker %s failed (%s: %s); the run goes on, and log.jsonl has everything",
                        *(tracker.name, reason, _without_secrets(error)),
                    )

        return call

    tracker.log, tracker.finish = guarded(tracker.log), guarded(tracker.finish)
    return tracker


def _without_secrets(error: BaseException) -> str:
    """The first line of an error, without the values of variables that hold keys or addresses."""
    lines = str(error).strip().splitlines()
    line = GIVEN.redacted(lines[0]) if lines else ""
    for name, value in os.environ.items():
        if len(value) >= 6 and _SECRET.search(name.upper()):
            line = line.replace(value, f"${name}")
    return line[:300]
