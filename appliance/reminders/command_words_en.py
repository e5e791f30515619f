"""English: the words of the commands about reminders (see ``command_words``)."""

from __future__ import annotations

import re

from appliance.reminders.command_words import CommandWords, patterns

_KIND = r"(?P<kind>reminders?|timers?|alarms?|alarm clock)"
_ONE = rf"(?:{_KIND}|one)"
_THE = r"(?:the |my |that |this |our )?"
_WHICH = (
    rf"(?:(?:it|that|this)(?: one)?|{_THE}(?P<last>last) {_ONE}|{_THE}{_KIND}(?:(?: "
    r"(?:for|about|to|called|named|at|of))+ (?P<which>.+?))?"
    rf"|(?:the |my |that |this )(?P<which>.+?) {_ONE})"
)
_GOAL = r"(?:to|until|till|for)"

EN = CommandWords(
    never=patterns(
        r"^(?:should|shall) (?:i|we)\b",
        r"^remind(?:s|ed|ing)? (?:me|us) (?:again )?(?:what|who|whose|which|why|how|where"
        r"|when|whether|if)\b",
        r"^remind(?:s|ed)? me of (?:my|the) (?:childhood|youth|home|past)\b",
        r"^(?:what(?:'s| is| are| was)?|who|why|how (?:do|does|did|can|could|would|to"
        r"|is|are)|explain|define|describe|tell me (?:what|how|about))\b(?!.*\b(?:my"
        r"|left|remain\w*|do i have|have i|are (?:there|set|running)|is (?:set"
        r"|running)|active)\b)",
    ),
    cancel_all=patterns(
        r"^(?:cancel|delete|remove|clear|erase|stop|dismiss|forget|scrap|drop"
        r"|turn off|switch off) (?:all(?: of)?|every(?: single)?|each(?: of)?) ?(?:the |my "
        r"|our |of )*(?P<kind>reminders?|timers?|alarms?|them)\b",
        r"^(?:cancel|delete|remove|clear|erase) everything$",
        r"^(?:cancel|delete|remove|clear|erase) (?:the |my )(?P<kind>reminders|timers|alarms)$",
    ),
    time_left=patterns(
        r"^how (?:much (?:time|longer)|long|many minutes)(?: (?:is|are|do i have"
        r"|have i got|does it have))?(?: still)? ?(?:left|remaining|to go)?(?: (?:on"
        r"|for|of|in|until|till|before) (?:the |my )?(?:(?P<which>.+?) )?"
        r"(?P<kind>timers?|alarms?|reminders?)(?: (?:goes off|rings|is done|ends))?| "
        r"(?:on|for|of) (?:the |my )?(?P<which>.+?))?(?: left| remaining)?$",
        r"^how (?:much (?:time|longer)|long) (?:is left|is there|does (?:the |my )?(?:"
        r"(?P<which>.+?) )?(?P<kind>timer) have)(?: left| still)*$",
        r"^(?:what(?:'s| is) left (?:on|of)|check) (?:the |my )?(?:(?P<which>.+?) )?"
        r"(?P<kind>timer)s?$",
        r"^when (?:does|will|is) (?:the |my )(?:(?P<which>.+?) )?(?P<kind>timer"
        r"|alarm)s? (?:go off|ring|end|finish|done|due)$",
    ),
    list_=patterns(
        r"^(?:list|show(?: me)?|read(?: me| out)?|tell me|give me|check|what are"
        r"|which are|what's|what is|when is|when's)(?: all)?(?: of)? (?:my|the|our)"
        rf"(?: (?:next|current|active|upcoming|pending))? {_KIND}(?P<when>(?: (?:for|on"
        r"|today|tomorrow|this|next|set|running|active)\b.*)?)$",
        rf"^(?:list|show|read) {_KIND}$",
        rf"^(?:what's|what is) on my {_KIND}(?: list)?(?P<when>.*)$",
        rf"^(?:what|which|how many) {_KIND} (?:do i have|have i(?: got)?|are(?: there)?"
        r"|did i set|is)(?P<when>(?: (?:there|set|running|active|on|left|pending|for|today|tomorrow"
        r"|this|next)\b.*)?)$",
        rf"^(?:do i have|have i(?: got)?|are there|is there)(?: any| an| a)? {_KIND}(?P<when>.*)$",
        r"^what (?:do i have to remember|should i remember|did i ask you to remind (?:me|us) "
        r"(?:of|about))(?P<when>.*)$",
    ),
    extend=patterns(
        r"^(?:add|give me|put)(?: another| an extra)? (?P<length>.+?)(?: more)? (?:to"
        rf"|on|onto) (?:{_WHICH})$",
        rf"^(?:extend|postpone|delay|push back|lengthen) {_WHICH} by (?P<length>.+)$",
        rf"^(?:move|push|shift|postpone|delay) {_WHICH}(?: back)? (?:by )?(?P<length>"
        r"(?:an?|half|\w+)\b.*?(?:minutes?|hours?|hour|days?|weeks?))(?: later)?$",
    ),
    snooze=patterns(
        rf"^snooze(?: {_WHICH})?(?: (?:for|by) (?P<length>.+)| (?P<when>(?:until|till"
        r"|to|in|at)\b.+))?$",
        r"^remind (?:me|us) (?:about (?:it|this|that) )?(?:again|later)(?: (?P<when>.+))?$",
        r"^(?:ask|tell) me again (?P<when>.+)$",
    ),
    done=patterns(
        rf"^(?:mark|check|tick) (?:off )?{_WHICH}(?: off)?(?: as)? (?:done|finished"
        r"|complete|completed)$",
        rf"^(?:i'm|i am|i've|i have) (?:already )?(?:done|finished)(?: with)? {_WHICH}$",
        rf"^{_WHICH} (?:is|are) (?:done|finished|complete|completed)$",
        rf"^(?:check|tick) off {_WHICH}$",
    ),
    change=patterns(
        r"^(?:move|change|reschedule|shift|push|postpone|put off|bring forward|set"
        rf"|make|delay|update) {_WHICH}(?: back| forward)? {_GOAL} (?P<when>.+)$",
        r"^(?:make it|move it|change it)(?: to)? (?P<when>.+?)(?: instead)?$",
        r"^(?:move|reschedule|postpone|push)(?: back)? (?:the |my )(?P<which>.+?)"
        r"(?: back)? (?:to|until) (?P<when>.+)$",
    ),
    cancel=patterns(
        r"^(?:cancel|delete|remove|stop|end|clear|erase|forget|dismiss|turn off"
        rf"|switch off|kill|get rid of)(?: about)? {_WHICH}$",
        rf"^(?:turn|switch) {_WHICH} off$",
        rf"^(?:i don't|i do not) need {_WHICH} (?:any ?more|any longer)$",
        r"^(?:don't|do not) remind (?:me|us)(?: (?:to|about|of) (?P<which>.+?))?(?: any ?more)?$",
        r"^don't wake me(?: up)?(?: any ?more)?(?P<kind>)$",
    ),
    add=patterns(
        r"^remind (?:me|us)\b",
        r"^(?:let me know|tell me|alert me|notify me) (?:in|at|on|tomorrow|tonight)\b",
        r"\b(?:(?:can|could) you )?remind (?:me|us)(?: about (?:it|that))?$",
        r"[,.;] *(?:so )?(?:please )?remind (?:me|us)\b",
        r"^(?:on|at|in|every|tomorrow|tonight|today|next|starting|from|the|first|each"
        r"|this)\b.*\bremind (?:me|us)\b",
        r"^(?P<wake>wake|get) me(?: up)?\b(?! before you)(?! on the)",
        r"^(?:don't|do not|never) let me forget\b",
        r"^(?:make sure i|don't forget to remind (?:me|us))\b.*",
        r"^(?:set|create|add|make|start|put|give me|schedule|new|i need|i want)"
        r"(?: me)?(?: up)?(?: on)? ?(?:an?|another|the|my|new)? ?"
        rf"(?:[\w'.:-]+ ){{0,5}}?{_KIND}\b(?! (?:system|app|clock radio))",
        r"^(?:an? )?(?P<kind>reminder|timer|alarm)s?(?:$|[ ,:]+(?:for|at|in|to|of|on|about"
        r"|every|tomorrow|today|tonight|\d|one|two|three|four|five|six|seven|eight"
        r"|nine|ten|eleven|twelve|fifteen|twenty|thirty|forty|fifty|sixty|ninety|half"
        r"|an?)\b)",
        r"^(?:an? )?(?:[\w-]+[ -]){1,4}(?P<kind>timer|alarm|reminder)(?: please| for .+)?$",
    ),
    ringing_snooze=patterns(
        r"^(?P<when>in (?:an?|another|\w+).*)$",
        r"^(?:give me )?(?:another |just )?(?P<length>.+? (?:more )?(?:minutes?|hours?"
        r"|mins?))(?: more| please)?$",
        r"^(?P<when>at .+|tomorrow.*|tonight.*)$",
        r"^(?:later|not now|not yet|snooze|in a (?:bit|while))$",
    ),
    ringing_done=patterns(
        r"^(?:(?:ok|okay|yes|yeah|alright)[ ,]*)?(?:(?:i(?:'m| am|'ve| have)? )?"
        r"(?:already )?(?:done|did it|did that|finished)|got it|thanks?(?: you)?|stop"
        r"(?: it)?|all done|ok|okay|i'm up|i'm awake|be quiet|enough|silence|shut up"
        r"|i know|will do)$",
        r"^(?:stop|turn off|switch off|dismiss|silence) (?:the |this |my )?(?:"
        r"(?P<which>.+?) )?(?P<kind>alarm|timer|reminder)$",
        r"^i(?:'ve| have) (?:already )?(?:done|called|taken|paid|sent|fed|watered"
        r"|bought|finished)\b.*$",
    ),
    kinds={"reminder": "reminder", "timer": "timer", "alarm": "alarm"},
    vague=patterns(r"^remind (?:me|us) of\b"),
    at="at ",
    goal=re.compile("^(?:to|for) ", re.IGNORECASE),
    later="in ",
    article=re.compile(r"^(?:the|my|a|an|to|about|for) ", re.IGNORECASE),
)
