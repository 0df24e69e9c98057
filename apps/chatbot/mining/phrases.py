"""The phrases by which small talk, promises and private cases are known, in English and Chinese."""

import re

_I = re.IGNORECASE
_CJK = re.compile("[\u4e00-\u9fff]")
_WORD = re.compile(r"[A-Za-z\u00c0-\u024f0-9][\w'’\-]*")
_END = re.compile(r"(?<=[.!?。！？；;~～])\s*|\n+")
PLACEHOLDER = re.compile(r"\[(?:EMAIL|PHONE|ID_CARD|BANK_CARD|ORDER|NAME)_\d+\]")
NAME = r"\[NAME_\d+\]"
LINK = re.compile(r"(?:https?://|www\.)\S+", _I)

GREETING = re.compile(
    rf"^(?:(?:hi|hello|hey|hiya|greetings|dear|good (?:morning|afternoon|evening|day))(?:\s+(?:there|all|team|sir|madam|everyone|support(?: team)?"
    rf"|(?:mr|mrs|ms|dr)\.?\s*{NAME}|{NAME}))*|{NAME}|(?:尊敬的|亲爱的)?(?:{NAME}|客户|用户|顾客|亲)?(?:先生|女士|小姐|老师)?(?:您好|你好|亲|在吗|在么|在不在|有人吗|有人在吗|"
    r"早上好|上午好|中午好|下午好|晚上好|hi|hello|嗨)+(?:呀|啊|哦)?)\s*(?:[,，.。!！~～:：?？、]+\s*|\s+|$)",
    _I,
)
CLOSING = re.compile(
    r"(?:^|(?<=[.!?。！？\n,，;；~～ ]))(?:(?:many |so many )?(?:thanks|thank you|thx|cheers)(?: (?:so|very) much| a lot| in advance| again| for (?:your|the) help)?"
    rf"|(?:best|kind|warm)(?:est)? (?:regards|wishes)|regards|sincerely|yours (?:sincerely|faithfully)|best|"
    rf"(?:非常|十分|多)?(?:感谢|谢谢)(?:您|你|了|啦)?|麻烦了|辛苦了|拜托了|祝好|此致|敬礼)[\s,，.。!！~～]*(?:{NAME})?[\s.。!！~～]*$",
    _I,
)
# A sentence in which somebody says who they are.
INTRODUCTION = re.compile(
    rf"(?:^|(?<=[.!?。！？\n,，]))\s*(?:(?:my name is|i am|i'm|this is|it's|you are (?:speaking|chatting) with)\s+{NAME}(?:\s+(?:from|with|at|here|speaking)[^.!?。！？\n,，]*)?"
    rf"|(?:我是|我叫|这里是|很高兴为您服务，我是)?[^.!?。！？\n,，]{{0,10}}(?:客服|专员|顾问|工号)?{NAME}(?:，?很高兴为您服务)?)\s*(?:[.!。！,，]|$)",
    _I,
)
SIGNATURE_LINE = re.compile(
    rf"(?:\n|^)\s*[-–—~]*\s*{NAME}[^\n]{{0,40}}(?:\n[^\n?？]{{0,60}}){{0,3}}\s*$"
)

# Whole sentences that carry no content of their own.
CHATTER = re.compile(
    r"^(?:ok(?:ay)?|yes|yeah|yep|no|nope|sure|great|perfect|good|fine|cool|nice|got it|i see|understood|alright|all right|will do|done|noted|right|hmm+|"
    r"thanks?(?: you)?.{0,30}|thx|cheers|(?:you(?:'| a)re|your) (?:very |most )?welcome|no (?:problem|worries)|my pleasure|"
    r"have a (?:nice|great|good|lovely|wonderful) .{1,30}|(?:is|was) there anything else.{0,40}|anything else.{0,40}|bye|goodbye|see you|take care|"
    r"(?:i )?hope (?:this|that) helps?|happy to help|glad (?:to|i could) help.{0,20}|let me know.{0,40}|please let (?:me|us) know.{0,60}|"
    r"can you help(?: me)?|could you help(?: me)?|i need (?:some )?help|i have a question|quick question|are you (?:there|a bot|human)|anyone there|"
    r"(?:how (?:can|may) i (?:help|assist)(?: you)?(?: today)?)|(?:thanks|thank you) for (?:contacting|reaching out|your (?:message|patience|email)|waiting|writing).{0,60}|"
    r"好|好的|好吧|行|可以|嗯+|哦+|噢|是|是的|对|对的|不是|没有|有|收到|明白|明白了|知道了|了解|了解了|谢谢.{0,6}|多谢|感谢.{0,12}|不客气.{0,6}|不用谢|没关系|没事|"
    r"再见|拜拜|在|在的|在呢|亲|您好|你好|请问|请问一下|我想问一下|问一下|咨询一下|有个问题|帮我看看|人工|转人工|人工客服|"
    r"请问(?:有什么|还有什么|还有其他).{0,16}|还有(?:其他|什么|别的).{0,16}|有什么(?:可以|能).{0,12}|很高兴为您服务.{0,12}|祝您.{0,16}|感谢您的(?:咨询|来电|支持|理解|耐心).{0,20}|"
    r"欢迎(?:光临|再次|您).{0,20}|满意的话.{0,30}|麻烦.{0,6}评价.{0,20}|辛苦.{0,6}评价.{0,20})$",
    _I,
)
PROMISE = re.compile(
    r"(?:\b(?:one|a) (?:moment|second|sec|minute)\b|\b(?:please )?(?:hold on|hang on|bear with (?:me|us)|stand by|wait a)\b|\bjust a (?:moment|second|sec|minute)\b|"
    r"\blet me (?:check|look|see|find|verify|confirm|ask|pull|transfer|forward|escalate)\b|\b(?:i|we)(?:'ll| will| am going to|'m going to) (?:check|look into|investigate|get back|"
    r"come back|reply|respond|update you|let you know|forward|escalate|transfer|ask|contact you|call you|follow up|pass)\b|\b(?:looking|checking) into\b|"
    r"\bour team will (?:contact|get back|reach out|be in touch)\b|\bsomeone (?:from our team )?will (?:contact|get back|be in touch)\b|\bunder (?:review|investigation)\b|"
    r"\bi am (?:transferring|checking|escalating)\b|\bi(?:'m| am) (?:just )?(?:checking|looking)\b|"
    r"稍等|请等|等一下|等一等|稍候|稍后(?:给|回复|联系|为|答复)|我(?:帮您|给您|为您|先|去)?(?:查一下|查询一下|核实|看一下|看看|确认一下|问一下|反馈|反映|转接|登记)|帮您(?:查|核实|看|转|反馈|登记|催)|为您(?:查询|核实|转接|登记)|"
    r"(?:尽快|第一时间)(?:回复|联系|答复|处理|给您)|会有(?:专员|专人|同事|工作人员)|转接|转给(?:相关|专业|技术|售后)|正在(?:为您|帮您)?(?:查询|核实|处理|转接)|(?:马上|这就)(?:帮|为|给|去))",
    _I,
)
# Said of this one case: true for nobody else.
PRIVATE_CASE = re.compile(
    r"(?:\b(?:i|we)(?:'ve| have)(?: just| now| already)? (?:refunded|cancell?ed|reset|updated|issued|credited|resent|re-sent|shipped|sent you|changed|removed|added|applied|"
    r"processed|reactivated|unlocked|activated|extended|upgraded|downgraded|corrected|arranged|booked|placed|located|found|received your|checked your|reviewed your|"
    r"forwarded|escalated|merged|deleted)\b|\b(?:i|we) (?:just )?(?:refunded|cancelled|canceled|reset|resent|shipped|credited|unlocked|issued)\b"
    r"|\byour (?:\w+ ){0,2}(?:refund|order|account|payment|parcel|package|shipment|subscription|invoice|booking|request|ticket|case|card|return|claim|application|appointment)"
    r" (?:has|have|had|was|were|is|are) (?:now |already |just |still |currently )?(?:been |being )?(?:\w+ed|sent|on its way|on the way|out for delivery|due|paid|held|stuck|in transit|pending|locked|scheduled)\b"
    r"|\bi (?:can )?see (?:that )?(?:your|you|on your|in your)\b|\baccording to (?:our records|your account)\b|\b(?:tracking (?:number|no|id)|voucher code|coupon code|your code) is\b"
    r"|已(?:经)?(?:为|帮|给|替)您.{0,12}(?:退|取消|修改|补|登记|处理|办理|申请|更换|发|安排|改|解绑|重置|开通|关闭|延|充|催|备注|提交|反馈|升级|激活|解锁|核实|查)"
    r"|您(?:的|这边的|那个|这个)(?:订单|快递|包裹|退款|款项|账户|账号|工单|申请|发票|预约|物流|件|货|会员|卡|套餐|投诉).{0,12}(?:已|正在|目前|还在|显示|将于|预计|会在|是在|处于)"
    r"|(?:系统|后台|这边)(?:显示|看到|查到|查询到)|(?:查到|看到)您|给您(?:补发|退了|改了|申请了|登记了|发了|办理了|取消了)|退款(?:已|将)(?:原路|退|到账))",
    _I,
)
SPAM = re.compile(
    r"\b(?:seo|backlinks?|guest post|crypto(?:currency)? invest|casino|viagra|cialis|forex|loan offer|lottery|make money (?:fast|online)|rank(?:ing)? (?:your|on) (?:site|google)|"
    r"web ?design services|unsubscribe)\b|(?:加微信|加vx|加V信|刷单|兼职日结|代开发票|代刷|网贷|博彩|六合彩|色情|免费领取.{0,10}点击)",
    _I,
)
FOLLOW_UP = re.compile(
    r"^(?:and|but|so|then|also|what about|how about|or|because|in that case|if so|if not|does (?:it|that|this)|is (?:it|that|this)|can (?:it|that|they)|what if|why|which one|that|it|they|those|these|"
    r"the (?:same|other|first|second|last) one|still|again|same|那|那么|那就|但|但是|可是|然后|所以|因为|如果|要是|还有|另外|它|这个|那个|这种|那种|这样|这|上面|刚才|刚刚|就是|什么意思|为什么|怎么会|不是|还是|多久|多少钱|什么时候|哪个|哪里)"
    r"(?![A-Za-z])",
    _I,
)
ASKS_BACK = re.compile(
    r"(?:\b(?:could|can|would|may) (?:you|i|we)\b.{0,80}\b(?:provide|send|share|confirm|tell|have|get|give|know|clarify|let (?:me|us) know)\b|\bplease (?:provide|send|share|confirm|tell|give|reply with)\b|"
    r"\bwhat(?:'s| is) your\b|\bwhich (?:one|product|order|model|device|plan)\b|\bdo you (?:have|mean)\b|请(?:您)?(?:提供|告知|发|描述|说|确认|补充|报)|麻烦(?:您)?(?:提供|告知|发|描述|说|确认|报)|方便(?:提供|告知|发|说)|"
    r"(?:订单号|手机号|哪款|哪个|哪一款|什么型号|什么问题|哪位).{0,10}[?？吗呢])",
    _I,
)


def sentences(text: str) -> list[str]:
    return [piece.strip() for piece in _END.split(text) if piece and piece.strip()]


def weight(text: str) -> int:
    """How much is said: an ideograph counts as one, a word as two."""
    without = PLACEHOLDER.sub(" ", LINK.sub(" ", text))
    return len(_CJK.findall(without)) + 2 * len(_WORD.findall(_CJK.sub(" ", without)))


def is_chatter(text: str) -> bool:
    """Nothing is said but courtesies."""
    pieces = [re.split("[,，]", piece) for piece in sentences(text)]
    bare = [part.strip(" .,!?~…。，！？～\"'").strip() for piece in pieces for part in piece]
    return all(not part or CHATTER.match(part) or not weight(part) for part in bare)


def language_of(text: str) -> str:
    return "zh" if len(_CJK.findall(text)) * 3 > len(text.replace(" ", "")) else "en"
