"""Which questions have an answer that is the same tomorrow, on another box, in another talk.

Only those may be answered from the cache. The rules err on the side of asking the model again: a
question is left out at the first word that could point to a time, to this device, to the people
here or to what was said before.
"""

from __future__ import annotations

import re
import unicodedata

MAX_WORDS = 40
"""A longer question is a story of its own, and will not be asked again in the same words."""
MIN_WORDS = 2

_WORD = re.compile(r"[^\W_]+(?:'[^\W_]+)*")

_TIME = """
now today tonight tomorrow yesterday currently current recent recently latest newest lately still
yet already soon later ago nowadays weather forecast news time date day days week weekend month
morning evening afternoon clock season price prices stock stocks score president minister mayor
governor ceo champion record next last
monday tuesday wednesday thursday friday saturday sunday
agora hoje amanha ontem anteontem atualmente atual atuais recente recentes recentemente ultimo
ultima ultimos ultimas proximo proxima ainda ja logo depois noticia noticias tempo clima previsao
hora horas data dia dias semana mes meses manha tarde noite madrugada estacao preco precos cotacao
dolar bolsa placar presidente ministro ministra prefeito prefeita governador governadora campeao
recorde segunda terca quarta quinta sexta sabado domingo
"""
_DEVICE = """
luna volume mute unmute timer timers alarm alarms reminder reminders remind wifi network internet
battery memory disk status camera photo picture image microphone speaker louder quieter light
lights lamp temperature device computer box here room house home knowledge document documents
manual file files
silencio temporizador temporizadores alarme alarmes lembrete lembretes lembra lembre lembrar rede
bateria memoria disco camera foto imagem microfone falante som luz luzes lampada temperatura
aparelho dispositivo computador caixa aqui sala quarto casa documento documentos arquivo arquivos
"""
_PEOPLE = """
i me my mine myself you your yours yourself we us our ours i'm i've i'd i'll you're we're let's
eu me mim meu minha meus minhas comigo voce voces tu te ti teu tua teus tuas seu sua seus suas
nosso nossa nossos nossas conosco gente vc
"""
_REFERENCE = """
it its it's this that these those they them their theirs he him his she her hers one ones there
again repeat continue more else another instead also former previous above said mentioned before
same too
ele ela eles elas dele dela deles delas nele nela lhe lhes isso isto aquilo esse essa esses essas
este esta estes estas aquele aquela aqueles aquelas disso disto daquilo nisso nisto desse dessa
deste desta ali la novo novamente repete repita repetir continua continue continuar mais outro
outra outros outras tambem anterior acima antes mesmo mesma
"""
_CHANCE = """
random joke jokes story poem song guess surprise pick choose dice coin
aleatorio aleatoria sorteie sortear piada piadas historia poema musica adivinhe surpreenda escolha
escolhe dado moeda conte conta
"""
_ACTION = """
turn switch play stop pause set start open close send call buy order delete add show search find
look remember note forget save write
ligue liga desligue desliga toque tocar pare parar pausa ajuste comece abra abrir feche fechar envie
mande ligar compre apague adicione mostre mostra procure busque olhe lembre anote esqueca guarde
salve escreva
"""
_POINTING = frozenset(" ".join((_TIME, _DEVICE, _PEOPLE, _REFERENCE, _CHANCE, _ACTION)).split())
_IN_CODE = """
write show find add delete open close file files random image set start stop memory
escreva mostre mostra adicione apague abra abrir feche fechar arquivo arquivos memoria
"""
"""A request for code has such words and points nowhere ("write code that opens a file")."""


def lasts(question: str, role: str = "chat", *, first_turn: bool, private: bool = False) -> bool:
    """Return whether an answer to *question* may be given again later.

    Args:
        question: in Portuguese or English.
        role: who answers; never when it is ``vision``.
        first_turn: nothing was said before in this conversation.
        private: the prompt holds notes of the owner, extracts of documents, tools or an image.
    """
    words = _WORD.findall(_fold(question))
    if private or not first_turn or role not in ("chat", "code"):
        return False
    if not MIN_WORDS <= len(words) <= MAX_WORDS:
        return False
    pointing = _POINTING - set(_IN_CODE.split()) if role == "code" else _POINTING
    return pointing.isdisjoint(words)


def normalised(question: str) -> str:
    """Return *question* without what does not change its meaning.

    Case, runs of spaces and the punctuation of sentences go. Accents stay (``avó`` is not
    ``avô``), and so do signs (``c++`` is not ``c``, ``3-2`` is not ``32``).
    """
    text = unicodedata.normalize("NFC", question).casefold()
    text = re.sub(r"[.,;:!?…¿¡\"“”]+(?=\s|$)|(?<!\S)[\"“”¿¡]+", " ", text)
    return " ".join(text.split())


def _fold(text: str) -> str:
    """Return *text* in lower case and without accents."""
    decomposed = unicodedata.normalize("NFKD", text.casefold())
    plain = "".join(c for c in decomposed if not unicodedata.combining(c))
    return plain.replace("\N{RIGHT SINGLE QUOTATION MARK}", "'")
