"""The engine's server: one base model, many adapters, one continuous batch, the protocol of OpenAI and vLLM.

    python -m gpt_core.engine.serving --base FOLDER --store DIR --port 8100

From the inside out: `kernels` multiplies, `attention` keeps keys and values, `adapters` holds every tenant's
adapter in one slab, `decoder` runs a step of the model, `sampling` chooses tokens, `scheduler` decides who
is in the next step, `engine` owns the thread that does all this, `protocol` and `application` speak HTTP.
"""
