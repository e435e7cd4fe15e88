"""Operations on arrays that ranking uses in every request: compiled kernels, top-k, rank fusion.

What may enter: functions of NumPy arrays that know nothing about items, users or requests.
Order is deterministic: equal scores are ordered by a hash of the item id.
May import: ``models.structures`` and ``numba``.
"""
