"""What Whisper writes when nobody spoke, and how to tell it from speech.

Whisper was trained on subtitles. Silence and noise make it write what stood under silent
scenes: credits, farewells, a single "you", or one phrase over and over. Some of these phrases
are also things that people say ("thank you"), so those are dropped only together with other
evidence: the model's own doubt about speech, a low confidence, or a sound that is too faint.

The thresholds were set on Whisper base and tiny.en. On noise, hum, tones, coughs and clicks the
no-speech probability was 0.47 to 0.97 and the mean log probability of a greedy decode at most
-1.1; on short commands at 10 to 20 dB above the noise they were 0.00 to 0.47 and above -1.0.
"""

from __future__ import annotations

import re
import unicodedata
import zlib

SILENT_DBFS = -60.0
"""Loudest 50 ms of a range below which it holds no speech."""
NO_SPEECH = 0.6
"""Whisper's own threshold for the probability of its no-speech token."""
MAX_COMPRESSION_RATIO = 2.4
"""Whisper's own threshold for repetitive text (UTF-8 bytes over zlib bytes)."""

_FAINT_DBFS = -50.0
_DOUBTFUL_SPEECH, _DOUBTFUL_TEXT = 0.4, -0.8
"""No-speech probability and confidence; either drops what silence and people both "say"."""
_NOISE = ((NO_SPEECH, -0.7), (0.45, -1.2))
"""Pairs of no-speech probability and confidence; beyond both it is noise, whatever the text."""
_BABBLE = -1.5
"""Confidence below which no text is worth an answer."""
_SENTENCE_WORDS = 4
_WORDS_PER_SECOND = 5.0
"""Nobody speaks so fast in a command, while a decoder that repeats itself does."""


def _phrases(table: str) -> frozenset[str]:
    return frozenset(" ".join(p.split()) for p in table.replace("\n", "|").split("|") if p.strip())


# Never said to an assistant: dropped whatever the confidence. Without accents and punctuation.
_CREDITS = re.compile(
    r"amara org|castingwords|opensubtitles|pedro negri|adriana zanyk|steamteam"
    r"|^(legenda|legendas|legendado|legendagem|transcricao e legendas|subtitles|subtitled"
    r"|captions|captioned|transcribed|transcription) (por|pela|pelo|by)\b"
    r"|^(thank you|thanks)( so much| very much)? for watching( (this|the|my) video)?( and .*)?$"
    r"|^(muito )?obrigad[oa] por (assistir|ver)(em)?( (ao|a|o|este|esse) video)?$"
    r"|\b(see you|vejo voces|nos vemos|ate) (in|no|o) (the )?(next|proximo) video\b"
    r"|^((por favor )?(se )?inscrevam?( se)? (no|em meu|no meu) canal)\b"
)
_ALWAYS = _phrases(
    """
    please subscribe|please subscribe to my channel|like and subscribe|subscribe to my channel
    dont forget to subscribe|dont forget to like and subscribe|well be right back
    deixe seu like|deixe o seu like|ative o sininho|a cidade no brasil|legendas em portugues
    continua no proximo episodio
    """
)

# Also said by people: dropped only when something else speaks against speech.
_SOMETIMES = _phrases(
    """
    you|thank you|thank you very much|thank you so much|thanks|bye|bye bye|goodbye|okay|ok|so
    oh|ah|uh|um|hm|hmm|huh|mm|mmm|yeah|the|a|i|im|and|im sorry|im so sorry|i dont know|come on
    all right|well|whoa|wow|no|right|what|hi|hello|music|background music|applause|laughter
    silence|subtitles|to be continued|see you next time|ill see you next time
    obrigado|obrigada|muito obrigado|muito obrigada|tchau|tchau tchau|e ai|e|o|eu|ah nao|aham
    ate a proxima|ate mais|valeu|o que e isso|o que voce tem|o que|acha|entao|bom|ta|ta bom
    eh|ei|oi|ola|nao|sim|e isso|e isso ai|vamos la|musica|aplausos|risos|silencio|legendas
    """
)

_SOUND_NAMES = re.compile(r"^\s*(\[[^\]]*\]|\([^)]*\)|\*[^*]*\*|[♪♫🎵🎶].*)\s*[.!]?\s*$")


def normalise(text: str) -> str:
    """Return *text* in lower case without accents, apostrophes and punctuation."""
    plain = unicodedata.normalize("NFKD", text.lower().replace("'", "").replace("\u2019", ""))
    plain = "".join(c for c in plain if not unicodedata.combining(c))
    return " ".join(re.findall(r"\w+", plain))


def compression_ratio(text: str) -> float:
    """Return how many times *text* is longer than its zlib form; over 2.4 it repeats itself."""
    data = text.encode()
    return len(data) / len(zlib.compress(data))


def repeats(text: str) -> bool:
    """Return whether a word comes six times in a row, a phrase three, or a sentence two times."""
    words = normalise(text).split()
    for n in range(1, len(words) // 2 + 1):
        wanted = 6 if n == 1 else 3 if n < _SENTENCE_WORDS else 2
        run = 0
        for i in range(n, len(words)):
            run = run + 1 if words[i] == words[i - n] else 0
            if run >= (wanted - 1) * n:
                return True
    return False


def judge(
    text: str, *, confidence: float, no_speech: float, seconds: float, level: float = 0.0
) -> str:
    """Return why *text* is no speech, or "" when it is to be believed. A pure function.

    Args:
        text: what the model wrote.
        confidence: mean log probability of its tokens.
        no_speech: the model's probability that there was no speech, 0 to 1.
        seconds: length of the sound.
        level: loudest 50 ms of the sound in dBFS.

    Returns:
        ``silence`` (nobody spoke), ``invented`` (a phrase that comes out of noise),
        ``repetition`` (the decoder went round in circles) or ``""``.
    """
    plain = normalise(text)
    if not plain or level < SILENT_DBFS:
        return "silence"
    if _SOUND_NAMES.match(text) or plain in _ALWAYS or _CREDITS.search(plain):
        return "invented"
    words = len(plain.split())
    fast = words > _WORDS_PER_SECOND * max(seconds, 0.2)
    if compression_ratio(text) > MAX_COMPRESSION_RATIO or (repeats(text) and fast):
        return "repetition"
    doubtful = no_speech > _DOUBTFUL_SPEECH or confidence < _DOUBTFUL_TEXT or level < _FAINT_DBFS
    if plain in _SOMETIMES and doubtful:
        return "invented"
    if any(no_speech > speech and confidence < doubt for speech, doubt in _NOISE):
        return "silence"
    return "invented" if confidence < _BABBLE else ""
