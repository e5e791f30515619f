"""English phrases for intents. See :mod:`appliance.assistant.intent_rules` for the form."""

from __future__ import annotations

from appliance.assistant.intent_rules import Rules, whole

_LEVELS = {
    "zero": 0, "one": 1, "two": 2, "three": 3, "four": 4, "five": 5, "six": 6, "seven": 7,
    "eight": 8, "nine": 9, "ten": 10, "eleven": 11, "twelve": 12, "fifteen": 15, "twenty": 20,
    "thirty": 30, "forty": 40, "fifty": 50, "sixty": 60, "seventy": 70, "eighty": 80,
    "ninety": 90, "hundred": 100, "max": 100, "maximum": 100, "full": 100, "half": 50,
    "halfway": 50, "min": 5, "minimum": 5,
}  # fmt: skip
_LANGUAGES = {"english": "en", "portuguese": "pt", "brazilian": "pt"}

_VOLUME = r"(?:(?:the|your|my) )?(?:volume|sound|audio|speakers?|music)"
_BIT = (
    r"(?: (?:(?:just )?(?:a|one) (?:little|bit|little bit|lot|notch|tad)(?: more)?|some more|"
    r"more|slightly|much))?"
)
_BY = r"(?: by (?:\d+|[a-z]+)(?: percent| points)?)?"
_NUMBER = rf"(?:\d{{1,3}}|(?:{'|'.join(_LEVELS)})(?: (?:{'|'.join(_LEVELS)}))?)"
_LEVEL = rf"(?:the |a |its )?(?:{_NUMBER})(?: percent)?(?: volume)?"
_LANGUAGE = rf"(?:brazilian (?=portuguese))?(?:{'|'.join(_LANGUAGES)})"
_NOW = r"(?: (?:now|right now|at the moment|currently|here|today|exactly))*"
_MIC = r"(?:the |your )?(?:microphone|mic)"
_WEEKDAY = r"(?:mon|tues|wednes|thurs|fri|satur|sun)day"
_ALARMS = r"(?:reminders?|alarms?|timers?|countdown|alarm clock)"
_SPAN = (
    r"(?:a|an|half|\d+|one|two|three|four|five|ten|fifteen|twenty|thirty|forty|sixty|ninety)(?: "
    r"an| a)?(?: \w+)? ?(?:seconds?|minutes?|hours?|days?|weeks?)"
)
_WHEN = (
    r"(?:"
    r"(?:at|by|around|before) (?:\d+|one|two|three|four|five|six|seven|eight|nine|ten|eleven|noon)|"
    rf"(?:tomorrow|tonight|{_WEEKDAY}|in {_SPAN}))"
)
_PICTURE = r"(?:picture|photo|photograph|image|drawing|snapshot|screenshot)"
_LANGS = (
    r"(?:python|java|javascript|typescript|rust|ruby|swift|go|golang|c|r|perl|php|kotlin|scala|"
    r"lua|haskell|bash|shell|powershell|sql|html|css|basic|matlab|fortran|cobol|assembly)"
)
_CODE_NOUN = (
    r"(?:functions?|scripts?|programs?|programme|class|classes|methods?|quer(?:y|ies)|code|"
    r"modules?|unit tests?|tests?|loops?|algorithms?|app|apps|application|website|web page|"
    r"webpage|api|bot|decorator|regex|one liner|snippet|makefile|parser|library|component)"
)

RULES = Rules(
    before=whole(
        r"(?:hey |hi |hello |ok |okay )?luna",
        "hey|hi|ok|okay|well|so|oh|um|uh|and|now|just|quickly|please|sorry",
        r"(?:can|could|would|will) you(?: please| just)?",
        r"(?:i want|id like|i would like|i need) you to",
        r"do me a favou?r and",
        "would you mind",
    ),
    after=whole("please|luna|thanks|thank you|for me|will you|would you|ok|okay|dear"),
    commands={
        "volume_up": whole(
            rf"(?:turn|put|crank|bring) (?:it|that|yourself|{_VOLUME}) (?:back )?up{_BIT}{_BY}",
            rf"turn up(?: it| {_VOLUME})?{_BIT}{_BY}",
            rf"(?:increase|raise|boost|pump up|bump up) {_VOLUME}{_BIT}{_BY}",
            rf"{_VOLUME} up{_BIT}{_BY}|(?:more|higher) volume|make {_VOLUME} (?:louder|higher)",
            rf"(?:speak|talk|be|make it|get|go){_BIT} (?:up|louder){_BIT}",
            rf"(?:a (?:little |bit |little bit )|much |even )?louder|raise your voice{_BIT}",
            r"i (?:cant|cannot|can barely|can hardly|can not) hear (?:you|it|anything)(?: well)?",
            r"(?:its|you are|youre|thats|it is|that is|the volume is|this is)(?: way| far| a "
            r"bit)? too (?:quiet|low|soft)",
        ),
        "volume_down": whole(
            rf"(?:turn|put|bring) (?:it|that|yourself|{_VOLUME}) (?:back )?down{_BIT}{_BY}",
            rf"turn down(?: it| {_VOLUME})?{_BIT}{_BY}",
            rf"(?:decrease|lower|reduce|drop|cut) {_VOLUME}{_BIT}{_BY}",
            rf"{_VOLUME} down{_BIT}{_BY}|(?:less|lower) volume|make {_VOLUME} (?:quieter|lower)",
            rf"(?:speak|talk|be|make it|get|go){_BIT} (?:more )?(?:quieter|softer|softly|quietly|"
            rf"lower){_BIT}",
            r"(?:a (?:little |bit |little bit )|much |even )?(?:quieter|softer)|not so loud",
            r"(?:its|you are|youre|thats|it is|that is|the volume is|this is)(?: way| far| a "
            r"bit)? too loud",
        ),
        "volume_set": whole(
            rf"(?:(?:set|put|change|turn|adjust|bring|make) )?{_VOLUME}(?: level)?(?: up| "
            rf"down)?(?: to| at| on)? {_LEVEL}",
            rf"(?:turn|set|put) it(?: up| down)? (?:to|at) {_LEVEL}",
            r"(?:max|maximum|full|half|minimum) volume",
        ),
        "mute": whole(
            rf"mute(?: yourself| {_MIC})?|(?:stop|quit) listening(?: to (?:me|us))?",
            rf"(?:turn|switch) off {_MIC}|(?:turn|switch) {_MIC} off",
            rf"(?:disable|close|silence) {_MIC}|dont listen(?: to (?:me|us))?",
        ),
        "unmute": whole(
            rf"unmute(?: yourself| {_MIC})?|(?:start|resume) listening(?: again)?",
            rf"(?:turn|switch) (?:on {_MIC}|{_MIC} (?:back )?on)(?: again)?|enable {_MIC}",
            r"(?:you can )?listen(?: to me)? again",
        ),
        "time": whole(
            rf"(?:so )?what time (?:is it|do we have|it is){_NOW}",
            r"(?:what is|whats|tell me|give me|do you (?:know|have)|have you got|got|say|check|"
            rf"i need) the (?:current |exact |right )?time(?: is it)?{_NOW}",
            rf"(?:do you know|tell me|can you tell me|say) what time it is{_NOW}",
            rf"(?:current |the )?time{_NOW}|how late is it|whats the clock say",
        ),
        "date": whole(
            r"(?:what|which) (?:day|date|month|year)(?: of the (?:week|month|year))? (?:is it|"
            rf"is today|is this|are we|do we have|it is){_NOW}",
            r"(?:what is|whats|tell me|give me|say|do you know) (?:todays (?:date|day)|the "
            rf"(?:current )?(?:date|day)(?: of today)?){_NOW}",
            rf"(?:do you know|tell me) what (?:day|date) (?:it is|is it|today is){_NOW}",
            rf"(?:todays|current|the) date|date|is (?:it|today) {_WEEKDAY}(?: today)?",
            r"what (?:is|s) today|whats today",
        ),
        "status": whole(
            r"(?:(?:what is|whats|give me|tell me|show me|report|check|how is) )?(?:the |your |a "
            r")?(?:system |current |own )?(?:status|health)(?: report| check)?",
            r"are you (?:online|offline|connected|working(?: properly| correctly)?|up and running)",
            r"(?:run|do) (?:a |the )?(?:self test|self check|diagnostics?|health check)",
            r"how is (?:the|your) (?:system|hardware|memory)(?: doing)?",
            r"how much memory (?:are you using|do you have(?: left)?|is (?:free|left|used))",
            r"(?:is everything|are all systems) (?:working|running|ok|okay|fine)(?: properly)?",
            r".{0,40}\bgive me (?:your|a|the) status(?: report)?",
        ),
        "new_conversation": whole(
            r"(?:(?:start|begin|open|lets have|lets start) )?(?:a |the )?(?:new|fresh) "
            r"(?:conversation|chat|session|topic)",
            r"forget (?:about )?(?:what (?:we|i|you) (?:just )?(?:talked about|said|discussed|"
            r"told you)|(?:everything|all)(?: of (?:that|this))?(?: (?:we|i|you) (?:talked about|"
            r"said|discussed|told you))?(?: so far)?|(?:this|the|our|that) (?:whole "
            r")?conversation)",
            r"(?:lets )?(?:start|begin) (?:over|fresh|anew|from scratch|all over|from the "
            r"beginning)(?: again)?",
            r"(?:clear|reset|delete|erase|wipe) (?:the|this|our|your)? ?(?:conversation|chat|"
            r"history|context|memory)(?: history)?",
        ),
        "pair": whole(
            r"(?:pair|connect|link|register|add) (?:(?:with|to) )?(?:my|a|this|the|our|another|a "
            r"new) (?:new )?(?:phone|mobile|cell ?phone|smartphone|tablet|computer|laptop|browser|"
            r"device)(?: (?:to|with) (?:you|the page|your page))?",
            r"(?:start|begin|open)(?: the)? pairing(?: mode)?|pairing mode",
            r"(?:give|tell|say)(?: me)? (?:the|a|your) pairing code",
        ),
        "repeat": whole(
            r"repeat(?: (?:that|it|yourself|what you (?:just )?said|the (?:last )?(?:answer|"
            r"sentence|part|thing)|your (?:last )?answer|the last thing you said))?(?: again| "
            r"once more| one more time)?",
            r"say (?:that|it|this) (?:again|once more|one more time)|one more time|come again|"
            r"pardon(?: me)?",
            r"(?:sorry |wait )?what (?:did|was it) (?:it )?(?:that )?you (?:just |last )?sa(?:y|"
            r"id)(?: again| just now)?",
            r"i (?:didnt|did not|couldnt) (?:hear|catch|get) (?:that|you|it|what you said)",
            r"what was that(?: again)?|what were you saying",
        ),
        "language": whole(
            r"(?:speak|talk|answer|reply|respond)(?: to me| with me)?(?: only)?(?: in)? "
            rf"{_LANGUAGE}(?: again| from now on| now| instead)*",
            r"(?:(?:switch|change|go)(?: the| your)?(?: language)?(?: back)?|back) (?:to|into) "
            rf"{_LANGUAGE}",
            rf"(?:set|change|switch) (?:the |your )?language (?:to|into) {_LANGUAGE}",
            rf"(?:in )?{_LANGUAGE}(?: from now on)?|lets (?:speak|talk)(?: in)? {_LANGUAGE}",
        ),
        "stop": whole(
            r"stop(?: it| that| now| talking| speaking| reading| there| right there| please)*",
            r"(?:be |stay )?quiet|shut up|hush|shush|silence|be silent|never ?mind|cancel(?: "
            r"that| it)?",
            r"forget (?:it|about it)|(?:thats |that is )?enough|thats (?:all|it)|quit(?: it| "
            r"talking)?",
            r"no more|stop stop(?: stop)*|abort|nothing|its nothing|leave it",
        ),
    },
    reminder=whole(
        r"remind (?:me|us|him|her|my \w+)",
        r"(?:set|create|add|make|start|put|schedule|begin|give me|i need|i want|new)(?: up)?(?: "
        rf"me)?(?: (?:a|an|the|another|my|one|new))?(?: [\w]+){{0,4}}? {_ALARMS}",
        r"(?:cancel|delete|remove|stop|snooze|pause|clear|turn off|switch off|change|move|edit|"
        r"disable|postpone|resume|dismiss)(?: (?:the|my|all|that|this|every|of|both|next|"
        rf"last))*(?: \w+){{0,3}}? {_ALARMS}",
        rf"(?:list|show|read)(?: me| out)?(?: all)?(?: of)?(?: my| the)? {_ALARMS}",
        rf"(?:any|which|what|how many|active|upcoming) {_ALARMS}(?: (?:do i have|are|have|did i|"
        r"is|for|today|tomorrow|this|set|left).*)?",
        rf"my (?:\w+ )?{_ALARMS}(?: for .*| today| tomorrow)?$",
        r"how (?:much time|long|many minutes)(?: is)?(?: there)? left on .*",
        rf"{_ALARMS} (?:for|in|at) (?:\d|{_SPAN}|noon|midnight|tomorrow|seven|six|eight|nine).*",
        rf"{_SPAN} {_ALARMS}|(?:\w+ )?{_ALARMS} {_SPAN}|snooze",
        r"wake (?:me|us)(?: up)? (?:at|in|on|tomorrow|before|by|early|around|every|when it|after)",
        r"(?:dont|do not) let me forget|(?:make sure|see that) (?:that )?i (?:dont forget|"
        r"remember)",
        r"i (?:must|should|need to|have to) (?:not forget|remember) to|help me (?:to )?remember to",
        rf"(?:tell|call|alert|notify|ping|let) me (?:know )?(?:in|after) {_SPAN}",
        rf"(?:in|after) {_SPAN} (?:please )?(?:tell|call|wake|remind|alert|notify|let|ping)",
        r"(?:whats|what is|anything|what do i have) (?:on|in) my (?:agenda|calendar|schedule)",
    ),
    vision=whole(
        r"what (?:do|can|are) you (?:see|seeing|looking at)(?! (?:from|in the (?:future|sky)|as|"
        r"on))|tell me what you (?:can )?see",
        r"(?:have a |take a )?(?:closer )?look at (?:this|that|these|those|me|my)|(?:have|take) "
        r"a (?:quick |closer )?look",
        r"look (?:here|what i (?:have|got|am|brought))|(?:take|snap|shoot) (?:a|another|one) "
        rf"(?:quick )?(?:{_PICTURE}|look)",
        r"(?:whats|what is|who is|whos|what are|where was|where is|who are) (?:\w+ )?(?:in|on|"
        rf"this|that) (?:this|the|that|my)? ?{_PICTURE}",
        r"(?:in|on|of|from|at|with|about|describe|explain|analy[sz]e|see|is) (?:this|these|the "
        rf"attached|my) {_PICTURE}s?",
        rf"(?:describe|explain|analy[sz]e|interpret) (?:this|that|the|what is in the) {_PICTURE}",
        r"(?:read|translate|describe|identify)(?: me)? (?:this|that|the|what is on (?:this|the)|"
        r"whats on (?:this|the)) (?:\w+ )?(?:label|sign|receipt|page|handwriting|poster|menu|"
        r"screen|letter|scene|room|note|plant|object|packet|bottle|barcode)",
        r"in front of (?:you|the camera|your camera)|(?:through|with|from|using|on|use|open) "
        r"(?:the|your|my) (?:camera|webcam)",
        r"(?:what|which|how many|who) .*\bam i (?:holding|wearing|showing(?: you)?|pointing at)",
        r"(?:what|who) am i (?:holding|wearing|showing(?: you)?|pointing at).*",
        r"what (?:colou?r|kind of \w+|type of \w+|sort of \w+|breed|brand|plant|animal|flower|"
        r"bird|insect|object) (?:is|are) (?:this|that|these|my \w+)(?: \w+)?",
        r"can you see (?:me|this|that|my|anything|what i)|do you see (?:me|this|that|my|anything|"
        r"a|any|the)",
        rf"how many \w+ (?:do|can) you see|{_PICTURE} i (?:just )?(?:sent|uploaded|attached|took)",
        r"how do i look|do i look|does this (?:shirt|dress|jacket|tie) (?:suit|fit|match).*",
        r"whats this|what is this(?: thing)?(?: here)?|what does (?:this|the|that) (?:label|sign|"
        r"screen|letter|note|page|text) say",
    ),
    code=whole(
        r"javascript|typescript|c\+\+|c#|php|golang|kotlin|html|css|sql|sqlite|bash|powershell",
        r"regex|regexp|json|yaml|numpy|pandas|django|flask|fastapi|nodejs|node js|postgres|"
        r"postgresql|mysql|dockerfile|docker|kubernetes|github|git|vba|arduino|webassembly|"
        r"systemd|makefile|cron ?job|crontab",
        r"regular expressions?|null pointers?|segmentation fault|stack ?trace|traceback|compiler "
        r"errors?|unit tests?|pull request|syntax error|for loops?|while loops?|infinite loop|"
        r"linked list|binary search(?: tree)?|hash ?map|recursive function|lambda function|off "
        r"by one|merge conflict|type ?error|index ?error|key ?error|stack ?overflow|shell "
        r"scripts?|source code|pseudo ?code|code review|big o notation|http|rest api|web scraper|"
        r"quick ?sort|bubble sort|merge sort|fizz ?buzz",
        r"(?:in|with|using|into|to|for|from|my|a|an|some|this|the|learning?|install|use) "
        rf"{_LANGS} (?:{_CODE_NOUN}|error|exception|list|dict|dictionary|string|array|code|file|"
        r"variable|package|project|lambda|generator|virtual|syntax|import|version|standard|"
        r"stream|hash|tuple|set|object|thread|developer|programming|interpreter|struct|enum|"
        r"trait|borrow|pointer|map)\b.*",
        rf"{_LANGS} (?:{_CODE_NOUN}|code|list comprehension|dictionary|decorators?|exception|"
        r"syntax|programming|interpreter|borrow checker)",
        r"(?:in|with|using|to|from|for) (?:python|java|rust|ruby|swift|perl|matlab|haskell|lua|"
        r"scala|fortran|cobol)(?: (?:3|11|17|8))?(?= (?:to|and|that|which|for|with|without|"
        r"from)\b|$)",
        r"(?:write|create|make|build|generate|give me|show me|implement|fix|debug|refactor|"
        r"optimi[sz]e|improve|review|correct|rewrite|need|develop|test|explain|finish|complete|"
        r"document)(?: (?:me|us))?(?: (?:a|an|the|this|that|my|some|your|another))?(?: "
        rf"[\w+#]+){{0,3}}? {_CODE_NOUN}(?: (?:that|to|which|for|in|using|with|where|so|called|"
        r"named|from|is|does|doesnt|of mine)\b.*)?",
        r"(?:debug|refactor|compile|code up|programming) .*|.* (?:wont|doesnt|does not|not) "
        r"compile",
        r"how (?:do|can|would|should) (?:i|you|we) (?:code|program|implement|debug|refactor|"
        r"compile|parse|deploy) .*",
    ),
    misleading=whole(
        r"(?:you|it|that|this|he|she|they|which|song|who) reminds? (?:me|us|him|her) of",
        r"wake me up (?:when september ends|before you go go)",
        r"(?:dress|penal|criminal|civil|zip|postal|area|morse|bar|country|qr|genetic|promo|tax|"
        r"building|discount|highway|napoleonic|door|honou?r|moral|labou?r|da vinci|pin|access|"
        r"hammurabis) codes?|code (?:of|name|red|breakers?)|codes? (?:hammurabi|napoleon)",
        r"see what i mean|look at it this way|look at the (?:big(?:ger)? picture|bright side)|"
        r"get the picture|do you see (?:any|a|the) (?:point|problem|difference|future|reason)",
        r"(?:tv|television|radio|space|training|workout|exercise|government|social|exchange|"
        r"apollo|fitness|diet|nuclear|weight loss|loyalty|study|music|concert) (?:programs?|"
        r"programme)",
        r"(?:movie|film|play|theat(?:er|re)|cyrillic|latin|arabic|tv) scripts?|script for (?:a|"
        r"the|my) (?:\w+ )?(?:movie|film|play|video|speech|podcast|wedding|scene)",
        r"(?:social|middle|working|upper|first|business|economy|world|yoga|dance|cooking|history|"
        r"maths?|english|school|master|gym|spanish|french|pilates|ruling) class(?:es)?|class "
        r"(?:of|struggle|war|reunion|mates?)",
        r"(?:heart|brain|liver|kidneys?|lungs?|wave|trig\w*|bodily|cell|math\w*|linear|quadratic|"
        r"exponential) functions?|functions? of (?:the|a|an|our|your) (?!program|code|script)\w+",
        r"(?:public|school|city|local) librar(?:y|ies)|blood tests?|driving tests?|pregnancy "
        r"tests?|dna tests?|test (?:for|of) (?:covid|the virus|my)|personality test|math test|"
        r"(?:scientific|teaching|birth control|rhythm|socratic) methods?",
        r"python (?:snakes?|bite|skin|eggs?)|monty python|java (?:island|coffee|sea|indonesia|"
        r"trench|man)|island of java|ruby (?:ring|necklace|slippers|gem|stone)|taylor swift|"
        r"shell (?:beach|fish)",
        r"(?:biological|circadian|history of|inventor of|invented|invent) (?:the )?(?:alarm "
        r"clocks?|alarms?|timers?)|(?:fire|smoke|false|car|burglar) alarms?",
        rf"{_ALARMS} (?:is|was|broke|does not|doesnt|wont|went)",
        r"(?:yoga|language|mobile|dating|job|loan|best) (?:app|application)s?",
    ),
    hints={
        "code": whole(
            r"code|program|programming|script|function|class|variable|bug|query|algorithm|"
            r"database|software|terminal|compile|compiler|python|java|rust|ruby|server|loop|"
            r"array|string|exception|library|api|website|coding|app|error message|linux|command "
            r"line"
        ),
        "vision": whole(
            r"camera|picture|photo|photograph|image|look at|looking at|see (?:this|that|it)|show "
            r"you|this thing|read this|(?:is|are|does|do) (?:this|these)|thing i|holding"
        ),
        "reminder": whole(
            rf"remind|{_ALARMS}",
            rf"(?:forget|remember|appointment|wake|meeting|due) (?:.* )?{_WHEN}",
            rf"{_WHEN} (?:.* )?(?:forget|remember|appointment|wake)",
        ),
    },
    about=whole(
        r"(?:so |and )?(?:who|why|when|where|what is (?:a|an|the)|what are|what was|what were|"
        r"what does|what did|whats (?:a|an|the)|whose|is it true|is there|are there|was there|"
        r"were there|did|does|which|how (?:does|did|is|are|was|old|far|big|fast|loud|tall|come|"
        r"many|much|long|often))",
        r"(?:tell me|talk to me|teach me|i want to know|what do you (?:know|think)) (?:about|"
        r"something about|more about|of)|(?:tell me )?(?:a |the )?(?:story|joke|history)",
        r"how (?:do|can) (?:i|you|we) (?:calculate|say|spell|cook|make|get|clean|become|learn)",
        r"write (?:me )?a (?:\w+ )?(?:poem|song|story|letter|text|e ?mail|speech|message|haiku|"
        r"joke)",
        r"explain|describe|define|translate|i had|do you (?:like|think|know|believe|have)|how do "
        r"you|recommend|what language|what time (?:does|do|did|will)",
    ),
    levels=_LEVELS,
    languages=_LANGUAGES,
)
