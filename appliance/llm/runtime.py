"""A context of llama.cpp: one sequence of tokens on a model's weights, decoded and sampled."""

from __future__ import annotations

import ctypes
from collections.abc import Sequence

import llama_cpp.llama_cpp as llama

from appliance.errors import ModelError
from appliance.llm.weights import Weights, library_log

BATCH_TOKENS = 64
"""Tokens of a prompt evaluated at once: a cancelled prompt stops after one batch. On two x86
cores a 0.5B model reads 244 tokens/s by 64, 254 by 128 and 265 by 512: the price is small."""

_SEQUENCE = 0


class Runtime:
    """A context with its cache; not for use by two threads at once.

    Several may stand on the same weights. Each has a cache of its own, so that no role evicts
    another's prompt. (Sequences within one context would share one cache and its compute buffer,
    which saves some 50 MB a role for a 0.5B model, but every attention would then run over the
    cells of all of them.)

    Raises:
        ModelError: memory does not suffice.
    """

    def __init__(
        self,
        weights: Weights,
        *,
        context_tokens: int,
        threads: int,
        batch_tokens: int = BATCH_TOKENS,
    ) -> None:
        """*batch_tokens* is how many tokens one ``decode`` takes at most."""
        self._log = library_log()
        self.weights = weights
        self.context_tokens = min(context_tokens, weights.trained_context)
        self.batch_tokens = batch_tokens
        options = llama.llama_context_default_params()
        options.n_ctx = self.context_tokens
        options.n_batch = options.n_ubatch = batch_tokens
        options.n_threads = options.n_threads_batch = threads
        # Off: on CPUs it read short prompts 10 % and wrote 8 % slower (0.5B model, two x86
        # cores), and contexts this small have no memory to save.
        options.flash_attn_type = llama.LLAMA_FLASH_ATTN_TYPE_DISABLED
        options.no_perf = True
        self.handle = llama.llama_init_from_model(weights.handle, options)
        if not self.handle:
            raise ModelError(
                f"memory does not suffice for {weights.file_name} with a context of "
                f"{self.context_tokens} tokens; choose a smaller llm.context_tokens or model"
            )
        self._memory = llama.llama_get_memory(self.handle)
        self.layout = (
            f"{self.context_tokens}/{options.type_k}/{options.type_v}/{options.flash_attn_type}"
        )
        """What a saved state depends on besides the model and the library."""
        self.memory_bytes = context_bytes(weights, self.context_tokens, batch_tokens)
        self._token_array = (llama.llama_token * batch_tokens)()
        self._position_array = (llama.llama_pos * batch_tokens)()

    def close(self) -> None:
        """Free the memory. The object must not be used afterwards."""
        if self.handle:
            llama.llama_free(self.handle)
        self.handle = None

    # --- evaluation ----------------------------------------------------------------------

    def decode(self, tokens: Sequence[int], position: int) -> None:
        """Evaluate up to ``batch_tokens`` tokens, of which the first has *position*.

        (llama.cpp would count by itself, but not after an image: some models give all of an
        image a few positions.)

        Raises:
            ModelError: llama.cpp failed.
        """
        count = len(tokens)
        self._token_array[:count] = tokens
        batch = llama.llama_batch_get_one(self._token_array, count)
        self._position_array[:count] = range(position, position + count)
        batch.pos = self._position_array
        code = llama.llama_decode(self.handle, batch)
        if code != 0:
            raise ModelError(f"llama.cpp failed to evaluate (code {code}){self._log.last_words()}")

    def keep(self, count: int) -> int:
        """Forget all cached tokens after the first *count*; return how many are left.

        Some kinds of model (recurrent ones) cannot forget a part: then all is forgotten.
        """
        if llama.llama_memory_seq_rm(self._memory, _SEQUENCE, count, -1):
            return count
        llama.llama_memory_clear(self._memory, False)
        return 0

    def logits(self, tokens: Sequence[int]) -> list[float]:
        """Return the logits of *tokens* after the last evaluation."""
        scores = llama.llama_get_logits_ith(self.handle, -1)
        return [float(scores[token]) for token in tokens]

    def sampler(self, temperature: float) -> Sampler:
        """Return a sampler for one answer."""
        return Sampler(self.handle, temperature, self.weights.vocabulary_size)

    # --- state ---------------------------------------------------------------------------

    def state(self) -> bytes:
        """Return the evaluated state of the cached tokens (12 KB a token for a 0.5B model)."""
        size = llama.llama_state_seq_get_size(self.handle, _SEQUENCE)
        buffer = (ctypes.c_uint8 * size)()
        written = llama.llama_state_seq_get_data(self.handle, buffer, size, _SEQUENCE)
        return memoryview(buffer)[:written].tobytes()

    def restore(self, state: bytes) -> bool:
        """Replace the cached tokens by *state*; return False if it does not fit."""
        buffer = (ctypes.c_uint8 * len(state)).from_buffer_copy(state)
        return bool(llama.llama_state_seq_set_data(self.handle, buffer, len(state), _SEQUENCE))


def context_bytes(weights: Weights, context_tokens: int, batch_tokens: int) -> int:
    """Return about what a context takes: its cache, and the logits of one batch."""
    cache = weights.cache_bytes_per_token * context_tokens
    return cache + batch_tokens * weights.vocabulary_size * ctypes.sizeof(ctypes.c_float)


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

    def accept(self, tokens: Sequence[int]) -> None:
        """Take *tokens* for its own: they count where repetition is avoided."""
        for token in tokens:
            llama.llama_sampler_accept(self._chain, token)

    def next(self) -> int:
        """Return the chosen token."""
        return int(llama.llama_sampler_sample(self._chain, self._context, -1))

    def close(self) -> None:
        if self._chain:
            llama.llama_sampler_free(self._chain)
        self._chain = None
