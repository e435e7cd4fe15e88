"""Export of what is held on one person: the lines of each file, and the zip that is made of them while it is sent.

A module may enter if it decides what an export holds, or how it is written. It reads stores by ports only.
"""
