"""Articles from files: each kind is read, nothing comes twice, and each file says what is wrong."""

from __future__ import annotations

import io
import re
from html import unescape
from typing import Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client

from apps.chatbot.models import Article, ArticleVersion
from tenancy.models import AuditEntry, Tenant
from tenancy.scope import tenant_scope
from tests.apps.portal.conftest import Door

pytestmark = pytest.mark.django_db

TABLE = "问题,答案\n怎么退货？,七天内可以退货。\n怎么开发票？,\n怎么退货？,不退\n"


def text_of(page: Any) -> str:
    return re.sub(r"\s+", " ", unescape(re.sub(r"<[^>]+>", " ", page.content.decode())))


def send(client: Client, tenant: Tenant, *files: tuple[str, bytes], **more: str) -> Any:
    sent = [SimpleUploadedFile(name, data) for name, data in files]
    form = {"language": "zh", "uploads": sent} | more
    return client.post(f"/t/{tenant.slug}/knowledge/import/", form)


def counts(page: Any) -> list[list[int]]:
    """New, changed, known, published: of each file."""
    rows = re.findall(r"<tr>\s*<th scope=\"row\".*?</tr>", page.content.decode(), re.DOTALL)
    return [[int(n) for n in re.findall(r'<td class="number">(\d+)</td>', row)] for row in rows]


def pdf(words: str) -> bytes:
    """A file of one page with these words, of the least that a PDF needs."""
    stream = f"BT /F1 12 Tf 20 700 Td ({words}) Tj ET".encode() if words else b""
    parts = [
        b"<< /Type /Catalog /Pages 2 0 R >>",
        b"<< /Type /Pages /Kids [3 0 R] /Count 1 >>",
        b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 595 842] /Contents 4 0 R"
        b" /Resources << /Font << /F1 5 0 R >> >> >>",
        b"<< /Length %d >>\nstream\n%s\nendstream" % (len(stream), stream),
        b"<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>",
    ]
    made, places = io.BytesIO(b"%PDF-1.4\n"), []
    made.seek(0, io.SEEK_END)
    for number, part in enumerate(parts, 1):
        places.append(made.tell())
        made.write(b"%d 0 obj\n%s\nendobj\n" % (number, part))
    start = made.tell()
    made.write(b"xref\n0 6\n0000000000 65535 f \n")
    made.write(b"".join(b"%010d 00000 n \n" % at for at in places))
    made.write(b"trailer << /Size 6 /Root 1 0 R >>\nstartxref\n%d\n%%%%EOF" % start)
    return made.getvalue()


@pytest.mark.parametrize(
    ("name", "data", "title", "body"),
    [
        ("退货.md", "# 退货政策\n\n七天**内**。".encode(), "退货政策", "七天**内**。"),
        ("退货.txt", "七天内可以退货。".encode("gb18030"), "退货", "七天内可以退货。"),
        ("a.txt", "电子发票".encode("utf-8-sig"), "a", "电子发票"),
        (
            "b.html",
            "<title>保修</title><style>p{}</style><script>x()</script>"
            "<p onclick='y()'>十<b>年</b></p><ul><li>门窗</li></ul>".encode(),
            "保修",
            "十年\n\n- 门窗",
        ),
        ("c.tsv", b"title\tbody\nFees\tNone, ever.\n", "Fees", "None, ever."),
        ("terms.pdf", pdf("Ten years on facades."), "terms", "Ten years on facades."),
    ],
)
def test_every_kind_of_file_becomes_a_draft(
    name: str, data: bytes, title: str, body: str, tenant: Tenant, door: Door
) -> None:
    page = send(door("annotator"), tenant, (name, data))
    assert counts(page) == [[1, 0, 0, 0]], text_of(page)
    with tenant_scope(tenant):
        article = Article.objects.get()
        assert (article.title, article.state) == (title, "draft")
        assert article.versions.get().body == body


def test_the_same_file_again_adds_nothing(tenant: Tenant, door: Door) -> None:
    client, file = door("annotator"), ("退货.md", "# 退货\n七天内".encode())
    send(client, tenant, file)
    with tenant_scope(tenant):
        entries = AuditEntry.objects.filter(action="article.imported").count()
    assert counts(send(client, tenant, file)) == [[0, 0, 1, 0]]
    with tenant_scope(tenant):
        assert ArticleVersion.objects.count() == 1
        assert AuditEntry.objects.filter(action="article.imported").count() == entries == 1


def test_another_text_under_the_same_title_is_its_next_version(tenant: Tenant, door: Door) -> None:
    client = door("annotator")
    first, second = (("退货.md", f"# 退货\n{days}天内".encode()) for days in ("七", "十"))
    send(client, tenant, first, publish="on")
    assert counts(send(client, tenant, second)) == [[0, 1, 0, 0]]
    with tenant_scope(tenant):
        article = Article.objects.get()
        assert article.published is not None
        assert article.published.body == "七天内"
        assert article.versions.count() == 2
    assert counts(send(client, tenant, first, second)) == [[0, 0, 1, 0], [0, 0, 1, 0]]
    assert counts(send(client, tenant, second, language="en")) == [[1, 0, 0, 0]]


def test_what_is_published_at_once_is_live(tenant: Tenant, door: Door) -> None:
    client, file = door("annotator"), ("退货.md", "# 退货\n七天内".encode())
    send(client, tenant, file)
    assert counts(send(client, tenant, file, publish="on")) == [[0, 0, 1, 1]]
    with tenant_scope(tenant):
        assert Article.objects.get().state == "published"


def test_a_table_says_what_is_wrong_with_which_line(tenant: Tenant, door: Door) -> None:
    page = send(door("annotator"), tenant, ("常见问题.csv", TABLE.encode("gb18030")))
    assert counts(page) == [[1, 0, 0, 0]]
    assert "Line 3: The title or the text is empty." in text_of(page)
    assert "Line 4: The title stands in line 2 already." in text_of(page)


@pytest.mark.parametrize(
    ("name", "data", "why"),
    [
        ("a.docx", b"PK\x03\x04", "Only these are read"),
        ("a.txt", b"\x89PNG\r\n\x1a\n\x00\x00", "This is no text"),
        ("a.md", b"", "An article needs a text."),
        ("a.csv", b"x,y\n1,2\n", "must name the columns"),
        ("a.csv", b"", "must name the columns"),
        ("a.pdf", b"%PDF-1.4 broken", "cannot be read"),
        ("a.pdf", b"no pdf", "cannot be read"),
        ("a.pdf", pdf(""), "holds pictures and no text"),
        ("a.txt", b"x" * 5_000_001, "At most 5 MB a file."),
        ("a.txt", b"x" * 200_001, "At most 200000 characters"),
        ("<b>.txt", b"\x00", "This is no text"),
    ],
)
def test_a_fault_is_told_by_file_and_takes_nothing_from_the_others(
    name: str, data: bytes, why: str, tenant: Tenant, door: Door
) -> None:
    page = send(door("annotator"), tenant, (name, data), ("好.md", "# 好\n可以".encode()))
    assert why in text_of(page)
    assert counts(page) == [[0, 0, 0, 0], [1, 0, 0, 0]]
    assert "<b>.txt" not in page.content.decode()


def test_too_many_files_or_none_are_refused(tenant: Tenant, door: Door) -> None:
    client = door("annotator")
    assert send(client, tenant).status_code == 400
    page = send(client, tenant, *((f"{n}.md", b"x") for n in range(21)))
    assert page.status_code == 400
    assert "At most 20 files" in text_of(page)


@pytest.mark.parametrize("role", ["viewer", "agent"])
def test_who_may_not_write_imports_nothing(role: str, tenant: Tenant, door: Door) -> None:
    assert send(door(role), tenant, ("a.md", b"x")).status_code == 403
