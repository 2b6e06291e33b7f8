"""ONNX files from outside: what stands in them is looked at before onnxruntime reads them.

Limits: one protobuf message of 2 GiB; weights beside the file lie in its folder, are regular files, and have at most
`MOST_EXTERNAL_BYTES` together. onnxruntime runs operators that it knows, no code of the file.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pretrain.errors import UserError
from pretrain.files import sha256_of
from pretrain.reading import Unreadable, own_file, require_regular
from pretrain.weight_files import refuse_other_content

MOST_BYTES = (1 << 31) - 1
MOST_EXTERNAL_BYTES = 32 << 30
MOST_NODES = 1_000_000


@dataclass(frozen=True, kw_only=True)
class OnnxTensor:
    """An input or output of a network."""

    name: str
    type: str
    """As onnxruntime says it: `tensor(float)`."""
    shape: tuple[int | None, ...]
    """None where the file leaves a dimension open."""

    def words(self) -> str:
        """For messages: `'clips' tensor(float) (?, 3, 8, 64, 96)`."""
        sizes = ", ".join("?" if size is None else str(size) for size in self.shape)
        return f"'{self.name[:80]}' {self.type} ({sizes})"


@dataclass(frozen=True, kw_only=True, eq=False)
class OnnxFile:
    """A network that can be run."""

    path: Path
    session: Any
    """onnxruntime's."""
    inputs: tuple[OnnxTensor, ...]
    outputs: tuple[OnnxTensor, ...]
    metadata: dict[str, str]
    strides: tuple[tuple[int, ...], ...]
    """Of its convolutions and poolings."""
    external: tuple[str, ...]
    """Names of the files in its folder that hold weights."""
    sha256: str
    """Of the file and of those."""


def open_onnx(path: Path, threads: int) -> OnnxFile:
    """Open a network to run it on the CPU with so many threads.

    UserError: no such file, none of ONNX, too large, weights outside its folder, operators that onnxruntime lacks,
    packages that are not installed.
    """
    onnx, onnxruntime = _packages()
    if not path.is_file():
        raise UserError(f"there is no ONNX file {path}; give onnx/FILE.onnx")
    model = _read(onnx, path)
    external = _external_files(onnx, model, path)
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    options.intra_op_num_threads = threads
    try:
        session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    except Exception as error:  # the library's own, of many kinds
        raise UserError(
            f"onnxruntime cannot run {path} ({_in_a_line(error)}); export it again, with standard operators"
        ) from error
    return OnnxFile(
        path=path,
        session=session,
        inputs=tuple(_tensor(each) for each in session.get_inputs()),
        outputs=tuple(_tensor(each) for each in session.get_outputs()),
        metadata=dict(session.get_modelmeta().custom_metadata_map),
        strides=tuple(_strides(model.graph)),
        external=external,
        sha256=_hash(path, external),
    )


def _read(onnx: Any, path: Path) -> Any:
    """The message without weights that lie beside it."""
    try:
        require_regular(path, MOST_BYTES)
        model = onnx.load(str(path), load_external_data=False)
    except Unreadable as error:
        raise UserError(f"{path} cannot be used: {error}; an ONNX file is one message of less than 2 GiB") from error
    except Exception as error:
        refuse_other_content(path, "a network")
        raise UserError(f"{path} is no readable ONNX file ({_in_a_line(error)}); copy it again") from error
    if not model.graph.node or len(model.graph.node) > MOST_NODES:
        refuse_other_content(path, "a network")
        raise UserError(
            f"{path} is no usable ONNX file: it has {len(model.graph.node):,} operators, not 1 to {MOST_NODES:,}"
        )
    return model


def _external_files(onnx: Any, model: Any, path: Path) -> tuple[str, ...]:
    names: dict[str, int] = {}
    graphs = [model.graph, *model.functions]
    for tensor in (tensor for graph in graphs for tensor in _tensors(graph)):
        if tensor.data_location != onnx.TensorProto.EXTERNAL:
            continue
        location = next((entry.value for entry in tensor.external_data if entry.key == "location"), "")
        if location in names:
            continue
        file = own_file(path.parent, location, f"the weights of {path}")
        try:
            names[location] = require_regular(file)
        except Unreadable as error:
            raise UserError(f"{path} keeps weights in {file}, which cannot be read ({error}); copy it too") from error
    if sum(names.values()) > MOST_EXTERNAL_BYTES:
        raise UserError(
            f"{path} keeps {sum(names.values()) / 1e9:.0f} GB of weights beside it, and at most "
            f"{MOST_EXTERNAL_BYTES / 1e9:.0f} GB are read"
        )
    return tuple(sorted(names))


def _tensors(graph: Any) -> Iterator[Any]:
    """Of a graph or a function, and of what is nested in its nodes (protobuf limits the depth)."""
    yield from getattr(graph, "initializer", ())
    for sparse in getattr(graph, "sparse_initializer", ()):
        yield from (sparse.values, sparse.indices)
    for node in graph.node:
        for attribute in node.attribute:
            yield attribute.t
            yield from attribute.tensors
            for sparse in (attribute.sparse_tensor, *attribute.sparse_tensors):
                yield from (sparse.values, sparse.indices)
            for inner in (attribute.g, *attribute.graphs):
                if inner.node:
                    yield from _tensors(inner)


def _strides(graph: Any) -> Iterator[tuple[int, ...]]:
    for node in graph.node:
        for attribute in node.attribute:
            if attribute.name == "strides" and attribute.ints:
                yield tuple(attribute.ints)


def _hash(path: Path, external: tuple[str, ...]) -> str:
    own = sha256_of(path)
    if not external:
        return own
    parts = [own, *(sha256_of(path.parent / name) for name in external)]
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()


def _tensor(value: Any) -> OnnxTensor:
    shape = tuple(size if isinstance(size, int) and size > 0 else None for size in value.shape)
    return OnnxTensor(name=value.name, type=value.type, shape=shape)


def _packages() -> tuple[Any, Any]:
    try:
        import onnx
        import onnxruntime
    except ImportError as error:
        raise UserError(
            f"onnx/FILE needs {error.name}, not installed here: pip install 'anomaly-pretext[onnx]'"
        ) from error
    return onnx, onnxruntime


def _in_a_line(error: Exception) -> str:
    return " ".join(str(error).split())[:300] or type(error).__name__
