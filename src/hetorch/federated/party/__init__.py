"""A party's side, which knows secrets: no aggregator may import this package."""
