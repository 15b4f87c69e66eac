"""What the user asks for: the typed configuration, the cohort sheet, and the checks before anything runs."""
