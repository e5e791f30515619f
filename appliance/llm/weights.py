"""A GGUF model's weights and vocabulary in memory; contexts of several roles stand on one.

The C functions are called directly and not through ``llama_cpp.Llama``: its ``generate`` copies
the logits of the whole vocabulary into numpy for every token, its ``load_state`` copies all
logits of the context, and it cannot be stopped within a long prompt.
"""

from __future__ import annotations

import ctypes
import functools
from collections import deque
from pathlib import Path

import llama_cpp.llama_cpp as llama

from appliance.errors import ModelError
from appliance.llm.engine import LoadStopped, Proceed, always

_WARNING, _ERROR = 3, 4
"""Log levels of ggml.h."""


class LibraryLog:
    """Keeps the last warnings and errors of llama.cpp, which then prints nothing itself."""

    def __init__(self) -> None:
        self.lines: deque[str] = deque(maxlen=4)
        self.callback = llama.llama_log_callback(self._keep)
        llama.llama_log_set(self.callback, ctypes.c_void_p(0))

    def _keep(self, level: int, text: bytes, _user_data: object) -> None:
        if level in (_WARNING, _ERROR) and text.strip():
            self.lines.append(text.decode(errors="replace").strip())

    def last_words(self) -> str:
        """Return the last line in brackets, to stand in a sentence; empty when there is none."""
        return f" ({self.lines[-1]})" if self.lines else ""


@functools.cache
def library_log() -> LibraryLog:
    """Return the log: there is one for the whole process, and it outlives every model."""
    return LibraryLog()


def library_version() -> str:
    """Return the version that decides whether a saved state can be read."""
    from llama_cpp import __version__

    return str(__version__)


class Weights:
    """A loaded model without a context; not for use by two threads at once.

    Raises:
        ModelError: the file cannot be loaded.
        LoadStopped: *proceed*, asked for each piece of the file, said no.
    """

    def __init__(self, path: Path, *, use_mmap: bool = True, proceed: Proceed = always) -> None:
        log = library_log()
        log.lines.clear()
        llama.llama_backend_init()
        parameters = llama.llama_model_default_params()
        parameters.n_gpu_layers = 0
        parameters.use_mmap = use_mmap
        report = llama.llama_progress_callback(lambda _fraction, _data: proceed())
        parameters.progress_callback = report
        self.handle = llama.llama_model_load_from_file(str(path).encode(), parameters)
        if not self.handle:
            if not proceed():
                raise LoadStopped
            raise ModelError(
                f"llama.cpp cannot load {path}{log.last_words()}; "
                "check that the file is a GGUF of a supported kind"
            )
        self.file_name = path.name
        self._vocabulary = llama.llama_model_get_vocab(self.handle)
        self.vocabulary_size: int = llama.llama_vocab_n_tokens(self._vocabulary)
        self.trained_context: int = llama.llama_model_n_ctx_train(self.handle)
        self._piece = ctypes.create_string_buffer(256)

    def close(self) -> None:
        """Free the memory. Every context on it must have been closed before."""
        if self.handle:
            llama.llama_model_free(self.handle)
        self.handle = None

    @property
    def cache_bytes_per_token(self) -> int:
        """Return what one token takes in the KV cache: keys and values of each layer in 16 bit."""
        model = self.handle
        head = llama.llama_model_n_embd(model) // max(llama.llama_model_n_head(model), 1)
        values = llama.llama_model_n_layer(model) * llama.llama_model_n_head_kv(model) * head
        return int(2 * 2 * values)

    def metadata(self, key: str) -> str | None:
        """Return the text of a metadata key of the GGUF file, or None."""
        size = 4096
        while True:
            buffer = ctypes.create_string_buffer(size)
            length = llama.llama_model_meta_val_str(self.handle, key.encode(), buffer, size)
            if length < 0:
                return None
            if length < size:
                return buffer.value.decode(errors="replace")
            size = length + 1

    def token_text(self, token: int) -> str:
        """Return how *token* is written in the vocabulary; empty for no token (-1)."""
        if token < 0:
            return ""
        return str(llama.llama_vocab_get_text(self._vocabulary, token).decode(errors="replace"))

    def bos_text(self) -> str:
        return self.token_text(llama.llama_vocab_bos(self._vocabulary))

    def eos_text(self) -> str:
        return self.token_text(llama.llama_vocab_eos(self._vocabulary))

    def tokenize(self, text: str) -> list[int]:
        """Return the tokens of *text*; special tokens written out in it count as such."""
        data = text.encode(errors="replace")
        capacity = len(data) + 8
        tokens = (llama.llama_token * capacity)()
        count = llama.llama_tokenize(
            self._vocabulary, data, len(data), tokens, capacity, False, True
        )
        return list(tokens[:count])

    def piece(self, token: int) -> bytes:
        """Return the bytes of *token*, which may be a part of a character."""
        length = llama.llama_token_to_piece(
            self._vocabulary, token, self._piece, len(self._piece), 0, False
        )
        if length < 0:
            self._piece = ctypes.create_string_buffer(-length)
            return self.piece(token)
        return self._piece.raw[:length]

    def is_control(self, token: int) -> bool:
        return bool(llama.llama_vocab_is_control(self._vocabulary, token))

    def is_end(self, token: int) -> bool:
        """Return whether *token* ends the answer (end of sequence, of turn, of message)."""
        return bool(llama.llama_vocab_is_eog(self._vocabulary, token))

    def end_token(self) -> int:
        """Return the token that ends a message, or the one that ends everything."""
        turn = llama.llama_vocab_eot(self._vocabulary)
        return int(turn if turn >= 0 else llama.llama_vocab_eos(self._vocabulary))
