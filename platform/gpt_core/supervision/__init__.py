"""Supervision: the part of a worker that sees one claimed job through."""

from .supervisor import supervise

__all__ = ["supervise"]
