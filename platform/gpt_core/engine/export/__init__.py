"""Export: a checkpoint as files that other programs load, each proven to answer like the checkpoint.

python -m gpt_core.engine.export JOB_DIR is the process; `procedure.export` is the library.
"""
