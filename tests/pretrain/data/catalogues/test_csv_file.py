from __future__ import annotations

from pathlib import Path

import pytest

from pretrain.data.catalogue import Catalogue, CatalogueConfig, Video
from pretrain.data.catalogues.csv_file import open_csv
from pretrain.errors import UserError


def opened(tmp_path: Path, text: str, **settings: bool) -> Catalogue:
    (tmp_path / "list.csv").write_text(text, encoding="utf-8")
    for name in ("a.mp4", "b.mp4", "sub/c.mp4", "sub/frames/1.jpg"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    return open_csv(CatalogueConfig(kind="csv", root=tmp_path, annotations=tmp_path / "list.csv", **settings))


def test_all_columns(tmp_path: Path) -> None:
    elsewhere = tmp_path / "b.mp4"
    catalogue = opened(
        tmp_path,
        "\ufeffgroup,path,label,split,class_name,name\r\n"
        "cam1,a.mp4,Abnormal,test,Fall,first\r\n\r\n"
        f",{elsewhere},0,,,\r\n"
        'cam1,"sub/c.mp4",normal,train,"Walk, slow",\r\n'
        "cam2,sub/frames/,,,,\r\n",
    )
    assert list(catalogue) == [
        Video("first", str(tmp_path / "a.mp4"), 1, "test", "Fall", "cam1"),
        Video("b", str(elsewhere), 0),
        Video("c", str(tmp_path / "sub/c.mp4"), 0, "train", "Walk, slow", "cam1"),
        Video("frames", str(tmp_path / "sub/frames"), None, "train", None, "cam2"),
    ]


def test_the_path_alone_is_enough(tmp_path: Path) -> None:
    assert list(opened(tmp_path, "path\na.mp4\n")) == [Video("a", str(tmp_path / "a.mp4"))]


def test_unknown_columns_are_named_with_the_nearest(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"unknown column 'lable'; did you mean 'label'.*unknown column 'zzz'"):
        opened(tmp_path, "path,lable,zzz\na.mp4,1,2\n")
    with pytest.raises(UserError, match="there is no column 'path'"):
        opened(tmp_path, "name,label\na,1\n")
    with pytest.raises(UserError, match="column 'path' stands twice"):
        opened(tmp_path, "path,path\na.mp4,b.mp4\n")


def test_every_bad_line_is_listed_with_its_number(tmp_path: Path) -> None:
    bad = ["a.mp4,2,train", "b.mp4,1,val", ",1,train", "b.mp4,1", "sub/lost.mp4,,", "nowhere/x.mp4,,"]
    text = "\n".join(["path,label,split", *bad, "a.mp4,0,", "a.mp4,1,"])
    with pytest.raises(UserError) as error:
        opened(tmp_path, text)
    said = str(error.value)
    assert said.startswith("7 problem(s)")
    assert "list.csv:2: label '2' is none of 0, 1, normal, abnormal or empty" in said
    assert "list.csv:3: split 'val' is neither train nor test" in said
    assert "list.csv:4: the path is empty" in said
    assert "list.csv:5: 2 cells, the header has 3" in said
    assert f"list.csv:6: {tmp_path / 'sub/lost.mp4'} does not exist" in said
    assert f"the folder '{tmp_path / 'nowhere'}' does not exist (1 listed video(s) in it)" in said
    assert f"list.csv:9: two videos named 'a': {tmp_path / 'a.mp4'} (line 8)" in said


def test_ground_truth(tmp_path: Path) -> None:
    catalogue = opened(
        tmp_path,
        "path,label,split,spans,num_frames,fps\n"
        "a.mp4,1,test,300:330 120:180 170:200,450,29.97\n"
        "b.mp4,0,test,,100,\n"
        "sub/c.mp4,,,0:5,,\n",
    )
    a, b, c = catalogue
    assert (a.spans, a.num_frames, a.fps) == (((120, 200), (300, 330)), 450, 29.97)
    assert (b.spans, b.num_frames, b.fps) == ((), 100, None)
    assert (c.spans, c.num_frames) == (((0, 5),), None)


@pytest.mark.parametrize(
    ("cells", "said"),
    [
        ("1,120-180,,", "span '120-180' is not start:end in whole frames, such as 120:180"),
        ("1,1:2:3,,", "span '1:2:3' is not start:end"),
        ("1,1:,,", "span '1:' is not start:end"),
        ("1,5:5,,", r"span \[5, 5\] is not within 0 <= start < end <= inf frames"),
        ("1,5:101,100,", r"span \[5, 101\] is not within 0 <= start < end <= 100 frames"),
        ("0,5:6,,", r"label 0 \(normal\), yet it has anomalous spans"),
        ("1,,0,", "num_frames 0 is not a whole number above 0"),
        ("1,,9.5,", "num_frames '9.5' is not a whole number above 0"),
        ("1,,,nan", "fps nan is not a number above 0"),
        ("1,,,PAL", "fps 'PAL' is not a number above 0"),
    ],
)
def test_ground_truth_is_checked_line_by_line(tmp_path: Path, cells: str, said: str) -> None:
    with pytest.raises(UserError, match=rf"1 problem\(s\).*\n  - list\.csv:3: {said}"):
        opened(tmp_path, f"path,label,spans,num_frames,fps\nb.mp4,,,,\na.mp4,{cells}\n")


def test_unchecked_files_need_not_exist(tmp_path: Path) -> None:
    assert len(opened(tmp_path, "path\nnowhere/x.mp4\n", check_files=False)) == 1


def test_nothing_left_is_an_error(tmp_path: Path) -> None:
    for text in ("path\n", "path\nlost.mp4\n"):
        with pytest.raises(UserError, match="lists no video that is there"):
            opened(tmp_path, text, allow_missing=True)


def test_no_list_and_no_text(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"videos\.csv: No such file.*set annotations to the CSV file"):
        open_csv(CatalogueConfig(kind="csv", root=tmp_path))
    (tmp_path / "videos.csv").write_bytes(b"path\n\xff\xfe.mp4\n")
    with pytest.raises(UserError, match="not CSV text in UTF-8"):
        open_csv(CatalogueConfig(kind="csv", root=tmp_path))


@pytest.mark.parametrize("ends", ["\n", "\r\n"])
@pytest.mark.parametrize("mark", ["", "\ufeff"])
def test_lists_of_spreadsheets(tmp_path: Path, ends: str, mark: str) -> None:
    lines = ["path;label;num_frames;fps;spans", "a.mp4;1.0;450.0;29,97;3.0:9.0", "sub\\c.mp4;0.0;;;"]
    catalogue = opened(tmp_path, mark + "".join(line + ends for line in lines))
    assert catalogue[0] == Video("a", f"{tmp_path}/a.mp4", 1, spans=((3, 9),), num_frames=450, fps=29.97)
    assert catalogue[1] == Video("c", f"{tmp_path}/sub/c.mp4", 0)


def test_a_missing_video_is_told_with_the_nearest_name(tmp_path: Path) -> None:
    (tmp_path / "Normal_Videos_003_x264.mp4").touch()
    with pytest.raises(UserError, match=r"Normal_Videos003_x264\.mp4 does not exist; did you mean 'Normal_Videos_003"):
        opened(tmp_path, "path\nNormal_Videos003_x264.mp4\n")


def test_a_name_in_another_unicode_form_or_other_bytes_is_found(tmp_path: Path) -> None:
    (tmp_path / "cafe\u0301.mp4").touch()
    (tmp_path / "latin\udce9.mp4").touch()
    (tmp_path / "list.csv").write_bytes("path\ncaf\u00e9.mp4\n".encode() + b"latin\xe9.mp4\n")
    videos = open_csv(CatalogueConfig(kind="csv", root=tmp_path, annotations=tmp_path / "list.csv"))
    assert [(video.name, video.path) for video in videos] == [
        ("caf\u00e9", f"{tmp_path}/cafe\u0301.mp4"),
        ("latin\udce9", f"{tmp_path}/latin\udce9.mp4"),
    ]
