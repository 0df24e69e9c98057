"""The one place where text of somebody's becomes markup.

    page = markdown_as_html(article.body)     # safe to stand in a template as it is
    text = plain_html(upload)                 # HTML of anywhere, with nothing in it that acts

Markdown is read with its HTML switched off, and what comes out is cleaned all the same: neither
net relies on the other.
"""

from __future__ import annotations

import functools

import nh3
from django.utils.safestring import SafeString, mark_safe
from markdown_it import MarkdownIt

# What an article is made of. No picture: it would tell another server who reads here.
_TAGS = {
    *("p", "br", "hr", "blockquote", "pre", "code", "em", "strong", "s", "del", "a"),
    *("h1", "h2", "h3", "h4", "h5", "h6", "ul", "ol", "li"),
    *("table", "thead", "tbody", "tr", "th", "td"),
}
_ATTRIBUTES = {"a": {"href", "title"}, "ol": {"start"}}
_SCHEMES = {"http", "https", "mailto", "tel"}
_WITH_CONTENT = {"script", "style", "template", "noscript", "iframe", "object", "svg", "math"}


def markdown_as_html(text: str) -> SafeString:
    """Markdown of anybody -> markup without scripts, pictures, forms, styles or odd links."""
    return mark_safe(plain_html(_reader().render(text)))


def plain_html(html: str) -> str:
    """HTML of anywhere with only the tags that an article is made of; their words stay."""
    return nh3.clean(
        html,
        tags=_TAGS,
        attributes=_ATTRIBUTES,
        url_schemes=_SCHEMES,
        clean_content_tags=_WITH_CONTENT,
        link_rel="noopener noreferrer nofollow",
    )


@functools.cache
def _reader() -> MarkdownIt:
    return MarkdownIt("commonmark", {"html": False}).enable(["table", "strikethrough"])
