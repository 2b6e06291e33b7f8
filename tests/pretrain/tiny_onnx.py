"""Small networks written as ONNX by hand: a convolution over frames or clips, and what is made of its map."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np


def write_net(
    path: Path,
    shape: Sequence[int | str],
    *,
    vector: bool = True,
    external: str | None = None,
    metadata: dict[str, str] | None = None,
    kind: int = 1,
) -> np.ndarray:
    """Of input (B, 3, H, W) or (B, 3, T, H, W): a convolution of kernel and stride 4 in space, and a mean for a vector.

    Returns its weights (5, 3, [1,] 4, 4). `external`: where weights are said to lie. `kind`: type of the input.
    """
    import onnx
    from onnx import TensorProto, helper, numpy_helper

    clips = len(shape) == 5
    size = ([1] if clips else []) + [4, 4]
    weights = np.random.default_rng(0).normal(size=(5, 3, *size)).astype(np.float32)
    tensor: Any = numpy_helper.from_array(weights, "w")
    if external is not None:
        (path.parent / "w.bin").write_bytes(weights.tobytes())
        tensor.ClearField("raw_data")
        tensor.data_location = TensorProto.EXTERNAL
        tensor.external_data.add(key="location", value=external)
    nodes = [helper.make_node("Conv", ["clips", "w"], ["map"], strides=size, kernel_shape=size)]
    name, dims = "map", list[int | None]([None] * len(shape))
    if vector:
        nodes += [
            helper.make_node("GlobalAveragePool", ["map"], ["mean"]),
            helper.make_node("Flatten", ["mean"], ["out"]),
        ]
        name, dims = "out", [None, 5]
    graph = helper.make_graph(
        nodes,
        "net",
        [helper.make_tensor_value_info("clips", kind, shape)],
        [helper.make_tensor_value_info(name, kind, dims)],
        [tensor],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    for key, value in (metadata or {}).items():
        model.metadata_props.add(key=key, value=value)
    onnx.save(model, str(path))
    return weights
