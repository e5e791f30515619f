from __future__ import annotations

from dataclasses import replace

from appliance.clock import monotonic
from appliance.commands import BOX, FILE, PAGE, Cancel, EndSpeech, Speak
from appliance.errors import ProviderError
from appliance.events import ClauseSynthesised, SynthesisFailed, VoiceFailed
from appliance.tts.remote import WithProviders
from tests.tts.harness import ToneVoice, bench, samples, until

SAMPLES_A_WORD = 800


def speak(turn_id: int, clause: int, words: int, language: str = "en") -> Speak:
    return Speak(turn_id=turn_id, clause=clause, text="word " * words, language=language)


def test_clauses_come_out_in_order_and_the_end_is_marked() -> None:
    with bench() as b:
        began = monotonic()
        for clause in (1, 2, 3):
            b.worker.handle(speak(7, clause, clause))
        b.worker.handle(EndSpeech(turn_id=7))
        events = [b.next() for _ in range(3)]
        assert until(lambda: b.worker.stats()["waiting"] == 0 and b.ring.depth == 3 + 5 + 8 + 1)
        blocks = list(b.ring.drain())
    assert [(e.clause, e.samples, e.rate) for e in events if isinstance(e, ClauseSynthesised)] == [
        (1, 800, 16_000),
        (2, 1600, 16_000),
        (3, 2400, 16_000),
    ]
    assert began < events[0].first_audio_at < events[2].first_audio_at < monotonic()
    spoken = [block.clause for block in blocks if block.payload]
    assert spoken == sorted(spoken)
    assert blocks[-1].end
    assert blocks[-1].payload == b""
    assert len(samples(blocks)) == 6 * SAMPLES_A_WORD


def test_sound_is_resampled_to_the_rate_of_the_speaker() -> None:
    with bench(rate=48_000) as b:
        b.worker.handle(speak(1, 1, 4))
        event = b.next()
        blocks = list(b.ring.drain())
    assert event.rate == 48_000
    assert event.samples == len(samples(blocks))
    assert abs(event.samples - 4 * 3 * SAMPLES_A_WORD) < 10
    assert all(block.rate == 48_000 for block in blocks)
    assert {len(block.payload) for block in blocks[:-1]} == {48_000 // 50 * 2}


def test_the_first_clause_waits_for_the_speaker_to_say_its_rate() -> None:
    with bench(rate=0) as b:
        b.worker.handle(speak(1, 1, 1))
        assert until(lambda: b.ring.depth == 1)
        bell = b.ring.read()
        assert bell is not None
        assert (bell.turn_id, bell.payload) == (0, b"")
        b.ring.rate = 44_100
        assert b.next().rate == 44_100


def test_without_any_speaker_the_voice_keeps_its_own_rate() -> None:
    with bench(rate=0) as b:
        b.worker.handle(speak(1, 1, 1))
        b.worker.handle(speak(1, 2, 1))
        assert [b.next().rate, b.next().rate] == [16_000, 16_000]
        assert {block.rate for block in b.ring.drain() if block.payload} == {16_000}


def test_a_full_ring_holds_the_writer_back_and_nothing_is_lost() -> None:
    with bench(seconds=0.2) as b:
        b.worker.handle(speak(1, 1, 40))
        assert until(lambda: b.ring.depth == b.ring.slots)
        assert b.main.receive(0.2) is None
        assert b.worker.busy_s() == 0.0  # waiting for the speaker is not hanging
        count = 0
        while count < 40 * SAMPLES_A_WORD:
            b.ring.wait_data(5.0)
            count += sum(len(block.payload) // 2 for block in b.ring.drain())
        assert b.next().samples == count


def test_cancel_stops_a_blocked_turn_at_once_and_the_next_one_follows() -> None:
    with bench(seconds=0.2) as b:
        b.worker.handle(speak(1, 1, 2000))
        b.worker.handle(speak(1, 2, 5))
        assert until(lambda: b.ring.depth == b.ring.slots)
        began = monotonic()
        b.worker.handle(Cancel(turn_id=1))
        taken = monotonic() - began
        left = len(list(b.ring.drain()))
        b.worker.handle(speak(1, 3, 5))  # late, for a turn that is over
        b.worker.handle(speak(2, 1, 1))
        event = b.next()
        blocks = list(b.ring.drain())
    assert taken < 0.2
    assert left == 10
    assert isinstance(event, ClauseSynthesised)
    assert event.turn_id == 2
    assert {block.turn_id for block in blocks} == {2}


def test_cancel_of_one_attempt_leaves_the_turn_alone() -> None:
    with bench() as b:
        b.worker.handle(Cancel(turn_id=1, attempt=2))
        b.worker.handle(speak(1, 1, 1))
        assert isinstance(b.next(), ClauseSynthesised)


def test_a_broken_voice_is_replaced_by_the_next() -> None:
    with bench(ToneVoice("broken", fails=True), ToneVoice("spare")) as b:
        b.worker.handle(speak(1, 1, 1))
        assert b.next().voice == "spare"


def test_when_every_voice_fails_it_says_so_and_goes_on() -> None:
    with bench(ToneVoice("broken", fails=True)) as b:
        b.worker.handle(speak(1, 1, 1))
        b.worker.handle(Speak(turn_id=1, clause=2, text="", language="en"))
        failed, empty = b.next(), b.next()
        assert isinstance(failed, SynthesisFailed)
        assert "broken" in failed.detail
        assert (empty.clause, empty.samples) == (2, 0)
        assert b.worker.stats()["failed"] == 1


def test_a_voice_that_hangs_is_visible_as_busy() -> None:
    with bench(ToneVoice(piece_s=0.4)) as b:
        b.worker.handle(speak(1, 1, 1))
        assert until(lambda: b.worker.busy_s() > 0.1)
        b.next()
        assert until(lambda: b.worker.busy_s() == 0.0)


def test_it_closes_while_the_ring_is_full() -> None:
    with bench(seconds=0.1) as b:
        b.worker.handle(speak(1, 1, 3000))
        assert until(lambda: b.ring.depth == b.ring.slots)
        began = monotonic()
        b.worker.close()
        assert monotonic() - began < 1.5


def test_a_provider_that_fails_is_reported_and_the_box_speaks() -> None:
    far = ToneVoice("far")
    tired = ToneVoice("tired", fails=True)
    tired.error = ProviderError("tired has no credit left", kind="quota")
    with bench() as b:
        b.worker._voices = WithProviders(
            b.worker._voices, {"far": {"en": far}, "tired": {"en": tired}}
        )
        b.worker.handle(replace(speak(1, 1, 2), provider="far"))
        b.worker.handle(replace(speak(1, 2, 2), provider="tired"))
        b.worker.handle(replace(speak(1, 3, 2, "pt"), provider="far"))
        events = [b.next() for _ in range(4)]
    assert [event.voice for event in events if isinstance(event, ClauseSynthesised)] == [
        "far",
        "tone",
        "tone",
    ]
    [failed] = [event for event in events if isinstance(event, VoiceFailed)]
    assert (failed.clause, failed.provider, failed.kind) == (2, "tired", "quota")


def test_each_stream_has_its_ring_and_files_come_last() -> None:
    with bench(ToneVoice(piece_s=0.02)) as b:
        b.worker.handle(speak(1, 1, 10))
        b.worker.handle(replace(speak(1 << 32, 1, 3), stream=FILE))
        b.worker.handle(replace(speak(2, 1, 2), stream=PAGE))
        b.worker.handle(EndSpeech(turn_id=2, stream=PAGE))
        events = [b.next() for _ in range(3)]
        assert [event.turn_id for event in events] == [1, 2, 1 << 32]
        assert until(lambda: b.others[PAGE].depth == 6)
        blocks = {stream: list(ring.drain()) for stream, ring in {BOX: b.ring, **b.others}.items()}
    words = {stream: len(samples(found)) // SAMPLES_A_WORD for stream, found in blocks.items()}
    assert words == {BOX: 10, PAGE: 2, FILE: 3}
    assert blocks[PAGE][-1].end


def test_a_page_that_takes_nothing_holds_up_only_itself() -> None:
    with bench(seconds=0.2) as b:
        b.worker.handle(replace(speak(1, 1, 100), stream=PAGE))
        page = b.others[PAGE]
        assert until(lambda: page.depth == page.slots)
        b.worker.handle(speak(2, 1, 2))
        assert b.next().turn_id == 2
        b.worker.handle(Cancel(turn_id=1))
        list(page.drain())
        b.worker.handle(replace(speak(3, 1, 1), stream=PAGE))
        assert b.next().turn_id == 3
        assert {block.turn_id for block in page.drain()} == {3}
