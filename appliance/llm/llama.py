"""The real :class:`~appliance.llm.engine.ChatEngine`: a GGUF model on llama.cpp."""

from __future__ import annotations

import codecs
import hashlib
import itertools
from collections.abc import Sequence
from pathlib import Path

from appliance.chat import ChatMessage
from appliance.errors import UsageError
from appliance.llm.engine import Generated, OnText, Proceed
from appliance.llm.prefix import PrefixStore
from appliance.llm.runtime import BATCH_TOKENS, Runtime, library_version
from appliance.llm.template import ChatTemplate, JinjaTemplate, NamedTemplate

_MAX_COUNTS = 1000
"""Messages whose length is remembered."""


class LlamaEngine:
    """A GGUF model on llama.cpp.

    The tokens of the last prompt and answer stay in the KV cache, and the next prompt is
    evaluated from the first token that differs: within a conversation that is the new question.
    Beginnings that were warmed are also kept in a folder (see :mod:`appliance.llm.prefix`); a
    prompt that begins with one of them finds it there when the cache holds something else, as
    after a restart or a change of language.
    """

    def __init__(
        self,
        model_file: Path,
        *,
        name: str,
        sha256: str,
        state_dir: Path,
        context_tokens: int,
        threads: int,
        prompt_format: str = "",
        use_mmap: bool = True,
    ) -> None:
        """Load *model_file*, whose hash *sha256* the caller has verified.

        *state_dir* takes the saved prefixes; *prompt_format* is used when the file carries no
        chat template.

        Raises:
            ModelError: the file cannot be loaded, or has no usable chat template.
        """
        self.name = name
        self._runtime = Runtime(
            model_file, context_tokens=context_tokens, threads=threads, use_mmap=use_mmap
        )
        self.context_tokens = self._runtime.context_tokens
        self._template = self._find_template(prompt_format)
        self._prefixes = PrefixStore(
            state_dir, f"{sha256} {self._runtime.layout} llama-cpp-python {library_version()}"
        )
        self._cached: list[int] = []
        """The tokens whose state is in the KV cache, in their order."""
        self._counts: dict[bytes, int] = {}
        self._framing = self._measure_framing()

    def count_tokens(self, message: ChatMessage) -> int:
        text = str(message["content"])
        key = hashlib.blake2b(text.encode(errors="replace"), digest_size=16).digest()
        if key not in self._counts:
            if len(self._counts) >= _MAX_COUNTS:
                self._counts.clear()
            self._counts[key] = len(self._runtime.tokenize(text))
        return self._counts[key] + self._framing

    def warm(self, messages: Sequence[ChatMessage], proceed: Proceed) -> bool:
        prefix = self._prefix(messages)
        self._restore_for(prefix, messages)
        if not self._evaluate(prefix, proceed):
            return False
        if len(_system(messages)) == len(messages) and not self._prefixes.has(prefix):
            self._forget_after(len(prefix))
            self._prefixes.save(prefix, self._runtime.state())
        return True

    def generate(
        self,
        messages: Sequence[ChatMessage],
        *,
        max_tokens: int,
        temperature: float,
        on_text: OnText,
        proceed: Proceed,
    ) -> Generated:
        prompt = self._prompt(messages)
        room = self.context_tokens - len(prompt)
        if room < 1:
            raise UsageError(
                f"the message is too long: with its instructions it has {len(prompt)} tokens and "
                f"the model reads {self.context_tokens - 1}; shorten it or raise "
                "llm.context_tokens"
            )
        self._restore_for(prompt, messages)
        # The last token is evaluated in any case: its logits are not kept.
        cached = min(_common(self._cached, prompt), len(prompt) - 1)
        self._forget_after(cached)
        written = 0
        reason = "cancelled"
        if self._evaluate(prompt, proceed):
            reason, written = self._write(min(max_tokens, room), temperature, on_text, proceed)
        return Generated(reason, len(prompt), cached, written)

    def close(self) -> None:
        self._runtime.close()

    # --- prompts -------------------------------------------------------------------------

    def _find_template(self, prompt_format: str) -> ChatTemplate:
        source = self._runtime.metadata("tokenizer.chat_template")
        if source:
            return JinjaTemplate(source, bos=self._runtime.bos_text(), eos=self._runtime.eos_text())
        return NamedTemplate(prompt_format or "chatml")

    def _prompt(self, messages: Sequence[ChatMessage]) -> list[int]:
        plain = [{**m, "content": self._plain(str(m["content"]))} for m in messages]
        return self._runtime.tokenize(self._template.render(plain))

    def _plain(self, text: str) -> str:
        """Return *text* without control tokens written out in it, such as ``<|im_end|>``.

        Otherwise a pasted text could end the user's message and go on as the system.
        """
        while True:
            cleaned = text
            for token in set(filter(self._runtime.is_control, self._runtime.tokenize(text))):
                cleaned = cleaned.replace(self._runtime.token_text(token), " ")
            if cleaned == text:
                return text
            text = cleaned

    def _prefix(self, messages: Sequence[ChatMessage]) -> list[int]:
        """Return the tokens that all prompts beginning with *messages* share.

        Found by comparing two of them: this holds for any chat template, also for those that
        write the system prompt into the first user message.
        """
        one, other = (
            self._prompt([*messages, {"role": "user", "content": text}]) for text in ("A", "1")
        )
        return one[: _common(one, other)]

    def _measure_framing(self) -> int:
        """Return how many tokens the template adds to a message, rounded up."""
        user = {"role": "user", "content": "a"}
        assistant = {"role": "assistant", "content": "a"}
        short = len(self._prompt([user]))
        long = len(self._prompt([user, assistant, user]))
        content = len(self._runtime.tokenize("a"))
        return max(0, (long - short + 1) // 2 - content)

    # --- the cache -----------------------------------------------------------------------

    def _restore_for(self, tokens: list[int], messages: Sequence[ChatMessage]) -> None:
        """Take the saved state of the system prompt, where the cache knows less of *tokens*."""
        prefix = self._prefix(_system(messages))
        if _common(self._cached, tokens) >= len(prefix) or tokens[: len(prefix)] != prefix:
            return
        state = self._prefixes.load(prefix)
        if state is None:
            return
        if self._runtime.restore(state):
            self._cached = list(prefix)
        else:
            self._forget_all()

    def _forget_after(self, count: int) -> None:
        if count < len(self._cached):
            del self._cached[self._runtime.keep(count) :]

    def _forget_all(self) -> None:
        self._cached.clear()
        self._runtime.keep(0)

    def _evaluate(self, tokens: list[int], proceed: Proceed) -> bool:
        """Bring what is missing of *tokens* into the cache; False when *proceed* stopped it."""
        done = _common(self._cached, tokens)
        if done < len(tokens):
            self._forget_after(done)
        while len(self._cached) < len(tokens):
            if not proceed():
                return False
            self._decode(tokens[len(self._cached) : len(self._cached) + BATCH_TOKENS])
        return True

    def _decode(self, tokens: list[int]) -> None:
        try:
            self._runtime.decode(tokens)
        except BaseException:
            self._forget_all()
            raise
        self._cached += tokens

    def _write(
        self, max_tokens: int, temperature: float, on_text: OnText, proceed: Proceed
    ) -> tuple[str, int]:
        """Write up to *max_tokens*; return why it ended, and how many were written."""
        runtime = self._runtime
        # A token can be a part of a character: the decoder hands out whole ones only.
        decoder = codecs.getincrementaldecoder("utf-8")(errors="replace")
        sampler = runtime.sampler(temperature)
        written = 0
        try:
            while True:
                token = sampler.next()
                if runtime.is_end(token):
                    reason = "stop"
                    break
                written += 1
                if text := decoder.decode(runtime.piece(token)):
                    on_text(text)
                if written >= max_tokens:
                    reason = "length"
                    break
                if not proceed():
                    return "cancelled", written
                self._decode([token])
        finally:
            sampler.close()
        if rest := decoder.decode(b"", final=True):
            on_text(rest)
        return reason, written


def _system(messages: Sequence[ChatMessage]) -> list[ChatMessage]:
    """Return the system messages at the beginning."""
    return list(itertools.takewhile(lambda message: message["role"] == "system", messages))


def _common(one: Sequence[int], other: Sequence[int]) -> int:
    """Return how many tokens *one* and *other* have in common at the beginning."""
    for index, (a, b) in enumerate(zip(one, other, strict=False)):
        if a != b:
            return index
    return min(len(one), len(other))
