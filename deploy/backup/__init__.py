"""Backs up and restores a whole site, on both stacks.

Code enters if it knows what a site consists of. Adapters read and write the files, the log and the stores.
"""
