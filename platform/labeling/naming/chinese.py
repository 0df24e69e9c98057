"""Chinese names: a surname that is one, a given name of one or two characters, and a reason to think
so: who introduces themselves, a title, a greeting, a form's field, a signature, an act of a person."""

import logging
import re
from collections.abc import Iterator
from functools import lru_cache

from labeling.naming.lists import word_list

Span = tuple[int, int]

# The surnames of nearly everybody, after the frequency lists of the census.
COMMON = (
    "王李张刘陈杨黄赵吴周徐孙马朱胡郭何林高罗郑梁谢宋唐许韩邓冯曹彭曾肖田董潘袁蔡蒋余于杜叶程魏苏吕丁任"
    "卢姚沈钟姜崔谭陆范汪廖石金韦贾夏付方邹熊白孟秦邱侯江尹薛闫阎段雷龙黎史陶贺毛郝顾龚邵万覃武钱戴严莫孔"
    "汤康赖施洪季柯祝霍聂颜詹尚庞翟樊殷章鲁葛俞裴包倪甘焦鲍欧柳骆岳简滕殷饶耿温关艾伍牛齐梅庄辛管兰"
    "傅向常易乔文左卓涂凌冉房宁盛霍窦符阮靳车申栗毕尤米纪褚游舒牟项华路童司屈祁单苗谷时闵"
)
RARE = (
    "安成应全连解商平明计支钮楚邢裘麦查佟储鞠池冷辜敖晏佘卜岑封宫丛邬喻花隋娄蓝古苟湛靖仇桂苑展景臧桑褚"
    "巫禹狄原戚茅阳滑荆屠刁权米祖乐边卞杭诸浦麻党强胥巩柴蒲伏代盖栾晋沙居束薄桓蔺鄢郁班仲宗栋缪虞邰冼"
    "卫柏窦奚郎昌凤酆费廉皮穆萧祁贝谈危昝宣贲吉嵇荣翁荀惠甄芮羿汲邴糜乌巴隗宓蓬郗伊厉戎韶郜蓟宿鄂咸籍阴苍闻莘贡劳逄姬堵宰郦雍璩濮寿"
    "扈燕冀郏瞿慕茹习宦戈庾暨衡匡寇禄阙沃蔚厍晁訾阚毋丰巢蒯竺逯漆豆幸芦席卿亓敬帅揭练鹿植邸迟哈尧佘勾弓羊鱼"
)
COMPOUND = (
    "欧阳", "上官", "司马", "诸葛", "东方", "皇甫", "尉迟", "公孙", "慕容", "司徒", "令狐", "端木", "夏侯",
    "南宫", "独孤", "长孙", "宇文", "轩辕", "申屠", "淳于", "单于", "太史", "钟离", "闻人", "澹台", "赫连",
)  # fmt: skip

# Surnames that more often begin, or are, another word. A name that begins with one needs more proof.
DOUBTFUL = frozenset(
    "谢于向任应常时何方万温全成路包关安平明解商连计支文白金石高马项单易华左游查代强原权边居束展"
)

_CJK = "\u4e00-\u9fff"
_ONE = f"[{COMMON}{RARE}]"
_TWO = "|".join(COMPOUND)
_TITLES = (
    "先生", "女士", "小姐", "太太", "夫人", "老师", "经理", "主任", "医生", "大夫", "律师", "同学", "阿姨",
    "叔叔", "师傅", "工程师", "教授", "主管", "店长", "会计", "护士", "警官", "总监", "客服", "专员", "顾问",
    "老板", "大哥", "大姐",
)  # fmt: skip
_TITLE = re.compile("|".join(sorted(_TITLES, key=len, reverse=True)) + f"|总(?![{_CJK}])")

# What may stand behind a name where the text goes on.
_BEHIND = (
    r"(?=$|[^"
    + _CJK
    + r"]|[的了呢吗吧啊呀想要在来是买订住打刚今昨前有没已又也请麻能可从电手号我你您他她和与跟及或给"
    r"处负签代收接跟回安说先女小老现就都还这那去到帮申反投发寄用把被将姓工身下今于为不]"
    r"|(?:联系|反映|反馈|办理|购买|咨询|确认|提供|答复|回复|告诉|告知|表示|留言|预约|登记|取消|完成|付款|申请))"
)
_NAME = rf"(?P<name>(?:(?:{_TWO})[{_CJK}]{{1,2}}|{_ONE}[{_CJK}]{{1,2}}))"
_NAME_OF_ONE = rf"(?P<name>(?:(?:{_TWO})[{_CJK}]|{_ONE}[{_CJK}]))"

# Before a name that stands alone in the sentence.
_FIELD = (
    r"(?:(?:我叫|我的名字(?:是|叫)|名字(?:是|叫)?|姓名|本人|署名|称呼|收件人|收货人|联系人|寄件人|下单人|签收人|经办人|持卡人|"
    r"开户人|开户名|户名|户主|投保人|被保险人|乘客|旅客|乘机人|入住人|住客|预订人|报名人|学员|患者|家长|业主|租客|车主|"
    r"负责人|申请人|订购人|付款人|受益人|法人|抬头|叫做|名叫|叫|姓名为)"
    r"(?:叫|是|为)?[ \t]*[:：]?[ \t]*|[\u4e00-\u9fff]{1,3}人[ \t]*[:：][ \t]*)"
)
_I_AM = r"(?:我是|这里是|这边是|您好[，,]?是|我这边是)"
_ACT_BEFORE = (
    r"(?:联系|找|转给|转交|交给|发给|寄给|通知|告诉|告知|由|让|请|跟|和|与|问|给|是|同事|客服|专员|快递员|师傅|技师|顾问|主管|"
    r"经理|老师|医生|员工|客户|用户|会员|顾客|朋友|家人|先生|女士|妈妈|爸爸|儿子|女儿|老公|老婆|爱人|转|归|为|叫|以|用|用的|写的是|写|换成|改成|改为|送|接到|收到)"
)
_ACT_BEHIND = (
    r"(?=处理|就行|就可以|就好|下的|反映|反馈|负责|接待|联系|回复|跟进|签收|代收|收货|安排|回电|说|告诉|告知|帮我|帮忙|给我|的(?:账户|账号|名字|名义|订单|电话|手机|"
    r"身份证|快递|包裹|地址|会员|邮箱|服务|态度|邮件|名下|资料|信息|工单|保单|预约)|收(?:[，。,.！!]|$)|本人|先生|女士|[，。,.！!？?；;：:、\s（(]|$)"
)

_FIELDS = re.compile(_FIELD + _NAME + _BEHIND)
_FIELDS_OF_ONE = re.compile(_FIELD + _NAME_OF_ONE + _BEHIND)
_FIELDS_AT_LAST = re.compile(r"(?:我叫|姓名[:：]|收[件货]人[:：]|联系人[:：])[ \t]*" + _NAME)
_SELF = re.compile(_I_AM + _NAME + _BEHIND)
_SELF_OF_ONE = re.compile(_I_AM + _NAME_OF_ONE + _BEHIND)
_ACTS = tuple(re.compile(_ACT_BEFORE + name + _ACT_BEHIND) for name in (_NAME, _NAME_OF_ONE))
_GREETINGS = tuple(
    re.compile(shape)
    for name in (_NAME, _NAME_OF_ONE)
    for shape in (
        rf"(?:尊敬的|亲爱的|敬爱的|您好[，, ]*|你好[，, ]*|^[ \t]*|[。！!\n][ \t]*){name}(?=[，,：: ]*(?:您好|你好|早上好|上午好|中午好|下午好|晚上好))",
        rf"(?:尊敬的|亲爱的|敬爱的|嗨[，, ]?|Hi[ ,，]*|Hello[ ,，]*){name}(?=[，,：:！! \n])",
        rf"(?:(?:您好|你好|早上好|下午好|晚上好)[，, ]*){name}(?=[，,：:！!。 \n])",
    )
)
_SIGNATURES = tuple(
    re.compile(shape, re.MULTILINE)
    for name in (_NAME, _NAME_OF_ONE)
    for shape in (
        rf"(?:谢谢|多谢|感谢|祝好|此致|敬礼|顺祝商祺|祝商祺|落款)[，,。！!～~ \t\n\-—]*{name}(?=[ \t]*(?:$|\d|[，,。\n（(]))",
        rf"(?:——|--|—|–)[ \t]*{name}[ \t]*$",
        rf"(?:^|[。！!，, ]){name}(?=[ \t]*(?:敬上|谨上|谨启|敬启|上$|启$|留$|留言$|亲笔))",
        rf"\n[ \t]*{name}[ \t]*$",
    )
)
_BY_NICKNAME = re.compile(
    rf"(?:客服|专员|顾问|管家|助理|我是|这里是|找|联系)(?P<name>[小老阿][{COMMON}])(?![{_CJK}]{{2}})"
)

# Words that begin like a name and are none.
_NO_NAME = word_list("no_names_zh.txt")


def chinese_names(text: str) -> Iterator[Span]:
    """Where Chinese names stand."""
    if not _HAS_CJK.search(text):
        return
    for shapes in _IN_ORDER:
        for shape in shapes:
            for match in shape.finditer(text):
                if _may_be_name(match["name"]):
                    yield match.span("name")
    yield from _titled(text)
    for match in _BY_NICKNAME.finditer(text):
        yield match.span("name")
    yield from _told_by_segmenter(text)


_HAS_CJK = re.compile(f"[{_CJK}]{{2}}")
_IN_ORDER = (
    (_FIELDS, _FIELDS_OF_ONE, _FIELDS_AT_LAST),
    (_SELF, _SELF_OF_ONE),
    _ACTS,
    _GREETINGS,
    _SIGNATURES,
)


@lru_cache(maxsize=4096)
def _may_be_name(name: str) -> bool:
    return name[:2] not in _NO_NAME and not _PARTICLE.search(name[1:])


# Characters that no given name has.
_PARTICLE = re.compile(
    "[的了吗呢吧啊呀您你我他她们么哪这那个是在有没不也都就还要和与或及被把给让件单号款退货]"
)
_SURNAMES = frozenset(COMMON + RARE)


def _titled(text: str) -> Iterator[Span]:
    """The name in front of each title: as long as it can be, but no longer than it must."""
    for title in _TITLE.finditer(text):
        before = text[max(0, title.start() - 4) : title.start()]
        fitting = [size for size in range(1, len(before) + 1) if _is_before_title(before[-size:])]
        if not fitting:
            continue
        size = fitting[-1]
        while len(fitting) > 1 and before[-size] in DOUBTFUL:
            fitting.pop()
            size = fitting[-1]
        yield title.start() - size, title.start()


def _is_before_title(name: str) -> bool:
    if len(name) > 1 and not _may_be_name(name):
        return False
    if name[:2] in COMPOUND:
        return len(name) in (2, 3, 4)
    return len(name) <= 3 and name[0] in _SURNAMES and all("\u4e00" <= c <= "\u9fff" for c in name)


# --- Without any such reason: what a segmenter of Chinese takes for a person -------------------------

_CLAUSE = re.compile(f"[{_CJK}]{{3,60}}")
# Segmenting is the slow part: of a long text its beginning is looked at.
_SEGMENTED = 2_000
_CANDIDATE = re.compile(f"(?=((?:{_TWO}|[{COMMON}])[{_CJK}]{{1,2}}))")
# "这张", "3包": a measure word, not a surname.
_COUNTED = re.compile(r"[\d这那几每一两二三四五六七八九十百千半某哪第]$")


def _told_by_segmenter(text: str) -> Iterator[Span]:
    for clause in _CLAUSE.finditer(text, 0, _SEGMENTED):
        told = clause.group()
        candidates = (match.group(1) for match in _CANDIDATE.finditer(told))
        if not any(one[0] not in DOUBTFUL and _may_be_name(one) for one in candidates):
            continue
        at = clause.start()
        for word, kind in _words(told):
            end = at + len(word)
            if (
                kind.startswith("nr")
                and _is_told_name(word)
                and not _COUNTED.search(text[:at][-1:])
            ):
                yield at, end
            at = end


def _is_told_name(word: str) -> bool:
    if not 2 <= len(word) <= 4 or not _may_be_name(word):
        return False
    return word[:2] in COMPOUND or (len(word) <= 3 and word[0] in _SURNAMES - DOUBTFUL)


def _words(clause: str) -> list[tuple[str, str]]:
    """The words of a clause with their kinds. The dictionary is read when it is first needed: a second, 80 MB."""
    import jieba
    import jieba.posseg

    jieba.setLogLevel(logging.WARNING)
    return [(pair.word, pair.flag) for pair in jieba.posseg.cut(clause)]
