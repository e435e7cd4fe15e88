"""Candidate sources, one file each: ``SOURCE = CandidateSource(...)`` with ``generate(context) -> Candidates``.

What may enter: a pure function that returns allowed positions with scores from 0 to 1, and its declaration.
``registry`` discovers every module here; nothing else has to be edited for a new source.
May import: ``serving.ranking.context`` and what is below it; never the blend or the pipeline.
"""
