"""Where raw data come from, and how each served format is read into a common object."""
