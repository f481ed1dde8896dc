"""Rounds of training together over HTTP: a small aggregator for one machine or behind a proxy, and the party's side.

The protocol needs none of it. `serve_rounds` is the aggregator's process, which cannot import `party`.
"""
