"""One network for many cameras: snippets that are ready together are encoded together.

Each camera's thread hands in one snippet at a time and waits for its features; one thread works. While it does, the
snippets of other cameras gather, and all of them are the next batch. Nobody waits for a batch to fill, and since a
camera has one snippet in it at most, none can crowd out the others: one that brings more than its share finds its own
queue of frames full, which drops them and says so.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from downstream.features.encoders import Encoder
from downstream.features.encoding import crop_clips, snippet_means
from downstream.features.zones import PictureMask

BATCH_CLIPS = 32
"""Clips that are encoded at a time at most, unless one snippet has more."""
Features = NDArray[np.float32]


@dataclass(frozen=True, kw_only=True, eq=False)
class _Request:
    pixels: NDArray[np.uint8]
    """(snippets, clips, frames, height, width, 3)."""
    encoder: Encoder
    crops: int
    device: torch.device
    mask: PictureMask | None
    done: Future[Features] = field(default_factory=Future)

    @property
    def key(self) -> tuple[int, int]:
        """What goes through one network in one pass."""
        return id(self.encoder), self.crops


class SharedNetwork:
    """A thread that encodes for others. A context manager: leaving it ends the thread, whoever waits gets an error."""

    def __init__(self, batch_clips: int = BATCH_CLIPS) -> None:
        self.batches = 0
        """Passes so far."""
        self.snippets = 0
        """In them."""
        self._batch_clips = batch_clips
        self._waiting: deque[_Request] = deque()
        self._changed, self._is_closed = threading.Condition(), False
        self._threads = torch.get_num_threads()
        self._thread = threading.Thread(target=self._work, name="network", daemon=True)

    def __enter__(self) -> SharedNetwork:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        with self._changed:
            self._is_closed = True
            self._changed.notify_all()
        self._thread.join()

    def encode(
        self, pixels: NDArray[np.uint8], encoder: Encoder, crops: int, device: torch.device, mask: PictureMask | None
    ) -> Features:
        """As `encode_snippets`, in whatever company; any error of the pass is raised to all that were in it."""
        request = _Request(pixels=pixels, encoder=encoder, crops=crops, device=device, mask=mask)
        with self._changed:
            if self._is_closed:
                raise RuntimeError("the network has been closed")
            self._waiting.append(request)
            self._changed.notify_all()
        return request.done.result()

    def _work(self) -> None:
        torch.set_num_threads(self._threads)  # those that wait have one each
        while batch := self._next_batch():
            try:
                for request, features in zip(batch, encode_together(batch), strict=True):
                    request.done.set_result(features)
            except BaseException as error:  # whatever it is belongs to those who wait
                for request in batch:
                    if not request.done.done():
                        request.done.set_exception(error)
            self.batches += 1
            self.snippets += sum(len(request.pixels) for request in batch)

    def _next_batch(self) -> list[_Request]:
        """All that waits for the network of the first, in order, as far as a batch goes; empty: nothing follows."""
        with self._changed:
            self._changed.wait_for(lambda: self._waiting or self._is_closed)
            batch: list[_Request] = []
            others: deque[_Request] = deque()
            clips = 0
            for request in self._waiting:
                count = len(request.pixels) * request.pixels.shape[1] * request.crops
                fits = not batch or (request.key == batch[0].key and clips + count <= self._batch_clips)
                if fits:
                    batch.append(request)
                    clips += count
                else:
                    others.append(request)
            self._waiting = others
            return batch


def encode_together(requests: Sequence[_Request]) -> list[Features]:
    """Features (snippets, places, dim) of each; all for one encoder and as many crops."""
    first = requests[0]
    clips: list[Tensor] = [crop_clips(each.pixels, each.encoder, each.crops, each.device) for each in requests]
    features = first.encoder.features(torch.cat(clips)).cpu()
    parts = features.split([len(own) for own in clips])
    return [
        snippet_means(own, each.pixels, each.encoder, each.crops, each.mask)
        for each, own in zip(requests, parts, strict=True)
    ]
