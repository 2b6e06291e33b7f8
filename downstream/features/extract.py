"""Extraction of a whole catalogue: shared out over processes, able to go on after a kill, one bad video hurts no other.

status = extract(ExtractConfig(out=Path("features/ours"), encoder=EncoderConfig(backbone="runs/pretrain")))
features, info = extract_video("street.mp4", open_encoder(EncoderConfig(...)), SnippetSettings(), device)
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from contextlib import closing
from datetime import timedelta

import torch
from accelerate import Accelerator
from accelerate.utils import gather_object

from downstream.features.config import EncoderConfig, ExtractConfig
from downstream.features.encoders import Encoder, open_encoder
from downstream.features.pipeline import Encoded, encode_videos, extract_video
from downstream.features.progress import FrameProgress
from downstream.features.set_writer import FeatureWriter
from downstream.features.store import FeatureSet
from pretrain.accelerator import check_device, make_accelerator
from pretrain.backbones.small import SMALL3D_CLIP
from pretrain.cpu import keep_freed_memory
from pretrain.data.bad_videos import quarantine_lines
from pretrain.data.catalogue import Video
from pretrain.data.check import listed_videos
from pretrain.data.remote import is_remote, known_size, plain_addresses
from pretrain.errors import UserError, problem_list
from pretrain.files import write_text
from pretrain.guards import alone_in, main_process_does
from pretrain.names import shown

__all__ = ["ExtractConfig", "extract", "extract_video"]

FAILED_FILE = "failed.txt"
MAX_DECODERS = 8


def extract(config: ExtractConfig) -> int:
    """Make, or go on with, the feature set of a catalogue. Returns the exit status: 1 where a video is missing."""
    keep_freed_memory()
    check_device(config.device, config.encoder.precision)
    videos = listed_videos(config.catalogue, config.split, config.quarantine, "extract features of")
    encoder = open_encoder(config.encoder)
    # the slowest process may be hours behind the others when these wait for it
    accelerator = make_accelerator(config.device, "fp32", timedelta(days=7))
    with alone_in(config.out, accelerator):
        if (note := larger_note(config.encoder, encoder)) and accelerator.is_main_process:
            print(note, flush=True)
        left_out = extract_into(config, encoder, videos, accelerator)
    accelerator.end_training()
    return int(left_out > 0)


def larger_note(config: EncoderConfig, encoder: Encoder) -> str:
    """That small3d can be worth more on larger frames; empty where a size was chosen, and for cells."""
    height, width = encoder.clip.height, encoder.clip.width
    is_small = encoder.name == "small3d" and height * width <= SMALL3D_CLIP.height * SMALL3D_CLIP.width
    if not is_small or encoder.grid is not None or config.height or config.width:
        return ""
    return (
        f"note: frames of {height}x{width}, as in pretraining. Where what matters is small in the picture, --height "
        f"{3 * height} --width {3 * width} can be worth more, for nine times the work (docs/features.md)"
    )


def extract_into(config: ExtractConfig, encoder: Encoder, videos: Sequence[Video], accelerator: Accelerator) -> int:
    """Make the feature set, by all processes together; how many videos it lacks in the end."""
    writer = FeatureWriter(config.out, encoder.spec(config.snippets), config.dtype, config.encoder.as_json())
    pending = [video for video in videos if not writer.has(video.name)]
    # every process must have looked before the first one adds to what is done
    accelerator.wait_for_everyone()
    problems, progress = encode_share(config, encoder, writer, accelerator, pending)
    failed = {name: text for part in gather_object([problems]) for name, text in part.items()}
    frames, seconds = sum(gather_object([progress.frames])), max(gather_object([progress.seconds()]))
    speed = f"{frames} frames now at {frames / max(seconds, 1e-9):.0f} frames/s"

    def end() -> None:
        finish(config, writer, videos, failed)
        print(summary(config, videos, pending, failed, speed), flush=True)

    main_process_does(accelerator, end)
    return len(missing_from(FeatureSet.open(config.out), videos))


def missing_from(features: FeatureSet, videos: Sequence[Video]) -> list[str]:
    """Names of videos that a set lacks."""
    return [video.name for video in videos if video.name not in features.videos]


def encode_share(
    config: ExtractConfig, encoder: Encoder, writer: FeatureWriter, accelerator: Accelerator, pending: Sequence[Video]
) -> tuple[dict[str, str], FrameProgress]:
    """Encode and store this process's share of the videos; what failed and why, and how many frames it took."""
    work = {video.name: length_of(video) for video in pending}
    own = {v.name: v.path for v in share(pending, work, accelerator.process_index, accelerator.num_processes)}
    label = f"extracting, process 1 of {accelerator.num_processes}" if accelerator.num_processes > 1 else "extracting"
    progress = FrameProgress({name: work[name] for name in own}, accelerator.is_main_process, label)
    results = encode_videos(
        list(own.items()),
        encoder,
        config.snippets,
        accelerator.device,
        batch_clips=config.batch_clips,
        decoders=config.decoders or default_decoders(accelerator.device),
        cache=None if config.cache is None else config.cache / "index",
        on_frames=progress.add,
    )
    problems: dict[str, str] = {}
    with closing(results), closing(progress):
        for result in results:
            if result.info is not None and result.info.other_sizes:
                progress.say(f"note: {shown(result.name)}: {result.info.size_note}")
            problem = store(writer, result, encoder).removeprefix(f"{shown(plain_addresses(own[result.name]))}: ")
            if problem:
                problems[result.name] = problem
                progress.say(f"left out: {result.name}: {problem}")
    return problems, progress


def length_of(video: Video) -> float:
    """How long a video is against others, without opening it: bytes on disk, entries of a folder; 1 where unknown."""
    if is_remote(video.path):
        return float(max(1, known_size(video.path) or 1))
    try:
        if os.path.isdir(video.path):
            # an image of a folder weighs about as much as so many bytes of a video
            return 10_000.0 * len(os.listdir(video.path))
        return float(max(1, os.path.getsize(video.path)))
    except OSError:
        return 1.0


def share(videos: Sequence[Video], work: dict[str, float], rank: int, world_size: int) -> list[Video]:
    """This process's videos: the longest first, dealt out in turn, so that all end at about the same time."""
    order = sorted(videos, key=lambda video: (-work[video.name], video.name))
    return order[rank::world_size]


def default_decoders(device: torch.device) -> int:
    """Decoding threads of one process."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    cores //= int(os.environ.get("LOCAL_WORLD_SIZE", "1"))
    return max(1, min(MAX_DECODERS, cores - (device.type == "cpu")))


def store(writer: FeatureWriter, result: Encoded, encoder: Encoder) -> str:
    """Add one video's features to the set; why it is left out, or an empty string."""
    if result.problem is not None:
        return str(result.problem)
    assert result.features is not None
    assert result.info is not None
    info = result.info
    try:
        writer.add(
            result.name,
            result.features,
            frames=info.num_frames,
            fps=info.fps,
            size=(info.width, info.height),
            seen=encoder.seen(info),
        )
    except UserError as error:  # not finite, or too large for float16
        return str(error)
    return ""


def finish(
    config: ExtractConfig,
    writer: FeatureWriter,
    videos: Sequence[Video],
    failed: dict[str, str],
) -> None:
    """Write the list of failed videos, and join the rest in the catalogue's order."""
    head = f"# Videos left out of {shown(config.out.name)}. One per line: name, tab, reason.\n"
    write_text(config.out / FAILED_FILE, head + quarantine_lines(failed))
    writer.finish([video.name for video in videos])


def summary(
    config: ExtractConfig, videos: Sequence[Video], pending: Sequence[Video], failed: dict[str, str], speed: str
) -> str:
    """What there is now, what failed, and what to do about it."""
    features = FeatureSet.open(config.out)
    stored = [features.videos[video.name] for video in videos if video.name in features.videos]
    spec = features.spec
    size = sum(path.stat().st_size for path in config.out.glob("features-*.npy"))
    lines = []
    if lost := [name for name in missing_from(features, videos) if name not in failed]:
        lines.append(
            f"{len(lost)} of {len(videos)} videos are not in the set though none of them failed: something else "
            f"changed {config.out} meanwhile; run the same command again:\n{problem_list(lost)}"
        )
    if failed:
        lines.append(
            f"{len(failed)} of {len(videos)} videos failed and are left out, see {config.out / FAILED_FILE}; mend them "
            "and run again, or give the list as --quarantine"
        )
    if len(failed) > config.max_bad_fraction * len(videos):
        lines.append(
            f"WARNING: {len(failed) / len(videos):.0%} of the videos failed, more than max_bad_fraction = "
            f"{config.max_bad_fraction:g}: this feature set is not the dataset"
        )
    before = f" ({len(videos) - len(pending)} done before)" if len(pending) < len(videos) else ""
    all_there = len(stored) == len(videos)
    counted = f"done: {len(videos)} videos" if all_there else f"incomplete: {len(stored)} of {len(videos)} videos"
    lines.append(
        f"{counted}{before}, {sum(video.snippets for video in stored)} snippets x "
        f"{spec.crops_or_cells} {'crop(s)' if spec.grid is None else 'cells'} x {spec.dim}; {speed}; "
        f"{size / 1e6:.1f} MB in {config.out}"
    )
    return "\n".join(lines)
