"""The real :class:`~appliance.llm.engine.ChatEngine`: a GGUF model on llama.cpp."""

from __future__ import annotations

import codecs
import hashlib
import itertools
from collections.abc import Sequence
from pathlib import Path

from appliance.chat import ChatMessage
from appliance.errors import UsageError
from appliance.llm.decoding import Skip, choose
from appliance.llm.engine import Choice, Generated, OnText, Proceed, images_of, text_of
from appliance.llm.prefix import PrefixStore
from appliance.llm.runtime import BATCH_TOKENS, Runtime
from appliance.llm.template import ChatTemplate, JinjaTemplate, NamedTemplate
from appliance.llm.weights import Weights, library_version

_NO_CONTENT = ("N/A", "", "[MASK]")
"""What the paper asks to find the bias of a model."""
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
        weights: Weights,
        *,
        name: str,
        sha256: str,
        state_dir: Path,
        context_tokens: int,
        threads: int,
        prompt_format: str = "",
        batch_tokens: int = BATCH_TOKENS,
    ) -> None:
        """Make a context on *weights*, whose file has the hash *sha256*.

        *state_dir* takes the saved prefixes; *prompt_format* is used when the file carries no
        chat template.

        Raises:
            ModelError: memory does not suffice, or there is no usable chat template.
        """
        self.name = name
        self._weights = weights
        self._template = self._find_template(prompt_format)
        self._runtime = Runtime(
            weights, context_tokens=context_tokens, threads=threads, batch_tokens=batch_tokens
        )
        self.context_tokens = self._runtime.context_tokens
        self.memory_bytes = self._runtime.memory_bytes
        self._prefixes = PrefixStore(
            state_dir, f"{sha256} {self._runtime.layout} llama-cpp-python {library_version()}"
        )
        self._cached: list[int] = []
        """The tokens whose state is in the KV cache, in their order."""
        self._counts: dict[bytes, int] = {}
        self._bias_key: tuple[str, tuple[int, ...]] = ("", ())
        self._bias_found: dict[int, float] = {}
        """The bias of the last instructions that were classified with."""
        self._framing = self._measure_framing()

    def count_tokens(self, message: ChatMessage) -> int:
        text = text_of(message)
        key = hashlib.blake2b(text.encode(errors="replace"), digest_size=16).digest()
        if key not in self._counts:
            if len(self._counts) >= _MAX_COUNTS:
                self._counts.clear()
            self._counts[key] = len(self._weights.tokenize(text))
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
        continues: str = "",
    ) -> Generated:
        # A text that ends with a space is no good beginning: models write the space with the word.
        given = continues.rstrip()
        prompt = self._prompt(messages, given)
        size, cached = self._prepare(prompt, messages, 1)
        written = 0
        reason = "cancelled"
        if self._evaluate(prompt, proceed):
            limit = min(max_tokens, self.context_tokens - size)
            write = Skip(continues[len(given) :], on_text) if len(given) < len(continues) else None
            before = self._weights.tokenize(self._plain(given)) if given else []
            reason, written = self._write(limit, temperature, write or on_text, proceed, before)
        return Generated(reason, size, cached, written)

    def classify(
        self, messages: Sequence[ChatMessage], choices: Sequence[str], proceed: Proceed
    ) -> Choice:
        """Answer with one of *choices* (see :func:`appliance.llm.decoding.choose`).

        A small model prefers some words whatever is asked. So what it says to questions without
        content is subtracted (contextual calibration: Zhao et al., "Calibrate Before Use", ICML
        2021). With Qwen2.5-Coder-0.5B, 20 questions and two labels, 8 prompts: right 9 to 15
        times without, 13 to 18 with it.
        """
        # With the end of the message no choice is the beginning of another.
        end = self._weights.end_token()
        words = {choice: [*self._weights.tokenize(choice), end] for choice in choices}
        bias = self._bias(messages, sorted({tokens[0] for tokens in words.values()}), proceed)
        prompt = self._prompt(messages)
        self._prepare(prompt, messages, max(map(len, words.values())))
        if bias is None or not self._evaluate(prompt, proceed):
            return Choice("", 0.0)
        return choose(
            words, bias, self._runtime.logits, lambda token: self._decode([token]), proceed
        )

    def _bias(
        self, messages: Sequence[ChatMessage], tokens: Sequence[int], proceed: Proceed
    ) -> dict[int, float] | None:
        """Return the mean logits of *tokens* after questions without content.

        They take the place of the last message. None when *proceed* stopped it.
        """
        before = list(messages[:-1])
        key = (str([(m["role"], text_of(m)) for m in before]), tuple(tokens))
        if key == self._bias_key:
            return self._bias_found
        bias = dict.fromkeys(tokens, 0.0)
        prompts = [self._prompt([*before, {"role": "user", "content": t}]) for t in _NO_CONTENT]
        for prompt in prompts:
            self._prepare(prompt, messages, 1)
            if not self._evaluate(prompt, proceed):
                return None
            for token, logit in zip(tokens, self._runtime.logits(tokens), strict=True):
                bias[token] += logit / len(prompts)
        self._bias_key, self._bias_found = key, bias
        return bias

    def close(self) -> None:
        self._runtime.close()

    # --- prompts -------------------------------------------------------------------------

    def _find_template(self, prompt_format: str) -> ChatTemplate:
        source = self._weights.metadata("tokenizer.chat_template")
        if source:
            return JinjaTemplate(source, bos=self._weights.bos_text(), eos=self._weights.eos_text())
        return NamedTemplate(prompt_format or "chatml")

    def _prompt(self, messages: Sequence[ChatMessage], continues: str = "") -> list[int]:
        """Return the tokens of the conversation, and of its last answer as far as it goes.

        Raises:
            UsageError: the question is about an image.
        """
        if images_of(messages[-1]):
            raise UsageError(f"the model {self.name} cannot see images; ask in the role vision")
        plain = [{**m, "content": self._plain(text_of(m))} for m in messages]
        return self._weights.tokenize(self._template.render(plain) + self._plain(continues))

    def _size(self, prompt: Sequence[int]) -> int:
        """Return how many cells of the cache *prompt* takes."""
        return len(prompt)

    def _prepare(
        self, prompt: list[int], messages: Sequence[ChatMessage], room: int
    ) -> tuple[int, int]:
        """Make the cache ready to go on with *prompt* and *room* more tokens.

        Returns the size of the prompt, and how much of it is in the cache.

        Raises:
            UsageError: it does not fit into the context.
        """
        size = self._size(prompt)
        if size + room > self.context_tokens:
            raise UsageError(
                f"the message is too long: with its instructions it has {size} tokens and "
                f"the model reads {self.context_tokens - room}; shorten it or raise "
                "llm.context_tokens"
            )
        self._restore_for(prompt, messages)
        # The last token is evaluated in any case: its logits are not kept.
        cached = min(_common(self._cached, prompt), len(prompt) - 1)
        self._forget_after(cached)
        return size, cached

    def _plain(self, text: str) -> str:
        """Return *text* without control tokens written out in it, such as ``<|im_end|>``.

        Otherwise a pasted text could end the user's message and go on as the system.
        """
        weights = self._weights
        while True:
            cleaned = text
            for token in set(filter(weights.is_control, weights.tokenize(text))):
                cleaned = cleaned.replace(weights.token_text(token), " ")
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
        content = len(self._weights.tokenize("a"))
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
            if not self._advance(tokens, proceed):
                return False
        return True

    def _advance(self, tokens: list[int], proceed: Proceed) -> bool:
        """Evaluate the next batch of *tokens*; False when *proceed* stopped it."""
        if not proceed():
            return False
        done = len(self._cached)
        self._decode(tokens[done : done + self._runtime.batch_tokens])
        return True

    def _decode(self, tokens: list[int]) -> None:
        try:
            self._runtime.decode(tokens, len(self._cached))
        except BaseException:
            self._forget_all()
            raise
        self._cached += tokens

    def _write(
        self,
        max_tokens: int,
        temperature: float,
        on_text: OnText,
        proceed: Proceed,
        before: Sequence[int],
    ) -> tuple[str, int]:
        """Write up to *max_tokens* after *before*; return why it ended, and how many there are."""
        weights = self._weights
        # A token can be a part of a character: the decoder hands out whole ones only.
        decoder = codecs.getincrementaldecoder("utf-8")(errors="replace")
        sampler = self._runtime.sampler(temperature)
        if before:
            sampler.accept(before)
        written = 0
        try:
            while True:
                token = sampler.next()
                if weights.is_end(token):
                    reason = "stop"
                    break
                written += 1
                if text := decoder.decode(weights.piece(token)):
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
