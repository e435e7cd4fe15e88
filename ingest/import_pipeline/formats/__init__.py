"""How files are written: encodings, line ends, delimiters and quotes, JSON; and how cells are read as numbers, times and ids.

Each module knows one of these and nothing of data sets. What cannot be read is counted or refused with a sentence.
"""
