"""The configuration of an ablation: fine-tuning's own settings, and the grid over them."""

from __future__ import annotations

import re
import shlex
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, NamedTuple, get_args

import tyro

from downstream.detector.loss_config import DEFAULT_BASES, DEFAULT_GRID, TERM_NAMES, BaseName
from downstream.evaluation.settings import EvaluationSettings
from downstream.training.config import FinetuneConfig
from pretrain.cli import flags_of, parse
from pretrain.errors import UserError, nearest
from pretrain.file_keys import check_keys
from pretrain.yaml_file import read_configuration

SWITCHED = DEFAULT_GRID
"""Terms that are the grid's alone: off in a cell that does not name them. The others then are as configured."""
COMBINATIONS = {"base": (), **{name: (name,) for name in (*SWITCHED, *TERM_NAMES)}, "all": SWITCHED}
"""What `terms` may name -> the terms that are on; several are joined with `+`."""
LEAST_PARTS = 2
"""Of a search: with one, nothing says how far a difference can be trusted."""
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.+-]*")
COMPARABLE = (
    *("frame_auc", "frame_ap", "abnormal_auc", "abnormal_ap", "per_video_auc", "video_auc"),
    *("pixel_auc", "pointing"),  # of where: features of cells, test videos with boxes
)
"""Names of `evaluation.metrics.METRICS`."""


def _own_finetuning() -> FinetuneConfig:
    # metrics that no column shows are left out: events and recalls cost most of an evaluation
    evaluation = EvaluationSettings(max_fpr=(), iou=(), max_alarms_per_hour=())
    return FinetuneConfig(output=Path("runs/ablation"), seeds=(0, 1, 2, 3, 4), plots=False, evaluation=evaluation)


@dataclass(frozen=True, kw_only=True)
class AblationConfig:
    """Fine-tune every combination of feature sets, bases and terms, with several seeds each; compare them in one table.

    Every setting of scripts/finetune.py is a flag here too and holds for all cells. Run the same command again to go on
    after a stop: what is done stays. Test videos are scored by detectors that validation videos selected.

        python scripts/ablate.py configs/ucf_crime_ablation.yaml
        python scripts/ablate.py configs/ucf_crime_ablation.yaml --bases topk_bce --terms base all --seeds 0 1 2

    In YAML, feature sets and variants may be written as keys and values:

        feature_sets: {i3d: feat/i3d, i3d+clip: [feat/i3d, feat/clip]}
        variants:
          smooth: [--objective.smoothness.weight, "8e-5"]
          "all:no_memory": {objective: {cross_batch_clustering: {memory: 0}}}
    """

    finetune: Annotated[FinetuneConfig, tyro.conf.arg(name="")] = field(default_factory=_own_finetuning)
    bases: tuple[BaseName, ...] = DEFAULT_BASES
    """Losses that every combination stands on."""
    terms: tuple[str, ...] = ("base", *SWITCHED, "all")
    """Combinations of terms on each base: base (none), a term of `objective`, several joined with `+`, or all, which is
    hard_mining, contrastive_clustering and cross_batch_clustering together. A term that is on has its weight of
    `objective`, or where that is 0 the one in docs/detectors.md. Of those three the others are off; smoothness,
    sparsity, spatial_smoothness and entropy stay as `objective` has them."""
    feature_sets: tuple[str, ...] = ()
    """NAME=FOLDER, or NAME=FOLDER,FOLDER for a fusion. Default: features.sets alone."""
    variants: tuple[str, ...] = ()
    """NAME=FLAGS: one more cell on each base, without terms, with these flags of fine-tuning on top. TERMS:NAME=FLAGS
    stands on that combination of terms instead, BASE:NAME=FLAGS (without terms) on that base alone."""
    search: int = 0
    """Choose among the cells before any test video is looked at: so many times, `validation_fraction` of the training
    videos is held out by whole groups and every cell is trained on the rest. The one that tells the held-out videos
    apart best is then trained on all training videos beside the plain base, and these two alone are scored on test
    videos. 0: no search, all cells are."""
    workers: int | None = None
    """Runs at a time, one process each; default: one a core, or `per_gpu` a GPU."""
    per_gpu: int = 1
    """Runs that share a GPU."""
    compare: tuple[str, ...] = ("frame_auc",)
    """Metrics whose difference to the same base without terms has a column; ablation.json and .csv hold all.
    pixel_auc and pointing are known of features of cells where the test videos have boxes."""

    def __post_init__(self) -> None:
        for name in ("workers", "per_gpu"):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise UserError(f"{name} is {value}; it must be at least 1")
        if self.search and self.search < LEAST_PARTS:
            raise UserError(
                f"search is {self.search}; it must be 0 (none) or at least {LEAST_PARTS}, so that there is more than "
                "one opinion"
            )
        if self.finetune.videos.backbone is not None:
            raise UserError(
                "videos.backbone is set; ablations run on stored features: leave it out, and make the features with "
                "scripts/extract_features.py"
            )
        if self.finetune.ceiling:
            raise UserError(
                "ceiling is on; an ablation compares losses, and a ceiling takes no account of them: train it with "
                "scripts/finetune.py, and compare it with scripts/evaluate.py"
            )
        for name in ("bases", "terms", "compare"):
            values = getattr(self, name)
            if len(set(values)) < len(values) or (not values and name != "compare"):
                raise UserError(f"{name} are {list(values)}; give {'one or more, ' * (name != 'compare')}each once")
        for metric in self.compare:
            if metric not in COMPARABLE:
                raise UserError(f"compare: {metric!r}{nearest(metric, COMPARABLE)} (known: {', '.join(COMPARABLE)})")
        for name in self.terms:
            terms_of(name)
        named_features(self)
        named_variants(self)


def terms_of(name: str) -> tuple[str, ...]:
    """`hard_mining+contrastive_clustering` -> the names of the terms that are on. UserError for an unknown one."""
    if name in COMBINATIONS:
        return COMBINATIONS[name]
    terms = name.split("+")
    if unknown := [term for term in terms if term not in TERM_NAMES]:
        known = ", ".join(COMBINATIONS)
        raise UserError(f"terms: {unknown[0]!r}{nearest(unknown[0], COMBINATIONS)} (known: {known}, joined with '+')")
    if len(set(terms)) < len(terms):
        raise UserError(f"terms: {name!r} names a term twice")
    return tuple(terms)


def named_features(config: AblationConfig) -> dict[str, tuple[Path, ...]]:
    """Name -> folders of each feature set of the grid. UserError for a bad or doubled name."""
    if not config.feature_sets:
        sets = config.finetune.features.sets
        if not sets:
            raise UserError("no features were given: set feature_sets to NAME=FOLDER, or features.sets to a folder")
        name = re.sub(r"[^A-Za-z0-9_.+-]", "_", "+".join(folder.name for folder in sets)).lstrip("_.+-")
        return {name or "features": sets}
    named = {name: text.split(",") for name, text in _pairs("feature_sets", config.feature_sets, "FOLDER")}
    if empty := [name for name, folders in named.items() if not all(folders)]:
        raise UserError(f"feature_sets: {empty[0]!r} has an empty folder name; write NAME=FOLDER,FOLDER")
    return {name: tuple(map(Path, folders)) for name, folders in named.items()}


class Variant(NamedTuple):
    """One more cell on each of some bases."""

    bases: tuple[BaseName, ...]
    terms: str
    name: str
    flags: list[str]


def named_variants(config: AblationConfig) -> list[Variant]:
    """UserError for a bad or doubled name, unknown terms, or a base that is not in the grid."""
    variants = []
    for key, text in _pairs("variants", config.variants, "FLAGS"):
        above, _, name = key.rpartition(":")
        only = above in get_args(BaseName)
        bases = tuple(base for base in config.bases if base == above or not only)
        if not bases:
            raise UserError(
                f"variants: {key!r} stands on {above}, and bases are {', '.join(config.bases)}; add it there, or leave "
                "the variant out"
            )
        terms = "base" if only or not above else above
        terms_of(terms)
        try:
            variants.append(Variant(bases, terms, name, shlex.split(text)))
        except ValueError as error:
            raise UserError(f"variants: the flags of {key!r} cannot be read ({error}): {text}") from error
    return variants


def _pairs(what: str, texts: Sequence[str], value: str) -> list[tuple[str, str]]:
    """(name, value) of each `NAME=VALUE`; `value` is how a message calls it."""
    pairs: list[tuple[str, str]] = []
    for whole in texts:
        name, separator, text = whole.partition("=")
        plain = name.rpartition(":")[2] if what == "variants" else name
        if not separator or not NAME.fullmatch(plain):
            raise UserError(f"{what}: {whole!r} is not NAME={value}; a name has letters, digits, '_', '-', '.' and '+'")
        if name in (known for known, _ in pairs):
            raise UserError(f"{what}: {name!r} stands twice; give each a name of its own")
        pairs.append((name, text.strip()))
    return pairs


def read_config(arguments: Sequence[str], prog: str) -> AblationConfig:
    """The configuration of a command line `[FILE.yaml ...] [--flag value ...]`."""
    flags: list[str] = []
    rest = list(arguments)
    while rest and rest[0].endswith((".yaml", ".yml")):
        flags += grid_flags(Path(rest.pop(0)), prog)
    return parse(AblationConfig, flags + rest, prog)


def grid_flags(path: Path, prog: str) -> list[str]:
    """The flags of a YAML file in which feature_sets and variants may be mappings. UserError: other keys."""
    values = read_configuration(path)
    sets, variants = values.get("feature_sets"), values.get("variants")
    if isinstance(sets, dict):
        values["feature_sets"] = [
            f"{name}={','.join(map(str, folders if isinstance(folders, list) else [folders]))}"
            for name, folders in sets.items()
        ]
    if isinstance(variants, dict):
        values["variants"] = [f"{name}={_flag_text(flags)}" for name, flags in variants.items()]
    check_keys(values, AblationConfig, prog, path)
    return flags_of(values)


def _flag_text(flags: Any) -> str:
    """A variant's flags: text, a list of them, or nested keys as in any configuration file."""
    if isinstance(flags, dict):
        return shlex.join(flags_of(flags))
    return shlex.join(map(str, flags)) if isinstance(flags, list) else str(flags or "")
