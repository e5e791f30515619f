"""Which language a turn is in: what was heard decides where it is sure, else the words."""

from __future__ import annotations

from appliance.assistant.intent import normalise

SURE = 0.85
"""Probability from which speech recognition alone decides."""
_MAX_CHARACTERS = 1000
_WORDS: dict[str, frozenset[str]] = {
    "en": frozenset(
        """
        the of and is are was were it its that this these those what which who whom whose why how
        when where you your yours my mine his her hers we our they them their i im ive ill id hes
        shes whats thats dont doesnt didnt cant wont isnt arent he she be been being have has had
        does did will would can could should shall may might must not with without for from at on
        in into about by an to or if because there here then than some any much many more most
        very just please tell give make get let lets say speak show write turn set put stop
        repeat again new now today tomorrow tonight up down off good morning hello thanks yes
        time day date week louder quieter softer mute unmute listening enough never mind shut
        cancel start forget remind wake alarm timer reminder minutes hours picture photo
        look see function code file list class english portuguese people between explain convert
        implement snooze silence quiet back request half twenty thirty fifty pardon debug
        """.split()  # noqa: SIM905 - words are read more easily than a list of strings
    ),
    "pt": frozenset(
        """
        o os um uma uns umas de da das dos e em na nas nos ao aos pelo pela que qual quais quem
        quando onde como por porque pra pro para com sem eu tu voce voces ele ela eles elas nos
        meu minha meus minhas seu sua seus suas isso isto esse essa este esta aquele aquela nao
        sim foi era sao ser estar esta estou ta tem tenho ter ha vai vou fazer faz faca diz
        diga fala fale te se lhe mais menos muito muita pouco bem ja ainda agora hoje amanha
        aqui ai la tambem mas ou so ate entre sobre depois antes coloca poe aumenta abaixa baixa
        sobe desliga liga abre fecha apaga cria escreve escreva mostra explica conta implementa
        repete repita chega cala esquece lembra lembrete alarme despertador horas hora dia data
        semana minutos foto imagem olha ver vendo funcao codigo lista classe ingles
        portugues quanto quantos quanta quantas deixa muda volta responde conversa nova novo
        favor obrigado obrigada bom boa tarde noite ola oi tudo silencio cancela estado
        falta depura isso conectada conectado tira troca descreve traduz
        """.split()  # noqa: SIM905
    ),
}
"""Frequent words, and those of commands, that the other language does not have."""
_PORTUGUESE_MARKS = frozenset("ãõçáéíóúâêôà")
_ENDINGS: dict[str, tuple[str, ...]] = {
    "en": ("ing", "tion", "ght", "ness", "ally"),
    "pt": ("cao", "coes", "ando", "endo", "indo", "inho", "inha", "mente", "dade", "agem"),
}


def of_text(text: str) -> str:
    """Return the language of *text*, ``en`` or ``pt``; empty where its words do not tell."""
    text = text[:_MAX_CHARACTERS].casefold()
    words = normalise(text).split()
    scores = {
        code: sum(2 * (word in known) + (word.endswith(_ENDINGS[code])) for word in words)
        for code, known in _WORDS.items()
    }
    scores["pt"] += sum(char in _PORTUGUESE_MARKS for char in text)
    best = max(scores, key=lambda code: scores[code])
    return best if sorted(scores.values())[-2] < scores[best] else ""


def of_turn(text: str, *, heard: str = "", probability: float = 0.0, configured: str) -> str:
    """Return the language to answer in.

    Args:
        text: what was said or written.
        heard: the language that speech recognition took it for; empty for written text.
        probability: how sure it was, among the configured languages.
        configured: what Luna speaks when she cannot tell.
    """
    if heard and probability >= SURE:
        return heard
    return of_text(text) or heard or configured
