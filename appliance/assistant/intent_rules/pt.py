"""Portuguese (Brazil) phrases for intents. See :mod:`appliance.assistant.intent_rules`."""

from __future__ import annotations

from appliance.assistant.intent_rules import Rules, whole

_LEVELS = {
    "zero": 0, "um": 1, "dois": 2, "tres": 3, "quatro": 4, "cinco": 5, "seis": 6, "sete": 7,
    "oito": 8, "nove": 9, "dez": 10, "onze": 11, "doze": 12, "quinze": 15, "vinte": 20,
    "trinta": 30, "quarenta": 40, "cinquenta": 50, "sessenta": 60, "setenta": 70, "oitenta": 80,
    "noventa": 90, "cem": 100, "maximo": 100, "metade": 50, "minimo": 5, "talo": 100,
}  # fmt: skip
_LANGUAGES = {"ingles": "en", "portugues": "pt", "brasileiro": "pt"}

_VOLUME = r"(?:(?:o|seu|teu|meu) )?(?:volume|som|audio|alto falante)"
_BIT = (
    r"(?: (?:mais )?(?:so )?(?:um (?:pouco|pouquinho|tiquinho|bocado)|bem|muito|mais)(?: mais)?)?"
)
_HERE = r"(?: ai| aqui| a[io]| ja| agora| logo)*"
_BY = r"(?: em (?:\d+|[a-z]+)(?: por ?cento| percent| pontos)?)?"
_NUMBER = rf"(?:\d{{1,3}}|(?:{'|'.join(_LEVELS)})(?: e (?:{'|'.join(_LEVELS)}))?)"
_LEVEL = rf"(?:o |a )?(?:{_NUMBER})(?: por ?cento| percent)?"
_LANGUAGE = rf"(?:{'|'.join(_LANGUAGES)})(?: brasileiro| do brasil)?"
_NOW = r"(?: (?:agora|neste momento|nesse momento|ai|aqui|hoje|exatamente|mesmo))*"
_MIC = r"(?:o |seu |teu )?(?:microfone|mic)"
_PUT = (
    r"(?:coloca|coloque|colocar|poe|ponha|por|bota|bote|botar|deixa|deixe|deixar|define|defina|"
    r"ajusta|ajuste|ajustar|muda|mude|mudar|aumenta|aumente|abaixa|abaixe|baixa|sobe|suba)"
)
_WEEKDAY = r"(?:segunda|terca|quarta|quinta|sexta|sabado|domingo)(?: feira)?"
_ALARMS = (
    r"(?:lembretes?|alarmes?|timers?|temporizador(?:es)?|despertador(?:es)?|cronometros?|"
    r"contagem regressiva)"
)
_SPAN = (
    r"(?:meia|\d+|um|uma|dois|duas|tres|quatro|cinco|dez|quinze|vinte|trinta|quarenta)(?: e "
    r"\w+)? ?(?:segundos?|minutos?|minutinhos?|horas?|hora|dias?|semanas?)"
)
_WHEN = (
    r"(?:(?:as|a|ate) (?:\d+|uma|duas|tres|quatro|cinco|seis|sete|oito|nove|dez|onze)|meio dia|"
    rf"(?:amanha|hoje a noite|{_WEEKDAY}|daqui a {_SPAN}))"
)
_PICTURE = r"(?:foto|fotografia|imagem|figura|desenho|captura|print)"
_THIS = r"(?:isso|isto|esse|essa|este|esta|esses|essas|estes|estas|aquilo|aquele|aquela)"
_LANGS = (
    r"(?:python|java|javascript|typescript|rust|ruby|swift|go|golang|c|r|perl|php|kotlin|scala|"
    r"lua|haskell|bash|shell|powershell|sql|html|css|matlab|fortran|cobol|assembly)"
)
_CODE_NOUN = (
    r"(?:funcao|funcoes|scripts?|programa|programinha|programas|classe|classes|metodos?|consulta|"
    r"consultas|query|codigo|codigos|modulo|testes? unitarios?|loop|lacos?|algoritmos?|app|"
    r"aplicativo|site|pagina web|pagina html|api|bot|robozinho|decorador|regex|expressao regular|"
    r"expressoes regulares|biblioteca|componente)"
)
_ME = r"(?:me |nos )?"

RULES = Rules(
    before=whole(
        r"(?:oi |ola |ei |o |opa |alo |ok )?luna",
        "oi|ola|ei|opa|ok|ta bom|ta|bom|bem|entao|ah|e|agora|so|olha|por favor|por gentileza|"
        "desculpa|faz favor",
        r"(?:voce |vc |ce )?(?:pode|poderia|podia|consegue|conseguiria)(?: por favor)?",
        r"(?:eu )?(?:quero|queria|gostaria|preciso) que (?:voce|vc)",
        r"da pra|da para|sera que (?:voce )?(?:pode|poderia)|tem como(?: voce)?",
        r"faz(?:a)? o favor de",
    ),
    after=whole(
        "por favor|por gentileza|luna|obrigad[oa]|valeu|pra mim|para mim|pra nos|ta|ta bom|viu|"
        "hein|querida|faz favor"
    ),
    commands={
        "volume_up": whole(
            rf"(?:aumenta|aumente|aumentar|sobe|suba|subir|levanta|eleva|eleve){_BIT}{_BY}(?: "
            rf"{_VOLUME})?{_BIT}{_BY}{_HERE}",
            r"(?:.* )?(?:nao|mal) (?:to|estou|consigo|da pra|da para)(?: conseguindo)?(?: te)? "
            r"(?:ouvindo|ouvir|escutar|escutando)(?: te| voce| direito| bem| nada)*(?: "
            rf"(?:aumenta|fala mais alto){_HERE})?",
            rf"(?:fala|fale|falar){_BIT} (?:mais )?alto{_HERE}|(?:volume )?(?:um pouco |bem |"
            r"pouco )?mais alto|mais (?:volume|som)",
            r"(?:ta|esta|o volume esta|o som esta|o volume ta|o som ta|voce ta|voce esta)(?: "
            r"falando)? (?:muito |bem |tao )?baix(?:o|inho)(?: demais)?",
            rf"{_PUT} (?:{_VOLUME} )?mais alto{_HERE}",
        ),
        "volume_down": whole(
            r"(?:abaixa|abaixe|abaixar|baixa|baixe|baixar|diminui|diminua|diminuir|reduz|reduza|"
            rf"reduzir){_BIT}{_BY}(?: {_VOLUME})?{_BIT}{_BY}{_HERE}",
            rf"(?:fala|fale|falar){_BIT} (?:mais )?(?:baixo|baixinho){_HERE}|(?:volume )?(?:um "
            r"pouco |bem )?mais baixo|menos (?:volume|som)",
            r"(?:ta|esta|o volume esta|o som esta|o volume ta|o som ta|voce ta|voce esta)(?: "
            r"falando)? (?:muito |bem |tao )?alto(?: demais)?",
            rf"{_PUT} (?:{_VOLUME} )?mais baixo{_HERE}|nao (?:fala|fale|grita|grite)(?: tao alto)?",
        ),
        "volume_set": whole(
            rf"(?:{_PUT} )?{_VOLUME}(?: (?:em|no|na|para|pra|pro|a|ate|ao|de))?(?: o)? {_LEVEL}",
            rf"{_PUT} (?:em|no|na|para|pra|pro|a|ate) {_LEVEL}(?: de volume| do volume| o volume|"
            r" o som)?",
            r"metade do volume|volume (?:maximo|minimo|pela metade)",
        ),
        "mute": whole(
            r"(?:desliga|desligue|desligar|fecha|feche|desativa|desative|silencia|silencie|"
            rf"corta|muta) {_MIC}",
            r"(?:para|pare|parar) de (?:me )?(?:escutar|ouvir)(?: me)?|nao (?:me )?(?:escuta|"
            r"escute|ouca)(?: mais)?",
            r"(?:fica|fique|modo) (?:no )?mud[oa]|mudo|ativa o mudo|muta",
        ),
        "unmute": whole(
            rf"(?:liga|ligue|ligar|abre|abra|ativa|ative|reativa|religa) {_MIC}(?: de novo| "
            r"novamente| outra vez)?",
            r"(?:volta|volte|comeca|comece) a (?:me )?(?:escutar|ouvir)(?: me)?",
            r"(?:tira|tire|sai|saia) do (?:modo )?mudo|desmuta|desativa o mudo|pode (?:voltar a "
            r")?(?:ouvir|escutar)(?: de novo)?",
        ),
        "time": whole(
            rf"(?:me )?(?:que|quantas) horas? (?:sao|e|tem|temos|eh){_NOW}",
            r"(?:me )?(?:diz|diga|fala|fale|informa|informe|da|ve|veja|sabe|voce sabe)(?: ai| "
            rf"me)? (?:as horas|a hora|que horas? (?:sao|e)|o horario){_NOW}",
            rf"(?:voce )?(?:sabe|tem)(?: me dizer)? (?:as horas|a hora|que horas sao|horas){_NOW}",
            rf"(?:qual (?:e )?(?:a )?(?:o )?)?(?:hora|horario)(?: atual| certa| e agora)?{_NOW}|"
            r"horas|as horas|ja sao que horas|tem horas",
        ),
        "date": whole(
            r"(?:em )?(?:que|qual) (?:e o )?dia(?: da semana| do mes)? (?:e|de|eh|estamos|"
            rf"temos)?(?: ?(?:hoje|e hoje|hoje e))?{_NOW}",
            r"hoje e (?:que|qual) (?:dia|data)(?: da semana| do mes)?|que dia da semana (?:e|"
            rf"hoje)?{_NOW}",
            r"(?:me )?(?:(?:diz|diga|fala|fale|informa) )?(?:qual (?:e )?(?:a )?|a )?data(?: de|"
            rf" e)?(?: hoje| atual)?{_NOW}",
            r"(?:me )?(?:diz|diga|fala|fale)(?: me)? (?:que dia e hoje|o dia de hoje|o dia da "
            rf"semana|a data(?: de hoje)?){_NOW}",
            rf"(?:hoje e|e) {_WEEKDAY}(?: hoje)?|em que (?:mes|ano|dia) (?:nos )?estamos|que "
            r"(?:mes|ano) e (?:este|esse|hoje|agora)",
            r"quantos sao hoje|que dia e",
        ),
        "status": whole(
            r"(?:(?:qual (?:e )?|me (?:diz|da|fala|mostra) |como (?:esta|ta|anda) |mostra |"
            r"verifica )?(?:o |a |seu |sua |teu )*)?(?:status|estado|situacao|saude)(?: "
            r"atual)?(?: do sistema| da luna| do aparelho| de voce)?",
            r"(?:voce )?(?:esta|ta) (?:online|offline|conectad[oa]|funcionando(?: direito| bem)?)",
            r"(?:esta|ta) tudo (?:funcionando|certo|ok|em ordem)(?: (?:ai|com voce|com o sistema|"
            r"direito))*",
            r"(?:faz|faca|roda|rode|executa) (?:um |o )?(?:diagnostico|autoteste|teste do sistema)",
            r"quanta memoria (?:voce (?:tem|esta usando|usa)|(?:esta|ta) (?:livre|em uso)|"
            r"sobra)(?: livre)?",
            r"como (?:esta|ta|anda) (?:o sistema|o aparelho|a memoria)",
        ),
        "new_conversation": whole(
            r"(?:(?:vamos |quero )?(?:comeca|comece|comecar|inicia|inicie|iniciar|abre|abra|"
            r"abrir|quero|ter) )?(?:uma )?nov(?:a|o) (?:conversa|sessao|chat|bate papo|assunto)",
            r"(?:esquece|esqueca|esquecer)(?: tudo)?(?: o| do)?(?: que (?:a gente|nos|eu|"
            r"voce)(?: ja)? (?:falou|falamos|conversou|conversamos|disse|falei|dissemos))?(?: "
            r"ate (?:agora|aqui))?",
            r"(?:esquece|esqueca) (?:tudo|(?:a|essa|esta|nossa) conversa)(?: isso)?",
            r"(?:vamos )?(?:comecar|comeca|comece|recomecar|recomeca) (?:de novo|do zero|outra "
            r"vez|do comeco|do inicio|tudo de novo)|(?:vamos )?recomecar",
            r"(?:limpa|limpe|apaga|apague|zera|zere|reinicia|reinicie) (?:a |o |essa |esta |"
            r"nossa |seu )?(?:conversa|historico|contexto|memoria)(?: da conversa)?",
        ),
        "pair": whole(
            r"(?:conecta|conecte|conectar|pareia|pareie|parear|emparelha|emparelhe|emparelhar|"
            r"vincula|vincule|vincular|cadastra|cadastre|cadastrar)(?: com)? (?:o |um |a |uma )?"
            r"(?:meu |minha |este |esse |nosso |outro |novo )?(?:celular|telefone|smartphone|"
            r"tablet|computador|notebook|navegador|aparelho|dispositivo)(?: novo)?",
            r"(?:inicia|inicie|iniciar|comeca|comece|comecar|abre|abra) (?:o )?pareamento|modo de "
            r"pareamento|(?:me )?(?:diz|diga|fala|fale|da|de)(?: me)? (?:o |um )?codigo de "
            r"(?:pareamento|conexao)",
        ),
        "repeat": whole(
            r"(?:repete|repita|repetir)(?: (?:isso|ai|o que (?:voce )?(?:disse|falou)|a "
            r"(?:ultima )?(?:resposta|frase|parte)|a ultima coisa|de novo|mais uma vez|outra "
            r"vez))*",
            r"(?:fala|fale|diz|diga)(?: isso)? (?:de novo|outra vez|mais uma vez|novamente)(?: "
            r"(?:que )?(?:eu )?nao (?:ouvi|escutei|entendi))?|(?:de novo|mais uma vez|outra vez)",
            r"(?:o que|que)(?: foi)?(?: e)?(?: que)? (?:voce|vc|ce) (?:disse|falou|acabou de "
            r"(?:dizer|falar))",
            r"(?:eu )?nao (?:ouvi|escutei|peguei)(?: (?:direito|bem|o que voce (?:disse|falou)|"
            r"nada|isso))*",
            r"como e que e|como(?: e)?|o que|oi|que foi",
        ),
        "language": whole(
            r"(?:fala|fale|falar|responde|responda|responder|conversa|converse)(?: comigo)?(?: "
            rf"so| sempre)?(?: em)? {_LANGUAGE}(?: de novo| a partir de agora| agora| comigo)*",
            r"(?:muda|mude|mudar|troca|troque|trocar|passa|passe|volta|volte|alterna|coloca)(?: "
            r"o idioma| a lingua| de idioma| o seu idioma)?(?: de volta)? (?:para|pra|pro|ao|em|"
            rf"por)(?: o)? {_LANGUAGE}",
            rf"(?:em |idioma )?{_LANGUAGE}(?: a partir de agora)?|vamos (?:falar|conversar)(?: "
            rf"em)? {_LANGUAGE}",
        ),
        "stop": whole(
            r"(?:para|pare|parar)(?: com isso| de falar| de ler| agora| ai| ja| tudo)*|para "
            r"para(?: para)*",
            r"chega(?: disso| de falar)?|ja chega|basta|silencio|quiet[ao]|cala(?: a)?(?: boca)?|"
            r"calad[ao]|cale se|cala te",
            r"(?:fica|fique) (?:quiet[ao]|calad[ao]|em silencio)|deixa (?:pra la|para la|quieto|"
            r"isso|estar)|esquece(?: isso)?|esqueca(?: isso)?",
            r"cancela(?: isso| tudo)?|cancelar|nao precisa(?: mais)?|nada(?: nao)?|(?:e|era) so "
            r"isso|interrompe|ta bom ja chega",
        ),
    },
    reminder=whole(
        r"me (?:lembra|lembre|lembrar|lembrasse|avisa|avise|avisar|acorda|acorde|acordar|"
        r"desperta|desperte)(?! (?:o|muito|um filme|uma musica)\b)",
        r"(?:lembra|lembre|avisa|avise|acorda|acorde)(?: se)? (?:me|a gente|nos)\b.*|(?:nos "
        r"lembra|nos lembre)",
        r"(?:lembra|lembre|avisa|avise) (?:o|a|meu|minha|todo mundo) \w+ (?:de|que|para|pra)",
        r"(?:coloca|coloque|colocar|poe|ponha|por|cria|crie|criar|bota|bote|botar|marca|marque|"
        r"marcar|programa|programe|programar|define|defina|definir|agenda|agende|agendar|inicia|"
        r"inicie|iniciar|liga|ligue|ligar|ajusta|ajuste|quero|preciso de|adiciona|adicione|"
        r"configura|configure|faz|faca|ativa|ative|novo|dispara|comeca|comece|arma|"
        rf"acrescenta)(?: [\w]+){{0,4}}? {_ALARMS}",
        r"(?:cancela|cancele|cancelar|apaga|apague|apagar|remove|remova|remover|exclui|exclua|"
        r"excluir|desliga|desligue|desligar|desativa|desative|para|pare|parar|adia|adie|adiar|"
        r"muda|mude|mudar|tira|tire|tirar|desmarca|desmarque|pausa|pause|pausar|altera|altere|"
        r"deleta|limpa|silencia)(?: (?:o|os|a|as|meu|meus|todos|esse|este|aquele))*(?: "
        rf"\w+){{0,2}}? {_ALARMS}",
        r"(?:quais|que|quantos|algum|proximos|todos os|lista(?:r)?(?: os)?|mostra(?:r)?(?: os)?|"
        rf"le(?:ia)?(?: os)?)(?: sao| e)?(?: os| o)?(?: meus?)? {_ALARMS}(?: (?:eu tenho|tenho|"
        r"estao|esta|de|para|ativos?|pra|que|existem|amanha|hoje).*)?",
        rf"{_ALARMS} (?:\w+ ){{0,3}}{_SPAN}",
        rf"quanto(?: tempo)?(?: ainda)? falta (?:no|pro|para o|do|pra o) {_ALARMS}",
        rf"{_ALARMS} (?:de|para|pras?|as|em|daqui) (?:daqui |as |a )?(?:\d|{_SPAN}|meio dia|meia "
        r"noite|amanha|sete|seis|oito|nove|cinco).*",
        r"(?:nao|para eu nao|pra eu nao) (?:me )?deix(?:a|ar|e)(?: eu)?(?: me)? esquecer(?: .*)?|"
        r"nao (?:posso|quero|devo) (?:me )?esquecer de",
        r"preciso (?:me )?lembrar de|quero (?:me )?lembrar de|tenho que (?:me )?lembrar de",
        rf"daqui a {_SPAN} (?:me |voce )?(?:avisa|chama|lembra|fala|diz|toca|acorda).*|me "
        rf"(?:chama|fala|diz|notifica) daqui a {_SPAN}",
        r"(?:o que|que|qual|tenho algo|tem algo)(?: \w+){0,3} na (?:minha )?agenda|minha "
        r"agenda(?: de| para| pra)? ?(?:hoje|amanha|a semana)?",
        r"soneca|mais (?:cinco|dez|5|10) minutinhos",
    ),
    vision=whole(
        r"o que (?:e )?(?:que )?(?:voce|vc|ce|tu)(?: esta| ta| consegue| pode)? (?:vendo|"
        r"enxergando|enxerga|enxergar|ve|ver|olhando)(?: agora| ai| aqui| na \w+| nesta? \w+| "
        r"nessa? \w+| em cima.*| a sua frente)*(?! o que)",
        r"o que (?:da (?:pra|para)|se pode) ver(?! d[aoe])(?: .*)?|me (?:diz|diga|fala|conta)(?: "
        r"me)? o que (?:voce )?(?:esta |ta )?(?:ve|vendo|enxerga)",
        r"(?:olha|olhe|olhar|veja|repara|repare|da uma olhada|de uma olhada)(?: so| bem| para| "
        rf"pra| em| aqui)* (?:{_THIS}|n{_THIS}|aqui|minha|meu)(?: aqui)?(?: \w+)*",
        rf"(?:essa|esta|nessa|nesta|dessa|desta|aquela|na|neste|nesse|deste|desse) {_PICTURE}(?: "
        r"(?:que|anexada|enviada|mostra|tem).*|)(?=$| )(?! (?:do brasil|da empresa|publica))",
        r"(?:descreve|descreva|descrever|le|leia|ler|identifica|identifique|traduz|traduza|"
        r"analisa|analise|interpreta)(?: pra mim| para mim| me)?(?: (?:o|a|os|as|esse|essa|este|"
        r"esta|isso|o que (?:esta|ta) escrito))?(?: \w+){0,2}? (?:foto|imagem|rotulo|placa|"
        r"etiqueta|cena|desenho|recibo|nota fiscal|camera|bilhete|cartaz|cardapio|tela|embalagem|"
        r"sala|planta|papel|bula)",
        r"(?:na|em) frente (?:da (?:sua )?camera|de voce|da webcam)|a sua frente|(?:pela|na|com "
        r"a|usando a|usa a|use a|abre a|abra a|liga a|da sua|com sua) (?:sua )?(?:camera|webcam)",
        r"(?:tira|tire|bate|bata|tirar|bater|faz|faca) (?:uma|outra|mais uma|a)(?: \w+)? "
        rf"{_PICTURE}",
        r"(?:o que|quem|qual|quantos \w+|que \w+)(?: e)?(?: que)? (?:eu )?(?:estou|to|tou) "
        r"(?:segurando|mostrando|vestindo|usando|apontando).*",
        r"quantos dedos(?: .*)?|quant[oa]s \w+ (?:tem|ha|voce ve|voce esta vendo|existem) "
        r"(?:aqui|na sala|nessa|nesta|na mesa|na foto).*",
        r"(?:voce )?(?:consegue|pode|esta|ta|da pra) (?:me )?(?:ver|vendo|enxergar|"
        r"enxergando)(?: me)?(?: (?:isso|isto|aqui|esse.*|essa.*|o que.*|alguma coisa.*|minha.*|"
        r"meu.*))*|voce me ve",
        r"(?:de )?(?:que|qual) (?:cor|planta|bicho|raca|flor|inseto|objeto|marca|animal|passaro|"
        r"fruta|tipo de \w+|especie)(?: e)? (?:e )?(?:essa?|isso|este|esta|esse|isto|aquele|"
        r"aquela|minha \w+|meu \w+)(?: \w+){0,2}",
        r"(?:o )?que (?:e|eh) (?:isso|isto)(?: aqui)?|o que (?:esta|ta) escrito (?:aqui|n\w+)|o "
        r"que (?:diz|fala) (?:essa?|esta|este|a) (?:placa|etiqueta|tela|carta|rotulo|bilhete|"
        r"cartaz)",
        r"como (?:e que )?(?:eu )?(?:estou|to) (?:vestid[oa]|hoje de roupa)|essa (?:roupa|camisa|"
        r"gravata|blusa) combina.*",
    ),
    code=whole(
        r"javascript|typescript|c\+\+|c#|php|golang|kotlin|html|css|sql|sqlite|bash|powershell",
        r"regex|regexp|json|yaml|numpy|pandas|django|flask|fastapi|nodejs|node js|postgres|"
        r"postgresql|mysql|dockerfile|docker|kubernetes|github|git|vba|arduino|webassembly|"
        r"systemd|makefile|crontab",
        r"express(?:ao|oes) regular(?:es)?|null pointer|ponteiro nulo|segmentation fault|falha "
        r"de segmentacao|stack ?trace|traceback|erro de (?:compilacao|sintaxe)|testes? "
        r"unitarios?|pull request|laco for|laco while|loop (?:for|while|infinito)|lista "
        r"encadeada|busca binaria|funcao recursiva|funcao lambda|conflito de merge|type ?error|"
        r"index ?error|key ?error|codigo fonte|pseudo ?codigo|revisao de codigo|api rest|http|"
        r"quick ?sort|bubble sort|merge sort|web scraping|orientacao a objetos|fizz ?buzz",
        rf"(?:{_CODE_NOUN}|listas?|dicionarios?|strings?|arrays?|erros?|excec(?:ao|oes)|"
        r"variave(?:l|is)|pacotes?|projetos?|arquivos?|heranca|ponteiros?|programar|programacao|"
        r"threads?|decorador(?:es)?|tuplas?|objetos?|stream|struct|lambda|gerador(?:es)?|vetor|"
        rf"vetores|sintaxe|matriz|json|csv)(?: \w+){{0,3}}? (?:em|de|do|no|para|pra|com|usando) "
        rf"{_LANGS}",
        r"(?:em|com|usando|no|para|pro) (?:python|java|rust|ruby|swift|perl|matlab|haskell|lua|"
        r"scala|fortran|cobol)(?: (?:3|11|17|8))?(?= (?:que|para|pra|e|com|sem|usando)\b|$)",
        rf"{_ME}(?:escreve|escreva|escrever|cria|crie|criar|faz|faca|fazer|gera|gere|gerar|"
        r"mostra|mostre|mostrar|implementa|implemente|implementar|corrige|corrija|corrigir|"
        r"conserta|conserte|consertar|depura|depure|depurar|refatora|refatore|refatorar|otimiza|"
        r"otimize|otimizar|melhora|melhore|revisa|revise|reescreve|reescreva|preciso de|quero|"
        r"desenvolve|desenvolva|explica|explique|monta|monte|completa|documenta)(?: me| pra "
        r"mim| para mim)?(?: (?:um|uma|o|a|os|as|esse|essa|este|esta|meu|minha|outro|outra|mais|"
        rf"nesse|neste))?(?: [\w+#]+){{0,2}}? {_CODE_NOUN}(?: (?:que|para|pra|em|usando|com|onde|"
        r"chamad[oa]|de|do|da|no|na|simples|recursiv[oa]|abaixo|aqui|ai)\b.*)?",
        r"(?:depura|depurar|refatora|refatorar|compila|compilar|debugar|debuga|programar) .*|.* "
        r"nao (?:compila|esta compilando|ta compilando)",
        r"como (?:e que )?(?:eu |se )?(?:programo|programa|implemento|implementa|depuro|depura|"
        r"compilo|refatoro|codifico|faco deploy).*",
    ),
    misleading=whole(
        r"(?:isso|isto|ele|ela|voce|que|musica|filme|cheiro|lugar|ainda) me (?:lembra|lembrou|"
        r"faz lembrar)(?: .*)?",
        r"codigos? (?:penal|civil|de transito|de barras|morse|postal|de etica|de conduta|da "
        r"vinci|genetico|secreto|qr|de hamurabi|tributario|florestal|do consumidor|de defesa|"
        r"eleitoral|de honra|de vestimenta|de area|promocional|de processo|comercial|napoleonico|"
        r"de rastreio|de ddd|do pais|de desconto)",
        r"classes? (?:social|sociais|media|alta|baixa|operaria|trabalhadora|gramatica(?:l|is)|c|"
        r"d|economica|executiva|de (?:palavras?|aula|danca|ingles|historia|musica|ioga)|politica|"
        r"dominante)|luta de classes|primeira classe",
        r"func(?:ao|oes) (?:do|da|dos|das) (?!programa|codigo|script|classe)\w+|func(?:ao|oes) "
        r"(?:quadratica|afim|exponencial|vital|vitais|renal|social|hepatica|cognitivas?)",
        r"(?:programas?|programa) (?:de (?:tv|televisao|radio|governo|indio|exercicios?|"
        r"auditorio|treino|emagrecimento|milhagem|indi[oa]|domingo|fim de semana|fidelidade)|na "
        r"tv|espacial|social|nuclear|apollo|do faustao|de familia|para (?:hoje|o fim de semana)|"
        r"legal|bolsa familia|cultural|romantico)",
        r"(?:consulta|consultas) (?:medica|com o (?:medico|dentista|doutor)|no (?:medico|"
        r"dentista)|ao dentista|publica|de rotina)|script (?:de|do|para (?:um|o)) (?:filme|"
        r"teatro|peca|video|novela)",
        r"metodos? (?:cientifico|contraceptivos?|de estudo|de ensino|socratico|pilates|"
        r"montessori)|biblioteca (?:publica|nacional|municipal|da (?:escola|cidade)|de "
        r"alexandria)|teste de (?:gravidez|covid|dna|sangue)",
        r"(?:cobra|serpente|jiboia) python|monty python|ilha de java|cafe de java|mar de java|"
        r"taylor swift|ruby (?:rosa|vermelho)",
        rf"{_ALARMS} (?:quebr\w+|nao tocou|esta|estava|ta|era|e|do carro|de incendio)",
        r"(?:inventou|historia|invencao|inventor) (?:o |do |da )?(?:despertador|alarme|"
        r"cronometro|relogio)|alarme (?:de incendio|falso|do carro|antifurto)",
        r"(?:ve|entende|viu) o que (?:eu )?(?:quero|quis) dizer|olha o passarinho|(?:ver|veja|"
        r"vendo) (?:filmes?|televisao|tv)",
        r"(?:boa|ma|propria|auto|publica|melhorar a|sua|a) imagem (?:do brasil|publica|da "
        r"empresa|de si|pessoal|corporal)|imagem publica",
        r"(?:primeira|tirou a|famosa) (?:foto|fotografia|imagem)(?: d[aoe])?.*|melhor (?:app|"
        r"aplicativo|site)",
        r"(?:de|da) (?:que|qual) cor e (?:o|a) (?:ceu|sol|mar)",
    ),
    hints={
        "code": whole(
            r"codigo|programa|programar|programacao|script|funcao|classe|variavel|bug|consulta|"
            r"algoritmo|banco de dados|software|terminal|compilar|compilador|python|java|rust|"
            r"ruby|servidor|loop|laco|vetor|string|excecao|biblioteca|api|site|aplicativo|app|"
            r"linux|linha de comando"
        ),
        "vision": whole(
            r"camera|foto|fotografia|imagem|figura|olha|olhar|olhada|vendo|enxerga|ler isso|(?:e|"
            r"sao) (?:isso|isto|essas?|esses?)|(?:essa|esse|esta|este) \w+ (?:esta|ta|e|parece|"
            r"combina)|segurando|mostrando"
        ),
        "reminder": whole(
            rf"lembrete|lembrar de|{_ALARMS}",
            rf"(?:lembrar|lembre|esquecer|compromisso|acordar|avisar|reuniao) (?:.* )?{_WHEN}",
            rf"{_WHEN} (?:.* )?(?:lembrar|lembre|esquecer|compromisso|acordar|avisar)",
        ),
    },
    about=whole(
        r"(?:e )?(?:quem|por ?que|quando|onde|qual|quais|quant[oa]s?|como (?:funciona|surgiu|e|"
        r"foi|era|se (?:faz|diz|escreve|chama|calcula)|fazer|calcular|calculo)|o que (?:e|sao|"
        r"foi|significa|quer dizer|diz|faz|aconteceu|acontece)|de onde|em que|existe|existem|"
        r"sera que|e verdade|a que horas|que lingua|para que|pra que)",
        r"(?:me )?(?:fala|fale|conta|conte|explica|explique|ensina|ensine)(?: me)?(?: um pouco)? "
        r"(?:sobre|mais|como|o que|uma|um|a historia|quem|por que|da|do)",
        r"(?:me )?mostra como se|escreve (?:um|uma) (?:\w+ )?(?:poema|carta|historia|texto|"
        r"mensagem|e ?mail|musica|discurso|conto|redacao|piada)",
        r"defin[ae]|traduz|traduza|voce (?:gosta|acha|conhece|tem|acredita)|recomenda|a (?:cobra|"
        r"ilha|que)|descreva|descreve",
    ),
    levels=_LEVELS,
    languages=_LANGUAGES,
)
