"""Data sets as items, users and events: recognised by their files, read in bounded memory, imported resumably."""
