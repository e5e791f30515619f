"""What is written is said as people say it."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from appliance.assistant import spoken_numbers as numbers
from appliance.assistant.sentences import for_speech
from appliance.assistant.spoken_text import for_the_ear

ENGLISH = {
    "Dr. Smith paid $12.50 at 7:30 p.m.": "Doctor Smith paid twelve dollars and fifty cents at seven thirty PM.",
    "It is 14:05.": "It is two oh five PM.",
    "At 7:00 or 7 pm": "At seven o'clock or seven PM",
    "On 12/25/2024, or 2024-12-25.": "On December twenty-fifth, twenty twenty-four, or December twenty-fifth, twenty twenty-four.",
    "March 5, 2024 and July 4th": "March fifth, twenty twenty-four and July fourth",
    "In May 2024": "In May two thousand twenty-four",
    "In 1998 there were 1,234,567 people.": "In nineteen ninety-eight there were one million two hundred thirty-four thousand five hundred sixty-seven people.",
    "in 2000 people": "in two thousand people",
    "the 1990s": "the nineteen nineties",
    "Pi is 3.14, that 1,234.56": "Pi is three point one four, that one thousand two hundred thirty-four point five six",
    "Fruit, e.g. apples, etc. are good.": "Fruit, for example apples, et cetera are good.",
    "Pears, etc.": "Pears, et cetera.",
    "20 km/h at -5 °C": "twenty kilometers per hour at minus five degrees Celsius",
    "1 km": "one kilometer",
    "It rose 12.5% in 5-10 days": "It rose twelve point five percent in five to ten days",
    "the 21st of May": "the twenty-first of May",
    "IP 192.168.0.1": "IP one hundred ninety-two dot one hundred sixty-eight dot zero dot one",
    "call 555-123-4567": "call five five five, one two three, four five six seven",
    "See https://example.com/a?b=1, please.": "See link, please.",
    "a.b@c.com": "a dot b at c dot com",
    "$3 million": "three million dollars",
    "$1.00 and $0.05": "one dollar and five cents",
    "€5": "five euros",
    "1/2 cup": "one half cup",
    "2 + 2 = 4": "two plus two equals four",
    "MP3, B2B and C3PO": "MP3, B2B and C3PO",
    "room 007": "room zero zero seven",
    "No. 5": "number five",
    "No.": "No.",
    "10,000 steps": "ten thousand steps",
    "Mr. & Mrs. Jones": "Mister and Missus Jones",
    "1.2.3": "one dot two dot three",
}
PORTUGUESE = {
    "O Dr. Silva e a Sra. Costa pagaram R$ 1.234,56.": "O doutor Silva e a senhora Costa pagaram mil duzentos e trinta e quatro reais e cinquenta e seis centavos.",
    "São 14h30.": "São catorze e trinta.",
    "às 7:05 e às 12h": "às sete e cinco e ao meio-dia",
    "2h45min": "duas horas e quarenta e cinco minutos",
    "1h": "uma hora",
    "em 25/12/2024": "em vinte e cinco de dezembro de dois mil e vinte e quatro",
    "2024-12-25": "vinte e cinco de dezembro de dois mil e vinte e quatro",
    "1º de março; 1 de abril": "primeiro de março; primeiro de abril",
    "a 2ª vez e o 3º lugar": "a segunda vez e o terceiro lugar",
    "1.234 pessoas": "mil duzentas e trinta e quatro pessoas",
    "2 horas e 200 casas em 21 dias": "duas horas e duzentas casas em vinte e um dias",
    "2 para mim": "dois para mim",
    "3,14": "três vírgula catorze",
    "20 km/h a 35 °C": "vinte quilômetros por hora a trinta e cinco graus Celsius",
    "12,5% em 5-10 dias": "doze vírgula cinco por cento em cinco a dez dias",
    "no século XXI, séc. V": "no século vinte e um, século quinto",
    "nº 5": "número cinco",
    "(11) 98765-4321": "um um, nove oito sete seis cinco, quatro três dois um",
    "veja https://exemplo.com.br/a.": "veja link.",
    "a@b.com.br": "a arroba b ponto com ponto br",
    "R$ 2 milhões": "dois milhões de reais",
    "R$ 1.000.000,00": "um milhão de reais",
    "R$ 1,00 e R$ 0,50": "um real e cinquenta centavos",
    "US$ 12.50": "doze dólares e cinquenta centavos",
    "£2": "duas libras",
    "p. ex. maçãs, etc.": "por exemplo maçãs, etcétera.",
    "de 1939 a 1945": "de mil novecentos e trinta e nove a mil novecentos e quarenta e cinco",
    "em 44 a.C. e hoje": "em quarenta e quatro antes de Cristo e hoje",
    "1.500.000 habitantes": "um milhão e quinhentos mil habitantes",
    "-5 °C": "menos cinco graus Celsius",
    "Pão & queijo": "Pão e queijo",
}


@pytest.mark.parametrize(("written", "said"), ENGLISH.items())
def test_english(written: str, said: str) -> None:
    assert for_the_ear(written, "en") == said


@pytest.mark.parametrize(("written", "said"), PORTUGUESE.items())
def test_portuguese(written: str, said: str) -> None:
    assert for_the_ear(written, "pt") == said


@pytest.mark.parametrize("language", ["en", "pt"])
def test_words_stay_as_they_are(language: str) -> None:
    for words in ("Paris is the capital of France.", "É a capital da França, não é?", "Sim!"):
        assert for_the_ear(words, language) == words
    assert for_the_ear("5 chats", "fr") == "5 chats"


def test_markdown_emoji_and_code_are_gone_before() -> None:
    written = "**Sure** 😀: see [the site](https://a.b/c_d) for `x`\n```py\n1 + 1\n```"
    assert for_the_ear(for_speech(written), "en") == "Sure : see the site for x"


PIECES = st.sampled_from(
    ["1", "12", "007", "3.14", "1,234", "1.234,56", "R$ ", "$", "%", " km", "°C", ":", "30", "/",
     "-", " ", "h", "º", "ª", "Dr.", "etc.", "word", "pessoas", ".", ",", "(", ")", "@", "www.x",
     "½", "XXI", "século ", "March ", " de março", "2024", "99999999999999999999", "²", "٣"]
)  # fmt: skip


@settings(max_examples=400, deadline=None)
@given(st.lists(PIECES, max_size=12).map("".join), st.sampled_from(["en", "pt"]))
def test_a_clause_stays_one_clause(written: str, language: str) -> None:
    said = for_the_ear(written, language)
    assert "\n" not in said
    assert bool(said) == bool(written.strip())


@settings(max_examples=100, deadline=None)
@given(st.integers(0, 10**15), st.sampled_from(["en", "pt"]))
def test_every_number_has_words(number: int, language: str) -> None:
    assert not any(char.isdigit() for char in for_the_ear(f"{number}", language))
    group = "," if language == "en" else "."
    grouped = f"{number:,}".replace(",", group)
    assert numbers.parse(grouped, language) == number


@pytest.mark.parametrize(
    ("written", "language", "value"),
    [
        ("1,234", "en", "1234"), ("1,234", "pt", "1.234"), ("1.234", "pt", "1234"),
        ("1.234", "en", "1.234"), ("12.50", "pt", "12.50"), ("1.234,5", "en", "1234.5"),
        ("1,234.5", "pt", "1234.5"), ("0,5", "pt", "0.5"), ("5", "en", "5"),
    ],
)  # fmt: skip
def test_numbers_are_read_as_they_are_meant(written: str, language: str, value: str) -> None:
    assert numbers.parse(written, language) == Decimal(value)


def test_what_is_no_number() -> None:
    for written in ("1.2.3", "1,2,3", "1.234.5", "1,2.3,4"):
        assert numbers.parse(written, "en") is None


def test_roman() -> None:
    assert [numbers.roman(n) for n in ("I", "IV", "IX", "XXI", "MCMXC")] == [1, 4, 9, 21, 1990]
