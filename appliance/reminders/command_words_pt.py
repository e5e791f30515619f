"""Portuguese: the words of the commands about reminders (see ``command_words``)."""

from __future__ import annotations

import re

from appliance.reminders.command_words import CommandWords, patterns
from appliance.reminders.spoken_time.pt import VERBS

_TIPO = (
    r"(?P<kind>lembretes?|timers?|alarmes?|despertador(?:es)?|temporizador(?:es)?"
    r"|cron[oô]metros?|avisos?)"
)
_DO = r"(?:d[aeo]s?|para [oa]s?|pr[ao]s?|para|pra|sobre|que|chamad[oa])"
_OU = r"(?:o |a |os |as |meu |minha |meus |minhas |esse |essa |este |esta |aquele |aquela )?"
_QUAL = (
    rf"(?:ele|ela|isso|esse|essa|este|esta|{_OU}(?P<last>[uú]ltim[oa]) (?:{_TIPO})"
    rf"|{_OU}{_TIPO}(?: {_DO} (?P<which>.+?))?|(?:o|a|aquele|aquela) {_DO} (?P<which>.+?))"
)
_FIM = r"(?:para|pra|pro)"
_APAGA = (
    r"(?:cancel[ae]r?|apag(?:a|ue|ar)|remov[ae]r?|delet[ae]r?|exclu[ai]r?|tir[ae]r?|deslig"
    r"(?:a|ue|ar)|par(?:a|e|ar)|esque(?:ce|ça|cer)|limp[ae]r?|elimin[ae]r?|zer[ae]r?|anul[ae]r?"
    r"|desativ[ae]r?)"
)
_MUDA = (
    r"(?:mud[ae]r?|pass[ae]r?|alter[ae]r?|troc(?:a|ar)|troque|adi[ae]r?|adie|remar(?:ca"
    r"|que|car)|empurr[ae]r?|reagend[ae]r?|transfer[ei]r?|transfira|antecip[ae]r?"
    r"|bot[ae]r?|jog(?:a|ue|ar)|p[oõ]e|coloca)"
)

PT = CommandWords(
    never=patterns(
        r"^(?:me lembr\w+|lembr\w+[- ]me) (?:qual|quais|quem|onde|como|por ?que|o que"
        r"|quando|quanto|se)\b",
        r"^me (?:avis\w+|cham\w+) (?:se|quando|caso|assim que)\b",
        r"^(?:o que (?:é|são|significa)|que (?:é|são)|quem|por que|como (?:funciona|se"
        r"|é|fazer|faço|faz|eu)|explica|explique|defin\w+|me (?:fala|conta|explica) "
        r"(?:sobre|o que|como))\b",
        r"^(?:que horas|que dia) ",
    ),
    cancel_all=patterns(
        rf"^{_APAGA} (?:tod[oa]s?|tudo)(?: (?:(?:[oa]s?|meus|minhas) )*{_TIPO}| eles| elas)?$",
        rf"^{_APAGA} (?:os|meus|as) (?P<kind>lembretes|timers|alarmes|temporizadores)$",
    ),
    time_left=patterns(
        r"^(?:quanto(?:s minutos)?(?: tempo)?(?: ainda)? (?:falta|resta|faltam|tem"
        r"|sobra)m?|quanto tempo)(?: ainda)?(?: (?:para|pra|pro|n[oa]|d[oa]|de)(?: "
        rf"(?:o|a|acabar|terminar))?(?: {_TIPO}(?: {_DO}(?: [oa])? (?P<which>.+?))?| "
        r"(?P<which>.+?))?)?(?: (?:tocar|acabar|terminar|ficar pront[oa]))?$",
        rf"^quando (?:toca|acaba|termina|vai tocar) (?:o |a |meu ){_TIPO}(?: {_DO} "
        r"(?P<which>.+))?$",
    ),
    list_=patterns(
        r"^(?:list[ae]r?|mostr[ae]r?|l[eê]r?|diz|diga|fala|me (?:diz|diga|mostr[ae]"
        r"|fala)|quais (?:são|sao)|qual (?:é|e)|quando (?:é|e))(?: todos)?(?: (?:os|as"
        rf"|o|a|meus|minhas|meu))*(?: pr[oó]xim[oa]s?)? {_TIPO}(?P<when>.*)$",
        rf"^(?:que|quais|quantos|qual) {_TIPO} (?:eu )?(?:tenho|há|ha|tem|est[aã]o"
        r"|temos|(?:ainda )?falt\w+)(?P<when>.*)$",
        rf"^(?:eu )?(?:tenho|tem|há|existe)(?: algum| alguns| mais algum)? {_TIPO}(?P<when>.*)$",
        r"^o que (?:eu )?(?:tenho (?:que|para|de) lembrar|pedi (?:para|pra) (?:você )?"
        r"(?:me )?lembrar)(?P<when>.*)$",
        rf"^meus {_TIPO}$",
    ),
    extend=patterns(
        r"^(?:(?:coloca|põe|bota|adiciona|acrescenta|dá|d[êe])(?: mais)?|mais) "
        rf"(?P<length>.+?)(?: a mais)? (?:no|na|ao|para o|pro) {_TIPO}(?: {_DO} "
        r"(?P<which>.+))?$",
        rf"^(?:{_MUDA}|aument[ae]|estend[ae]|prolong(?:a|ue)) {_QUAL} (?:em|por) (?P<length>.+)$",
    ),
    snooze=patterns(
        r"^(?:(?:modo )?soneca|cochilo)(?: (?:de|por) (?P<length>.+))?$",
        r"^adi(?:a|e|ar)(?: (?:isso|ele|esse|o (?P<kind>alarme|lembrete)))?(?: (?:por"
        r"|em|mais))* ?(?P<length>(?:\S+ )*(?:minutos?|horas?|hora e meia"
        r"|meia hora))?$",
        r"^(?:me lembr\w+|lembr\w+[- ]me|me avis\w+)(?: disso)? (?:de novo|outra vez"
        r"|novamente|mais tarde)(?: (?P<when>.+))?$",
    ),
    done=patterns(
        rf"^(?:marc\w+|marque) {_QUAL} como (?:feit[oa]|conclu[ií]d[oa]|pront[oa])$",
        rf"^{_QUAL} (?:já )?(?:est[aá]|tá) (?:feit[oa]|pront[oa]|conclu[ií]d[oa])$",
        rf"^(?:conclu[ia]r?|conclua|finaliz[ae]r?) {_QUAL}$",
        rf"^já (?:fiz|terminei) {_QUAL}$",
    ),
    change=patterns(
        rf"^{_MUDA} {_QUAL} (?P<when>{_FIM} .+)$",
        rf"^{_MUDA} (?P<when>(?:{_FIM}) .+)$",
        rf"^{_MUDA} (?:o |a )(?P<which>.+?) (?P<when>{_FIM} .+)$",
    ),
    cancel=patterns(
        rf"^{_APAGA} {_QUAL}$",
        r"^não (?:precisa (?:mais )?me|me) (?P<wake>acord\w+|lembr\w+|avis\w+)"
        r"(?: mais)?(?: (?:de|do|da|que) (?P<which>.+?))?(?: mais)?$",
        rf"^não preciso mais d(?:o|a|esse|este) {_TIPO}(?: {_DO} (?P<which>.+))?$",
    ),
    add=patterns(
        r"^(?:(?:me|nos) (?:re)?lembr(?:[ae]s?|ar|em)|(?:re)?lembr(?:[ae]s?|em)[- ]me)\b",
        r"(?:^|[ ,.])(?:me (?:lembr[ae]|avis[ae])|lembr[ae][- ]me|avis[ae][- ]me)(?: disso)?$",
        r"[,.;] *(?:e )?(?:por favor,? )?(?:me (?:lembr|avis)\w+|lembr\w+[- ]me)\b",
        r"^(?:n[oa]s?|às|à|ao|em|tod[oa]s?|amanhã|hoje|depois|dia|daqui|a cada"
        r"|a partir|de|segunda|terça|quarta|quinta|sexta|sábado|domingo"
        r"|próxim[oa])\b.*\b(?:me lembr|lembr\w+[- ]me|me avis)\w*",
        r"^(?:me (?P<wake>acord\w+|despert\w+)|(?P<wake>acord\w+|despert\w+)[- ]me)\b",
        r"^(?:me avis\w+|avis\w+[- ]me|me cham\w+)\b(?= (?:às|as|à|ao|em|daqui|dentro"
        r"|amanhã|hoje|para|pra|de|do|da|que|na|no|n[oa]|tod|segunda|terça|quarta"
        r"|quinta|sexta|sábado|domingo|depois|meio|a cada)\b)",
        r"^me (?:dá|dê) um toque\b",
        r"^(?:não me (?:deixe|deixa) esquecer|não (?:deixe|deixa) eu esquecer)\b",
        rf"^(?:(?:{VERBS}) )?(?:me )?(?:um |uma |o |mais um |outro |novo "
        rf"|meu ){{0,2}}{_TIPO}(?:$|[ ,:]+(?:de|d[oa]|para|pra|pro|às|à|ao|as|em"
        r"|chamad[oa]|tod[oa]s?|amanhã|hoje|\d+|um|uma|dois|duas|três|quatro|cinco|dez"
        r"|quinze|vinte|trinta|meia|n[oa]|que|daqui|diário)\b|:)",
    ),
    ringing_snooze=patterns(
        r"^(?:só |me dá )?mais (?P<length>(?!tarde\b).+)$",
        r"^(?P<when>(?:daqui|em|dentro de|às|à|ao|amanhã|hoje)\b.+)$",
        r"^(?:depois|mais tarde|agora não|ainda não|daqui a pouco|soneca)$",
        r"^(?P<length>(?:\S+ ){1,3}(?:minutos?|horas?))$",
    ),
    ringing_done=patterns(
        r"^(?:(?:ok|tá|sim|certo|pronto)[ ,]*)?(?:já )?(?:fiz|feito|tá feito"
        r"|está feito|pronto|ok|tá bom|tá|certo|terminei|acordei|obrigad[oa]"
        r"|pode parar|para|pare|chega|silêncio|já vou|já sei|já foi|parar|beleza"
        r"|entendi)$",
        rf"^(?:deslig(?:a|ue)|par[ae]|silencia) (?:o |esse |este |meu ){_TIPO}"
        rf"(?: {_DO} (?P<which>.+))?$",
        r"^já (?:fiz|tomei|liguei|paguei|mandei|comprei|reguei|dei|terminei|acordei)\b.*$",
    ),
    kinds={"lembrete": "reminder", "aviso": "reminder", "timer": "timer", "temporizador": "timer",
           "cron": "timer", "alarme": "alarm", "despertador": "alarm"},
    vague=patterns(r"^(?:(?:me|nos) lembr\w+|lembr\w+[- ]me) (?:[oa]s?|um|uma)\b"),
    at="",
    goal=re.compile("^(?:para|pra|pro) ", re.IGNORECASE),
    later="em ",
    article=re.compile(r"^(?:o|a|os|as|meu|minha|do|da|de) ", re.IGNORECASE),
)  # fmt: skip
