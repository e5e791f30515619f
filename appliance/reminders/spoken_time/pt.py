"""Portuguese, as it is spoken in Brazil and in Portugal: which words are which piece of a time."""

from __future__ import annotations

import re

from appliance.reminders.spoken_time.leftover import cleaned
from appliance.reminders.spoken_time.pieces import (
    Ahead,
    Before,
    Every,
    Lasting,
    Loose,
    Over,
    Part,
    Span,
    Times,
    TimesADay,
    Weekday,
)
from appliance.reminders.spoken_time.pt_pieces import (
    ADVERBS,
    AFTER_DAY,
    AT,
    CLOCK,
    DATE,
    DAY,
    HOLIDAYS,
    HOUR,
    MONTH,
    NTH,
    OF_MONTH,
    ON,
    PART,
    PARTS,
    SPAN,
    SPANS,
    THIS_MONTH,
    UNIT,
    read_clock,
    read_date,
    read_end_of,
    read_every,
    read_every_days,
    read_except,
    read_holiday,
    read_in_days,
    read_lasting,
    read_minutes_to,
    read_month_day,
    read_named_clock,
    read_nth_day,
    read_numeric_date,
    read_part,
    read_span_ahead,
    read_timer_span,
    read_weekday,
    weekday_number,
)
from appliance.reminders.spoken_time.scan import Grammar, rule

RULES = (
    rule(rf"{AT}{CLOCK}", read_clock),
    rule(rf"{AT}{HOUR}(?= e )", read_clock),
    rule(
        rf"{AT}(?:(?P<quarter>(?:1 )?quarto)|(?P<m>\d{{1,2}})(?: minutos?)?)"
        r" (?:para|pr[ao]s?)(?: (?:às|as|à|a|o|ao))? (?:(?P<h>\d{1,2})h?(?: horas?)?|"
        r"(?P<name>meio dia|meia noite))",
        read_minutes_to,
    ),
    rule(rf"{AT}(?P<name>meio dia|meia noite)(?: e (?P<m>meia|\d{{1,2}}))?", read_named_clock),
    rule(
        r"(?:(?P<lead>da|na|de|à|a|pela|na parte da|n?es[ts]a|tod[ao]s?(?: as)?"
        rf"|cada) )?(?P<part>{PART})",
        read_part,
    ),
    rule(
        r"todas as (?P<part>manha|tarde|noite|madrugada)s",
        lambda c: ("", [Every("DAILY"), Part(PARTS[c["part"]])]),
    ),
    rule(
        "(?:bem |logo )?(?:cedo|cedinho)", lambda c: ("", [Part("early")]) if c.previous else None
    ),
    rule("(?:n?o )?(?:fim|final|finalzinho) d[ae] tarde", lambda _: ("", [Part("late")])),
    rule("depois do almoco", lambda _: ("", [Part("after_lunch")])),
    rule("na hora do almoco", lambda _: ("", [Part("lunch")])),
    rule(r"(?:ate )?ontem(?: (?:à|de|a) \w+)?|anteontem", lambda _: ("", [Over()])),
    rule(rf"{DAY}(?: feira)? passad[ao]|(?:semana|mes|ano) passad[ao]", lambda _: ("", [Over()])),
    rule(
        rf"ha {SPAN}(?: atras)?|{SPAN.replace('<span>', '<span2>')} atras",
        lambda _: ("", [Over()]),
    ),
    # days
    rule(
        r"(?:(?P<lead>ate|a partir de|de|desde|para|pra|e|ou|,) )?(?P<day>hoje"
        r"|depois de amanha|amanha)",
        read_in_days,
    ),
    rule(
        rf"{ON}(?P<next>proxim[oa] )?(?P<day>{DAY})(?P<plural>s)?(?P<feira> feiras?)?"
        rf"(?P<coming> que vem| proxim[oa])?(?P<after>{AFTER_DAY})?(?P<range>(?= (?:a"
        rf"|à|ate|e)(?: a)? {DAY}))?",
        read_weekday,
    ),
    rule(
        rf"(?:n?[ao] )?(?P<day>{DAY})(?: feira)? d[ae] (?:semana que vem|proxima semana)",
        lambda c: ("", [Weekday(weekday_number(c["day"]), "next_week")]),
    ),
    rule(
        rf"(?P<day>{DAY})(?: feira)? sim ,? ?(?P=day)(?: feira)? nao",
        lambda c: ("every", [Every("WEEKLY", 2), Weekday(weekday_number(c["day"]))]),
    ),
    rule(rf"{ON}(?:dia )?{DATE} de (?P<month>{MONTH})(?: de (?P<year>20\d\d))?", read_date),
    rule(
        rf"{ON}dia {DATE}(?: (?P<of>do mes que vem|{THIS_MONTH}))?(?! de {MONTH})",
        read_month_day,
    ),
    rule(
        rf"{ON}(?:dia )?(?:(?P<date>\d{{1,2}}/\d{{1,2}}(?:/\d{{2,4}})?)|"
        rf"(?P<iso>\d{{4}}-\d{{2}}-\d{{2}}))",
        read_numeric_date,
    ),
    rule(
        rf"(?:(?P<lead>ate [oa]|tod[oa]s?(?: [oa]s?)?|n?[oa]s?|a cada) )?(?P<nth>{NTH}) "
        rf"(?:(?P<kind>{DAY}|dia util|dia de semana|dia)(?: feira)? "
        rf"(?P<of>{OF_MONTH})|(?P<working>dia util))",
        read_nth_day,
    ),
    rule(
        r"(?P<lead>ate [oa]|n?o|ate) (?:fim|final) (?P<unit>d[ao] semana|d[eo]s?t?e? ?mes que vem"
        rf"|do proximo mes|d(?:o|este|esse) mes|d(?:o|este) ano|do dia|de hoje|de {MONTH})",
        read_end_of,
    ),
    rule(
        "(?:n[oe]s?t?e? )?(?:o )?(?:proximo )?(?:fim|final) de semana(?: que vem)?",
        lambda _: ("", [Loose("weekend")]),
    ),
    rule("(?:n?a |da )?(?:semana que vem|proxima semana)", lambda _: ("", [Loose("week")])),
    rule("(?:n?o |do )?(?:mes que vem|proximo mes)", lambda _: ("", [Loose("month")])),
    rule("(?:neste|este|deste) mes", lambda _: ("", [Loose("this_month")])),
    rule("(?:n?o |do |de )?(?:ano que vem|proximo ano)", lambda _: ("", [Loose("year")])),
    rule(
        r"(?P<lead>n?[oa]|em|d[oa]|ate [oa]|todo|para [oa]) (?:dia d[eo] )?"
        rf"(?P<name>{'|'.join(HOLIDAYS)})",
        read_holiday,
    ),
    # again and again
    rule(
        rf"(?:, )?(?:menos|exceto|fora|salvo)(?: n?[oa]s?| aos?| às)? (?P<days>{DAY}s?"
        rf"(?: feiras?)?(?: e (?:n?[ao]s? )?{DAY}s?)?"
        "|(?:fim|fins|final|finais) de semana)",
        read_except,
    ),
    rule(rf"(?:a cada|cada) (?:(?P<n>\d{{1,4}}) )?(?P<unit>{UNIT})", read_every),
    rule(rf"de (?P<n>\d{{1,4}}) em (?P<again>\d{{1,4}}) (?P<unit>{UNIT})", read_every),
    rule(r"de (?P<unit>hora) em hora", read_every),
    rule(
        r"tod[oa]s?(?: [oa]s?)? (?P<unit>dias?|semanas?|mes(?:es)?|anos?|horas?|minutos?)",
        read_every,
    ),
    rule(r"1 vez (?:por|a cada|ao|à) (?P<unit>hora|dia|semana|mes|ano)", read_every),
    rule("|".join(sorted(ADVERBS, key=len, reverse=True)), lambda c: ("", [ADVERBS[c.match[0]]])),
    rule(
        r"(?:tod[oa]s?(?: [oa]s?)? |n?os |em |cada |aos |n?o )(?P<kind>dias? ut(?:il"
        r"|eis)|dias? de semana)",
        read_every_days,
    ),
    rule(r"(?P<kind>durante a semana|dias uteis)", read_every_days),
    rule(
        r"(?:tod[oa]s?(?: [oa]s?)? |n?os |aos |em |cada )(?P<kind>(?:fim"
        r"|final) de semana|fi(?:ns|nais) de semana)",
        read_every_days,
    ),
    rule(
        r"(?P<n>\d{1,3}) vezes (?:ao|por|no|a cada|cada) dia",
        lambda c: ("", [Every("DAILY"), TimesADay(int(c["n"]))]),
    ),
    rule(r"(?:, )?(?:por |so )?(?P<n>\d{1,4}) vezes", lambda c: ("", [Times(int(c["n"]))])),
    rule(rf"(?:por|durante|pel[oa]s)(?: [oa]s)?(?: proxim[oa]s)? {SPAN}", read_lasting),
    rule(
        r"(?:por|durante|pel[oa]s)(?: [oa]s)? proxim[oa]s (?P<n>\d+) (?P<u>dias"
        r"|semanas|meses|horas)",
        lambda c: ("", [Lasting(SPANS.read(f"{c['n']} {c['u']}"))]),
    ),
    # lengths
    rule(
        r"(?:daqui|dentro de|em|apos|depois de|passad[oa]s?)(?: a| à| ha| de)?"
        r"(?: mais ou menos| cerca de| aproximadamente)?(?: uns| umas)?"
        rf"(?: mais)? {SPAN}",
        read_span_ahead,
    ),
    rule(rf"{SPAN} a partir de (?:agora|ja)", read_span_ahead),
    rule("de hoje a (?:8|uma semana|1 semana)(?: dias)?", lambda _: ("", [Ahead(Span(days=7))])),
    rule("de hoje a (?:15)(?: dias)?", lambda _: ("", [Ahead(Span(days=14))])),
    rule(rf"(?:de |por |para |em |com |pra )?(?:mais )?{SPAN}", read_timer_span),
    rule(rf"{SPAN} antes(?= d| ,)", lambda c: ("", [Before(SPANS.read(c["span"]))])),
)

# --- what is left ---------------------------------------------------------------------------------

_FILLER = re.compile(
    r"^(?:(?:oi|olá|ok|ei|então|e)\b[ ,]+|luna\b[ ,.!]*|por favor\b[ ,]*"
    r"|(?:você |tu |cê )?(?:pode(?:ria)?|podes|consegue) (?:por favor )?|(?:você|cê|tu) (?=me\b)"
    r"|d[áa] (?:pra|para) (?:você )?(?=me\b)"
    r"|(?:eu )?(?:quero|preciso|gostaria) (?:que (?:você )?|de )?(?=me\b|lembr|um|acord))",
    re.IGNORECASE,
)
VERBS = (
    "colo(?:ca|que)r?|põe|ponha|poe|pôr|bot[ae]r?|cri[ae]r?|mar(?:ca|que)r?|faz(?:er)?|faça"
    "|inici[ae]r?|program[ae]r?|ajust[ae]r?|defin[aei]r?|ativ[ae]r?|lig(?:a|ue)r?|adicion[ae]r?"
    "|agend[ae]r?|anot[ae]r?|começ[ae]r?|quero|configur[ae]r?|dispar[ae]r?"
)
_ABOUT = "(?:de que|de|do|da|dos|das|que|para|pra|pro|sobre|chamad[oa]|com o nome(?: de)?)"
_REQUEST = re.compile(
    r"^(?:(?:não |nunca )?me (?:deixe|deixa) esquecer(?: (?:de|do|da|dos|das|que))?\b"
    r"|não (?:me deixe|me deixa|deixe eu|deixa eu) esquecer(?: (?:de|do|da|dos|das|que))?\b"
    r"|(?:(?:me|nos) (?:relembr|lembr|avis|alert|notifi|cham)\w*|(?:relembr|lembr|avis|alert"
    r"|notifi|cham)\w*[- ]me)"
    rf"(?:[ ,]+por favor)?(?:[ ,]+{_ABOUT}\b|$|[ ,:]+)"
    r"|me (?:dá|dê) um toque(?: para| pra)?\b"
    r"|(?:eu )?quero ser (?:lembrad|avisad)[oa](?: (?:de|do|da|dos|das|que))?\b"
    r"|(?:me (?:acord|despert)\w*|(?:acord|despert)\w*[- ]me)\b(?: (?:para|pra)\b)?"
    rf"|(?:(?:{VERBS}) )?(?:me )?(?:(?:um|uma|o|outro|mais um|meu) )?(?:novo |segundo )?"
    r"(?:lembrete|alarme|despertador|timer|temporizador|cronômetro|cronometro|contagem regressiva)"
    rf"(?:[ ,:]+{_ABOUT}\b|$|[ ,:]+))",
    re.IGNORECASE,
)
_CLOSING = re.compile(
    r"(?:[ ,.]+(?:por favor|obrigad[oa]|luna|para|de)"
    r"|[ ,.]*\b(?:me (?:lembr[ae]|avis[ae])|lembr[ae]-me|avis[ae]-me)(?: disso)?)$",
    re.IGNORECASE,
)
_ARTICLE = re.compile("^(?:[oa]s?|uma?|meu|minha) ", re.IGNORECASE)


def clean(text: str, timer: bool) -> str:
    """Return *text*, what no time was said with, without the words that ask for a reminder."""
    return cleaned(text, _FILLER, None, _REQUEST, _CLOSING, _ARTICLE if timer else None)


GRAMMAR = Grammar(
    rules=RULES,
    timer=re.compile(r"\b(?:timers?|temporizador|cronometro|contagem regressiva)\b"),
    alarm=re.compile(r"\b(?:alarme|acord\w+|despert\w+|lembrete|timer)\b"),
    head=re.compile(
        r"\b(?:me|nos) (?:lembr|avis|acord|despert|cham)\w*|\b(?:lembr|avis|acord|despert)\w* me"
        r"|\b(?:alarme|timer|lembrete|despertador|temporizador)(?: de| para)?"
    ),
    clean=clean,
    filler=_FILLER,
    wake=re.compile(r"\bacord\w+|\bdespert\w+|\balarme\b"),
)
