"""Supervision: the part of a worker that sees one claimed job through."""

from .supervisor import supervise, worker_name

__all__ = ["supervise", "worker_name"]
