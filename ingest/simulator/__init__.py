"""Simulates a video-game shop: a real catalogue, invented shoppers, and their events.

``shop`` is its interface. ``catalogue`` reads the games and ``game_features`` turns them into numbers; ``shoppers``
invents tastes, ``market`` fame and fashion, and ``sessions`` the steps of one visit.
Code enters if a seed decides all it does: no clock, no log. It imports numpy and nothing else of Freshet.
"""
