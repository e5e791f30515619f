"""What the speaker gets: nothing lost, nothing twice, and every turn ends exactly once."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt
import pytest

from appliance.audio.device import Format
from appliance.audio.player import Player, gain
from appliance.audio.ring_buffer import PlaybackRing
from appliance.events import PlaybackFinished, PlaybackStarted

RATE = 22_050
BLOCK = RATE // 50
FADE = int(0.005 * RATE)


class Speaker:
    """A player with its ring, driven by hand."""

    def __init__(self) -> None:
        self.ring = PlaybackRing(4.0)
        self.player = Player(self.ring, volume=100, earcon_volume=100)
        self.player.configure(Format("speaker", RATE, 2))

    def reply(
        self, turn: int, clauses: list[npt.NDArray[np.int16]], *, end: bool = True, rate: int = 0
    ) -> None:
        for number, samples in enumerate(clauses, 1):
            for at in range(0, len(samples), BLOCK):
                payload = samples[at : at + BLOCK].tobytes()
                assert self.ring.write(payload, turn_id=turn, clause=number, rate=rate)
        if end:
            assert self.ring.write(b"", turn_id=turn, clause=len(clauses), end=True)

    def render(self, frames: int) -> npt.NDArray[np.int16]:
        """What both channels of the speaker get next."""
        out = np.full((frames, 2), 99, np.int16)
        self.player.render(out)
        assert np.array_equal(out[:, 0], out[:, 1])
        return out[:, 0]

    def finished(self) -> list[PlaybackFinished]:
        return [r for r in self.player.reports if isinstance(r, PlaybackFinished)]

    def started(self) -> list[int]:
        return [r.turn_id for r in self.player.reports if isinstance(r, PlaybackStarted)]


@pytest.fixture
def speaker() -> Iterator[Speaker]:
    made = Speaker()
    yield made
    made.ring.close()


def ramp(samples: int, start: int = 1) -> npt.NDArray[np.int16]:
    """Samples that tell where they belong."""
    return np.arange(start, start + samples).astype(np.int16)


def test_plays_every_sample_once_whatever_the_callback_asks_for(speaker: Speaker) -> None:
    reply = ramp(BLOCK * 7 + 13)
    speaker.reply(1, [reply])
    got = np.concatenate([speaker.render(n) for n in (1, 7, 256, 512, 441, 1000, 2000, 3)])
    assert np.array_equal(got[: len(reply)], reply)
    assert not got[len(reply) :].any()
    assert speaker.started() == [1]
    (end,) = speaker.finished()
    assert (end.cut, end.clause, end.clause_samples, end.rate) == (False, 1, len(reply), RATE)
    assert speaker.player.underruns == 0
    assert not speaker.player.active


def test_nothing_to_play_is_silence(speaker: Speaker) -> None:
    assert not speaker.render(500).any()
    assert not speaker.player.reports
    assert speaker.player.underruns == 0


def test_cancel_fades_and_tells_what_was_heard(speaker: Speaker) -> None:
    loud = np.full(BLOCK * 10, 10_000, np.int16)
    speaker.reply(3, [loud, loud])
    speaker.render(BLOCK * 10 + 100)
    speaker.player.cancel(3)
    rest = speaker.render(BLOCK)
    assert 9_000 < rest[0] <= 10_000
    assert np.all(np.diff(rest[:FADE].astype(int)) <= 0)
    assert not rest[FADE:].any()
    assert not speaker.render(BLOCK * 20).any()
    (end,) = speaker.finished()
    assert (end.turn_id, end.cut, end.clause) == (3, True, 2)
    assert end.clause_samples == 100 + FADE
    assert speaker.ring.depth == 0


def test_cancel_before_the_first_sample_and_twice(speaker: Speaker) -> None:
    speaker.player.cancel(5)
    speaker.reply(5, [ramp(BLOCK * 3)])
    assert not speaker.render(BLOCK * 4).any()
    speaker.player.cancel(5)
    speaker.player.cancel(4)
    speaker.render(BLOCK)
    assert [(e.turn_id, e.cut, e.clause) for e in speaker.finished()] == [(5, True, 0)]
    assert speaker.started() == []


def test_what_comes_late_for_a_cancelled_turn_is_dropped(speaker: Speaker) -> None:
    speaker.reply(1, [ramp(BLOCK * 2)], end=False)
    speaker.render(BLOCK)
    speaker.player.cancel(1)
    speaker.render(BLOCK)
    speaker.reply(1, [ramp(BLOCK * 2)])
    speaker.reply(2, [ramp(BLOCK, start=5_000)])
    assert np.array_equal(speaker.render(BLOCK), ramp(BLOCK, start=5_000))
    speaker.render(BLOCK)
    assert [(e.turn_id, e.cut) for e in speaker.finished()] == [(1, True), (2, False)]


def test_cancel_without_a_speaker_empties_the_ring_and_keeps_the_next_turn(
    speaker: Speaker,
) -> None:
    speaker.reply(1, [ramp(BLOCK * 2)])
    speaker.reply(2, [ramp(BLOCK * 2)])
    speaker.player.cancel(1)
    speaker.player.idle()
    assert np.array_equal(speaker.render(BLOCK * 2), ramp(BLOCK * 2))
    speaker.render(1)
    assert [(e.turn_id, e.cut) for e in speaker.finished()] == [(1, True), (2, False)]


def test_pause_and_resume_lose_no_sample(speaker: Speaker) -> None:
    reply = ramp(BLOCK * 6, start=2_000)
    speaker.reply(1, [reply])
    before = speaker.render(BLOCK + 50)
    speaker.player.pause(1)
    fading = speaker.render(BLOCK)
    assert fading[0] > 0
    assert not fading[FADE:].any()
    assert not speaker.render(BLOCK * 3).any()
    assert speaker.player.underruns == 0
    speaker.player.resume(1)
    after = speaker.render(BLOCK * 6)
    place = len(before)
    assert np.all(np.abs(after[:FADE]) <= np.abs(reply[place : place + FADE]))
    assert np.array_equal(after[FADE : len(reply) - place], reply[place + FADE :])
    (end,) = speaker.finished()
    assert (end.cut, end.clause_samples) == (False, len(reply))


def test_cancel_while_paused_is_silent(speaker: Speaker) -> None:
    speaker.reply(1, [ramp(BLOCK * 6, start=2_000)])
    speaker.render(BLOCK)
    speaker.player.pause(1)
    speaker.render(BLOCK)
    speaker.player.cancel(1)
    assert not speaker.render(BLOCK * 8).any()
    (end,) = speaker.finished()
    assert (end.cut, end.clause_samples) == (True, BLOCK)
    speaker.reply(2, [ramp(BLOCK, start=7_000)])
    assert speaker.render(BLOCK).any()


def test_pause_of_another_turn_changes_nothing(speaker: Speaker) -> None:
    speaker.reply(2, [ramp(BLOCK * 2)])
    speaker.render(BLOCK)
    speaker.player.pause(1)
    assert np.array_equal(speaker.render(BLOCK), ramp(BLOCK, start=BLOCK + 1))


@pytest.mark.parametrize("heard", [0, 1, BLOCK, BLOCK * 3, BLOCK * 3 + 1, BLOCK * 5 - 1])
def test_samples_are_counted_by_clause(speaker: Speaker, heard: int) -> None:
    speaker.reply(1, [ramp(BLOCK * 3), ramp(BLOCK * 2)], end=False)
    speaker.render(heard)
    speaker.player.cancel(1)
    speaker.render(0)  # no room for the fade, so that the count is exact
    (end,) = speaker.finished()
    assert end.cut
    if heard == 0:
        assert (end.clause, end.clause_samples) == (0, 0)
    elif heard <= BLOCK * 3:
        assert (end.clause, end.clause_samples) == (1, heard)
    else:
        assert (end.clause, end.clause_samples) == (2, heard - BLOCK * 3)


def test_a_gap_counts_once_however_long(speaker: Speaker) -> None:
    speaker.reply(1, [ramp(BLOCK)], end=False)
    for _ in range(6):
        speaker.render(BLOCK)
    assert speaker.player.underruns == 1
    speaker.reply(1, [ramp(BLOCK)], end=False)
    speaker.render(BLOCK)
    assert speaker.player.underruns == 1
    for _ in range(3):
        speaker.render(BLOCK)
    assert speaker.player.underruns == 2
    speaker.reply(1, [], end=True)
    speaker.render(BLOCK)
    speaker.render(BLOCK)
    assert speaker.player.underruns == 2
    assert len(speaker.finished()) == 1


def test_blocks_for_another_rate_are_silent_and_counted(speaker: Speaker) -> None:
    speaker.reply(1, [ramp(BLOCK * 3)], rate=48_000)
    assert not speaker.render(BLOCK * 4).any()
    assert speaker.player.wrong_rate_blocks == 3
    (end,) = speaker.finished()
    assert (end.cut, end.clause_samples) == (False, 0)


def test_another_speaker_in_the_middle(speaker: Speaker) -> None:
    speaker.reply(1, [ramp(BLOCK * 4)])
    speaker.render(BLOCK // 2)
    speaker.player.configure(Format("other", 48_000, 1))
    assert speaker.ring.rate == 48_000
    out = np.empty((960 * 8, 1), np.int16)
    speaker.player.render(out)
    assert not out.any()
    assert len(speaker.finished()) == 1


def test_two_turns_after_each_other(speaker: Speaker) -> None:
    speaker.reply(1, [ramp(BLOCK)])
    speaker.reply(2, [ramp(BLOCK, start=9_000)])
    got = speaker.render(BLOCK * 3)
    expected = np.concatenate((ramp(BLOCK), ramp(BLOCK, start=9_000)))
    assert np.array_equal(got[: BLOCK * 2], expected)
    assert speaker.started() == [1, 2]
    assert [(e.turn_id, e.cut) for e in speaker.finished()] == [(1, False), (2, False)]


def test_an_empty_reply_also_ends(speaker: Speaker) -> None:
    speaker.reply(1, [])
    speaker.render(BLOCK)
    assert speaker.started() == []
    assert [(e.turn_id, e.cut, e.clause) for e in speaker.finished()] == [(1, False, 0)]


def test_volume(speaker: Speaker) -> None:
    speaker.reply(1, [np.full(BLOCK * 4, 10_000, np.int16)], end=False)
    speaker.player.volume = 50
    # Reached smoothly, within one block: a jump would click.
    assert np.abs(np.diff(speaker.render(BLOCK).astype(int))).max() < 50
    assert np.all(speaker.render(BLOCK) == 2_500)
    speaker.player.volume = 0
    speaker.render(BLOCK)
    assert not speaker.render(BLOCK).any()
    assert gain(100) == 1.0


def test_signals_are_mixed_over_a_reply_and_never_wrap(speaker: Speaker) -> None:
    speaker.reply(1, [np.full(BLOCK * 30, 32_000, np.int16)], end=False)
    speaker.player.signal("wake")
    speaker.player.signal("no such signal")
    got = np.concatenate([speaker.render(BLOCK) for _ in range(20)]).astype(int)
    assert got.max() == 32_767
    # A sum that wrapped would jump from one end of the scale to the other.
    assert np.abs(np.diff(got)).max() < 20_000
    assert np.all(got[-BLOCK:] == 32_000)


@pytest.mark.parametrize("order", ["cancel", "pause"])
def test_falls_silent_without_a_click_between_two_blocks(speaker: Speaker, order: str) -> None:
    """The usual case: callbacks and blocks have the same length."""
    speaker.reply(1, [np.full(BLOCK * 4, 10_000, np.int16)])
    speaker.render(BLOCK)
    getattr(speaker.player, order)(1)
    rest = speaker.render(BLOCK).astype(int)
    assert rest[0] > 9_000
    assert np.abs(np.diff(rest[: FADE + 1])).max() < 200
    assert not rest[FADE:].any()


def test_pause_and_resume_between_two_blocks_lose_no_sample(speaker: Speaker) -> None:
    reply = ramp(BLOCK * 4, start=2_000)
    speaker.reply(1, [reply])
    speaker.render(BLOCK)
    speaker.player.pause(1)
    speaker.render(BLOCK * 2)
    speaker.player.resume(1)
    after = speaker.render(BLOCK * 4)
    assert np.array_equal(after[FADE : BLOCK * 3], reply[BLOCK + FADE :])
    (end,) = speaker.finished()
    assert (end.cut, end.clause_samples) == (False, len(reply))


@pytest.mark.parametrize("order", ["cancel", "pause"])
def test_an_order_that_finds_only_the_end_left(speaker: Speaker, order: str) -> None:
    speaker.reply(1, [ramp(BLOCK)])
    speaker.render(BLOCK)
    getattr(speaker.player, order)(1)
    assert not speaker.render(BLOCK).any()
    assert [(e.turn_id, e.cut, e.clause_samples) for e in speaker.finished()] == [(1, False, BLOCK)]
    speaker.reply(2, [ramp(BLOCK)])
    assert np.array_equal(speaker.render(BLOCK), ramp(BLOCK))


def test_cancel_of_a_waiting_turn_ends_it_and_the_one_before(speaker: Speaker) -> None:
    speaker.reply(1, [ramp(BLOCK * 3)])
    speaker.reply(2, [ramp(BLOCK)])
    speaker.render(BLOCK)
    speaker.player.cancel(2)
    speaker.render(BLOCK * 6)
    assert [(e.turn_id, e.cut, e.clause) for e in speaker.finished()] == [
        (1, True, 1),
        (2, True, 0),
    ]


def test_a_turn_whose_end_never_comes_is_ended_by_the_next(speaker: Speaker) -> None:
    speaker.reply(1, [ramp(BLOCK)], end=False)
    speaker.reply(2, [ramp(BLOCK)])
    speaker.render(BLOCK * 3)
    assert [(e.turn_id, e.cut, e.clause_samples) for e in speaker.finished()] == [
        (1, True, BLOCK),
        (2, False, BLOCK),
    ]


def test_a_signal_waits_for_the_speaker_but_not_for_ever(speaker: Speaker) -> None:
    speaker.player.signal("wake")
    speaker.player.idle()  # the speaker is being opened
    assert speaker.player.active
    assert speaker.render(BLOCK * 10).any()
    for _ in range(8):
        speaker.player.signal("error")
        speaker.player.idle()
    speaker.player.forget_signals()  # there is no speaker
    assert not speaker.player.active
    assert not speaker.render(BLOCK * 10).any()
