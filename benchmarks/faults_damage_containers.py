"""Seeded damage to files that hold arrays of other programs: HDF5, MATLAB, PyTorch, and networks in ONNX.

The file is whole and of its kind; what it holds is not what was expected. Libraries are imported where they are used:
a reader of such files is tried only where they are installed.
"""

from __future__ import annotations

import io
from collections.abc import Callable
from typing import Any

import numpy as np
import torch

from benchmarks.faults_damage_arrays import other_array, strange_values
from benchmarks.faults_damage_text import Damage, Rng, Ways

HUGE = 1 << 33
DATED = 116
"""Bytes of a MATLAB file that say when it was written."""


def where_it_can(damage: Damage) -> Damage:
    """Content that the damage cannot be done to is left alone: `mutate` then tries another way."""

    def tried(content: bytes, rng: Rng) -> bytes:
        try:
            return damage(content, rng)
        except Exception:  # the libraries' own, of values that their format has no place for
            return content

    return tried


def changed(array: np.ndarray, rng: Rng) -> np.ndarray:
    """Other values, or another shape or type."""
    return strange_values(array, rng) if rng.integers(3) == 0 else other_array(array, rng)


# -- HDF5 -----------------------------------------------------------------------------------------------------------


def in_hdf5(change: Callable[[Any, str, Rng], None]) -> Damage:
    """One array of the file changed in its place: `change` gets the file, the array's name, and the generator."""

    def damage(content: bytes, rng: Rng) -> bytes:
        import h5py

        buffer, names = io.BytesIO(content), list[str]()
        with h5py.File(buffer, "r+") as file:
            file.visititems(lambda name, item: names.append(name) if isinstance(item, h5py.Dataset) else None)
            change(file, names[int(rng.integers(len(names)))], rng)
        return buffer.getvalue()

    return where_it_can(damage)


def hdf5_array(file: Any, name: str, rng: Rng) -> None:
    """Another array under its name."""
    array = changed(file[name][()], rng)
    del file[name]
    file[name] = array


def hdf5_link(file: Any, name: str, rng: Rng) -> None:
    """A link in its place: to itself, to nothing, to other files, to the group that it lies in."""
    import h5py

    links = [
        *(h5py.SoftLink(f"/{name}"), h5py.SoftLink("/nowhere"), h5py.ExternalLink("other.h5", "/x")),
        *(h5py.ExternalLink("/dev/zero", "/x"), h5py.ExternalLink("/etc/passwd", "/"), file[name].parent),
    ]
    del file[name]
    file[name] = links[int(rng.integers(len(links)))]


def hdf5_promise(file: Any, name: str, rng: Rng) -> None:
    """Numbers that are nowhere stored, or elsewhere; or no numbers at all."""
    del file[name]
    which = int(rng.integers(5))
    if which == 0:
        file.create_dataset(name, (HUGE, 64), "f4", chunks=(1024, 64))
    elif which == 1:
        file.create_dataset(name, (HUGE, 64), "f4", chunks=(1024, 64), compression="gzip")[0] = 1.0
    elif which == 2:
        file.create_dataset(name, (8, 16), "f4", external=[("/etc/passwd", 0, 512)])
    elif which == 3:
        file[name] = "text"
    else:
        file.create_group(name)


HDF5: Ways = [
    ("another array in it", in_hdf5(hdf5_array)),
    ("another array in it ", in_hdf5(hdf5_array)),
    ("a link in it", in_hdf5(hdf5_link)),
    ("numbers that it does not store", in_hdf5(hdf5_promise)),
]


# -- MATLAB, versions 5 to 7 ----------------------------------------------------------------------------------------


@where_it_can
def mat_array(content: bytes, rng: Rng) -> bytes:
    """Another array, a cell, a struct, a text, under its name."""
    from scipy import io as matlab

    own = {key: value for key, value in matlab.loadmat(io.BytesIO(content)).items() if not key.startswith("__")}
    key = list(own)[int(rng.integers(len(own)))]
    cells = np.full((2, 2), 1.0, object)
    cells[0, 0] = cells[1, 1] = own[key]
    others = [changed(own[key], rng), changed(own[key], rng), cells, {"a": own[key]}, "text", own[key] * 1j]
    target = io.BytesIO()
    matlab.savemat(target, own | {key: others[int(rng.integers(len(others)))]}, do_compression=bool(rng.integers(2)))
    return content[:DATED] + target.getvalue()[DATED:]


@where_it_can
def mat_bomb(content: bytes, rng: Rng) -> bytes:
    """Its variables and one that unpacks to a third of a gigabyte."""
    from scipy import io as matlab

    own = {key: value for key, value in matlab.loadmat(io.BytesIO(content)).items() if not key.startswith("__")}
    target = io.BytesIO()
    matlab.savemat(target, own | {"bomb": np.zeros((1 << 16, 640), np.float64)}, do_compression=True)
    return content[:DATED] + target.getvalue()[DATED:]


MAT: Ways = [("another array in it", mat_array), ("another array in it ", mat_array), ("a bomb in it", mat_bomb)]


# -- PyTorch --------------------------------------------------------------------------------------------------------


@where_it_can
def torch_content(content: bytes, rng: Rng) -> bytes:
    """Another tensor, a list, a dictionary, something that would have to be run."""
    tensor = torch.load(io.BytesIO(content), weights_only=True)
    others = [
        *(tensor.long(), tensor.bfloat16(), tensor.to_sparse(), tensor[:0], tensor.reshape(-1), tensor[None, None]),
        *(tensor[:1].expand(1 << 30, -1), tensor * float("nan"), tensor.to(torch.complex64), tensor.double()),
        *([tensor], {"a": tensor}, {"a": tensor, "b": tensor}, {"a": [tensor]}, 3, None, np.ones(3), Exception("x")),
    ]
    target = io.BytesIO()
    torch.save(others[int(rng.integers(len(others)))], target)
    return target.getvalue()


TORCH: Ways = [("other content", torch_content), ("other content ", torch_content)]


# -- ONNX -----------------------------------------------------------------------------------------------------------


def in_onnx(change: Callable[[Any, Rng], None]) -> Damage:
    """The message, changed."""

    def damage(content: bytes, rng: Rng) -> bytes:
        import onnx

        model = onnx.load_from_string(content)
        change(model, rng)
        after: bytes = model.SerializeToString()
        return after

    return where_it_can(damage)


def onnx_sizes(model: Any, rng: Rng) -> None:
    """Other sizes of its input, of its weights, of a step."""
    value = (0, -1, 1, 7, 4096, 1 << 40)[int(rng.integers(6))]
    which, shape = int(rng.integers(3)), model.graph.input[0].type.tensor_type.shape
    if which == 0:
        shape.dim[int(rng.integers(len(shape.dim)))].dim_value = value
    elif which == 1:
        dims = model.graph.initializer[0].dims
        dims[int(rng.integers(len(dims)))] = value
    else:
        strides = next(a for node in model.graph.node for a in node.attribute if a.name == "strides")
        strides.ints[0] = value


def onnx_network(model: Any, rng: Rng) -> None:
    """An operator away, of another name, twice; weights elsewhere; no input, another kind of it; no output."""
    graph, which = model.graph, int(rng.integers(8))
    node = graph.node[int(rng.integers(len(graph.node)))]
    if which == 0:
        graph.node.remove(node)
    elif which == 1:
        node.op_type = ("Identity", "Loop", "NoSuch", "Shape", "ArgMax")[int(rng.integers(5))]
    elif which == 2:
        graph.node.append(node)
    elif which == 3:
        graph.initializer[0].data_location = 1
        place = ("../../x", "/etc/passwd", "/dev/zero", "nowhere", "")[int(rng.integers(5))]
        graph.initializer[0].external_data.add(key="location", value=place)
    elif which == 4:
        del graph.input[:]
    elif which == 5:
        graph.input[0].type.tensor_type.elem_type = int(rng.integers(20))
    elif which == 6:
        graph.output[0].name = "nowhere"
    else:
        model.opset_import[0].version = int(rng.integers(200))


@where_it_can
def onnx_values(content: bytes, rng: Rng) -> bytes:
    """Weights that are no finite numbers."""
    import onnx

    model = onnx.load_from_string(content)
    weights = onnx.numpy_helper.to_array(model.graph.initializer[0])
    model.graph.initializer[0].raw_data = strange_values(weights, rng).tobytes()
    after: bytes = model.SerializeToString()
    return after


ONNX: Ways = [
    ("other sizes", in_onnx(onnx_sizes)),
    ("another network", in_onnx(onnx_network)),
    ("another network ", in_onnx(onnx_network)),
    ("strange weights", onnx_values),
]
