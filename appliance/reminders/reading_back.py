"""What Luna says of a time, a rule or a length of time: written for the ear, numbers as words."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import date, datetime, time

from appliance.reminders.spoken_time import Duration, Moment, Question, Recurrence
from appliance.texts import text

_CODES = ("MO", "TU", "WE", "TH", "FR", "SA", "SU")
_WORKING_DAYS = (0, 1, 2, 3, 4)
_SATURDAY = 5
_HALF_HOUR = 30
_NOON = 12
_WORDS_BELOW = 60
_MOST_TIMES = 4
"""More times of a day than this are not read out one by one."""


def read_back(said: Moment | Duration | Recurrence, now: datetime, language: str) -> str:
    """Return what was understood: "call your mother, tomorrow, Tuesday, at nine in the morning".

    *now* is the wall clock of the same zone; its own zone is ignored. Without a text only the
    time is said.
    """
    when = say_when(said, now, language)
    return f"{turned(said.text, language)}, {when}" if said.text else when


def say_when(said: Moment | Duration | Recurrence, now: datetime, language: str) -> str:
    """Return the time, rule or length alone."""
    match said:
        case Moment(due=due):
            return say_moment(due, now, language)
        case Duration(seconds=seconds):
            return text("time.in", language, length=say_length(seconds, language))
        case Recurrence(rule=rule, first=first):
            return say_rule(rule, first, now, language)


def ask(question: Question, now: datetime, language: str) -> str:
    """Return the sentence that asks *question*."""
    day = question.values.get("day")
    if question.key == "at_what_time" and isinstance(day, date):
        return text("question.at_what_time_on", language, day=say_day(day, now, language))
    return text(f"question.{question.key}", language)


def say_moment(due: datetime, now: datetime, language: str) -> str:
    """Return "tomorrow, Tuesday, at nine in the morning" for the local time *due*."""
    clock = say_clock(due.time(), language)
    days = (due.date() - now.date()).days
    weekday = _pick("time.weekdays", due.weekday(), language)
    if days == 0:
        return text("time.today", language, clock=clock)
    if due.hour == 0:  # "tomorrow at midnight" may mean either night
        day = weekday if days == 1 else say_day(due.date(), now, language, plain=True)
        return text("time.night_to", language, day=day, clock=clock)
    if days == 1:
        return text("time.tomorrow", language, weekday=weekday, clock=clock)
    on_weekday = _pick("time.on_weekdays", due.weekday(), language)
    said = _date(due.date(), now, language)
    return text("time.on_day", language, on_weekday=on_weekday, date=said, clock=clock)


def say_day(day: date, now: datetime, language: str, *, plain: bool = False) -> str:
    """Return "tomorrow", or "on Friday, the thirteenth of March"; without the "on" if *plain*."""
    days = (day - now.date()).days
    if days in (0, 1):
        return text(("time.day_today", "time.day_tomorrow")[days], language)
    said = _date(day, now, language)
    if plain:
        weekday = _pick("time.weekdays", day.weekday(), language)
        return text("time.day_plain", language, weekday=weekday, date=said)
    on_weekday = _pick("time.on_weekdays", day.weekday(), language)
    return text("time.day_other", language, on_weekday=on_weekday, date=said)


def _date(day: date, now: datetime, language: str) -> str:
    number = _pick("time.days_of_month", day.day - 1, language)
    month = _pick("time.months", day.month - 1, language)
    if day.year != now.year:
        return text("time.day_of_year", language, day=number, month=month, year=day.year)
    return text("time.day_of_month", language, day=number, month=month)


def say_clock(at: time, language: str) -> str:
    """Return a time of day: "at nine thirty in the morning", "at noon"."""
    minutes = _minutes(at.minute, language)
    if at.hour in (0, _NOON):
        key = "time.noon" if at.hour else "time.midnight"
        return text(f"{key}_past", language, minutes=minutes) if at.minute else text(key, language)
    hour = at.hour % _NOON
    starts = text("time.part_starts", language).split("|")
    part = _pick("time.parts", sum(at.hour >= int(start) for start in starts), language)
    key = "time.one" if hour == 1 else "time.hour"
    word = number_word(hour, language, feminine=True)
    if at.minute:
        return text(f"{key}_past", language, hour=word, minutes=minutes, part=part)
    return text(key, language, hour=word, part=part)


def _minutes(minute: int, language: str) -> str:
    if minute == _HALF_HOUR:
        return text("time.half_past", language)
    word = number_word(minute, language)
    return text("time.minutes_below_ten", language, minutes=word) if minute < 10 else word  # noqa: PLR2004


def say_length(seconds: int, language: str) -> str:
    """Return "one hour, thirty minutes and ten seconds"."""
    hours, rest = divmod(seconds, 3600)
    minutes, seconds = divmod(rest, 60)
    named = (("time.hours", hours), ("time.minutes", minutes), ("time.seconds", seconds))
    parts = [_counted(key, count, language) for key, count in named if count]
    return _listed(parts, language) if parts else _counted("time.seconds", 0, language)


def say_rule(rule: str, first: datetime, now: datetime, language: str) -> str:
    """Return "every Monday and Wednesday at six in the evening, for the first time tomorrow"."""
    values = dict(part.split("=", 1) for part in rule.split(";"))
    often = _often(values, first, language)
    sub_daily = values["FREQ"] in ("HOURLY", "MINUTELY")
    said = often if sub_daily else f"{often} {_times(values, first, language)}"
    if until := values.get("UNTIL"):
        day = datetime.strptime(until[:8], "%Y%m%d").date()
        said += ", " + text("time.until", language, day=say_day(day, now, language, plain=True))
    if count := values.get("COUNT"):
        said += ", " + _counted("time.times", int(count), language)
    say = say_moment(first, now, language) if sub_daily else say_day(first.date(), now, language)
    return said + ", " + text("time.first", language, when=say)


def _often(values: dict[str, str], first: datetime, language: str) -> str:
    interval = int(values.get("INTERVAL", "1"))
    match values["FREQ"]:
        case "MINUTELY":
            return _counted("time.every_minutes", interval, language)
        case "HOURLY":
            return _counted("time.every_hours", interval, language)
        case "DAILY" if "BYDAY" not in values:
            return _counted("time.every_days", interval, language)
        case "DAILY" | "WEEKLY":
            return _weekly(_days(values, first), interval, language)
        case "MONTHLY" if interval == 1:
            return _monthly(values, first, language)
        case "MONTHLY":
            day = _monthly(values, first, language, every=False)
            return f"{_counted('time.every_months', interval, language)}, {day}"
    return f"{_counted('time.every_years', interval, language)}, {_yearly(values, first, language)}"


def _days(values: dict[str, str], first: datetime) -> tuple[int, ...]:
    named = values.get("BYDAY", "")
    if not named:
        return (first.weekday(),)
    return tuple(_CODES.index(code) for code in named.split(","))


def _weekly(days: tuple[int, ...], interval: int, language: str) -> str:
    if interval > 1:
        on = [_pick("time.on_weekdays", day, language) for day in days]
        return f"{_counted('time.every_weeks', interval, language)}, {_listed(on, language)}"
    if days == _WORKING_DAYS:
        return text("time.every_working_day", language)
    every = _pick("time.every_weekday", days[0], language)
    rest = [_pick("time.weekdays", day, language) for day in days[1:]]
    return _listed([every, *rest], language)


def _monthly(values: dict[str, str], first: datetime, language: str, *, every: bool = True) -> str:
    if "BYDAY" in values:
        said = _nth(values, language)
        return text("time.of_every_month", language, day=said) if every else said
    numbers = [int(n) for n in values.get("BYMONTHDAY", str(first.day)).split(",")]
    if numbers == [-1]:
        return text("time.every_last_day" if every else "time.last_day", language)
    last = text("time.last_day_of", language)
    days = [_pick("time.days_of_month", n - 1, language) if n > 0 else last for n in numbers]
    key = "time.every_month_day" if every else "time.month_day"
    return text(f"{key}s" if len(days) > 1 else key, language, days=_listed(days, language))


def _nth(values: dict[str, str], language: str) -> str:
    """Return "on the first Monday"."""
    if "BYSETPOS" in values:
        nth = _nth_word(int(values["BYSETPOS"].split(",")[0]), language, masculine=True)
        return text("time.on_working_day", language, nth=nth)
    code = values["BYDAY"]
    day = _CODES.index(code[-2:])
    masculine = day >= _SATURDAY
    nth = _nth_word(int(code[:-2] or 1), language, masculine=masculine)
    key = "time.on_nth_weekday_masculine" if masculine else "time.on_nth_weekday"
    return text(key, language, nth=nth, weekday=_pick("time.weekdays", day, language))


def _nth_word(nth: int, language: str, *, masculine: bool) -> str:
    ending = "_masculine" if masculine else ""
    if nth < 0:
        return text(f"time.last{ending}", language)
    return _pick(f"time.nths{ending}", nth - 1, language)


def _yearly(values: dict[str, str], first: datetime, language: str) -> str:
    month = int(values.get("BYMONTH", str(first.month)).split(",")[0])
    name = _pick("time.months", month - 1, language)
    day = _monthly(values, first, language, every=False)
    return text("time.of_month", language, day=day, month=name)


def _times(values: dict[str, str], first: datetime, language: str) -> str:
    """Return the times of the day: one, a few, or how many between which."""
    if "BYHOUR" not in values:
        return say_clock(first.time(), language)
    hours = [int(hour) for hour in values["BYHOUR"].split(",")]
    minutes = [int(minute) for minute in values.get("BYMINUTE", "0").split(",")]
    times = [time(hour, minute) for hour in hours for minute in minutes]
    if places := values.get("BYSETPOS"):
        times = [times[int(place) - 1] for place in places.split(",")]
    if len(times) > _MOST_TIMES:
        count = _counted("time.times", len(times), language)
        ends = (say_clock(times[0], language), say_clock(times[-1], language))
        return text("time.many_times", language, count=count, first=ends[0], last=ends[1])
    return _listed([say_clock(at, language) for at in times], language)


def number_word(number: int, language: str, *, feminine: bool = False) -> str:
    """Return *number* in words where it is below sixty, else in digits."""
    if number >= _WORDS_BELOW:
        return str(number)
    return _pick("time.numbers_feminine" if feminine else "time.numbers", number, language)


_FEMININE = ("time.hours", "time.every_hours", "time.every_weeks", "time.times")
"""What is counted with "uma" and "duas"."""


def _counted(key: str, count: int, language: str) -> str:
    one, many = text(key, language, count="{count}").split("|")
    if count == 1:
        return one
    return many.format(count=number_word(count, language, feminine=key in _FEMININE))


def _pick(key: str, index: int, language: str) -> str:
    return text(key, language).split("|")[index]


def _listed(parts: Sequence[str], language: str) -> str:
    if len(parts) == 1:
        return parts[0]
    return text("time.and", language, before=", ".join(parts[:-1]), last=parts[-1])


# --- whose mother it is -------------------------------------------------------------------------

_TURNED = {
    "en": {
        "i am": "you are", "i was": "you were", "am i": "are you", "i'm": "you're",
        "i've": "you've",
        "i'll": "you'll", "i'd": "you'd", "i": "you", "me": "you", "my": "your", "mine": "yours",
        "myself": "yourself", "we": "you", "us": "you", "our": "your", "ours": "yours",
    },
    "pt": {
        "eu tenho": "você tem", "eu vou": "você vai", "eu estou": "você está", "eu sou": "você é",
        "eu preciso": "você precisa", "tenho": "você tem", "vou": "você vai",
        "estou": "você está", "preciso": "você precisa", "eu": "você", "minha": "sua",
        "meu": "seu", "minhas": "suas", "meus": "seus", "comigo": "com você", "mim": "você",
        "me": "se", "nossa": "sua", "nosso": "seu", "nossas": "suas", "nossos": "seus",
    },
}  # fmt: skip
"""What the owner says of himself, as Luna says it to him; the longer before the shorter."""


def turned(said: str, language: str) -> str:
    """Return the owner's words as they are said to the owner: "my mother" is "your mother"."""
    table = _TURNED.get(language, _TURNED["en"])
    words = re.compile(rf"\b(?:{'|'.join(table)})\b(?!['’])", re.IGNORECASE)  # noqa: RUF001

    def other(match: re.Match[str]) -> str:
        found = table[match[0].lower()]
        # "I" is always written large; only the first word of the sentence keeps its capital.
        large = match.start() == 0 and match[0][0].isupper()
        return found[0].upper() + found[1:] if large else found

    return words.sub(other, said)
