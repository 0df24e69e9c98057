"""Finding the passages that may answer a question: several ways to look, one order.

    found = search("How long does a permit take?", language="en", most=5)

Words are compared by BM25 (stems in English, jieba's words in Chinese), spelling by character
n-grams, and meaning by the vectors of a small model where `GPT_EMBEDDER` names one; their orders are
fused by reciprocal rank. The index of a tenant lives in the process that answers and is renewed as
soon as the knowledge has another revision.
"""

from .index import Index
from .search import Found, search

__all__ = ["Found", "Index", "search"]
