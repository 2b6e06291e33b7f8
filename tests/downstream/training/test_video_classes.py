from __future__ import annotations

from downstream.training.video_classes import class_names, class_targets, describe_classes
from pretrain.data.catalogue import Video


def video(name: str, label: int, class_name: str | None = None) -> Video:
    return Video(name, f"{name}.mp4", label, "train", class_name)


def test_classes_of_the_catalogue_several_at_once_and_unnamed_ones() -> None:
    videos = [
        video("a", 1, "Riot+Abuse"),
        video("b", 0, "Normal"),
        video("c", 1),
        video("d", 1, "Abuse"),
        video("e", 0),
    ]
    names = class_names(videos)
    assert names == ("normal", "Abuse", "Riot", "unnamed")
    assert class_targets(videos, names).tolist() == [
        [0, 1, 1, 0],
        [1, 0, 0, 0],
        [0, 0, 0, 1],
        [0, 1, 0, 0],
        [1, 0, 0, 0],
    ]
    assert describe_classes(names) == (
        "embeddings of 2 named classes of anomaly and of the normal one, and one of abnormal videos without a class"
    )


def test_without_names_there_are_two_and_it_is_said() -> None:
    names = class_names([video("a", 1), video("b", 0)])
    assert names == ("normal", "unnamed")
    assert "names no class of anomaly" in describe_classes(names)
