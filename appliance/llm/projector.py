"""llama.cpp's multimodal library (libmtmd): turns images into what a language model reads.

The second file of a vision model, the *projector* (``mmproj``), has the image encoder and the
projection of its output into the space of the model's tokens.
"""

from __future__ import annotations

import ctypes
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import llama_cpp.llama_cpp as llama
import llama_cpp.mtmd_cpp as mtmd

from appliance.errors import ModelError, UsageError
from appliance.llm.engine import LoadStopped, Proceed, always
from appliance.llm.runtime import Runtime
from appliance.llm.weights import Weights, library_log

_ASK_EVERY = 32
"""Nodes of the image encoder's graph between two looks at ``proceed``. A large encoder has a
thousand or more and runs for many seconds on a small board; a look costs microseconds."""


@dataclass(frozen=True)
class ImageTokens:
    """One image, or one slice of a large one, as the model will read it."""

    mark: int
    """A negative number that stands for it in a list of tokens, once for each position."""
    positions: int
    cells: int
    """What it takes of the cache; some models give all of an image a few positions only."""
    chunk: Any


class Prompt:
    """A text with images: *tokens* has each image's mark in the place of its positions."""

    def __init__(self, chunks: Any, tokens: list[int], images: dict[int, ImageTokens]) -> None:
        self._chunks = chunks
        self.tokens = tokens
        self.images = images

    def close(self) -> None:
        """Free the images."""
        if self._chunks:
            mtmd.mtmd_input_chunks_free(self._chunks)
        self._chunks = None


class Projector:
    """A loaded projector; not for use by two threads at once."""

    def __init__(
        self, path: Path, weights: Weights, *, threads: int, proceed: Proceed = always
    ) -> None:
        """Load the projector *path* that belongs to *weights*.

        Raises:
            ModelError: it cannot be loaded, does not fit the model, or is not for images.
            LoadStopped: *proceed*, asked for each piece of the file, said no.
        """
        self._log = library_log()
        self._log.lines.clear()
        for set_log in (mtmd.mtmd_log_set, mtmd.mtmd_helper_log_set):
            set_log(self._log.callback, ctypes.c_void_p(0))
        options = mtmd.mtmd_context_params_default()
        options.use_gpu = False
        options.print_timings = False
        options.n_threads = threads
        options.flash_attn_type = llama.LLAMA_FLASH_ATTN_TYPE_DISABLED
        options.warmup = False  # it would encode an image of full size for nothing
        report = mtmd.mtmd_progress_callback(lambda _fraction, _data: proceed())
        options.progress_callback = report
        self._proceed: Proceed = always
        self._nodes = 0
        self._stopped = False
        # Kept as long as the library may call it.
        self._evaluated = llama.ggml_backend_sched_eval_callback(self._on_node)
        options.cb_eval = self._evaluated
        self._handle = mtmd.mtmd_init_from_file(str(path).encode(), weights.handle, options)
        if not self._handle:
            if not proceed():
                raise LoadStopped
            raise ModelError(
                f"llama.cpp cannot load {path} as the projector of {weights.file_name}"
                f"{self._log.last_words()}; check that the two files belong together"
            )
        if not mtmd.mtmd_support_vision(self._handle):
            self.close()
            raise ModelError(f"{path} is a projector, but not for images; choose another model")
        self.marker = mtmd.mtmd_get_marker(self._handle).decode()
        """Stands for an image in the text of a prompt."""

    def close(self) -> None:
        """Free the memory."""
        if self._handle:
            mtmd.mtmd_free(self._handle)
        self._handle = None

    def tokenize(self, text: str, images: Sequence[tuple[int, int, bytes]]) -> Prompt:
        """Return *text* and the images at its markers as tokens.

        *images* are (width, height, RGB bytes), as many as there are markers.

        Raises:
            UsageError: the library cannot use the images.
        """
        bitmaps = (mtmd.mtmd_bitmap_p_ctypes * len(images))()
        chunks = mtmd.mtmd_input_chunks_init()
        try:
            for index, (width, height, pixels) in enumerate(images):
                data = (ctypes.c_uint8 * len(pixels)).from_buffer_copy(pixels)
                bitmaps[index] = mtmd.mtmd_bitmap_init(width, height, data)
                digest = hashlib.blake2b(pixels, digest_size=16).hexdigest()
                mtmd.mtmd_bitmap_set_id(bitmaps[index], f"{width}x{height} {digest}".encode())
            encoded = text.encode(errors="replace")
            source = mtmd.mtmd_input_text(encoded, len(encoded), False, True)
            code = mtmd.mtmd_tokenize(
                self._handle, chunks, ctypes.byref(source), bitmaps, len(images)
            )
            if code != 0:
                raise UsageError(
                    f"the model cannot read this image (code {code}){self._log.last_words()}"
                )
            return _prompt(chunks)
        except BaseException:
            mtmd.mtmd_input_chunks_free(chunks)
            raise
        finally:
            for bitmap in filter(None, bitmaps):
                mtmd.mtmd_bitmap_free(bitmap)

    def evaluate(
        self, image: ImageTokens, runtime: Runtime, position: int, proceed: Proceed
    ) -> bool:
        """Encode *image* and let the model read it at *position* of its cache.

        Returns False when *proceed* stopped it; the cache is then as before.

        Raises:
            ModelError: llama.cpp failed.
        """
        self._proceed, self._nodes, self._stopped = proceed, 0, False
        try:
            code = mtmd.mtmd_encode_chunk(self._handle, image.chunk)
        finally:
            self._proceed = always
        if self._stopped:
            return False
        if code == 0:
            after = llama.llama_pos(0)
            code = mtmd.mtmd_helper_decode_image_chunk(
                self._handle,
                runtime.handle,
                image.chunk,
                mtmd.mtmd_get_output_embd(self._handle),
                position,
                0,
                runtime.batch_tokens,
                ctypes.byref(after),
                mtmd.mtmd_helper_post_decode_callback(),
                ctypes.c_void_p(0),
            )
        if code != 0:
            raise ModelError(
                f"llama.cpp failed to read the image (code {code}){self._log.last_words()}"
            )
        return True

    def _on_node(self, _node: object, ask: bool, _data: object) -> bool:
        """Called for each node of the encoder's graph; False for one that was asked for stops."""
        if ask:
            self._nodes += 1
            return self._nodes % _ASK_EVERY == 0
        if not self._proceed():
            self._stopped = True
        return not self._stopped


def _prompt(chunks: Any) -> Prompt:
    tokens: list[int] = []
    images: dict[int, ImageTokens] = {}
    for index in range(mtmd.mtmd_input_chunks_size(chunks)):
        chunk = mtmd.mtmd_input_chunks_get(chunks, index)
        if mtmd.mtmd_input_chunk_get_type(chunk) == mtmd.MTMD_INPUT_CHUNK_TYPE_TEXT:
            count = ctypes.c_size_t(0)
            text = mtmd.mtmd_input_chunk_get_tokens_text(chunk, ctypes.byref(count))
            tokens += text[: count.value]
            continue
        # The slices of one image have its name in common; their number tells them apart.
        name = mtmd.mtmd_input_chunk_get_id(chunk) or b""
        digest = hashlib.blake2b(b"%d " % index + name, digest_size=7).digest()
        image = ImageTokens(
            mark=-1 - int.from_bytes(digest),
            positions=mtmd.mtmd_input_chunk_get_n_pos(chunk),
            cells=mtmd.mtmd_input_chunk_get_n_tokens(chunk),
            chunk=chunk,
        )
        images[image.mark] = image
        tokens += [image.mark] * image.positions
    return Prompt(chunks, tokens, images)
