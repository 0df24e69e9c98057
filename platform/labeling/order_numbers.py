"""Order, ticket and parcel numbers: after a word that announces them, or of a form that a tenant names.

A tenant writes forms, not regular expressions: `SO-\\d{8}`, `[A-Z]{2}\\d{6,10}`. A form is a row of
pieces, each taken once or a bounded number of times and never given back, so that looking
for it costs time in proportion to the text, whatever stands in either.
"""

import re
from collections.abc import Iterable, Iterator

from django.utils.translation import gettext_lazy as _

from common.errors import ApplicationError
from labeling.personal_data import Found

ORDER = "order"
MOST_FORMS = 20
LONGEST_FORM = 100
MOST_PIECES = 24
MOST_REPEATS = 40
LEAST_LENGTH = 4

_PIECE = re.compile(
    r"(?P<what>\\d|\[(?:[A-Za-z0-9](?:-[A-Za-z0-9])?){1,12}\]|\\[-./#_]|[A-Za-z0-9\-/#_ \u4e00-\u9fff])"
    r"(?:\{(?P<least>\d{1,2})(?P<range>,(?P<most>\d{1,2}))?\})?"
)

_ANNOUNCED = re.compile(
    r"(?:(?i:\b(?:order|tracking|shipment|parcel|ticket|case|invoice|booking|reservation|confirmation|reference|ref|account|"
    r"customer|policy|serial|rma|po)(?:[ ]?(?:number|numbers|no\.?|nr\.?|num|id|code|#))?[ ]{0,2}(?:is|was|:|#|：|=)?[ ]{0,2}#?[ ]?)"
    r"|(?:订单|单|运单|快递|物流|快递单|订单编|工单|流水|合同|会员|客户|交易|支付|退款|售后|发票|保单|预订|确认|票|账户|用户|序列)(?:号码|编号|号|ID|id|码)"
    r"(?:是|为)?[ ]{0,2}[:：#]?[ ]{0,2})"
    r"(?P<number>(?=[A-Za-z0-9\-]{0,30}\d[A-Za-z0-9\-]{0,3}\d)[A-Za-z0-9](?:[A-Za-z0-9]|-(?=[A-Za-z0-9])){3,31}+)"
)


def find_order_numbers(text: str, forms: Iterable[re.Pattern[str]] = ()) -> Iterator[Found]:
    """Where order numbers stand: of the tenant's forms anywhere, of others where a word says so."""
    taken: list[tuple[int, int]] = []
    for form in forms:
        for match in form.finditer(text):
            taken.append(match.span())
            yield Found(ORDER, *match.span())
    for match in _ANNOUNCED.finditer(text):
        start, end = match.span("number")
        if not any(start < other[1] and other[0] < end for other in taken):
            yield Found(ORDER, start, end)


def compiled_form(form: str) -> re.Pattern[str]:
    """A tenant's form, ready to search with. Raises ApplicationError `order_form_invalid`."""
    pieces: list[str] = []
    position = least = 0
    if not 1 <= len(form) <= LONGEST_FORM:
        raise _invalid(form)
    while position < len(form):
        piece = _PIECE.match(form, position)
        if piece is None or len(pieces) == MOST_PIECES:
            raise _invalid(form)
        position = piece.end()
        fewest = int(piece["least"]) if piece["least"] else 1
        most = int(piece["most"]) if piece["most"] else fewest
        if not fewest <= most <= MOST_REPEATS:
            raise _invalid(form)
        least += fewest
        what = piece["what"]
        pieces.append(what if what[0] in "[\\" else re.escape(what))
        pieces[-1] += f"{{{fewest},{most}}}+"  # possessive: nothing is tried twice
    if least < LEAST_LENGTH:
        raise _invalid(form)
    try:
        return re.compile(r"(?<![A-Za-z0-9])" + "".join(pieces) + r"(?![A-Za-z0-9])", re.ASCII)
    except re.error:
        raise _invalid(form) from None


def _invalid(form: str) -> ApplicationError:
    return ApplicationError(
        "order_form_invalid",
        _(
            "“%(form)s” is no form of an order number. Write letters and digits as they stand, \\d for a "
            "digit, [A-Z] for one of several characters, and {8} or {6,10} for how many; at least 4 characters."
        )
        % {"form": form[:40]},
        field="orders",
    )
