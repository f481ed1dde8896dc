"""Measured comparisons with other libraries; see scripts/bench."""
