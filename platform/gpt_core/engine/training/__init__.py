"""Fine-tuning: `python -m gpt_core.engine.training JOB_DIR`, a process of its own.

The job folder is the whole interface: `spec.json` and three JSON Lines files come in, `events.jsonl`, `state/`,
`best/` and `tensorboard/` go out.
"""
