"""Whatever form an address has, no part of a secret in it is shown: 70 forms, most of them seen in reports."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from pretrain.addresses import GIVEN, Concealed, address_label, may_be_address, redacted_threads, shown
from pretrain.cli import parse, run_command
from pretrain.errors import UserError

SECRET = "S3cr3tPwd"
FORMS = [
    *(f"{scheme}://admin:{SECRET}@10.0.0.7:554/ch1" for scheme in ("rtsp", "RTSP", "rtsps", "http", "tcp", "udp", "x")),
    f"rtsp://{SECRET}@10.0.0.7/ch1",
    f"rtsp://:{SECRET}@10.0.0.7/ch1",
    f"rtsp://ad%40min:{SECRET}%40x@10.0.0.7/ch1",
    f"rtsp://admin:{SECRET}@x@10.0.0.7/ch1",
    *(f"rtsp://admin:{SECRET}{sign}x@10.0.0.7/ch1" for sign in "/?#\\;&= :"),
    *(f"rtsp://admin:x{sign}{SECRET}@10.0.0.7/ch1" for sign in "/?#\\;&= :@"),
    f"rtsp://admin:x@{SECRET}/y@10.0.0.7/ch1",
    f"rtsp://admin:{SECRET}",
    f"rtsp://admin:{SECRET}/ch1",
    f"rtsp://10.0.0.7:{SECRET}/ch1",
    f"rtsp://10.0.0.7/{SECRET}",
    f"rtsp://10.0.0.7/live/{SECRET}/1",
    f"rtsp://10.0.0.7/user=admin_password={SECRET}_channel=1_stream=0.sdp?real_stream",
    f"rtsp://10.0.0.7:554/user=admin&password={SECRET}&channel=1&stream=0.sdp",
    f"rtsp://10.0.0.7/h264?username=admin&password={SECRET}",
    f"http://10.0.0.7/videostream.cgi?loginuse=admin&loginpas={SECRET}",
    f"http://10.0.0.7/cgi;user=a;pwd={SECRET}",
    f"http://10.0.0.7/v?x={SECRET}",
    f"http://10.0.0.7/v?{SECRET}",
    f"http://10.0.0.7/v?a=1;k={SECRET}",
    f"http://10.0.0.7?k={SECRET}",
    f"http://10.0.0.7/v#{SECRET}",
    f"http://10.0.0.7#{SECRET}",
    f"http://10.0.0.7/v?mail=a@{SECRET}",
    f"http://[fe80::1]:80/{SECRET}",
    f"http://admin:{SECRET}@[fe80::1]/v",
    f"https://chat.example/services/T0/B1/{SECRET}",
    f"rtsp:/admin:{SECRET}@10.0.0.7/ch1",
    f"rtsp:admin:{SECRET}@10.0.0.7/ch1",
    f"rtsp//admin:{SECRET}@10.0.0.7/ch1",
    f"rtsp:///admin:{SECRET}@10.0.0.7/ch1",
    f"rtsp:\\\\admin:{SECRET}@10.0.0.7\\ch1",
    f"rtsp;//admin:{SECRET}@10.0.0.7/ch1",
    f"rtsp: //admin:{SECRET}@10.0.0.7/ch1",
    f" rtsp://admin:{SECRET}@10.0.0.7/ch1",
    f"\trtsp://admin:{SECRET}@10.0.0.7/ch1\n",
    f"'rtsp://admin:{SECRET}@10.0.0.7/ch1'",
    f"<rtsp://admin:{SECRET}@10.0.0.7/ch1>",
    f"url=rtsp://admin:{SECRET}@10.0.0.7/ch1",
    f"//admin:{SECRET}@10.0.0.7/ch1",
    f"admin:{SECRET}@10.0.0.7/ch1",
    f"{SECRET}@10.0.0.7",
    f"10.0.0.7:554/{SECRET}",
    f"10.0.0.7/live/{SECRET}",
    f"chat.example/services/{SECRET}",
    f"10.0.0.7/user=admin&password={SECRET}",
    f"admin:{SECRET}@rtsp://10.0.0.7/ch1",
    f"http:/chat.example/services/{SECRET}",
    f"rtsp://admin:{SECRET}@",
    f"rtsp://admin:{SECRET}@/ch1",
    f"rtsp://@{SECRET}:x/",
]
DIGITS = [
    "rtsp://admin:918273@10.0.0.7/1",
    "rtsp://admin:91827",
    "rtsp://admin:91827/ch1",
    "rtsp://admin:918273/6@10.0.0.7/1",
    "rtsp://admin:1/918273@10.0.0.7/1",
    "rtsp://10.0.0.7/918273",
]


@pytest.mark.parametrize("text", FORMS)
def test_no_form_shows_its_secret(text: str) -> None:
    label = shown(text)
    assert SECRET.lower() not in label.lower()
    assert "admin" not in label or label == "rtsp://admin"
    assert address_label(label) == label or "://" not in label
    assert len(label.splitlines()) == 1


@pytest.mark.parametrize("text", DIGITS)
def test_passwords_of_digits_are_no_port(text: str) -> None:
    assert "9182" not in shown(text)


@pytest.mark.parametrize(
    ("text", "begin"),
    [
        ("rtsp://10.0.0.7:554/ch1", "rtsp://10.0.0.7:554/~"),
        ("RTSP://u:p@Cam-3.example:8554/ch1", "rtsp://Cam-3.example:8554/~"),
        ("rtsp://u:p@cam:8554/ch1", "rtsp://cam:8554/~"),
        ("rtsp://u:p@[fe80::1]:554/ch1", "rtsp://[fe80::1]:554/~"),
        ("http://localhost:80/v", "http://localhost:80/~"),
        ("http://cam/v", "http://cam/~"),
        ("rtsp:/admin:x@cam/1", "rtsp:~"),
        ("admin:x@cam/1", "address~"),
    ],
)
def test_what_is_safe_is_shown(text: str, begin: str) -> None:
    label = shown(text)
    assert label.startswith(begin)
    assert len(label) == len(begin) + 6


def test_labels_tell_streams_apart_and_keep_when_a_password_changes() -> None:
    labels = {address_label(f"rtsp://u:p@cam/ch{n}") for n in range(8)}
    assert len(labels) == 8
    assert address_label("rtsp://u:other@cam/ch1") in labels
    assert address_label("rtsp://cam") == address_label("rtsp://u:p@cam/") == "rtsp://cam"


def test_paths_are_no_addresses(tmp_path: Path) -> None:
    for path in ("a.mp4", "videos/day 1/a.mp4", "/data/x.y/a.mp4", "../a", ".", "C.mp4", "a-b_c.avi"):
        assert shown(path) == path
    odd = tmp_path / "10:30 a@b?=;#.mp4"
    assert may_be_address(str(odd))
    odd.touch()
    assert shown(str(odd)) == str(odd)


@dataclass(frozen=True)
class Hook:
    url: str | None = None
    rate: float = 1.0


@dataclass(frozen=True)
class Options:
    inputs: tuple[str, ...] = ()
    out: Path = Path("out")
    hook: Hook = field(default_factory=Hook)


def test_what_is_given_arrives_whatever_it_looks_like() -> None:
    for text in FORMS:
        given = ["--inputs", text, "a.mp4", "--out", text, f"--hook.url={text}"]
        if text.startswith("-"):
            continue
        assert parse(Options, given, "x") == Options((text, "a.mp4"), Path(text), Hook(text))


@pytest.mark.parametrize("flags", [["--hook.rate", "{}"], ["--hook.ur={}"], ["--hook.ur", "{}"], ["{}"], ["--x{}"]])
def test_errors_of_flags_repeat_no_address(flags: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    for text in FORMS[::7]:
        with pytest.raises(SystemExit):
            run_command(lambda text=text: print(parse(Options, [f.format(text) for f in flags], "x")))  # type: ignore[misc]
        said = capsys.readouterr()
        assert said.err
        assert SECRET not in "".join((said.out + said.err).split())


@pytest.mark.parametrize("text", FORMS)
def test_messages_and_tracebacks_repeat_no_address(text: str, capsys: pytest.CaptureFixture[str]) -> None:
    def command(error: type[Exception]) -> None:
        config = parse(Options, ["--inputs", text], "x")
        thread = threading.Thread(target=lambda: int(config.inputs[0]))
        thread.start()
        thread.join()
        raise error(f"cannot open {config.inputs[0]!r}, {Path(config.inputs[0])}: {config.inputs}")

    for error, status in ((UserError, 2), (RuntimeError, 1)):
        with pytest.raises(SystemExit) as left:
            run_command(lambda error=error: command(error))  # type: ignore[misc]
        said = capsys.readouterr().err
        assert left.value.code == status
        assert "cannot open" in said
        assert SECRET not in said
    assert "Traceback" in said


def test_an_error_in_a_thread_is_printed_as_ever(capsys: pytest.CaptureFixture[str]) -> None:
    GIVEN.forget()
    with redacted_threads():
        thread = threading.Thread(target=lambda: int("no number"))
        thread.start()
        thread.join()
    assert "invalid literal for int() with base 10: 'no number'" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("toy=/no/such/folder", "toy=/no/such/folder"),
        ("soft=--optim.lr=0.1 --seeds 1", "soft=--optim.lr=0.1 --seeds 1"),
        ("--optim.lr=0.1", "--optim.lr=0.1"),
        ("--detector", "--detector"),
    ],
)
def test_names_and_flags_are_no_addresses(given: str, expected: str) -> None:
    assert Concealed().arguments([given]) == [expected]


@pytest.mark.parametrize(
    "given", ["cam=rtsp://me:hidden@cam/1", "--url=rtsp://me:hidden@cam/1", "me=hidden@cam/1", "-x@hidden"]
)
def test_an_address_behind_a_name_is_one(given: str) -> None:
    assert "hidden" not in Concealed().arguments([given])[0]
