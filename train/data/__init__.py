"""Histories in memory: gathered from readers, split by machine, scaled by training machines."""
