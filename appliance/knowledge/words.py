"""Words as the index knows them: without case, accents and endings, in Portuguese and English."""

from __future__ import annotations

import re
import unicodedata
from functools import cache, lru_cache
from typing import Any

LANGUAGES = {"en": "english", "pt": "portuguese"}
MAX_WORD = 40
"""Characters of a word that count."""
_WORD = re.compile(r"[^\W_]+")

# Articles, prepositions, pronouns, auxiliaries, and the words that questions are made of. They
# stand here without accents.
_STOP_WORDS = {
    "en": """
    a about above after again all also am an and any are as at be because been before being
    below between both but by came can come could did do does doing done don down during each
    either else ever few for from further get gets getting give go goes going got had has have
    having he her here hers him his how i if in into is it its itself just know let like ll
    made make makes many may me mean means might more most much must my myself need no nor not
    now of off often on once one only or other our ours out over own per please re s same say
    says shall she should so some such t tell than that the their theirs them then there these
    they thing things this those through to too under until up us use used using ve very want
    was way we were what when where which while who whom whose why will with within without
    would you your yours luna hey ok okay explain describe show find look something anything
    someone happens happen kind sort called does long often exactly allowed possible
    """,
    "pt": """
    a agora ai ainda algo alguem algum alguma alguns algumas ali ante ao aos apos aquela
    aquelas aquele aqueles aquilo as ate atraves cada coisa coisas com como contra da dar das
    de dela delas dele deles depois desde dessa desse desta deste devo deve devem devemos
    deveria dia diga disse disso disto do dos e ela elas ele eles em embora entao entre era
    eram essa essas esse esses esta estao estar estas estava este estes estou eu existe explica
    explique faca faco falar favor faz fazer fez ficar fica foi for foram fosse ha isso isto ja
    la lhe lhes lo luna mais mas me mesma mesmo meu meus mim minha minhas mostra mostre muito
    muita muitos muitas na nao nas nem nenhum nenhuma no nos nossa nossas nosso nossos num numa
    o oi onde os ou para pela pelas pelo pelos pode podem podemos poder por porque posso pra
    precisa preciso precisamos pro qual quais qualquer quando quanta quantas quanto quantos que
    quem quer quero saber se seja sem sempre ser sera seu seus si sido significa so sob sobre
    sou sua suas tal tambem tao te tem temos tenho ter teu teus teve tipo toda todas todo todos
    tu tua tuas tudo um uma umas uns usa usar uso vai vao vc voce voces vou permitido possivel
    exatamente
    """,
}
_STOP = {language: frozenset(text.split()) for language, text in _STOP_WORDS.items()}
_ACCENTS = (
    (re.compile(r"cao$"), "ção"),
    (re.compile(r"coes$"), "ções"),
    (re.compile(r"ao$"), "ão"),
    (re.compile(r"oes$"), "ões"),
    (re.compile(r"aes$"), "ães"),
    (re.compile(r"encia(s?)$"), r"ência\1"),
    (re.compile(r"avel$"), "ável"),
    (re.compile(r"ivel$"), "ível"),
    (re.compile(r"aveis$"), "áveis"),
    (re.compile(r"iveis$"), "íveis"),
)
"""Endings that the Portuguese stemmer knows by their accents only, as people type them."""


def words(text: str) -> list[str]:
    """Return the words of *text* in lower case, with their accents."""
    composed = unicodedata.normalize("NFC", text.casefold())
    return [word[:MAX_WORD] for word in _WORD.findall(composed)]


@lru_cache(maxsize=50_000)
def fold(word: str) -> str:
    """Return *word* without accents."""
    decomposed = unicodedata.normalize("NFKD", word)
    return "".join(c for c in decomposed if not unicodedata.combining(c))


@lru_cache(maxsize=50_000)
def stem(word: str, language: str) -> str:
    """Return the stem of *word* (as :func:`words` gives it) without accents."""
    if language == "pt":
        for ending, accented in _ACCENTS:
            word = ending.sub(accented, word)
    found: str = _stemmer(language).stemWord(word)
    if language == "pt" and found == word and word.endswith("s"):
        found = _stemmer(language).stemWord(word[:-1])  # too short for the rules: "erros"
    return fold(found)


def is_stop_word(word: str, language: str) -> bool:
    """Return whether *word* says nothing about a subject."""
    return fold(word) in _STOP[language]


def language_of(text: str, fallback: str = "en") -> str:
    """Return the language of a document, by which stop words it has more of."""
    found = words(text[:20_000])
    counts = {language: sum(fold(w) in stop for w in found) for language, stop in _STOP.items()}
    best = max(counts, key=lambda language: counts[language])
    return best if counts[best] > counts[fallback] else fallback


def stems(text: str, language: str) -> list[str]:
    """Return the stems of all words of *text*, for the index."""
    return [stem(word, language) for word in words(text)]


def query_stems(question: str) -> list[frozenset[str]]:
    """Return what to look for: for each word that says something, its stem in each language.

    Forms of one word count once.
    """
    groups: list[frozenset[str]] = []
    for word in words(question):
        group = frozenset(stem(word, language) for language in LANGUAGES)
        known = any(group & other for other in groups)
        if not known and not any(is_stop_word(word, language) for language in LANGUAGES):
            groups.append(group)
    return groups


@cache
def _stemmer(language: str) -> Any:
    import snowballstemmer

    return snowballstemmer.stemmer(LANGUAGES[language])
