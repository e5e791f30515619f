"""One answer on its way: text from the model in, clauses to the voice out, and what was heard.

Until it is *released* (the question is certain) the text is only kept. After that every clause
goes to the synthesis worker as soon as it is whole.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from appliance.assistant.code_blocks import CodeSplitter, Piece
from appliance.assistant.history import heard_text
from appliance.assistant.sentences import ClauseSplitter, for_speech


@dataclass
class Clause:
    """A piece of speech that was ordered."""

    number: int
    """Counts from 1 within the turn."""
    text: str
    counts: bool
    """It is part of the answer (a filler is not)."""
    samples: int = 0
    """Length in the playback ring; 0 until it was synthesised."""
    failed: bool = False

    @property
    def done(self) -> bool:
        return self.failed or self.samples > 0


@dataclass
class Reply:
    """The answer to one attempt of a turn."""

    turn_id: int
    attempt: int
    question: str
    language: str
    spoken: bool
    released: bool = False
    finished: bool = False
    """The model has stopped writing, or nothing more will be said."""
    end_ordered: bool = False
    text: str = ""
    source: str = ""
    """The sentence at its end that names a document; empty without one."""
    clauses: list[Clause] = field(default_factory=list)
    _code: CodeSplitter = field(default_factory=CodeSplitter)
    _splitter: ClauseSplitter = field(default_factory=ClauseSplitter)
    _waiting: list[str] = field(default_factory=list)
    _begun_code: bool = False

    @property
    def has_code(self) -> bool:
        """The answer holds code, which is for the eye."""
        return self._code.blocks > 0

    def expects(self, attempt: int) -> bool:
        """Return whether this is the attempt, and more of its answer can come."""
        return attempt == self.attempt and not self.finished

    def feed(self, text: str) -> None:
        """Take a piece of the model's answer."""
        self.text += text
        if self.spoken:
            self._speak(self._code.feed(text))

    def finish(self) -> None:
        """The answer is whole."""
        if self.spoken and not self.finished:
            self._speak(self._code.flush())
            self._waiting += self._splitter.flush()
        self.finished = True

    def _speak(self, pieces: list[Piece]) -> None:
        """Let the prose before the first block of code be spoken; the rest is to be read."""
        for piece in pieces:
            if piece.block == 1 and not self._begun_code:
                self._begun_code = True
                self._waiting += self._splitter.flush()
            if not self._begun_code:
                self._waiting += self._splitter.feed(piece.text)

    def take_clauses(self) -> list[Clause]:
        """Return the clauses that can be spoken now, as far as the reply is released."""
        if not self.released:
            return []
        texts, self._waiting = self._waiting, []
        speakable = filter(None, map(for_speech, texts))
        return [self.add_clause(text, counts=True) for text in speakable]

    def add_clause(self, text: str, *, counts: bool) -> Clause:
        """Append a clause of Luna's own, such as a filler."""
        clause = Clause(len(self.clauses) + 1, text, counts)
        self.clauses.append(clause)
        return clause

    def owed(self) -> list[Clause]:
        """Return the clauses that were ordered and not synthesised."""
        return [clause for clause in self.clauses if not clause.done]

    def synthesised(self, number: int, samples: int) -> None:
        """Note the length of a clause."""
        for clause in self.clauses:
            if clause.number == number:
                clause.samples = samples

    def seconds(self, rate: int) -> float:
        """Return how long all that was synthesised takes to play."""
        return sum(clause.samples for clause in self.clauses) / rate if rate else 0.0

    def failed_clause(self, number: int) -> None:
        """Note that no voice could say a clause."""
        for clause in self.clauses:
            if clause.number == number:
                clause.failed = True

    def heard(self, clause: int, clause_samples: int, rate: int) -> str:
        """Return the words of the answer that were played when it was cut off."""
        counted = [
            (c.text if c.counts else "", c.samples) for c in self.clauses if c.number <= clause
        ]
        return heard_text(counted, clause, clause_samples, rate)

    def without_source(self, said: str) -> str:
        """Return *said*, a beginning of the answer, without the source."""
        return said[: len(self.text.strip().removesuffix(self.source))].rstrip()

    def asks_something(self) -> bool:
        """Return whether the answer ends with a question, so that a reply is to be expected."""
        return self.text.rstrip().rstrip("\"')\u201d\u2019").endswith("?")
