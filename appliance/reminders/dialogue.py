"""From a sentence to what is done about it, and to what Luna says of it.

Luna says "saved", "done" or "cancelled" only of records that the store has acknowledged, in words
made from those records. What is not clear she asks; the next sentence is taken as the answer if it
can be one.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import TypeAlias

from appliance.errors import StorageError
from appliance.reminders import changes, sentences
from appliance.reminders.answers import is_never_mind, places, yes_or_no
from appliance.reminders.book import Book
from appliance.reminders.command_words import Kind as SaidKind
from appliance.reminders.commands import (
    AddReminder,
    CancelAllReminders,
    CancelReminder,
    ChangeReminder,
    ExtendReminder,
    FinishReminder,
    ListReminders,
    ReminderCommand,
    SnoozeReminder,
    TimeLeft,
    Which,
    recognise,
)
from appliance.reminders.matching import alike, chosen
from appliance.reminders.reading_back import ask, number_word, say_day, say_length, say_moment
from appliance.reminders.records import Kind, Reminder
from appliance.reminders.retiming import retimed, seconds_until
from appliance.reminders.schedule import due_at, pending, quiet_until, zone_of
from appliance.reminders.spoken_time import Duration, Moment, Parsed, Question, parse
from appliance.reminders.wall_clock import Now
from appliance.texts import text

ANSWER_WITHIN_S = 60.0
"""Later, a sentence is no answer any more."""
RECENT_S = 300.0
"""So long "it" means the reminder that was spoken of last."""
MOST = 10_000
"""Reminders that are open at a time."""


@dataclass(frozen=True)
class Reply:
    """What Luna says, and whether she waits for an answer."""

    text: str
    expects_answer: bool = False
    ok: bool = True
    """What was asked for was done, or told; not so while she asks, and when it failed."""
    reminders: tuple[int, ...] = ()
    """Ids of the records it is about."""
    failed: bool = False
    """The store did not acknowledge it."""


Continue: TypeAlias = Callable[[str], Awaitable[Reply | None]]
Act: TypeAlias = Callable[[Sequence[Reminder]], Awaitable[Reply]]


@dataclass(frozen=True)
class _Asked:
    """A question that waits for its answer."""

    until: float
    """On the boot clock."""
    language: str
    go_on: Continue
    """Takes the answer; returns None when it is none."""


class Dialogue:
    """One conversation about the reminders in *book*."""

    def __init__(self, book: Book) -> None:
        self.book = book
        self._asked: _Asked | None = None
        self._recent = (0, 0.0)
        """Id of the reminder that was spoken of last, and until when "it" means that one."""

    def concerns(self, said: str, language: str) -> bool:
        """Return whether *said* may be for :meth:`handle`; without any effect.

        It is, if a question is open, something rings, or the words are a command.
        """
        open_question = self._asked is not None and self.book.time().boot <= self._asked.until
        return open_question or self._recognise(said, language) is not None

    async def handle(
        self, said: str | ReminderCommand, language: str, *, always: bool = False
    ) -> Reply | None:
        """Do what *said* asks for; return what to say, or None when it is about something else.

        *always* lets what is added ring in quiet hours too. It never raises StorageError: that
        something was not stored is what Luna says then.
        """
        now = self.book.time()
        asked, self._asked = self._asked, None
        command = said if not isinstance(said, str) else self._recognise(said, language)
        if asked and isinstance(said, str) and now.boot <= asked.until:
            if is_never_mind(said, language) and not yes_or_no(said, language):
                return Reply(text("reminder.let_go", language))
            # An answer such as "at nine" is no command; a whole new one takes precedence.
            if command is None or _is_fragment(command):
                reply = await asked.go_on(said)
                if reply is not None:
                    return reply
        if command is None:
            return None
        return await self._do(command, said if isinstance(said, str) else "", language, always)

    def _recognise(self, said: str, language: str) -> ReminderCommand | None:
        book = self.book
        ringing = bool(book.ringing())
        return recognise(said, book.time().wall, book.zone, language, ringing=ringing)

    async def _do(
        self, command: ReminderCommand, said: str, language: str, always: bool
    ) -> Reply | None:
        match command:
            case AddReminder(kind=kind, parsed=parsed):
                return await self.add(kind or "reminder", parsed, language, said, always=always)
            case ListReminders(kind=kind, day=day):
                return self.list_(kind, day, language)
            case TimeLeft(which=which):
                return self._left(which, language)
            case CancelAllReminders(kind=kind):
                return self._confirm_all(kind, language)
            case CancelReminder(which=which):
                return await self._each(which, language, lambda r: self.cancel(r, language))
            case FinishReminder(which=which):
                return await self._each(which, language, lambda r: self.finish(r, language), True)
            case SnoozeReminder(which=which, when=when):
                act: Act = lambda r: self.snooze(r, when, language)  # noqa: E731
                return await self._each(which, language, act, True)
            case ExtendReminder(which=which, seconds=seconds):
                return await self._each(
                    which, language, lambda r: self.extend(r, seconds, language)
                )
            case ChangeReminder(which=which, when=when):
                act = lambda r: self.change(r[0], when, language, said)  # noqa: E731
                return await self._each(which, language, act)

    # --- adding ----------------------------------------------------------------------------------

    async def add(
        self, kind: Kind, parsed: Parsed, language: str, said: str = "", *, always: bool = False
    ) -> Reply:
        """Add a reminder; *said* is the sentence, to which an answer is appended."""
        book, now = self.book, self.book.time()
        if isinstance(parsed, Question):

            async def go_on(answer: str) -> Reply | None:
                whole = f"{said or parsed.text} {answer}"
                command = self._recognise(whole, language) if said else None
                if isinstance(command, AddReminder):
                    return await self.add(
                        command.kind or "reminder", command.parsed, language, whole
                    )
                return await self.add(kind, self._parse(whole, language), language, "")

            return self._ask(_question(parsed, self._local(), language), language, go_on)
        if not isinstance(parsed, Duration) and not now.trusted:
            return Reply(text("reminder.clock_unknown", language), ok=False)
        if sum(one.open for one in book.records.values()) >= MOST:
            return Reply(text("reminder.too_many", language, count=MOST), ok=False)
        draft = changes.new(kind, parsed, language, now, book.zone.key, always=always)
        try:
            stored = await book.add(draft)
        except StorageError:
            return self._failed("added", language)
        self._remember(stored)
        receipt = sentences.receipt("added", stored, book.time(), language)
        return Reply(receipt + self._quiet_note(stored, language), reminders=(stored.id,))

    def _quiet_note(self, stored: Reminder, language: str) -> str:
        book, now = self.book, self.book.time()
        due = due_at(stored, now)
        ends = quiet_until(stored, due, book.policy, book.zone) if due else None
        if ends is None:
            return ""
        local = ends.astimezone(book.zone).replace(tzinfo=None)
        said = say_moment(local, self._local(), language)
        return " " + text("reminder.quiet", language, when=said)

    # --- telling ---------------------------------------------------------------------------------

    def list_(self, kind: SaidKind = "", day: date | None = None, language: str = "en") -> Reply:
        """Say what there is, of a kind or on a day."""
        now = self.book.time()
        found = self._open(kind)
        if day is not None:
            found = [one for one in found if _comes_on(one, day)]
            if not found:
                named = say_day(day, self._local(), language)
                return Reply(text("reminder.none_on", language, day=named))
        if not found:
            return Reply(text(f"reminder.none.{kind}" if kind else "reminder.none", language))
        items = sentences.listed(found, now, language)
        key = "reminder.list" if len(found) > 1 else "reminder.list_one"
        said = text(key, language, count=number_word(len(found), language), items=items)
        return Reply(sentences.sentence(said), reminders=tuple(one.id for one in found))

    def _left(self, which: Which, language: str) -> Reply | None:
        now = self.book.time()
        pool = self._open(which.kind)
        if not which.kind and not which.text:
            pool = [one for one in pool if one.countdown] or pool
        found = chosen(which, pool, now, language)
        if not found:
            if which.text and not which.kind:
                return None  # "how long until Christmas?"
            kind = which.kind
            return Reply(text(f"reminder.none.{kind}" if kind else "reminder.none", language))
        said = []
        for one in found[: sentences.MOST_READ]:
            name = sentences.name_of(one, language)
            left = sentences.left_s(one, now)
            if one.countdown and not one.ring and left is not None:
                length = say_length(max(0, round(left)), language)
                said.append(text("reminder.left", language, name=name, length=length))
            else:
                when = sentences.when(one, now, language)
                said.append(text("reminder.left_when", language, name=name, when=when))
        whole = " ".join(map(sentences.sentence, said))
        return Reply(whole, reminders=tuple(one.id for one in found))

    # --- changing ------------------------------------------------------------------------------

    async def cancel(self, found: Sequence[Reminder], language: str) -> Reply:
        """Take reminders away."""
        now = self.book.time()
        return await self._store(
            "cancelled", found, lambda one: changes.cancelled(one, now), language
        )

    async def finish(self, found: Sequence[Reminder], language: str) -> Reply:
        """Note that reminders are done, or were heard."""
        now = self.book.time()
        return await self._store("done", found, lambda one: changes.finished(one, now), language)

    async def snooze(self, found: Sequence[Reminder], when: Parsed | None, language: str) -> Reply:
        """Say reminders again later."""
        now = self.book.time()
        if isinstance(when, Question):
            question = _question(when, self._local(), language)

            async def go_on(answer: str) -> Reply | None:
                return await self.snooze(found, self._parse(answer, language), language)

            return self._ask(question, language, go_on)
        seconds = seconds_until(when, now) if when else float(self.book.policy.snooze_s)
        return await self._store(
            "snoozed", found, lambda one: changes.snoozed(one, seconds, now), language
        )

    async def extend(self, found: Sequence[Reminder], seconds: int, language: str) -> Reply:
        """Let reminders come later by some seconds."""
        now = self.book.time()
        if any(changes.extended(one, seconds, now) is None for one in found):
            return Reply(text("reminder.whole_rule", language), ok=False)
        return await self._store(
            "changed", found, lambda one: changes.extended(one, seconds, now) or one, language
        )

    async def change(self, one: Reminder, when: Parsed, language: str, said: str = "") -> Reply:
        """Move a reminder to another time; *said* is the sentence it was asked for with."""
        now = self.book.time()
        day = when.values.get("day") if isinstance(when, Question) else None
        if isinstance(day, date) and (usual := one.due or _local_due(one, now)):
            when = Moment("", datetime.combine(day, usual.time()), one.zone)
        if isinstance(when, Question):
            question = _question(when, self._local(), language)
            before = when.text

            async def go_on(answer: str) -> Reply | None:
                parsed = self._parse(f"{before} {answer}", language)
                return await self.change(one, parsed, language)

            return self._ask(question, language, go_on)
        if not isinstance(when, Duration) and not now.trusted:
            return Reply(text("reminder.clock_unknown", language), ok=False)
        when = retimed(one, when, said, now, self.book.zone, language)
        if changes.moved(one, when, now) is None:
            return Reply(text("reminder.whole_rule", language), ok=False)
        return await self._store(
            "changed", [one], lambda old: changes.moved(old, when, now) or old, language
        )

    def _confirm_all(self, kind: SaidKind, language: str) -> Reply:
        found = self._open(kind)
        if not found:
            return Reply(text(f"reminder.none.{kind}" if kind else "reminder.none", language))

        async def go_on(answer: str) -> Reply | None:
            match yes_or_no(answer, language):
                case "yes":
                    return await self.cancel_all(found, language)
                case "no":
                    return Reply(text("reminder.kept_all", language))
            return None

        count = number_word(len(found), language)
        names = sentences.names(found, language)
        question = text("reminder.confirm_all", language, count=count, items=names)
        return self._ask(question, language, go_on)

    async def cancel_all(self, found: Sequence[Reminder], language: str) -> Reply:
        """Take several away that the owner has confirmed."""
        reply = await self.cancel(found, language)
        if not reply.ok or len(reply.reminders) < 2:  # noqa: PLR2004
            return reply
        count = number_word(len(reply.reminders), language)
        said = text("reminder.cancelled_all", language, count=count)
        return Reply(said, reminders=reply.reminders)

    async def _store(
        self, change: str, found: Sequence[Reminder], how: changes.Change, language: str
    ) -> Reply:
        """Change the records and say what the store acknowledged."""
        try:
            stored = await self.book.change(change, [one.id for one in found], how)
        except StorageError:
            return self._failed(change, language)
        self._remember(*stored)
        now = self.book.time()
        said = " ".join(sentences.receipt(change, one, now, language) for one in stored)
        return Reply(said, reminders=tuple(one.id for one in stored))

    @staticmethod
    def _failed(change: str, language: str) -> Reply:
        return Reply(text(f"reminder.failed.{change}", language), ok=False, failed=True)

    # --- which one -------------------------------------------------------------------------------

    async def _each(
        self, which: Which, language: str, act: Act, ringing_first: bool = False
    ) -> Reply:
        """Do *act* with what *which* means; ask when it can be several."""
        book, now = self.book, self.book.time()
        rings = book.ringing() if ringing_first else []
        if rings and not which.text and not which.last:
            meant = [one for one in rings if not which.kind or one.kind == which.kind]
            return await act(meant or rings)
        pool = self._open("")
        if ringing_first:
            pool += [
                one
                for number in book.last_announced
                if (one := book.records.get(number)) and one.state == "unanswered"
            ]
        found = chosen(which, pool, now, language, self._spoken_of())
        if len(found) == 1:
            return await act(found)
        if not found and which.text:
            return Reply(text("reminder.unknown", language, text=which.text), ok=False)
        if not found:
            kind = which.kind
            return Reply(
                text(f"reminder.none.{kind}" if kind else "reminder.none", language), ok=False
            )

        async def go_on(answer: str) -> Reply | None:
            some = found[: sentences.MOST_READ]
            picked = [some[n] for n in places(answer, len(some), language)]
            picked = picked or alike(answer, found, self.book.time(), language)
            if not picked:
                return None
            if len(picked) > 1 and not places(answer, len(some), language):
                return self._ask(self._which(picked, language), language, go_on)
            return await act(picked)

        return self._ask(self._which(found, language), language, go_on)

    def _remember(self, *spoken_of: Reminder) -> None:
        if spoken_of:
            self._recent = (spoken_of[-1].id, self.book.time().boot + RECENT_S)

    def _spoken_of(self) -> int:
        number, until = self._recent
        return number if self.book.time().boot <= until else 0

    def _which(self, found: Sequence[Reminder], language: str) -> str:
        items = sentences.listed(found, self.book.time(), language)
        return text("reminder.which", language, items=items)

    def _open(self, kind: SaidKind) -> list[Reminder]:
        """Return what is open, the soonest due first, what has no time last."""
        now = self.book.time()
        found = [one for one in self.book.records.values() if one.open and kind in ("", one.kind)]
        never = now.wall + timedelta(days=36_500)
        return sorted(found, key=lambda one: (due_at(one, now) or never, one.id))

    # --- asking ----------------------------------------------------------------------------------

    def _ask(self, question: str, language: str, go_on: Continue) -> Reply:
        until = self.book.time().boot + ANSWER_WITHIN_S
        self._asked = _Asked(until, language, go_on)
        return Reply(question, expects_answer=True, ok=False)

    def _parse(self, said: str, language: str) -> Parsed:
        return parse(said, self.book.time().wall, self.book.zone, language)

    def _local(self) -> datetime:
        return self.book.time().wall.astimezone(self.book.zone).replace(tzinfo=None)


def _question(question: Question, local: datetime, language: str) -> str:
    return ask(question, local, language)


def _is_fragment(command: ReminderCommand) -> bool:
    """Return whether *command* lacks something, so that it may be the answer to a question."""
    return isinstance(command, AddReminder) and isinstance(command.parsed, Question)


def _comes_on(one: Reminder, day: date) -> bool:
    for local in pending(one):
        if local.date() >= day:
            return local.date() == day
    ring = one.ring
    return bool(ring and ring.local and ring.local.date() == day)


def _local_due(one: Reminder, now: Now) -> datetime | None:
    due = due_at(one, now)
    return due.astimezone(zone_of(one.zone)).replace(tzinfo=None) if due else None
