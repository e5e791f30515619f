"""llama.cpp through its C interface: one model, one context, one sequence of tokens.

The C functions are called directly and not through ``llama_cpp.Llama``: its ``generate`` copies
the logits of the whole vocabulary into numpy for every token, its ``load_state`` copies all
logits of the context, and it cannot be stopped within a long prompt. What is needed of it is
short: tokens, decode, sample, and the state of a sequence.
"""

from __future__ import annotations

import ctypes
import functools
from collections import deque
from collections.abc import Sequence
from pathlib import Path

import llama_cpp.llama_cpp as llama

from appliance.errors import ModelError

BATCH_TOKENS = 64
"""Tokens of a prompt evaluated at once: a cancelled prompt stops after one batch. On two x86
cores a 0.5B model reads 244 tokens/s by 64, 254 by 128 and 265 by 512: the price is small."""

_SEQUENCE = 0
_WARNING, _ERROR = 3, 4
"""Log levels of ggml.h."""


class LibraryLog:
    """Keeps the last warnings and errors of llama.cpp, which then prints nothing itself."""

    def __init__(self) -> None:
        self.lines: deque[str] = deque(maxlen=4)
        self._callback = llama.llama_log_callback(self._keep)
        llama.llama_log_set(self._callback, ctypes.c_void_p(0))

    def _keep(self, level: int, text: bytes, _user_data: object) -> None:
        if level in (_WARNING, _ERROR) and text.strip():
            self.lines.append(text.decode(errors="replace").strip())


@functools.cache
def library_log() -> LibraryLog:
    """Return the log: there is one for the whole process, and it outlives every model."""
    return LibraryLog()


def library_version() -> str:
    """Return the version that decides whether a saved state can be read."""
    from llama_cpp import __version__

    return str(__version__)


class Runtime:
    """A loaded model with its context; not for use by two threads at once.

    Raises:
        ModelError: the file cannot be loaded, or memory does not suffice.
    """

    def __init__(
        self, path: Path, *, context_tokens: int, threads: int, use_mmap: bool = True
    ) -> None:
        self._log = library_log().lines
        self._log.clear()
        self._model = self._context = None
        llama.llama_backend_init()
        parameters = llama.llama_model_default_params()
        parameters.n_gpu_layers = 0
        parameters.use_mmap = use_mmap
        self._model = llama.llama_model_load_from_file(str(path).encode(), parameters)
        if not self._model:
            raise ModelError(
                f"llama.cpp cannot load {path}{self._last_words()}; "
                "check that the file is a GGUF of a supported kind"
            )
        self._vocabulary = llama.llama_model_get_vocab(self._model)
        self.context_tokens = min(context_tokens, llama.llama_model_n_ctx_train(self._model))

        options = llama.llama_context_default_params()
        options.n_ctx = self.context_tokens
        options.n_batch = options.n_ubatch = BATCH_TOKENS
        options.n_threads = options.n_threads_batch = threads
        # Off: on CPUs it read short prompts 10 % and wrote 8 % slower (0.5B model, two x86
        # cores), and contexts this small have no memory to save.
        options.flash_attn_type = llama.LLAMA_FLASH_ATTN_TYPE_DISABLED
        options.no_perf = True
        self._context = llama.llama_init_from_model(self._model, options)
        if not self._context:
            self.close()
            raise ModelError(
                f"memory does not suffice for {path.name} with a context of "
                f"{self.context_tokens} tokens; choose a smaller llm.context_tokens or model"
            )
        self._memory = llama.llama_get_memory(self._context)
        self.layout = (
            f"{self.context_tokens}/{options.type_k}/{options.type_v}/{options.flash_attn_type}"
        )
        """What a saved state depends on besides the model and the library."""
        self._token_array = (llama.llama_token * BATCH_TOKENS)()
        self._piece = ctypes.create_string_buffer(256)

    def close(self) -> None:
        """Free the memory. The object must not be used afterwards."""
        if self._context:
            llama.llama_free(self._context)
        if self._model:
            llama.llama_model_free(self._model)
        self._context = self._model = None

    # --- text and tokens -----------------------------------------------------------------

    def metadata(self, key: str) -> str | None:
        """Return the text of a metadata key of the GGUF file, or None."""
        size = 4096
        while True:
            buffer = ctypes.create_string_buffer(size)
            length = llama.llama_model_meta_val_str(self._model, key.encode(), buffer, size)
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

    # --- evaluation ----------------------------------------------------------------------

    def decode(self, tokens: Sequence[int]) -> None:
        """Evaluate up to ``BATCH_TOKENS`` tokens after those in the cache.

        Raises:
            ModelError: llama.cpp failed.
        """
        count = len(tokens)
        self._token_array[:count] = tokens
        code = llama.llama_decode(
            self._context, llama.llama_batch_get_one(self._token_array, count)
        )
        if code != 0:
            raise ModelError(f"llama.cpp failed to evaluate (code {code}){self._last_words()}")

    def keep(self, count: int) -> int:
        """Forget all cached tokens after the first *count*; return how many are left.

        Some kinds of model (recurrent ones) cannot forget a part: then all is forgotten.
        """
        if llama.llama_memory_seq_rm(self._memory, _SEQUENCE, count, -1):
            return count
        llama.llama_memory_clear(self._memory, False)
        return 0

    def sampler(self, temperature: float) -> Sampler:
        """Return a sampler for one answer."""
        return Sampler(self._context, temperature, llama.llama_vocab_n_tokens(self._vocabulary))

    # --- state ---------------------------------------------------------------------------

    def state(self) -> bytes:
        """Return the evaluated state of the cached tokens (12 KB a token for a 0.5B model)."""
        size = llama.llama_state_seq_get_size(self._context, _SEQUENCE)
        buffer = (ctypes.c_uint8 * size)()
        written = llama.llama_state_seq_get_data(self._context, buffer, size, _SEQUENCE)
        return memoryview(buffer)[:written].tobytes()

    def restore(self, state: bytes) -> bool:
        """Replace the cached tokens by *state*; return False if it does not fit."""
        buffer = (ctypes.c_uint8 * len(state)).from_buffer_copy(state)
        return bool(llama.llama_state_seq_set_data(self._context, buffer, len(state), _SEQUENCE))

    def _last_words(self) -> str:
        return f" ({self._log[-1]})" if self._log else ""


class Sampler:
    """Chooses the next token from the logits of the last evaluation."""

    def __init__(self, context: object, temperature: float, vocabulary_size: int) -> None:
        self._context = context
        self._chain = llama.llama_sampler_chain_init(llama.llama_sampler_chain_default_params())
        for part in self._parts(temperature, vocabulary_size):
            llama.llama_sampler_chain_add(self._chain, part)

    @staticmethod
    def _parts(temperature: float, vocabulary_size: int) -> list[object]:
        # The values are those that the makers of small instruction models publish with them
        # (generation_config.json of Qwen2.5: top_k 20, top_p 0.8, repetition_penalty 1.1).
        # The penalty comes after top-k: over 20 candidates it costs nothing, over a
        # vocabulary of 150,000 it costs a millisecond a token.
        parts = [
            llama.llama_sampler_init_top_k(20),
            llama.llama_sampler_init_penalties(vocabulary_size, 64, 1.1, 0.0, 0.0),
        ]
        if temperature <= 0:
            return [*parts, llama.llama_sampler_init_greedy()]
        return [
            *parts,
            llama.llama_sampler_init_top_p(0.8, 1),
            llama.llama_sampler_init_min_p(0.05, 1),
            llama.llama_sampler_init_temp(temperature),
            llama.llama_sampler_init_dist(llama.LLAMA_DEFAULT_SEED),
        ]

    def next(self) -> int:
        """Return the chosen token."""
        return int(llama.llama_sampler_sample(self._chain, self._context, -1))

    def close(self) -> None:
        if self._chain:
            llama.llama_sampler_free(self._chain)
        self._chain = None
