"""Evaluation: the base, the candidate and the champion on the frozen test split, side by side.

    python -m gpt_core.engine.evaluation JOB_DIR

reads `evaluation.json` and the rows beside it, appends to `evaluation-events.jsonl`, and leaves
`report.json` (what the gate reads) and `evaluation-rows.jsonl` (the figures of every row).
"""
