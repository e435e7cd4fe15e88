"""What the tiers agree on: values, topics, keys, codecs, ports and named errors. No I/O, no drivers."""
