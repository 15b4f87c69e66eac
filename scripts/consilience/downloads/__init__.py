"""Bringing files here: transfers that survive faults, the cache shared by all studies, archives."""
