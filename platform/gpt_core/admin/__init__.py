"""Jobs, engines, queues and what jobs leave behind, for the platform's staff."""

from . import bases, jobs, results

__all__ = ["bases", "jobs", "results"]
