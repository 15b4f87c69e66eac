"""What a result is worth: ranking, calibration, fidelity, privacy, neighbours. Pure functions of arrays."""
