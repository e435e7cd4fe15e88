"""Replay: the whole system on a recorded stream, in one process without servers.

It holds prequential evaluation, the learning of source weights from the newest events, and the explanation of past answers.
Only code that runs several tiers together belongs here. It may import the tiers, signals, models and schemas, never deploy or adapters.
"""
