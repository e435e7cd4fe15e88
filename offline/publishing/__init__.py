"""Publishing: the gate, the active pointer, exports, webhooks, and models that come from other systems.

What makes a stored version answer requests belongs here. Training and measuring it do not.
Imports ``offline.evaluation.metric_names``, ``offline.training.lists`` and ``models``.
"""
