"""What was said, out of the mail and the markup around it."""

import re
from html.parser import HTMLParser

from apps.chatbot.history.shape import MOST_CHARACTERS

_BREAKING = {"br", "p", "div", "li", "tr", "ul", "ol", "table", "h1", "h2", "h3", "h4", "hr", "pre"}
_SILENT = {"script", "style", "head", "title", "template"}
_QUOTES = {"blockquote"}
_EMPTY = {"br", "hr", "img", "input", "meta", "link", "col", "wbr", "area", "base", "source"}
_QUOTING_CLASSES = re.compile(
    r"gmail_quote|yahoo_quoted|moz-cite-prefix|zmail_extra|OutlookMessageHeader"
)

# From such a line on a mail repeats what was written before.
_QUOTED_FROM = re.compile(
    r"^(?:[ \t>]*-{2,}[ \t]*(?:Original Message|Forwarded message|原始邮件|原邮件|转发邮件|回复邮件)[ \t]*-{2,}.*"
    r"|On .{4,200} wrote:[ \t]*"
    r"|(?:在|於|于).{4,120}(?:写道|寫道)[:：][ \t]*"
    r"|(?:From|发件人|寄件者)[:：].{0,200}\n(?:[ \t]*(?:Sent|Date|To|Subject|发送时间|日期|收件人|主题)[:：].*)"
    r"|##- .{0,60}(?:reply above this line|请在此行以上回复).{0,40}"
    r"|_{10,}[ \t]*)$",
    re.MULTILINE,
)
_QUOTED_LINE = re.compile(r"^[ \t]*>.*(?:\n|$)", re.MULTILINE)
_SIGNATURE = re.compile(
    r"\n(?:-- ?|—)\n[\s\S]{0,1000}\Z"
    r"|\n(?:Sent from my [^\n]{1,60}|Get Outlook for [^\n]{1,40}|发自我的[^\n]{1,40}|从 ?(?:iPhone|Windows)[^\n]{0,20}发送)\s*\Z"
)
# Signs that stand for what is no text.
MARK = re.compile(
    r"[\[【](?:图片|表情|文件|语音|视频|链接|位置|名片|红包|动画表情|自定义表情|商品|订单|卡片消息|音频|image|file|voice|video|sticker|audio)[^\]】\n]{0,30}[\]】]",
    re.IGNORECASE,
)
_SPACES = re.compile(r"[ \t\u00a0]+")
_MANY_LINES = re.compile(r"\n[ \t]*(?:\n[ \t]*)+")
_CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\u200b\u200e\u200f\ufeff]")


def plain(text: str) -> str:
    """One message as text: no quoted mail, no signature block, even spaces, of bounded length."""
    text = _CONTROL.sub("", text[: 4 * MOST_CHARACTERS].replace("\r\n", "\n").replace("\r", "\n"))
    quoted = _QUOTED_FROM.search(text)
    if quoted is not None and text[: quoted.start()].strip():
        text = text[: quoted.start()]
    text = _QUOTED_LINE.sub("", text)
    text = _SIGNATURE.sub("", text)
    text = _MANY_LINES.sub("\n\n", _SPACES.sub(" ", text))
    return "\n".join(line.strip() for line in text.split("\n")).strip()[:MOST_CHARACTERS]


def from_markup(markup: str) -> str:
    """The text of an HTML message. Nothing of it is ever shown as markup."""
    if "<" not in markup and "&" not in markup:
        return plain(markup)
    reading = _Text()
    reading.feed(markup[: 8 * MOST_CHARACTERS])
    reading.close()
    return plain("".join(reading.pieces))


def without_marks(text: str) -> tuple[str, int]:
    """The text without the signs for pictures and files, and how many there were."""
    left, count = MARK.subn("", text)
    return left.strip(), count


class _Text(HTMLParser):
    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.pieces: list[str] = []
        self._skipping: list[
            str
        ] = []  # the elements that we are in since one began to be passed over

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag in _BREAKING:
            self.pieces.append("\n")
        if tag in _EMPTY:
            return
        classes = dict(attrs).get("class") or ""
        if self._skipping or tag in _SILENT or tag in _QUOTES or _QUOTING_CLASSES.search(classes):
            self._skipping.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag in _BREAKING:
            self.pieces.append("\n")

    def handle_endtag(self, tag: str) -> None:
        if tag in self._skipping:
            while self._skipping and self._skipping.pop() != tag:
                pass
        elif tag in _BREAKING and tag not in _EMPTY:
            self.pieces.append("\n")

    def handle_data(self, data: str) -> None:
        if not self._skipping:
            self.pieces.append(re.sub(r"\s+", " ", data))
