"""The Raft core: pure decisions, no clock, chance, disk, thread or network."""
