"""Other libraries: SEAL as an engine, and the formats of SEAL and TenSEAL."""
