"""Layer 2: SEAL as an engine, and the formats of SEAL and TenSEAL."""
