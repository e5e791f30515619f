"""English: which words are which piece of a time."""

from __future__ import annotations

import re

from appliance.reminders.spoken_time.en_pieces import (
    ADVERBS,
    AT,
    DAY,
    HOLIDAYS,
    HOUR_MINUTE,
    MONTH,
    ON,
    ORDINAL,
    PART,
    ROUGHLY,
    SPAN,
    SPANS,
    read_clock,
    read_date,
    read_end_of,
    read_every,
    read_every_days,
    read_except,
    read_first_thing,
    read_holiday,
    read_in_days,
    read_lasting,
    read_month_day,
    read_named_clock,
    read_nth_day,
    read_numeric_date,
    read_part,
    read_past_or_to,
    read_span_ahead,
    read_timer_span,
    read_weekday,
    weekday_number,
)
from appliance.reminders.spoken_time.leftover import cleaned
from appliance.reminders.spoken_time.pieces import (
    Ahead,
    Before,
    Every,
    InDays,
    Loose,
    Over,
    Part,
    Times,
    TimesADay,
    Weekday,
)
from appliance.reminders.spoken_time.scan import Grammar, rule

RULES = (
    # "at 7:30", "at seven thirty p.m.", "at 9 o'clock", "for seven"
    rule(rf"{AT}{HOUR_MINUTE}(?: (?P<half>am|pm))?(?! (?:minutes?|hours?|%))", read_clock),
    rule(
        rf"(?<!the ){AT}(?P<h>\d{{1,2}})(?P<oclock> o'clock)?(?: (?P<half>am|pm))?"
        rf"(?! (?:{'|'.join(SPANS.units)}|percent|people|times|degrees|{MONTH})\b)(?! \d\d\b)",
        read_clock,
    ),
    rule(
        rf"{AT}(?:a )?(?:(?P<word>quarter|half)|(?P<m>\d{{1,2}})(?P<sure> minutes?)?)"
        rf" (?P<way>past|after|to|til|before) (?P<h>\d{{1,2}})(?: o'clock)?(?: (?P<half>am|pm))?"
        rf"(?! (?:{'|'.join(SPANS.units)}))(?! (?:am|pm))",
        read_past_or_to,
    ),
    rule(rf"{AT}(?P<name>noon|midday|12 noon|midnight|12 midnight)", read_named_clock),
    rule(rf"(?P<lead>in the|this|at|every|each|during the) (?P<part>{PART})", read_part),
    rule(rf"(?P<part>{PART})", read_part),
    rule("early", lambda c: ("", [Part("early")]) if c.previous else None),
    rule("(?:1st|first) thing (?:tomorrow|in the morning)(?: morning)?", read_first_thing),
    rule("after lunch", lambda _: ("", [Part("after_lunch")])),
    rule("at lunch(?:time| time)?", lambda _: ("", [Part("lunch")])),
    rule("tonight", lambda _: ("", [InDays(0), Part("night")])),
    rule("early tomorrow(?: morning)?", lambda _: ("", [InDays(1), Part("early")])),
    rule(
        "(?:until |till )?(?:last night|yesterday)(?: (?:morning|afternoon|evening))?",
        lambda _: ("", [Over()]),
    ),
    rule(rf"last {DAY}(?! (?:of|in))|last (?:week|month|year)", lambda _: ("", [Over()])),
    rule(rf"{SPAN} ago", lambda _: ("", [Over()])),
    # days
    rule(
        r"(?:(?P<lead>until|till|from|starting|by|and|or|, and|,) )?"
        r"(?P<day>today|(?:the )?day after tomorrow|tomorrow)",
        read_in_days,
    ),
    rule(rf"{ON}(?P<day>{DAY})(?P<plural>s)?", read_weekday),
    rule(
        rf"(?P<day>{DAY}) (?:next week|week)",
        lambda c: ("", [Weekday(weekday_number(c["day"]), "next_week")]),
    ),
    rule(
        rf"{ON}(?P<d>{ORDINAL}|\d{{1,2}})(?: of)? (?P<month>{MONTH})(?:(?: ,)? "
        r"(?P<year>20\d\d))?",
        read_date,
    ),
    rule(
        rf"{ON}(?P<month>{MONTH}) (?:the )?(?P<d>{ORDINAL}|\d{{1,2}})(?:(?: ,)? "
        r"(?P<year>20\d\d))?",
        read_date,
    ),
    rule(
        rf"(?:(?P<lead>on|every|by|until|till|from|starting(?: on)?|, and|and|or|,) )(?:the )?"
        rf"(?P<d>{ORDINAL})(?! {DAY})(?! (?:day|weekday|business|working|week|month|hour|minute))"
        rf"(?: (?:day )?of (?P<of>(?:every|each|the|next|this) month))?",
        read_month_day,
    ),
    rule(
        rf"the (?P<d>{ORDINAL})(?: day)? of (?P<of>(?:every|each|the|next|this) month)",
        read_month_day,
    ),
    rule(rf"the (?P<d>{ORDINAL})(?= at| ,| to|$)", read_month_day),
    rule(r"(?P<lead>on) (?P<date>(?:1[0-2]|[1-9]) (?:[12]\d|3[01]|[1-9]))", read_numeric_date),
    rule(
        r"(?:(?P<lead>on|until|by|from|starting|starting on) )?"
        r"(?:(?P<date>\d{1,2}/\d{1,2}(?:/\d{2,4})?)|(?P<iso>\d{4}-\d{2}-\d{2}))",
        read_numeric_date,
    ),
    rule(
        rf"(?:(?P<lead>on|until|till|by) )?(?:the )?(?P<every>every )?(?:the )?"
        rf"(?P<nth>1st|second|2nd|3rd|4th|5th|last) (?:(?P<kind>{DAY}|weekday"
        r"|business day|working day|workday|day)"
        rf" (?:of|in) (?:the month of )?(?P<of>(?:the|every|each|next|this) month|{MONTH})"
        r"|(?P<working>business day|working day))",
        read_nth_day,
    ),
    rule(
        rf"(?:(?P<lead>until|till|through) |at |by )(?:the )?end of"
        rf" (?P<unit>(?:the|this) (?:week|month|year|day)|next month|today|{MONTH})",
        read_end_of,
    ),
    rule("(?:on |this |at )?(?:the )?(?:next )?weekend", lambda _: ("", [Loose("weekend")])),
    rule("(?:in |during )?next week", lambda _: ("", [Loose("week")])),
    rule("(?:in |during )?next month", lambda _: ("", [Loose("month")])),
    rule("(?:of )?this month", lambda _: ("", [Loose("this_month")])),
    rule("(?:in |of )?next year", lambda _: ("", [Loose("year")])),
    rule(
        r"(?:(?P<lead>on|every|until|till|by|from|starting) )?"
        rf"(?P<name>{'|'.join(HOLIDAYS)})(?: day)?",
        read_holiday,
    ),
    # again and again
    rule(
        rf"(?:except|but not|excluding|apart from)(?: for)?(?: on)? (?P<days>{DAY}s?"
        rf"(?:(?: and| or) {DAY}s?)?|weekends)",
        read_except,
    ),
    rule(
        r"(?:every|each) (?:(?P<n>other|second|\d{1,4}(?:st|nd|rd|th)?) )?"
        r"(?P<unit>(?:second|minute|hour|day|week|month|year)s?)",
        read_every,
    ),
    rule(r"once (?:a|per|every) (?P<unit>hour|day|week|month|year)", read_every),
    rule("|".join(ADVERBS), lambda c: ("", [ADVERBS[c.match[0]]])),
    rule(
        r"(?:every|each|on|during) (?:the )?(?P<kind>weekdays?|workdays?|working days?"
        r"|business days?)",
        read_every_days,
    ),
    rule(
        r"(?:on |at |every |each )(?:the )?(?P<kind>weekends|(?<=every )weekend|(?<=each )weekend)",
        read_every_days,
    ),
    rule(r"(?P<kind>weekdays)", read_every_days),
    rule(
        r"(?P<n>\d{1,3}) times (?:a|per|each|every) day",
        lambda c: ("", [Every("DAILY"), TimesADay(int(c["n"]))]),
    ),
    rule(
        "twice (?:a|per|each|every) day|twice daily", lambda _: ("", [Every("DAILY"), TimesADay(2)])
    ),
    rule(
        r", (?P<n>\d{1,4}) times|(?P<m>\d{1,4}) times(?: in total)?",
        lambda c: ("", [Times(int(c["n"] or c["m"]))]),
    ),
    rule(rf"(?:for|over|during) (?:the )?(?:next )?{SPAN}", read_lasting),
    # lengths
    rule(
        rf"(?:in|after|within)(?: another| the next)?{ROUGHLY} {SPAN}(?: time| from now)?",
        read_span_ahead,
    ),
    rule(rf"{SPAN} from now", read_span_ahead),
    rule(
        rf"{SPAN} from (?P<day>today|tomorrow)",
        lambda c: (
            "",
            [
                Ahead(SPANS.read(c["span"])),
                *([Ahead(SPANS.read("1 day"))] if c["day"] == "tomorrow" else []),
            ],
        ),
    ),
    rule(rf"(?:for |of |to )?(?:another )?{SPAN}", read_timer_span),
    rule(rf"{SPAN} (?:before|ahead of)", lambda c: ("", [Before(SPANS.read(c["span"]))])),
)

# --- what is left ---------------------------------------------------------------------------------

_FILLER = re.compile(
    r"^(?:hey[ ,]+\w+, |(?:hey|hi|ok|okay|so|and|then|well)\b[ ,]*|luna\b[ ,.!]*"
    r"|please\b[ ,]*|just\b[ ,]*"
    r"|(?:can|could|would|will) you (?:please )?|i(?:'d| would) like you to "
    r"|i(?:'d| would) like |i (?:want|need) (?:you )?(?:to )?(?=remind|wake|set|an?\b"
    r"|alarm|timer))",
    re.IGNORECASE,
)
_REQUEST = re.compile(
    r"^(?:remind (?:me|us)(?: again)?(?: please)?(?:[ ,]+(?:to|that|about|of)\b|$|[ ,:]+)"
    r"|(?:don't|do not|never) let me forget(?: to| that| about)?\b|don't forget to\b"
    r"|(?:wake|get) me(?: up)?\b(?: to\b)?|make sure (?:that )?i\b"
    r"|(?:(?:set|create|add|make|start|put|give)(?: me)?(?: up)? )?"
    r"(?:an?|in|it|the|another|my)? ?(?:new |second |3rd |third |daily |weekly |recurring )?"
    r"(?:reminder|alarm|timer|alert)(?:[ ,:]+(?:to|for|about|of|that|called|named"
    r"|saying)\b|$|[ ,:]+)"
    r"|i (?:want|need|would like|'d like) to be reminded(?: to| that| about| of)?\b"
    r"|count ?down(?: from)?\b"
    r"|(?:let|tell|alert|notify) me (?:know )?(?:to|that|about|when)\b)",
    re.IGNORECASE,
)
_NAMED_TIMER = re.compile(
    r"^(?:(?:set|create|add|make|start|put)(?: me)?(?: up)? )?(?:an?|it|the|another|my) "
    r"(?P<name>.+?) (?:timer|alarm|reminder)\b(?: for| of)?[ ,]*$",
    re.IGNORECASE,
)
_CLOSING = re.compile(
    r"(?:[ ,.]+(?:please|thanks|thank you|luna|for)"
    r"|[ ,.]*\b(?:(?:can|could) you )?remind (?:me|us)(?: about (?:it|that))?)$",
    re.IGNORECASE,
)


def clean(text: str, timer: bool) -> str:
    """Return *text*, what no time was said with, without the words that ask for a reminder."""
    return cleaned(text, _FILLER, _NAMED_TIMER, _REQUEST, _CLOSING, _ARTICLE if timer else None)


_ARTICLE = re.compile("^(?:the|my|an?) ", re.IGNORECASE)

GRAMMAR = Grammar(
    rules=RULES,
    timer=re.compile(r"\btimers?\b|\bcount ?down\b"),
    alarm=re.compile(r"\balarms?\b|\bwake\b|\breminder\b|\btimer\b"),
    head=re.compile(
        r"\bremind (?:me|us)(?: again)?|\bwake me(?: up)?|\b(?:alarm|timer|reminder)(?: for| at)?"
    ),
    clean=clean,
    filler=_FILLER,
    wake=re.compile(r"\bwake\b|\balarm\b"),
)
