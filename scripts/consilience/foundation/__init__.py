"""What every room stands on: errors, atomic files and digests, seeds, devices, job logs, provenance."""
