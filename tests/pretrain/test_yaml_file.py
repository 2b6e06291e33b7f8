"""YAML: plain values, limited in what they unfold to; whatever else stands there is one message."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from pretrain.errors import UserError
from pretrain.yaml_file import MAX_BYTES, read_configuration, read_yaml


def bomb(line: str) -> str:
    return "a0: &a0 [x, x]\n" + "".join(f"a{n}: &a{n} {line.replace('@', f'*a{n - 1}')}\n" for n in range(1, 40))


def test_values_and_sensible_aliases(tmp_path: Path) -> None:
    file = tmp_path / "a.yaml"
    file.write_text("base: &base {lr: 0.1, steps: 3}\nmine: {<<: *base, steps: 4}\nagain: *base\n")
    assert read_yaml(file)["mine"] == {"lr": 0.1, "steps": 4}
    file.write_text("# nothing\n")
    assert read_yaml(file) == {}


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (bomb("[@, @, @, @]"), "unfolds to more than 10,000 values"),
        (bomb("{k: @, l: @}"), "unfolds to more than 10,000 values"),
        (
            "a0: &a0 {x: 1}\n" + "".join(f"a{n}: &a{n} {{<<: [*a{n - 1}, *a{n - 1}]}}\n" for n in range(1, 40)),
            "unfolds to",
        ),
        ("a: &a [*a]", "deep within one another"),
        ("[" * 5000, "its brackets stand more than 32 deep"),
        ("- " * 100 + "a", "its values stand more than 32 deep"),
        ("a: " + "[" * 100 + "]" * 100, "more than 32 deep"),
        ("a: 2024-13-45", "is not YAML: month must be in 1..12"),
        ("a: !!python/object/apply:os.system [ls]", "is not YAML: could not determine a constructor"),
        ("a: !!int ''", "is not YAML"),
        ("a: !!timestamp x", "is not YAML"),
        ("a: !!bool x", "is not YAML"),
        ("a: " + "9" * 5000, "is not YAML"),
        ("? [a]\n: 1", "is not YAML"),
        ("a: 1\n---\nb: 2", "is not YAML"),
        ("- 1", "holds a list; it must hold"),
        ("a: \x07", "is not YAML"),
        (b"a: \xff", "cannot read the configuration .*can't decode.*give a YAML file in UTF-8"),
        (b"#" * (MAX_BYTES + 1), "at most 131,072 are read"),
    ],
)
def test_what_is_refused_is_refused_at_once(tmp_path: Path, content: str | bytes, words: str) -> None:
    file = tmp_path / "a.yaml"
    file.write_bytes(content if isinstance(content, bytes) else content.encode())
    began = time.process_time()
    with pytest.raises(UserError, match=words):
        read_yaml(file)
    assert time.process_time() - began < 5


def test_only_configurations_are_looked_for_in_what_comes_with_the_program(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for given in ("features.yaml", "configs/features.yaml"):
        assert read_configuration(Path(given))["detector"]
        with pytest.raises(UserError, match="cannot read"):
            read_yaml(Path(given))
    (tmp_path / "features.yaml").write_text("mine: 1")
    assert read_configuration(Path("features.yaml")) == {"mine": 1}
    with pytest.raises(UserError, match=r"no configuration file other/features\.yaml: .*features\.yaml"):
        read_configuration(Path("other/features.yaml"))
